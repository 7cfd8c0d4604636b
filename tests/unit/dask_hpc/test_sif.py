"""Job scripts of workers in a SIF, up to the start of Python."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from dask_hpc.identity import venv
from dask_hpc.sif import Sif, current
from tests.support.bridge_site import executable


@pytest.fixture
def sif(tmp_path: Path) -> Sif:
    """Make a SIF whose Apptainer prints its arguments."""
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin/apptainer", '#!/bin/sh\nprintf "%s|" "$@"\necho\nenv | grep APPTAINERENV_\n')
    (tmp_path / "the sif").touch()
    return Sif(str(tmp_path / "the sif"), "apptainer", ("/data:/in put",))


def worker(sif: Sif, needed: tuple[Path, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the lines of a job script."""
    lines = ["export OMP_NUM_THREADS=1", *sif.prologue(needed), f"{sif.python(['/tmp', '/scratch'], [])} -m worker"]
    path = f"{Path(sif.path).parent}/bin:/usr/bin:/bin"
    return subprocess.run(
        ["bash", "-c", "\n".join(lines)], env={"PATH": path} | environment, capture_output=True, text=True
    )


def test_detects_sif_from_environment() -> None:
    """Apptainer's or Singularity's variable names the SIF; the launcher's binds come along."""
    assert current({}) is None
    both = {"SINGULARITY_CONTAINER": "/s", "APPTAINER_CONTAINER": "/a", "DASK_HPC_BIND": "/x,/y:/z"}
    own = venv()  # of these tests
    assert current(both) == Sif("/a", "apptainer", ("/x", "/y:/z"), own)
    assert current({"SINGULARITY_CONTAINER": "/s"}) == Sif("/s", "singularity", (), own)


def test_starts_python_in_sif(sif: Sif) -> None:
    """Folders that Apptainer does not bind by default are bound; paths may have blanks."""
    done = worker(sif)
    assert done.stdout.splitlines()[0] == f"exec|--cleanenv|--bind|/data:/in put,/scratch|{sif.path}|python|-m|worker|"


def test_starts_python_of_virtual_environment(sif: Sif) -> None:
    """Workers of a driver that runs in a virtual environment run in it too; its folder is bound."""
    done = worker(dataclasses.replace(sif, venv="/data/my envs/mine"))
    words = done.stdout.splitlines()[0].split("|")
    assert words[3] == "/data:/in put,/scratch,/data/my envs/mine"
    assert words[5:7] == ["/data/my envs/mine/bin/python", "-m"]


def test_binds_tmpdir_of_job(sif: Sif, tmp_path: Path) -> None:
    """A job's TMPDIR is bound if the node has it; the login node's is dropped."""
    assert f",/scratch,{tmp_path}|" in worker(sif, TMPDIR=str(tmp_path)).stdout
    assert f"APPTAINERENV_TMPDIR={tmp_path}\n" in worker(sif, TMPDIR=str(tmp_path)).stdout
    assert "TMPDIR" not in worker(sif, TMPDIR="/nowhere").stdout


def test_passes_variables_by_name(sif: Sif) -> None:
    """Variables of Slurm, Dask, GPUs and threads pass with any content; a module's PYTHONPATH does not."""
    done = worker(sif, SLURM_JOB_ID="5", DASK_X="a b\n'c'", CUDA_VISIBLE_DEVICES="0", PYTHONPATH="/x")
    for line in ("SLURM_JOB_ID=5", "DASK_X=a b", "CUDA_VISIBLE_DEVICES=0", "OMP_NUM_THREADS=1"):
        assert f"APPTAINERENV_{line}\n" in done.stdout
    assert "PYTHONPATH" not in done.stdout


def test_reports_what_node_lacks(sif: Sif, tmp_path: Path) -> None:
    """Without Apptainer, the SIF or credentials, the log names what is missing and what to do."""
    lacking = Sif("/nowhere/x.sif", "apptainer")
    done = subprocess.run(
        ["bash", "-c", "\n".join(lacking.prologue([]))], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "apptainer not found on PATH" in done.stderr
    assert "--exclude=" in done.stderr
    for gone, needed in ((Sif("/nowhere/x.sif", "apptainer"), ()), (sif, (Path("/nowhere/cert.pem"),))):
        done = subprocess.run(
            ["bash", "-c", "\n".join(gone.prologue(needed))],
            env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 1
        assert "cannot be read. What to do: put it on a file system that all nodes share." in done.stderr
        assert "/nowhere/" in done.stderr
