"""Run an MPI program inside Dask: a power iteration on the blocks of a Dask array, with one MPI_Allreduce per step.

Two of the tutorial's references try this (PIK's "hybrid mpi4py + Dask", Rocklin's experiment of 2019). Dask makes the
matrix A and keeps its blocks on the workers, which are MPI ranks. They multiply the blocks by a vector, and add up the
products by MPI: v ← A·v / |A·v|. The vector goes back to Dask, which computes the residual. An iteration in Dask
alone is a graph of tasks, each of which costs more than its product.

Start it with `mpirun -n 4 python hybrid_mpi.py`: rank 0 is both Dask's scheduler and the client.
"""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import sys
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import dask.array as da
import numpy as np
from dask.array.core import slices_from_chunks
from distributed import Client, LocalCluster, Security, Worker, futures_of, wait

Blocks = Mapping[tuple[int, ...], np.ndarray]
Chunks = tuple[tuple[int, ...], tuple[int, ...]]
Steps = tuple[list[float], float, np.ndarray]
BLOCK = 500  # rows and columns: 2 MB


def power_iteration(comm: Any, blocks: Blocks, chunks: Chunks, iterations: int) -> Steps:
    """Multiply this rank's blocks, add up by MPI; return |A·v| after each step, the seconds of all steps, and v."""
    from mpi4py import MPI

    places = dict(zip(np.ndindex(*map(len, chunks)), slices_from_chunks(chunks), strict=True))
    n = sum(chunks[0])
    vector = np.full(n, 1 / math.sqrt(n))
    norms = []
    start = perf_counter()
    for _ in range(iterations):
        product = np.zeros(n)
        for index, block in blocks.items():
            rows, columns = places[index]
            product[rows] += block @ vector[columns]
        comm.Allreduce(MPI.IN_PLACE, product)
        norms.append(float(np.linalg.norm(product)))
        vector = product / norms[-1]
    return norms, perf_counter() - start, vector


def take_part(ranks: list[int], blocks: Blocks, chunks: Chunks, iterations: int) -> Steps:
    """Run the program with a communicator of these ranks, as a worker's task."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD.Create_group(MPI.COMM_WORLD.group.Incl(ranks))
    steps = power_iteration(comm, blocks, chunks, iterations)
    comm.Free()
    return steps


def main(client: Client, n: int = 2000, iterations: int = 50, seed: int = 42) -> dict[str, float]:
    """Run an MPI program inside Dask: a power iteration on the blocks of a Dask array, with one MPI_Allreduce per step.

    The matrix is random in (0, 1). By Perron and Frobenius, its largest eigenvalue belongs to the only eigenvector
    whose entries all have one sign. The power iteration finds it.

    Args:
        client: the client of a Dask cluster whose workers are MPI ranks.
        n: Rows of the matrix.
        iterations: Steps of the power iteration.
        seed: Seed of the random numbers.
    """
    matrix = client.persist(da.random.default_rng(seed).random((n, n), chunks=BLOCK))
    with client.as_current():
        wait(matrix)
    holders = client.who_has(matrix)
    ranks = client.run(lambda: sys.modules["mpi4py.MPI"].COMM_WORLD.rank)
    tasks = []  # all ranks must take part at once: one task per worker, which no other worker may run
    for address in ranks:
        own = {block.key[1:]: block for block in futures_of(matrix) if holders[block.key][0] == address}
        pinned = {"workers": [address], "pure": False, "allow_other_workers": False}
        tasks.append(client.submit(take_part, sorted(ranks.values()), own, matrix.chunks, iterations, **pinned))
    norms, seconds, vector = client.gather(tasks)[0]
    v = da.from_array(vector, chunks=BLOCK)
    residual = da.linalg.norm(matrix @ v - norms[-1] * v) / norms[-1]
    return {
        "eigenvalue": norms[-1],
        "residual": float(client.compute(residual).result()),
        "seconds per step": seconds / iterations,
    }


async def work(address: str, security: Security) -> None:
    """Run a Dask worker until the scheduler closes."""
    logging.disable(logging.ERROR)  # the client raises a task's error; the rest is each worker's start and end
    async with Worker(address, security=security, nthreads=1, dashboard_address="127.0.0.1:0") as worker:
        await worker.finished()


if __name__ == "__main__":
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    if world.size < 3:
        sys.exit("hybrid_mpi.py needs at least 3 ranks: start it with mpirun -n 4 python hybrid_mpi.py")

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
            print("\n".join(f"{name}: {number:.6g}" for name, number in main(client).items()))
