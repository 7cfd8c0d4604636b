"""A rank's share of its job's cores and memory."""

from __future__ import annotations

import pytest

from dask_hpc.clusters.mpi.share import Machine, share
from dask_hpc.errors import RequestError

GIB = 1 << 30


def test_ranks_share_job_memory() -> None:
    """Four ranks of two cores get a quarter of the job's memory on their node each, whatever the machine has."""
    environ = {"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2", "SLURM_MEM_PER_NODE": "4096"}
    found = share(environ, 4, Machine(128, 512 * GIB))
    assert (found.threads, found.memory) == (2, GIB)
    assert "SLURM_MEM_PER_NODE" in found.why


def test_divides_cores_without_cpus_per_task() -> None:
    """With mpirun in a job of eight cores, two ranks get four cores each."""
    found = share({"SLURM_CPUS_ON_NODE": "8", "SLURM_MEM_PER_CPU": "512"}, 2, Machine(128, 512 * GIB))
    assert (found.threads, found.memory) == (4, 2 * GIB)


def test_memory_follows_share_of_cores_without_limit() -> None:
    """Without a memory limit, a job gets the machine's memory in proportion to its cores."""
    assert share({"SLURM_CPUS_ON_NODE": "4"}, 2, Machine(16, 64 * GIB)).memory == 8 * GIB
    assert share({"SLURM_CPUS_ON_NODE": "4", "SLURM_MEM_PER_NODE": "0"}, 2, Machine(16, 64 * GIB)).memory == 8 * GIB


def test_does_not_scale_limit_twice() -> None:
    """A control group's or resource limit already is the job's, and is not scaled again."""
    assert share({"SLURM_CPUS_ON_NODE": "4"}, 2, Machine(16, 8 * GIB, limited=True)).memory == 4 * GIB


def test_shares_machine_without_slurm() -> None:
    """With mpirun on a laptop the ranks share the machine; more ranks than cores get one thread each."""
    assert share({}, 4, Machine(8, 8 * GIB)).threads == 2
    found = share({}, 16, Machine(8, 8 * GIB))
    assert (found.threads, found.memory) == (1, GIB // 2)


@pytest.mark.parametrize(("ranks", "per_task"), [(9, None), (8, "2")])
def test_rejects_more_ranks_than_cores(ranks: int, per_task: str | None) -> None:
    """More ranks than the job has cores for are rejected with a command to type, unless Slurm overcommits."""
    environ = {"SLURM_CPUS_ON_NODE": "8", "SLURMD_NODENAME": "c7"}
    environ |= {"SLURM_CPUS_PER_TASK": per_task} if per_task else {}
    with pytest.raises(RequestError) as caught:
        share(environ, ranks, Machine(128, GIB))
    for word in (f"{ranks} ranks", "c7", "8 cores", f"--ntasks-per-node={ranks}", "SLURM_NTASKS"):
        assert word in caught.value.message
    assert share({**environ, "SLURM_OVERCOMMIT": "1"}, ranks, Machine(128, GIB)).threads == int(per_task or 1)
