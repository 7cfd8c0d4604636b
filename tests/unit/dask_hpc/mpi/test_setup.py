"""The folder of a dask-mpi cluster that was started in a step."""

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
def test_every_step_of_a_job_has_its_own(environ: dict[str, str], name: str) -> None:
    """Two clusters of one job do not meet; without Slurm, the process gives the name."""
    assert job_folder(environ) == Path.home() / ".dask-hpc" / name.replace("PID", str(os.getpid()))
