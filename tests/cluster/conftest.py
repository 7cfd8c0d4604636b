"""Fixtures shared by the mini-cluster tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim
from slurm_sim._docker import docker
from tests.support.all_run import all_run
from tests.support.command import left_of, new_name
from tests.support.engine_elsewhere import client_container

__all__ = ["all_run"]


@pytest.fixture(scope="session")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(root)]
    subprocess.run(build, capture_output=True, check=True, timeout=100)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def client(
    root: Path, versions: dict[str, str], wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Name of a container that can run slurm-sim, and shares no file with the engine's host."""
    name = new_name()
    folder = tmp_path_factory.mktemp("client")
    try:
        client_container(name, f"slurm-sim/node:{versions['VERSION']}", root, wheel, folder)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.fixture
def name() -> Iterator[str]:
    """Name for a mini-cluster that a test starts; at the end, assert that nothing of it is left, or remove it."""
    name = new_name()
    yield name
    left = left_of(name)
    SlurmSim(name=name).down()
    assert left == []
