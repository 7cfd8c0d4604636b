"""An array in blocks of different sizes: how large they are, and that each holds what NumPy would have drawn.

The tutorial's "First glance: dask array", cells 3 and 4: 10000 × 10000 random numbers in chunks of ((7000, 3000),
(6000, 2000, 2000)), and its `blocks[0, 1]`. What differs, and why:

- The tutorial shows sizes (762.94 MiB, 320.43 MiB, 106.81 MiB) and computes nothing. Here they are asserted, and
  every block is summed by the workers and by NumPy.
- "Chunk: 320.43 MiB" is the *largest* of six that differ by a factor of seven; a worker needs room for that one.
- `da.random.random` draws other numbers in every run. `da.random.default_rng(seed)` gives every block a stream of its
  own, spawned from the seed: the numbers depend on the chunks, not on the workers.
"""

from __future__ import annotations

from itertools import product
from time import perf_counter
from typing import Any

import click
import dask.array as da
import numpy as np
from dask.utils import format_bytes
from distributed import Client, get_task_stream

from dask_hpc.tutorial import Check, Count, Grid, Need, Outcome, workload

TUTORIAL = {"rows": "7000,3000", "columns": "6000,2000,2000", "block": "0,1"}
PRINTED = ("762.94 MiB", "320.43 MiB", "106.81 MiB")  # by the tutorial: the array, its largest chunk, blocks[0, 1]
Index = tuple[int, int]
CLOSE = 1e-12  # relative: Dask's sum and NumPy's may add in another order


class Numbers(click.ParamType[str]):
    """Whole numbers with commas between them, such as 7000,3000; the value is their normal form.

    Args:
        minimum: the smallest number allowed.
        length: how many there have to be; 0 for any.
    """

    name = "numbers"

    def __init__(self, minimum: int, length: int = 0) -> None:
        self.count, self.length = Count(minimum, 10**7), length

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text; a usage error if a number is not whole or out of range."""
        parts = [self.count.convert(part, param, ctx) for part in str(value).split(",")]
        if self.length and len(parts) != self.length:
            self.fail(f"{value!r} has {len(parts)} numbers; write {self.length}, with commas between.", param, ctx)
        return ",".join(map(str, parts))


def numbers(text: str) -> tuple[int, ...]:
    """The numbers in a text that `Numbers` accepted."""
    return tuple(map(int, text.split(",")))


def partitioned(rows: str, columns: str, seed: int) -> da.Array:
    """The tutorial's array; the chunk sizes add up to its shape."""
    chunks = (numbers(rows), numbers(columns))
    shape = (sum(chunks[0]), sum(chunks[1]))
    return da.random.default_rng(seed).random(shape, chunks=chunks)


def numpy_blocks(array: da.Array, seed: int) -> dict[Index, tuple[np.random.SeedSequence, Index]]:
    """The seed and the shape of every block, for NumPy to draw it."""
    shapes = list(product(*array.chunks))
    streams = np.random.SeedSequence(seed).spawn(len(shapes))
    heights, widths = array.numblocks
    return dict(zip(product(range(heights), range(widths)), zip(streams, shapes, strict=True), strict=True))


def draw(stream: np.random.SeedSequence, shape: Index) -> np.ndarray:
    """One block, by NumPy alone."""
    return np.random.default_rng(stream).random(shape)


def memory(rows: str, columns: str, block: str, threads: int = 1, **_: object) -> Need:
    """Bytes: NumPy has one block at a time, a worker one a thread; one block comes to the client to be compared."""
    sizes = sorted((8 * height * width for height, width in product(numbers(rows), numbers(columns))), reverse=True)
    i, j = numbers(block)
    asked = 8 * numbers(rows)[i] * numbers(columns)[j]
    return Need(client=max(sizes[0], 3 * asked), worker=max(sum(sizes[:threads]), 2 * asked))


def validate(rows: str, columns: str, block: str, **_: object) -> None:
    """Refuse a block that the array does not have."""
    have = (len(numbers(rows)), len(numbers(columns)))
    if any(index >= count for index, count in zip(numbers(block), have, strict=True)):
        message = f"There is no block {block} among {have[0]} × {have[1]}; they are counted from 0."
        raise click.BadParameter(message, param_hint="'--block'")


