"""The folder of a dask-mpi cluster in a step."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dask_hpc.mpi.setup import job_folder


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0"}, "dask-mpi-7.0"),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "12"}, "dask-mpi-7.12"),
        ({"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "batch"}, "dask-mpi-7"),
        ({"SLURM_JOB_ID": "7"}, "dask-mpi-7"),
        ({"SLURM_STEP_ID": "0"}, "dask-mpi-pid-PID"),
        ({}, "dask-mpi-pid-PID"),
    ],
)
def test_each_step_has_its_own_folder(environ: dict[str, str], name: str) -> None:
    """The folder is named after the job and step, so that clusters do not collide; without Slurm, after the process."""
    assert job_folder(environ) == Path.home() / ".dask-hpc" / name.replace("PID", str(os.getpid()))
