"""bake.sh: its temporary files, and the environment it builds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.bridge_site import executable

LEAVES = 'touch "$TMPDIR/dockerfile1"; mkdir "$TMPDIR/empty-dir1"'


class Builder:
    """A fake `docker` command, and a folder for temporary files.

    Args:
        folder: Where both are.
        root: The checkout.
    """

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder = folder
        self.root = root
        self.tmp = folder / "tmp"
        self.tmp.mkdir()

    def bake(self, docker: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the build in the folder, with this shell script as `docker`."""
        executable(self.folder / "docker", f"#!/bin/sh\n{docker}\n")
        env = {
            "PATH": f"{self.folder}:/usr/bin:/bin",
            "TMPDIR": str(self.tmp),
            "BASE": "pull",
            "DASK_HPC_CACHE": str(self.folder),
        }
        words: list[str | Path] = [self.root / "containers/bake.sh", "node"]
        return subprocess.run(words, env=env | variables, cwd=self.folder, capture_output=True, text=True)


@pytest.fixture
def builder(tmp_path: Path, root: Path) -> Builder:
    """Set up a build."""
    return Builder(tmp_path, root)


@pytest.mark.parametrize(("ends", "status"), [("exit 0", 0), ("echo no room; exit 3", 1)], ids=["succeeds", "fails"])
def test_leaves_no_temporary_file(builder: Builder, ends: str, status: int) -> None:
    """Buildx's temporary files are removed, whether the build succeeds or fails."""
    done = builder.bake(f"{LEAVES}; {ends}")
    assert done.returncode == status
    assert ("no room" in done.stderr) == bool(status)
    assert list(builder.tmp.iterdir()) == []


def test_removes_files_of_killed_build(builder: Builder) -> None:
    """The next build removes the files of a killed one, but not of one that is running."""
    builder.bake(f"{LEAVES}; kill -KILL $PPID")
    (left,) = builder.tmp.iterdir()
    running = builder.tmp / f"{left.name.rpartition('-')[0]}-1"
    running.mkdir()
    builder.bake("exit 0")
    assert list(builder.tmp.iterdir()) == [running]


@pytest.mark.parametrize("absolute", [True, False])
def test_builds_own_environment(builder: Builder, absolute: bool) -> None:
    """ENV selects the locks beside that file, and the image gets that environment's name."""
    locks = builder.folder / "my env.locks"
    locks.mkdir()
    (locks / "environment.yml").write_text("# Written by make.\nname: mine\n")
    file = str(builder.folder / "my env.yml") if absolute else "my env.yml"
    done = builder.bake('echo "$ENV_NAME, $ENV_LOCKS"; exit 1', ENV=file)
    assert f"mine, {locks}" in done.stderr
