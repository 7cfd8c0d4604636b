"""A rank's share of its job's cores and memory."""

from __future__ import annotations

import os

import psutil
import pytest
from distributed import system

from dask_hpc.errors import RequestError
from dask_hpc.mpi.share import Machine, Share, of_this_rank
from dask_hpc.mpi.share import share as share_of
from dask_hpc.slurm.allocation import Allocation

GIB = 1 << 30


def share(environ: dict[str, str], ranks: int, machine: Machine) -> Share:
    """Return the share of a rank with this environment."""
    return share_of(Allocation.from_environment(environ), ranks, machine)


def test_ranks_share_job_memory() -> None:
    """Four ranks with two cores each get a quarter of the job's memory on their node, regardless of the machine's."""
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
    """The limit of a control group or resource is already the job's, and is not scaled again."""
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


@pytest.mark.parametrize(
    ("environ", "ranks", "threads", "memory"),
    [
        ({"SLURM_CPUS_ON_NODE": "7"}, 2, 3, 7 * GIB // 2),
        ({"SLURM_CPUS_ON_NODE": "32"}, 3, 10, 16 * GIB // 3),
        ({"SLURM_CPUS_ON_NODE": "8(x2)", "SLURM_MEM_PER_CPU": "1"}, 3, 2, (8 << 20) // 3),
        ({"SLURM_MEM_PER_NODE": "3"}, 2, 8, 3 << 19),
        ({"SLURM_MEM_PER_NODE": "3G"}, 2, 8, 3 << 29),
        ({"SLURM_CPUS_ON_NODE": "many"}, 2, 8, 8 * GIB),
    ],
)
def test_shares_are_whole_numbers(environ: dict[str, str], ranks: int, threads: int, memory: int) -> None:
    """Shares are rounded down, so that all ranks together never exceed the total."""
    found = share(environ, ranks, Machine(16, 16 * GIB))
    assert (found.threads, found.memory) == (threads, memory)
    assert type(found.threads) is type(found.memory) is int


def test_reason_has_figures_and_source() -> None:
    """The reason has the number of ranks, the node's cores and memory, and the variable that they come from."""
    why = share({"SLURM_CPUS_ON_NODE": "8", "SLURM_MEM_PER_NODE": "4096"}, 4, Machine(128, GIB)).why
    assert all(word in why for word in ("4 ranks", "8 cores", "4096 MiB", "SLURM_MEM_PER_NODE"))
    assert "SLURM_MEM_PER_CPU" in share({"SLURM_MEM_PER_CPU": "1"}, 1, Machine(1, GIB)).why


def test_accepts_as_many_ranks_as_cores() -> None:
    """Ranks may use all cores of the job."""
    assert share({"SLURM_CPUS_ON_NODE": "8"}, 8, Machine(8, GIB)).threads == 1
    assert share({"SLURM_CPUS_ON_NODE": "8", "SLURM_CPUS_PER_TASK": "2"}, 4, Machine(8, GIB)).threads == 2


def test_shares_resources_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cores are those that the process may run on; a memory limit is not scaled by cores."""
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    cores = len(os.sched_getaffinity(0))
    whole = of_this_rank(1)
    assert whole.threads == cores
    total = psutil.virtual_memory().total
    assert 0 < whole.memory <= total
    assert of_this_rank(2 * cores).memory == whole.memory // (2 * cores)
    monkeypatch.setattr(system, "MEMORY_LIMIT", total // 4)
    assert of_this_rank(1).memory == total // 4
    assert "limit" in of_this_rank(1).why
