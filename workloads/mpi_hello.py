"""Let every rank of a Dask cluster started by MPI introduce itself, and pass a message around among the workers.

The tutorial's test of an MPI installation, `mpirun -n 5 python -m mpi4py.bench helloworld`, for a running cluster:
one rank is Dask's scheduler, one may be the client, all others are workers. After a wrong launch, every rank silently
has its own world of size 1; here that is an error.

Start it with `mpirun -n 4 python mpi_hello.py`: rank 0 is both Dask's scheduler and the client.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from distributed import Client, LocalCluster, Security, Worker

Said = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True)
class Hello:
    """The ranks' answers with their roles, sorted by rank, and the list that they passed around."""

    said: Said
    passed: list[int]

    def __str__(self) -> str:
        """Return a line for each answer, and the ring."""
        lines = [f"rank {one['rank']} of {one['size']} on {one['host']}: {role}" for role, one in self.said]
        return "\n".join([*lines, f"ring of workers: {' → '.join(map(str, self.passed))}"])


def hello() -> dict[str, Any] | None:
    """Return this process's place in MPI, or None if MPI is not initialized."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is None or not mpi.Is_initialized():
        return None
    return {
        "rank": int(mpi.COMM_WORLD.rank),
        "size": int(mpi.COMM_WORLD.size),
        "host": socket.gethostname(),
        "process": os.getpid(),
        "library": mpi.Get_library_version().split(",")[0].strip("\0 "),
    }


def ask(client: Client, question: Callable[[], dict[str, Any] | None] = hello) -> Said:
    """Ask the client's process, the scheduler and all workers; return the answers of those that are ranks, sorted."""
    answers = [("client", question()), ("scheduler", client.run_on_scheduler(question))]
    answers += [("worker", one) for one in client.run(question).values()]
    return sorted([(role, one) for role, one in answers if one], key=lambda pair: int(pair[1]["rank"]))


def ring(comm: Any) -> list[int]:
    """Pass a list from rank to rank, to which each rank adds itself; the last rank sends it to all."""
    passed = np.full(comm.size, -1)
    if comm.rank > 0:
        comm.Recv(passed, comm.rank - 1)
    passed[comm.rank] = comm.rank
    if comm.rank < comm.size - 1:
        comm.Send(passed, comm.rank + 1)
    comm.Bcast(passed, root=comm.size - 1)
    return [int(number) for number in passed]


def ring_among(ranks: list[int]) -> list[int]:
    """Run the ring with a communicator of these ranks, as a worker's task."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD.Create_group(MPI.COMM_WORLD.group.Incl(ranks))
    passed = ring(comm)
    comm.Free()
    return passed


def main(client: Client) -> Hello:
    """Let every rank of a Dask cluster started by MPI introduce itself, and pass a message around among the workers."""
    said = ask(client)
    ranks = [one["rank"] for role, one in said if role == "worker"]
    # all workers must be in the ring at once: one task per worker, which no other worker may run
    tasks = [
        client.submit(ring_among, ranks, workers=[address], pure=False, allow_other_workers=False)
        for address in client.scheduler_info(n_workers=-1)["workers"]
    ]
    return Hello(said, client.gather(tasks)[0])


async def work(address: str, security: Security) -> None:
    """Run a Dask worker until the scheduler closes."""
    logging.disable(logging.ERROR)  # the client raises a task's error; the rest is each worker's start and end
    async with Worker(address, security=security, nthreads=1, dashboard_address="127.0.0.1:0") as worker:
        await worker.finished()


if __name__ == "__main__":
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    if world.size < 2:
        sys.exit("mpi_hello.py needs at least 2 ranks: start it with mpirun -n 4 python mpi_hello.py")

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