@workload(
    click.option(
        "--rows", type=Numbers(1), default=TUTORIAL["rows"], show_default=True, help="Chunk sizes along the rows."
    ),
    click.option(
        "--columns", type=Numbers(1), default=TUTORIAL["columns"], show_default=True, help="And along the columns."
    ),
    click.option(
        "--block", type=Numbers(0, 2), default=TUTORIAL["block"], show_default=True, help="The block to look at."
    ),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    validate=validate,
    sizes={"tutorial": dict(TUTORIAL)},
    memory=memory,
)
def partitioned_array(client: Client, rows: str, columns: str, block: str, seed: int) -> Outcome:
    """Cut a random array into blocks of different sizes, sum every block, and compare with NumPy.

    The same chunks and seed give the same numbers, on whatever number of workers.
    """
    array = partitioned(rows, columns, seed)
    blocks, (i, j) = numpy_blocks(array, seed), numbers(block)
    client.run(draw, np.random.SeedSequence(0), (1, 1))  # a worker's first call imports NumPy: not what is timed
    start = perf_counter()
    expected = {index: float(draw(*source).sum()) for index, source in blocks.items()}
    timings = {"numpy": perf_counter() - start}
    lazy = [array.blocks[index].sum() for index in blocks]
    start = perf_counter()
    sums = dict(zip(blocks, map(float, client.gather(client.compute(lazy))), strict=True))
    timings["dask"] = perf_counter() - start
    with get_task_stream(client) as stream:
        same = np.array_equal(client.compute(array.blocks[i, j]).result(), draw(*blocks[i, j]))
    checks = [
        *size_checks(array, (i, j), tutorial=(rows, columns, block) == tuple(TUTORIAL.values())),
        sums_check(sums, expected),
        Check(f"blocks[{block}] is what NumPy draws", same, "element by element"),
        drawn_check(stream.data, block),
        adding_up_check(array),
    ]
    return report(array, (i, j), sums, expected, timings, checks, lazy)


def size_checks(array: da.Array, asked: Index, *, tutorial: bool) -> list[Check]:
    """The sizes against arithmetic and, for the tutorial's array, against what the tutorial prints."""
    found = [array.nbytes, 8 * array.chunksize[0] * array.chunksize[1], array.blocks[asked].nbytes]
    heights, widths = array.chunks
    block = heights[asked[0]] * widths[asked[1]]
    right = [8 * sum(heights) * sum(widths), 8 * max(heights) * max(widths), 8 * block]
    checks = [Check("sizes are 8 bytes an element", found == right, ", ".join(map(format_bytes, found)))]
    if tutorial:
        printed = tuple(map(format_bytes, found))
        checks.append(Check("sizes are those that the tutorial prints", printed == PRINTED, ", ".join(PRINTED)))
    return checks


def sums_check(sums: dict[Index, float], expected: dict[Index, float]) -> Check:
    """Every block's sum against NumPy's."""
    worst = max(abs(sums[index] / expected[index] - 1) for index in expected)
    detail = f"{len(expected)} blocks, largest relative difference {worst:.1e}"
    return Check("the sum of every block is NumPy's", worst <= CLOSE, detail)


def drawn_check(stream: list[dict[str, Any]], block: str) -> Check:
    """Whether asking for one block drew that one alone: a Dask array is a recipe for each of its blocks."""
    drawn = sum("random" in str(task["key"]) for task in stream)
    return Check(f"blocks[{block}] is drawn without the others", drawn == 1, f"{drawn} drawn")


def adding_up_check(array: da.Array) -> Check:
    """Whether Dask refuses chunk sizes that do not add up to the shape, as the tutorial's comment says."""
    try:
        da.random.random((array.shape[0] + 1, array.shape[1]), chunks=array.chunks)
    except ValueError as error:
        return Check("chunks that do not add up are refused", True, str(error).split(".")[0])
    return Check("chunks that do not add up are refused", False, "Dask took them")


def report(
    array: da.Array,
    asked: Index,
    sums: dict[Index, float],
    expected: dict[Index, float],
    timings: dict[str, float],
    checks: list[Check],
    graph: list[da.Array],
) -> Outcome:
    """Lay out the blocks, a row for each."""
    shapes = list(product(*array.chunks))
    rows = [
        [f"blocks[{i}, {j}]", f"{shape}", format_bytes(8 * shape[0] * shape[1]), f"{ours:.6f}", f"{expected[i, j]:.6f}"]
        for ((i, j), ours), shape in zip(sums.items(), shapes, strict=True)
    ]
    totals = [f"{sum(way.values()):.6f}" for way in (sums, expected)]
    rows.append(["the array", f"{array.shape}", format_bytes(array.nbytes), *totals])
    rows.append(["time", "", "", *(f"{timings[way]:.3f} s" for way in ("dask", "numpy"))])
    values = {"bytes": array.nbytes, "largest_block": max(8 * height * width for height, width in shapes)}
    values |= {"block": array.blocks[asked].nbytes, "blocks": len(shapes), "mean": sum(sums.values()) / array.size}
    notes = notes_on(array, values["largest_block"])
    head = ("", "shape", "size", "sum by Dask", "sum by NumPy")
    return Outcome(
        values, timings, checks, columns=head, rows=rows, pictures=[picture(array)], graph=graph, notes=notes
    )


def notes_on(array: da.Array, largest: int) -> list[str]:
    """What the sizes mean for a run."""
    return [
        f"The largest block has {largest / array.nbytes:.0%} of all elements. A block is one task on one thread: any "
        f"number of workers sums the array {array.nbytes / largest:.2g} times as fast as one thread at most.",
        "Every block has a random stream of its own, spawned from the seed in the order of the blocks: other chunks "
        "give other numbers, other workers do not.",
    ]


def picture(array: da.Array) -> Grid:
    """The blocks where they lie, with their sizes."""
    sizes = [[8 * height * width for width in array.chunks[1]] for height in array.chunks[0]]
    labels = [[format_bytes(size) for size in row] for row in sizes]
    cells = [[size / 2**20 for size in row] for row in sizes]
    return Grid("Blocks and their sizes in MiB", cells, "block of columns", "block of rows", labels)
