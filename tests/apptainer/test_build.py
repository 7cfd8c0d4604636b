"""`make sif`: quick where nothing has changed, and all or nothing where it fails."""

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


def test_it_is_made_once(root: Path, sif: Path) -> None:
    """Where the image has not changed nothing is made, and nothing is said."""
    if "DASK_HPC_SIF" in os.environ:
        pytest.skip("the SIF under test is of another's making")
    before = sif.stat()
    done = build(root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sif.stat() == before


def test_only_the_sif_and_its_checksum_are_seen(sif: Path) -> None:
    """Beside it is its checksum, and no remains of builds."""
    beside = {path.name for path in sif.parent.iterdir() if path.name.lstrip(".").startswith(sif.name)}
    assert beside <= {sif.name, f"{sif.name}.sha256", f".{sif.name}.stamp"}


def test_no_image(root: Path, tmp_path: Path) -> None:
    """A missing image is named, and what makes it."""
    done = build(root, tmp_path / "x.sif", DASK_HPC_IMAGE="dask-hpc:none-such")
    assert done.returncode == 1
    assert "there is no image dask-hpc:none-such" in done.stderr
    assert "seen:  " in done.stderr
    assert "to do: make images" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_failed_build_leaves_what_was_there(root: Path, tmp_path: Path, versions: dict[str, str]) -> None:
    """An image without the environment fails in the SIF's own tests: the old file stays, and of the new one nothing."""
    old = tmp_path / "x.sif"
    old.write_text("old")
    done = build(root, old, DASK_HPC_IMAGE=f"slurm-sim/slurmctld:{versions['SLURM_VERSION']}")
    assert done.returncode == 1
    assert f"could not make {old}" in done.stderr
    assert "failed to execute %test" in done.stderr
    assert "to do: " in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.sif"]
    assert old.read_text() == "old"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_build_leaves_nothing(root: Path, tmp_path: Path, how: signal.Signals) -> None:
    """Neither a file nor a container is left, and it ends at once."""
    process = subprocess.Popen([root / "apptainer/build.sh", tmp_path / "x.sif"], process_group=0)
    name = f"dask-hpc-sif-{process.pid}"
    while not containers(name):
        assert process.poll() is None
        time.sleep(0.1)  # the engine tells nobody
    os.killpg(process.pid, how)
    assert process.wait(timeout=30) == 130
    assert list(tmp_path.iterdir()) == []
    assert containers(name) == ""


def test_a_builder_that_is_none(root: Path, tmp_path: Path) -> None:
    """Who builds is the host or a container."""
    done = build(root, tmp_path / "x.sif", APPTAINER="banana")
    assert done.returncode == 1
    assert "APPTAINER=banana" in done.stderr


def containers(name: str) -> str:
    command = ["docker", "ps", "--all", "--quiet", "--filter", f"name={name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_hosts_apptainer_goes_first(root: Path, tmp_path: Path) -> None:
    """A host that has one builds with it, beside the image and the definition, and with our compression."""
    stub = tmp_path / "bin/apptainer"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\nset -e\ntest -s image.tar\ntest -s dask-hpc.def\necho "$*" >out.sif\n')
    stub.chmod(0o755)
    done = build(root, tmp_path / "out/x.sif", PATH=f"{stub.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/x.sif").read_text().startswith("build --mksquashfs-args=-comp zstd")
