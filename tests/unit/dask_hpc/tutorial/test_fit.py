"""Requirements of workloads, checked before anything starts."""

from __future__ import annotations

import pytest

from dask_hpc.clusters import BACKENDS
from dask_hpc.clusters.local import LocalPlan
from dask_hpc.errors import RequestError
from dask_hpc.tutorial.fit import available_memory, refuse_backend, refuse_what_does_not_fit
from dask_hpc.tutorial.workload import Need, Workload
from tests.support.hpc_command import declared

GIB = 1 << 30


def needing(client: int = 0, worker: int = 0, least_workers: int = 1) -> Workload:
    return declared(memory=lambda: Need(client, worker), least_workers=least_workers)


def fits(one: Workload, workers: int = 2, memory: int = GIB, *, one_machine: bool = False) -> None:
    plan = LocalPlan(
        kind="local",
        rows=[],
        settings={},
        workers=workers,
        worker_memory=memory,
        memory_limit="auto",
        local_directory=None,
        dashboard="127.0.0.1:0",
    )
    refuse_what_does_not_fit(one, {}, plan, one_machine=one_machine)


def test_rejects_too_much_memory_per_worker() -> None:
    """A worker must stay below 80 % of its memory, where Dask makes it pause."""
    fits(needing(worker=int(0.79 * GIB)))
    with pytest.raises(
        RequestError, match=r"in one worker: 921\.60 MiB\. A worker has 1\.00 GiB.*above 80% of it"
    ) as caught:
        fits(needing(worker=int(0.9 * GIB)))
    assert caught.value.exit_code == 2
    fits(needing(worker=int(0.9 * GIB)), memory=0)  # a worker's memory is unknown


def test_rejects_too_much_memory_for_machine() -> None:
    """The client's memory is this machine's; so is that of local workers."""
    free = available_memory()
    fits(needing(client=free // 2))
    with pytest.raises(RequestError, match=r"in the client, .* in all\. Free: "):
        fits(needing(client=2 * free))
    each = free // 3
    fits(needing(each, each), workers=4, memory=10 * free)
    with pytest.raises(RequestError, match=r"in each of 4 workers, .* in all\. Free: "):
        fits(needing(each, each), workers=4, memory=10 * free, one_machine=True)


def test_rejects_too_few_workers() -> None:
    """The error says how many workers are needed and how many are planned."""
    fits(needing(least_workers=3), workers=3)
    with pytest.raises(RequestError, match=r"at least 3 workers\.\nPlanned: 2\."):
        fits(needing(least_workers=3), workers=2)


def test_rejects_wrong_backend() -> None:
    """A workload that needs MPI rejects other backends."""
    some = declared(backends=frozenset({"mpi"}))
    refuse_backend(some, BACKENDS["mpi"])
    with pytest.raises(RequestError, match=r"some does not support --on slurm\.\nWhat to do: use --on mpi"):
        refuse_backend(some, BACKENDS["slurm"])
