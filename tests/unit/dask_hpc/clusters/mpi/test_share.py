"""What a rank may use, from what Slurm says of its job."""

from __future__ import annotations

import pytest

from dask_hpc.clusters.mpi.share import Machine, share
from dask_hpc.errors import RequestError

GIB = 1 << 30


def test_ranks_share_what_the_job_has() -> None:
    """Four ranks of two cores have a quarter of the job's memory on their node each, whatever the machine has."""
    environ = {"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2", "SLURM_MEM_PER_NODE": "4096"}
    found = share(environ, 4, Machine(128, 512 * GIB))
    assert (found.threads, found.memory) == (2, GIB)
    assert "SLURM_MEM_PER_NODE" in found.why


def test_cores_are_divided_where_nobody_said_how_many_a_task_has() -> None:
    """mpirun in a job of eight cores: two ranks have four each."""
    found = share({"SLURM_CPUS_ON_NODE": "8", "SLURM_MEM_PER_CPU": "512"}, 2, Machine(128, 512 * GIB))
    assert (found.threads, found.memory) == (4, 2 * GIB)


def test_memory_by_cores_counts_the_jobs_alone() -> None:
    """Where the job has no limit of memory, it is taken to have the machine's by its share of the cores."""
    assert share({"SLURM_CPUS_ON_NODE": "4"}, 2, Machine(16, 64 * GIB)).memory == 8 * GIB
    assert share({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "0"}, 2, Machine(16, 64 * GIB)).memory == 8 * GIB


def test_a_limit_that_slurm_has_set_is_the_jobs() -> None:
    """Where a control group or a resource limit says what the job has, that is not scaled down once more."""
    assert share({"SLURM_CPUS_ON_NODE": "4"}, 2, Machine(16, 8 * GIB, limited=True)).memory == 4 * GIB


def test_without_slurm_the_machine_is_shared() -> None:
    """mpirun on a laptop: never each rank the whole of it, and more ranks than cores have a thread each."""
    assert share({}, 4, Machine(8, 8 * GIB)).threads == 2
    found = share({}, 16, Machine(8, 8 * GIB))
    assert (found.threads, found.memory) == (1, GIB // 2)


@pytest.mark.parametrize(("ranks", "per_task"), [(9, None), (8, "2")])
def test_more_ranks_than_slots(ranks: int, per_task: str | None) -> None:
    """More than the job has cores for is refused with what to type, unless Slurm was told to overcommit."""
    environ = {"SLURM_CPUS_ON_NODE": "8", "SLURMD_NODENAME": "c7"}
    environ |= {"SLURM_CPUS_PER_TASK": per_task} if per_task else {}
    with pytest.raises(RequestError) as caught:
        share(environ, ranks, Machine(128, GIB))
    for word in (f"{ranks} ranks", "c7", "8 cores", f"--ntasks-per-node={ranks}", "SLURM_NTASKS"):
        assert word in caught.value.message
    assert share({**environ, "SLURM_OVERCOMMIT": "1"}, ranks, Machine(128, GIB)).threads == int(per_task or 1)
