"""Compute squares on a Dask cluster that MPI started, and add up what its workers say they have.

The tutorial's "Dask and MPI": one Slurm job over many nodes, of whose ranks one is the scheduler and the others are
workers, and a client that joins by a scheduler file. By itself dask-mpi lets every worker believe that it has its whole
node; here they must add up to what Slurm gave, and the checks compare it.

Start it as `mpirun -n 4 python dask_mpi.py`: rank 0 is both Dask's scheduler and the client. It does not need the
package dask-mpi, which does the same in a function, `dask_mpi.initialize()`.
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
    """The sum of all squares, how many of them each worker computed, by its address, and the seconds that took."""

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
    """Compute squares on a Dask cluster that MPI started, and add up what its workers say they have.

    Args:
        client: of a Dask cluster.
        n: Numbers to square.
    """
    start = perf_counter()
    futures = client.map(square, range(n), pure=False)
    with client.as_current():
        wait(futures)
    seconds = perf_counter() - start
    # before they are added up: that copies them to one worker, which then has them as well
    computed = Counter(holders[0] for holders in client.who_has(futures).values())
    total = client.submit(sum, futures).result()
    return Squares(total, computed, seconds)


async def work(address: str, security: Security) -> None:
    """Be one of Dask's workers, until the scheduler closes."""
    logging.disable(logging.ERROR)  # the client raises a task's error; the rest is each worker's start and end
    async with Worker(address, security=security, nthreads=1, dashboard_address="127.0.0.1:0") as worker:
        await worker.finished()


if __name__ == "__main__":
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    if world.size < 2:
        sys.exit("dask_mpi.py needs 2 ranks or more: start it as mpirun -n 4 python dask_mpi.py")

    def end_all_ranks(*error: Any) -> None:
        """Show the error and end all ranks, which would wait for this one."""
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
            world.bcast((cluster.scheduler_address, security))  # the keys of TLS travel by MPI alone
            client.wait_for_workers(world.size - 1, timeout=60)
            print(main(client))
