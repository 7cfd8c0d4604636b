"""The image under test: $DASK_HPC_IMAGE, or the one that `make images` builds."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from tests.support import lacking

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def image(versions: dict[str, str]) -> str:
    """The image's tag. If it has not been built, skip the tests, or fail in CI."""
    tag = os.environ.get("DASK_HPC_IMAGE", f"dask-hpc:{versions['VERSION']}")
    seen = subprocess.run(["docker", "image", "inspect", tag], capture_output=True)
    if seen.returncode:
        lacking(f"image {tag} not found: build it with `make images`")
    return tag


@pytest.fixture(scope="session")
def config(image: str) -> dict[str, Any]:
    """The image's configuration."""
    text = subprocess.run(["docker", "image", "inspect", image], check=True, capture_output=True).stdout
    found: dict[str, Any] = json.loads(text)[0]["Config"]
    return found


@pytest.fixture
def in_image(image: str) -> Run:
    """Run a command in a container of the image; `options` are docker's."""

    def run(*command: str, options: tuple[str, ...] = (), check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["docker", "run", "--rm", "--init", "--network", "none", *options, image, *command],
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run
