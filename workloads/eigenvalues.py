"""Compute eigenvalues of several matrices, one task per matrix, on 1, 2, … workers, and compare with NumPy.

The tutorial's "Comparison with serial code", cells 239, 35 and 240: `jobs × processes` matrices, a serial loop against
`dask.delayed(np.linalg.eigvals)`. The differences from the tutorial, and the reasons:

- The tutorial makes the matrices in the client and puts them into the graph: 1.6 GB for n = 5000, and the warning
  "Sending large graph". Here the graph holds seeds, and each task makes its own matrix.
- Its 276 s become 55.7 s on 8 workers, an efficiency of 0.62. But the serial loop's BLAS kept 72 cores busy (5 h
  31 min of CPU time) to little effect, and the workers had 144. Here BLAS has one thread; `dask-hpc run eigenvalues`
  also measures NumPy with all cores, and the efficiency per available core.
- It times each way once. Here all ways take turns, and the median of the ratios within a turn counts.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when NumPy is imported: one BLAS thread per task

import dask
import numpy as np
from dask.delayed import Delayed
from distributed import Client, LocalCluster

Seeds = list[np.random.SeedSequence]


@dataclass
class Way:
    """One way to compute all spectra, and its times and results by turn; without workers it is the serial loop."""

    name: str
    workers: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    spectra: list[list[np.ndarray]] = field(default_factory=list)

    def against(self, other: Way) -> float:
        """Return the speed-up over the other way: the median over the turns."""
        return median(theirs / ours for theirs, ours in zip(other.seconds, self.seconds, strict=True))


def random_matrix(n: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Make an n × n matrix of uniform random numbers: one eigenvalue near n/2, all others within about √(n/12) of 0."""
    return np.random.default_rng(seed).random((n, n))


def eigvals(n: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Return the eigenvalues of a random matrix, which exists only where and while the task runs."""
    return np.linalg.eigvals(random_matrix(n, seed))


def serially(n: int, seeds: Seeds) -> list[np.ndarray]:
    """Compute all spectra one after the other."""
    return [eigvals(n, seed) for seed in seeds]


def lazily(n: int, seeds: Seeds) -> Delayed:
    """Plan a task for each spectrum, and one that collects them; nothing is computed yet."""
    return dask.delayed([dask.delayed(eigvals)(n, seed) for seed in seeds])


def worker_counts(most: int) -> list[int]:
    """Return 1, 2, 4, … and `most`."""
    return [*(2**power for power in range((most - 1).bit_length())), most]


def worker_ways(client: Client, matrices: int) -> list[Way]:
    """Return Dask on 1, 2, 4, … workers, as long as each thread has a matrix."""
    threads = client.nthreads()
    addresses = sorted(threads)[: math.ceil(matrices / max(threads.values()))]
    counts = worker_counts(len(addresses))
    return [Way("1 worker" if count == 1 else f"{count} workers", addresses[:count]) for count in counts]


def take_turn(client: Client, way: Way, n: int, seeds: Seeds) -> None:
    """Compute all spectra once in this way, and record them and the time."""
    total = lazily(n, seeds)  # with new keys: for the old ones Dask could return the last turn's results
    start = perf_counter()
    way.spectra.append(client.compute(total, workers=way.workers).result() if way.workers else serially(n, seeds))
    way.seconds.append(perf_counter() - start)


def main(
    client: Client, n: int = 300, matrices: int = 8, seed: int = 42, repeats: int = 1, serial: bool = True
) -> list[Way]:
    """Compute eigenvalues of several matrices with dask.delayed, on 1, 2, … workers, and compare with NumPy.

    The same n, matrices and seed give the same spectra on any number of workers, up to the rounding of BLAS.

    Args:
        client: the client of a Dask cluster.
        n: Rows and columns of each matrix.
        matrices: Number of matrices.
        seed: Seed of the random numbers.
        repeats: Turns; the median counts.
        serial: Also run plain NumPy, and compare.
    """
    seeds = np.random.SeedSequence(seed).spawn(matrices)
    client.run(eigvals, 2, seeds[0])  # a worker's first call imports NumPy: that is not timed
    ways = [*([Way("NumPy")] if serial else []), *worker_ways(client, matrices)]
    for way in ways * repeats:
        take_turn(client, way, n, seeds)
    return ways


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=False, **loopback) as cluster,
        Client(cluster) as client,
    ):
        ways = main(client, n=600, repeats=3)  # up to n = 500 NumPy holds the GIL, and threads wait for each other
        for way in ways:
            print(f"{way.name:>9}: {median(way.seconds):.3f} s, {way.against(ways[0]):.2f} times as fast as NumPy")
