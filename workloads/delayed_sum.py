"""Compute A² + B² + C² with `dask.delayed`, the three squares at the same time, and compare with NumPy.

The tutorial's "dask.delayed | Parallelizing a task with lazy evaluations", cells 235 to 237. The differences from the
tutorial, and the reasons:

- The tutorial makes A, B and C in the client, and 600 MB go through the scheduler inside the graph. Here the graph
  holds three seeds, and the workers make the matrices.
- Its random numbers are new in every run. Here they are seeded: the sum is the same on any number of workers.
- The products themselves do not run in parallel: BLAS would use every core, but a worker's environment limits it to
  one thread (`OPENBLAS_NUM_THREADS`), so that parallel tasks do not compete for cores.
- `total.dask` prints the layers of the graph; the report of `dask-hpc run delayed-sum` draws it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from time import perf_counter

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy is imported: one BLAS thread per task

import dask
import numpy as np
import numpy.typing as npt
from dask.delayed import Delayed
from distributed import Client, LocalCluster

Matrix = npt.NDArray[np.float64]
Seeds = list[np.random.SeedSequence]
NAMES = ("A", "B", "C")


@dataclass(frozen=True)
class Sums:
    """The sums by NumPy and by Dask, their times in seconds, and Dask's tasks."""

    by_numpy: Matrix
    by_dask: Matrix
    numpy_seconds: float
    dask_seconds: float
    squares: list[Delayed]
    total: Delayed


def random_matrix(n: int, seed: np.random.SeedSequence) -> Matrix:
    """Return an n × n matrix of uniform random numbers."""
    return np.random.default_rng(seed).random((n, n))


def squared(arr: Matrix) -> Matrix:
    """Return the matrix times itself, as in the tutorial."""
    return arr @ arr


def lazily(n: int, seeds: Seeds) -> tuple[list[Delayed], Delayed]:
    """Plan the squares and their sum, in the tutorial's loop; nothing is computed yet."""
    output = []
    for seed in seeds:
        mat = dask.delayed(random_matrix)(n, seed)
        output.append(dask.delayed(squared)(mat))
    return output, dask.delayed(sum)(output)


def with_numpy(n: int, seeds: Seeds) -> Matrix:
    """Compute the same in this process, with one matrix, its square and the sum in memory."""
    total = np.zeros((n, n))
    for seed in seeds:
        total += squared(random_matrix(n, seed))
    return total


def relative_difference(result: Matrix, expected: Matrix) -> float:
    """Return the largest difference, relative to the largest element."""
    difference = result - expected
    return float(np.abs(difference, out=difference).max() / expected.max())


def main(client: Client, n: int = 1500, seed: int = 42) -> Sums:
    """Compute A² + B² + C² with dask.delayed, the three squares at the same time, and compare with NumPy.

    The same n and seed give the same sum on any number of workers, up to the rounding of their processors' BLAS.

    Args:
        client: the client of a Dask cluster.
        n: Rows and columns of A, B and C.
        seed: Seed of the random numbers.
    """
    seeds = np.random.SeedSequence(seed).spawn(len(NAMES))
    client.run(with_numpy, 1, seeds)  # a worker's first call imports NumPy: that is not timed
    start = perf_counter()
    by_numpy = with_numpy(n, seeds)
    numpy_seconds = perf_counter() - start
    squares, total = lazily(n, seeds)
    start = perf_counter()
    by_dask = client.compute(total).result()
    dask_seconds = perf_counter() - start
    return Sums(by_numpy, by_dask, numpy_seconds, dask_seconds, squares, total)


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, **loopback) as cluster, Client(cluster) as client:
        found = main(client)
        print(f"NumPy: {found.numpy_seconds:.3f} s, first element {found.by_numpy[0, 0]:.8f}")
        print(f" Dask: {found.dask_seconds:.3f} s, first element {found.by_dask[0, 0]:.8f}")
        difference = relative_difference(found.by_dask, found.by_numpy)
        print(f"The largest difference is {difference:.1e} of the largest element.")
