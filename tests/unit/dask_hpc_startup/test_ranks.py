"""Comparing the ranks of a node with its CPUs."""

from __future__ import annotations

import pytest

from dask_hpc_startup.ranks import crowded

SRUN = {"PMIX_NAMESPACE": "slurm.pmix.7.0", "OMPI_COMM_WORLD_LOCAL_SIZE": "9"}  # the latter of an mpirun around it
MPIRUN = {"PMIX_NAMESPACE": "prterun-c1-12@1", "SLURM_STEP_TASKS_PER_NODE": "9"}


@pytest.mark.parametrize(
    ("environ", "more"),
    [
        ({}, False),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2(x2),8", "SLURM_NODEID": "1", "SLURM_CPUS_ON_NODE": "2"}, False),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2(x2),8", "SLURM_NODEID": "2", "SLURM_CPUS_ON_NODE": "2"}, True),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_NODEID": "5"}, False),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "5", "SLURM_NODEID": "0"}, True),
        (SRUN | {"SLURM_STEP_TASKS_PER_NODE": "none", "SLURM_NODEID": "first"}, False),
        (MPIRUN | {"OMPI_COMM_WORLD_LOCAL_SIZE": "4"}, False),
        (MPIRUN | {"OMPI_COMM_WORLD_LOCAL_SIZE": "5"}, True),
        (MPIRUN | {"OMPI_COMM_WORLD_LOCAL_SIZE": "5", "SLURM_CPUS_ON_NODE": "8"}, False),
    ],
)
def test_detects_more_ranks_than_cpus(environ: dict[str, str], *, more: bool) -> None:
    """On a machine of four CPUs, the ranks of a node are compared with its CPUs or with the job's."""
    assert crowded(environ, 4) is more
