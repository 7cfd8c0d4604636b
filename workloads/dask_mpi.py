"""Compute squares on a Dask cluster started by MPI, and add up its workers' resources.

The tutorial's "Dask and MPI": one Slurm job over many nodes, in which one rank is the scheduler and the others are
workers, and a client that connects with a scheduler file. With dask-mpi alone, every worker assumes that it has its
whole node. Here the checks compare the sum over all workers with Slurm's allocation.

Start it with `mpirun -n 4 python dask_mpi.py`: rank 0 is both Dask's scheduler and the client. The package dask-mpi is
not needed; its function `dask_mpi.initialize()` does the same.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from distributed import Client, LocalCluster, Security, Worker, wait


@dataclass(frozen=True)
class Squares:
    """The sum of all squares, how many each worker computed, by its address, and the time in seconds."""

    total: int
    computed: Mapping[str, int]
    seconds: float

    def __str__(self) -> str:
        """Return the sum and a line for each worker."""
        lines = [f"{address} computed {number} squares" for address, number in sorted(self.computed.items())]
        return "\n".join([f"the squares add up to {self.total}, computed in {self.seconds:.3f} s", *lines])


def square(number: int) -> int:
    """Return a number's square."""
    return number * number


def main(client: Client, n: int = 1000) -> Squares:
    """Compute squares on a Dask cluster started by MPI, and add up its workers' resources.

    Args:
        client: the client of a Dask cluster.
        n: Numbers to square.
    """
    start = perf_counter()
    futures = client.map(square, range(n), pure=False)
    with client.as_current():
        wait(futures)
    seconds = perf_counter() - start
    # before the sum, which copies all squares to one worker: it would then hold them too
    computed = Counter(holders[0] for holders in client.who_has(futures).values())
    total = client.submit(sum, futures).result()
    return Squares(total, computed, seconds)


async def work(address: str, security: Security) -> None:
    """Run a Dask worker until the scheduler closes."""
    logging.disable(logging.ERROR)  # the client raises a task's error; the rest is each worker's start and end
    async with Worker(address, security=security, nthreads=1, dashboard_address="127.0.0.1:0") as worker:
        await worker.finished()


if __name__ == "__main__":
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    if world.size < 2:
        sys.exit("dask_mpi.py needs at least 2 ranks: start it with mpirun -n 4 python dask_mpi.py")

    def end_all_ranks(*error: Any) -> None:
        """Show the error and abort all ranks, which would wait for this one."""
        sys.__excepthook__(*error)
        world.Abort(1)

    sys.excepthook = end_all_ranks
    one_node = world.Split_type(MPI.COMM_TYPE_SHARED).size == world.size
    if world.rank > 0:
        asyncio.run(work(*world.bcast(None)))
    else:
        security = Security.temporary()
        here = {"host": "127.0.0.1" if one_node else socket.gethostname(), "dashboard_address": "127.0.0.1:0"}
        with LocalCluster(n_workers=0, security=security, **here) as cluster, Client(cluster) as client:
            world.bcast((cluster.scheduler_address, security))  # the TLS keys are sent by MPI only
            client.wait_for_workers(world.size - 1, timeout=60)
            print(main(client))
