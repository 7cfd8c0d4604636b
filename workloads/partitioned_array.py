"""Cut a random array into blocks of different sizes, sum every block, and compare with NumPy.

The tutorial's "First glance: dask array", cells 3 and 4: 10000 × 10000 random numbers in chunks of ((7000, 3000),
(6000, 2000, 2000)), and its `blocks[0, 1]`. The differences from the tutorial, and the reasons:

- The tutorial shows sizes (762.94 MiB, 320.43 MiB, 106.81 MiB) and computes nothing. Here every block is computed.
- "Chunk: 320.43 MiB" is the *largest* of six that differ by a factor of seven; a worker needs room for that one.
- `da.random.random` draws new numbers in every run; `da.random.default_rng(seed)` spawns a stream for every block.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from time import perf_counter

import dask.array as da
import numpy as np
from dask.utils import format_bytes
from distributed import Client, LocalCluster

Index = tuple[int, int]
Source = tuple[np.random.SeedSequence, tuple[int, int]]  # a block's random stream, and its shape


@dataclass(frozen=True)
class Sums:
    """The sum of every block by NumPy and by Dask, and the times in seconds."""

    by_numpy: dict[Index, float]
    by_dask: dict[Index, float]
    numpy_seconds: float
    dask_seconds: float


@dataclass(frozen=True)
class Found:
    """The array, which is never computed as a whole, and its comparison with NumPy."""

    array: da.Array
    sums: Sums
    same_block: bool


def partitioned(rows: tuple[int, ...], columns: tuple[int, ...], seed: int) -> da.Array:
    """Plan the tutorial's array; the chunk sizes add up to its shape, and nothing is drawn yet."""
    return da.random.default_rng(seed).random((sum(rows), sum(columns)), chunks=(rows, columns))


def sources(array: da.Array, seed: int) -> dict[Index, Source]:
    """Return the random stream and the shape of every block, from which NumPy can draw it."""
    shapes = list(product(*array.chunks))
    streams = np.random.SeedSequence(seed).spawn(len(shapes))
    heights, widths = array.numblocks
    return dict(zip(product(range(heights), range(widths)), zip(streams, shapes, strict=True), strict=True))


def draw(stream: np.random.SeedSequence, shape: tuple[int, int]) -> np.ndarray:
    """Draw one block with NumPy alone."""
    return np.random.default_rng(stream).random(shape)


def lazy_sums(array: da.Array) -> list[da.Array]:
    """Plan the sum of every block; nothing is computed yet."""
    heights, widths = array.numblocks
    return [array.blocks[index].sum() for index in product(range(heights), range(widths))]


def sum_blocks(client: Client, array: da.Array, seed: int) -> Sums:
    """Sum every block: with NumPy here, one after the other, and with Dask on the workers, in parallel."""
    client.run(draw, np.random.SeedSequence(0), (1, 1))  # a worker's first call imports NumPy: that is not timed
    start = perf_counter()
    by_numpy = {index: float(draw(*source).sum()) for index, source in sources(array, seed).items()}
    numpy_seconds = perf_counter() - start
    lazy = lazy_sums(array)
    start = perf_counter()
    totals = client.gather(client.compute(lazy))
    dask_seconds = perf_counter() - start
    return Sums(by_numpy, dict(zip(by_numpy, map(float, totals), strict=True)), numpy_seconds, dask_seconds)


def same_block(client: Client, array: da.Array, block: Index, seed: int) -> bool:
    """Let a worker draw one block, and return whether it equals NumPy's, element by element."""
    drawn = client.compute(array.blocks[block]).result()
    return np.array_equal(drawn, draw(*sources(array, seed)[block]))


def main(
    client: Client,
    rows: tuple[int, ...] = (7000, 3000),
    columns: tuple[int, ...] = (6000, 2000, 2000),
    block: tuple[int, int] = (0, 1),
    seed: int = 42,
) -> Found:
    """Cut a random array into blocks of different sizes, sum every block, and compare with NumPy.

    The same chunks and seed give the same numbers on any number of workers.

    Args:
        client: the client of a Dask cluster.
        rows: Chunk sizes along the rows.
        columns: Chunk sizes along the columns.
        block: The block to compare.
        seed: Seed of the random numbers.
    """
    array = partitioned(rows, columns, seed)
    return Found(array, sum_blocks(client, array, seed), same_block(client, array, block, seed))


if __name__ == "__main__":
    # threads of this process: no port accepts work from other users of this machine
    loopback = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}
    with LocalCluster(processes=False, **loopback) as cluster, Client(cluster) as client:
        found = main(client)
        for index, total in found.sums.by_dask.items():
            part = found.array.blocks[index]
            sums = f"sum {total:.6f}, NumPy's {found.sums.by_numpy[index]:.6f}"
            print(f"blocks{list(index)}: {part.shape}, {format_bytes(part.nbytes)}, {sums}")
        print(f"{found.sums.dask_seconds:.3f} s with Dask, {found.sums.numpy_seconds:.3f} s with NumPy")
        print(f"The block has exactly NumPy's numbers: {found.same_block}")
