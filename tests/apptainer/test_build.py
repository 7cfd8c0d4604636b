"""`make sif` does nothing if nothing has changed, and leaves nothing behind if it fails."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(300)


def build(root: Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [root / "apptainer/build.sh", *arguments]
    return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True)


def test_unchanged_image_is_not_rebuilt(root: Path, sif: Path) -> None:
    """If the image has not changed, nothing is built and nothing is printed."""
    if "DASK_HPC_SIF" in os.environ:
        pytest.skip("the SIF under test was built elsewhere")
    before = sif.stat()
    done = build(root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sif.stat() == before


def test_build_leaves_only_sif_and_checksum(sif: Path) -> None:
    """A build leaves only the SIF, its checksum and its stamp."""
    beside = {path.name for path in sif.parent.iterdir() if path.name.lstrip(".").startswith(sif.name)}
    assert beside <= {sif.name, f"{sif.name}.sha256", f".{sif.name}.stamp"}


def test_reports_missing_image(root: Path, tmp_path: Path) -> None:
    """If the image is missing, the error names it and the command that builds it."""
    done = build(root, tmp_path / "x.sif", DASK_HPC_IMAGE="dask-hpc:none-such")
    assert done.returncode == 1
    assert "image dask-hpc:none-such not found" in done.stderr
    assert "seen:  " in done.stderr
    assert "to do: make images" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_failed_build_keeps_existing_sif(root: Path, tmp_path: Path, versions: dict[str, str]) -> None:
    """An image without the environment fails the SIF's own tests; the old file stays, and no new one is left."""
    old = tmp_path / "x.sif"
    old.write_text("old")
    done = build(root, old, DASK_HPC_IMAGE=f"slurm-sim/slurmctld:{versions['SLURM_VERSION']}")
    assert done.returncode == 1
    assert f"could not build {old}" in done.stderr
    assert "failed to execute %test" in done.stderr
    assert "to do: " in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.sif"]
    assert old.read_text() == "old"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_build_leaves_nothing(root: Path, tmp_path: Path, how: signal.Signals) -> None:
    """An interrupted build ends at once, and leaves no file and no container."""
    process = subprocess.Popen([root / "apptainer/build.sh", tmp_path / "x.sif"], process_group=0)
    name = f"dask-hpc-sif-{process.pid}"
    while not containers(name):
        assert process.poll() is None
        time.sleep(0.1)  # the engine sends no event
    os.killpg(process.pid, how)
    assert process.wait(timeout=150) == 130
    assert list(tmp_path.iterdir()) == []
    assert containers(name) == ""


def test_rejects_unknown_builder(root: Path, tmp_path: Path) -> None:
    """An APPTAINER value other than host or container is rejected."""
    done = build(root, tmp_path / "x.sif", APPTAINER="banana")
    assert done.returncode == 1
    assert "APPTAINER=banana" in done.stderr


def containers(name: str) -> str:
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_prefers_host_apptainer(root: Path, tmp_path: Path) -> None:
    """If the host has Apptainer, it builds the SIF from the image and the definition, with our compression."""
    stub = tmp_path / "bin/apptainer"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nset -e\ntest -s image.tar\ntest -s dask-hpc.def\necho "$*" >out.sif\n')
    stub.chmod(0o755)
    done = build(root, tmp_path / "out/x.sif", PATH=f"{stub.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/x.sif").read_text().startswith("build --mksquashfs-args=-comp zstd")
