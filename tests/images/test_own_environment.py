"""`ENV=my-environment.yml make sif` builds an image and a SIF with a user's own packages, beside ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(900)

NAME = "tests-own-environment"
FILE = f"""\
name: {NAME}
dependencies:
  - humanize
  - pip:
    - tabulate[widechars]>=0.9
"""


@pytest.fixture
def file(tmp_path: Path, root: Path, versions: dict[str, str]) -> Iterator[Path]:
    """The environment file; at the end, remove its image and its SIF."""
    (tmp_path / "my env.yml").write_text(FILE)
    yield tmp_path / "my env.yml"
    tags = [f"{NAME}:{versions['VERSION']}", f"{NAME}:latest"]
    subprocess.run(["docker", "image", "rm", "--force", *tags], capture_output=True, check=False)
    for path in (root / "dist").glob(f"*{NAME}*"):
        path.unlink()


def make(root: Path, target: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Run make, as a user does, with that environment."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", target], cwd=root, env=own | {"ENV": str(file)}, capture_output=True, text=True, check=False
    )


def our_image() -> dict[str, Any]:
    """Return what the engine reports about our image, except the time of its last tag.

    A concurrent test may bake the same image again, which changes only that time.
    """
    done = subprocess.run(["docker", "image", "inspect", "dask-hpc"], capture_output=True, check=True)
    (found,) = json.loads(done.stdout)
    del found["Metadata"]["LastTagTime"]
    return dict(found)


def test_makes_image_and_sif_of_own_packages(root: Path, file: Path, versions: dict[str, str]) -> None:
    """The locks are next to the file, image and SIF have its name, and ours are unchanged."""
    ours = our_image()
    done = make(root, "sif", file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "humanize" in done.stdout, "the table of what changed"
    locks = file.with_name("my env.locks")
    assert sorted(path.name for path in locks.iterdir()) == ["environment.yml", "local-linux-64.lock", "wheels.txt"]
    assert "tabulate" in (locks / "wheels.txt").read_text()
    assert (root / f"dist/{NAME}.sif").stat().st_size > 50_000_000
    code = "import humanize, tabulate, wcwidth, dask, sys; print(sys.prefix)"
    run = ["docker", "run", "--rm", "--network", "none", f"{NAME}:{versions['VERSION']}", "python", "-c", code]
    assert subprocess.run(run, capture_output=True, text=True).stdout == "/opt/env\n"
    assert our_image() == ours
    before = {path.name: path.read_bytes() for path in locks.iterdir()}
    again = make(root, "images", file)
    assert again.returncode == 0
    assert "has no locks" not in again.stderr
    assert {path.name: path.read_bytes() for path in locks.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("name: dask-hpc\ndependencies:\n  - humanize\n", "choose another name"),
        ("dependencies:\n  - humanize\n", "add a line 'name: my-environment'"),
        (f"name: {NAME}\ndependencies:\n  - python=3.11\n", "it asks for 'python=3.11'"),
        (f"name: {NAME}\ndependencies:\n  - no-such-package-anywhere-at-all\n", "no-such-package-anywhere-at-all"),
    ],
)
def test_rejects_invalid_environment(root: Path, file: Path, text: str, seen: str) -> None:
    """The error says what is wrong with the file, without a traceback."""
    file.write_text(text)
    shutil.rmtree(file.with_name("my env.locks"), ignore_errors=True)
    done = make(root, "images", file)
    assert done.returncode != 0
    assert seen in done.stderr
    assert "Traceback" not in done.stderr
