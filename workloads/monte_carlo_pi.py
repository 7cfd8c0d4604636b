"""Estimate π by throwing darts at a square, in parallel, and compare with one core.

The tutorial's "Monte Carlo Method", cells 217 to 225. A quarter of a circle of radius 1 covers π/4 of the unit square,
so of N random darts about N·π/4 land inside. The darts are cut into chunks, one task each. The differences, and why:

- The tutorial always calls `dask_array_MC(runs, 1)`, regardless of the chunks in its text: 489, 477 and 444 ms are the
  same measurement three times, and do not show that more chunks take longer. `sweep` varies them from 1 to 128.
- It keeps all coordinates of a chunk in memory, 16 bytes per dart, and its random numbers are new in every run. Here a
  chunk is counted in blocks, and has its own random stream, spawned from the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
from dask.delayed import Delayed, delayed
from distributed import Client, Future, LocalCluster

Chunk = tuple[int, np.random.SeedSequence]  # the number of darts, and their random stream
BLOCK = 1 << 16  # darts at a time: with fewer a task returns to Python, and waits for the GIL, more often
SWEEP = (1, 2, 4, 8, 16, 32, 64, 128)  # chunks
TURNS = 3  # of the sweep; the median counts


@dataclass(frozen=True)
class Counted:
    """The number of darts, how many landed inside the circle, and the time in seconds."""

    samples: int
    inside: int
    seconds: float


def cut(samples: int, chunks: int, seed: int) -> list[Chunk]:
    """Cut the darts into chunks whose sizes differ by at most one, each with its own random stream."""
    size, rest = divmod(samples, chunks)
    streams = np.random.SeedSequence(seed).spawn(chunks)
    return [(size + (number < rest), stream) for number, stream in enumerate(streams)]


def count_inside(size: int, seed: np.random.SeedSequence) -> int:
    """Throw `size` darts and count those inside the circle, in blocks: memory does not grow with `size`.

    NumPy releases the GIL in every step, so a worker's threads run in parallel.
    """
    random = np.random.default_rng(seed)
    darts = np.empty((2, min(size, BLOCK)))
    inside = 0
    for start in range(0, size, BLOCK):
        block = darts if size - start >= BLOCK else np.empty((2, size - start))
        random.random(out=block)
        np.multiply(block, block, out=block)
        np.add(block[0], block[1], out=block[0])
        inside += int(np.count_nonzero(block[0] < 1))
    return inside


def count_serial(chunks: list[Chunk]) -> int:
    """Count with plain NumPy on one core."""
    return sum(count_inside(*chunk) for chunk in chunks)


def lazily(chunks: list[Chunk]) -> Delayed:
    """Plan a task for each chunk, and one that adds up the counts; nothing is computed yet."""
    return delayed(sum)([delayed(count_inside)(*chunk) for chunk in chunks])


def timed(samples: int, compute: Callable[[], Future]) -> Counted:
    """Compute the number of darts inside, and time it."""
    start = perf_counter()
    inside = compute().result()
    return Counted(samples, inside, perf_counter() - start)


def main(
    client: Client,
    samples: int = 20_000_000,
    chunks: int = 16,
    seed: int = 42,
    serial: bool = True,
    sweep: bool = False,
) -> dict[str, Counted]:
    """Estimate π by throwing darts at a square, in parallel, and compare with one core.

    The same samples, chunks and seed give the same π on any number of workers.

    Args:
        client: the client of a Dask cluster.
        samples: Darts to throw.
        chunks: Tasks to divide them into.
        seed: Seed of the random numbers.
        serial: Also run on one core of a worker, and compare.
        sweep: Also try 1, 2, 4, … 128 chunks.
    """

    def in_parallel(chunks: int) -> Counted:
        return timed(samples, lambda: client.compute(lazily(cut(samples, chunks, seed))))

    client.run(count_inside, 1, np.random.SeedSequence(0))  # a worker's first call imports NumPy: that is not timed
    found = {}
    if serial:  # on a worker: this machine's cores may differ from theirs
        found["serial"] = timed(samples, lambda: client.submit(count_serial, cut(samples, chunks, seed), pure=False))
    found["parallel"] = in_parallel(chunks)
    turns = [in_parallel(count) for count in SWEEP * TURNS] if sweep else []
    for number, count in enumerate(SWEEP[: len(turns)]):
        same = turns[number :: len(SWEEP)]
        found[f"chunks: {count}"] = Counted(samples, same[0].inside, median(one.seconds for one in same))
    return found


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, **loopback) as cluster, Client(cluster) as client:
        for name, one in main(client, sweep=True).items():
            print(f"{name:>11}: π is about {4 * one.inside / one.samples:.6f}, found in {one.seconds:.3f} s")
