"""Check partitioned-array: the sizes are the tutorial's, and the numbers are NumPy's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

import click
import dask.array as da
from dask.utils import format_bytes
from distributed import Client, get_task_stream

from dask_hpc.tutorial import Check, Count, Counts, Grid, Need, Outcome, checks
from workloads.partitioned_array import Index, Sums, lazy_sums, partitioned, same_block, sum_blocks

Sizes = tuple[int, ...]
TUTORIAL: dict[str, Any] = {"rows": (7000, 3000), "columns": (6000, 2000, 2000), "block": (0, 1)}
PRINTED = ("762.94 MiB", "320.43 MiB", "106.81 MiB")  # by the tutorial: the array, its largest chunk, blocks[0, 1]
CLOSE = 1e-12  # relative: Dask and NumPy may add in different orders
LONGEST = 10**7


def memory(rows: Sizes, columns: Sizes, block: Index, threads: int = 1, **_: object) -> Need:
    """Estimate bytes: NumPy has one block at a time, a worker one per thread; the client gets one to compare."""
    sizes = sorted((8 * height * width for height, width in product(rows, columns)), reverse=True)
    i, j = block
    asked = 8 * rows[i] * columns[j]
    return Need(client=max(sizes[0], 3 * asked), worker=max(sum(sizes[:threads]), 2 * asked))


def validate(rows: Sizes, columns: Sizes, block: Index, **_: object) -> None:
    """Refuse a block that the array does not have."""
    have = (len(rows), len(columns))
    if any(index >= count for index, count in zip(block, have, strict=True)):
        message = f"Block {in_words(block)} is not one of the {have[0]} × {have[1]} blocks, counted from 0."
        raise click.BadParameter(message, param_hint="'--block'")


def in_words(block: Index) -> str:
    """Return a block's index as typed."""
    return ",".join(map(str, block))


@checks(
    types={
        "rows": Counts(1, LONGEST),
        "columns": Counts(1, LONGEST),
        "block": Counts(0, LONGEST, length=2),
        "seed": Count(minimum=0),
    },
    validate=validate,
    sizes={"tutorial": TUTORIAL},
    memory=memory,
)
def outcome(client: Client, rows: Sizes, columns: Sizes, block: Index, seed: int) -> Outcome:
    """Take the steps of `main`, and record which blocks the last one draws."""
    array = partitioned(rows, columns, seed)
    sums = sum_blocks(client, array, seed)
    with get_task_stream(client) as stream:
        same = same_block(client, array, block, seed)
    tutorial = {"rows": rows, "columns": columns, "block": block} == TUTORIAL
    held = [
        *size_checks(array, block, tutorial=tutorial),
        sums_check(sums),
        Check(f"blocks[{in_words(block)}] equals NumPy's block", same, "element by element"),
        drawn_check(stream.data, block),
        adding_up_check(array),
    ]
    largest = 8 * max(height * width for height, width in product(*array.chunks))
    values = {"bytes": array.nbytes, "largest_block": largest, "block": array.blocks[block].nbytes}
    values |= {"blocks": array.npartitions, "mean": sum(sums.by_dask.values()) / array.size}
    return Outcome(
        values,
        {"numpy": sums.numpy_seconds, "dask": sums.dask_seconds},
        held,
        columns=("", "shape", "size", "sum by Dask", "sum by NumPy"),
        rows=table(array, sums),
        pictures=[picture(array)],
        graph=lazy_sums(array),
        notes=notes_on(array, largest),
    )


def size_checks(array: da.Array, asked: Index, *, tutorial: bool) -> list[Check]:
    """Compare the sizes with arithmetic and, for the tutorial's array, with those that the tutorial prints."""
    found = [array.nbytes, 8 * array.chunksize[0] * array.chunksize[1], array.blocks[asked].nbytes]
    heights, widths = array.chunks
    block = heights[asked[0]] * widths[asked[1]]
    right = [8 * sum(heights) * sum(widths), 8 * max(heights) * max(widths), 8 * block]
    held = [Check("sizes are 8 bytes per element", found == right, ", ".join(map(format_bytes, found)))]
    if tutorial:
        printed = tuple(map(format_bytes, found))
        held.append(Check("sizes are those in the tutorial", printed == PRINTED, ", ".join(PRINTED)))
    return held


def sums_check(sums: Sums) -> Check:
    """Compare every block's sum with NumPy's."""
    worst = max(abs(sums.by_dask[index] / right - 1) for index, right in sums.by_numpy.items())
    detail = f"{len(sums.by_numpy)} blocks, largest relative difference {worst:.1e}"
    return Check("the sum of every block is NumPy's", worst <= CLOSE, detail)


def drawn_check(stream: Iterable[Mapping[str, Any]], block: Index) -> Check:
    """Check that only the requested block was drawn: a Dask array is a recipe for each of its blocks."""
    drawn = sum("random" in str(task["key"]) for task in stream)
    return Check(f"blocks[{in_words(block)}] is drawn without the others", drawn == 1, f"{drawn} drawn")


def adding_up_check(array: da.Array) -> Check:
    """Check that Dask rejects chunk sizes that do not add up to the shape, as the tutorial's comment says."""
    try:
        da.random.random((array.shape[0] + 1, array.shape[1]), chunks=array.chunks)
    except ValueError as error:
        return Check("chunks that do not add up are rejected", True, str(error).split(".")[0])
    return Check("chunks that do not add up are rejected", False, "Dask accepted them")


def table(array: da.Array, sums: Sums) -> list[list[str]]:
    """Return the table's rows, one per block."""
    rows = []
    for (index, total), shape in zip(sums.by_dask.items(), product(*array.chunks), strict=True):
        size = format_bytes(8 * shape[0] * shape[1])
        rows.append([f"blocks{list(index)}", f"{shape}", size, f"{total:.6f}", f"{sums.by_numpy[index]:.6f}"])
    totals = [f"{sum(way.values()):.6f}" for way in (sums.by_dask, sums.by_numpy)]
    rows.append(["the array", f"{array.shape}", format_bytes(array.nbytes), *totals])
    rows.append(["time", "", "", f"{sums.dask_seconds:.3f} s", f"{sums.numpy_seconds:.3f} s"])
    return rows


def notes_on(array: da.Array, largest: int) -> list[str]:
    """Explain what the sizes mean for a run."""
    return [
        f"The largest block has {largest / array.nbytes:.0%} of all elements. A block is one task on one thread: any "
        f"number of workers sums the array at most {array.nbytes / largest:.2g} times as fast as one thread.",
        "Every block has its own random stream, spawned from the seed in the order of the blocks: the numbers depend "
        "on the chunks, not on the workers.",
    ]


def picture(array: da.Array) -> Grid:
    """Draw the blocks where they lie, with their sizes."""
    sizes = [[8 * height * width for width in array.chunks[1]] for height in array.chunks[0]]
    labels = [[format_bytes(size) for size in row] for row in sizes]
    cells = [[size / 2**20 for size in row] for row in sizes]
    return Grid("Blocks and their sizes in MiB", cells, "block of columns", "block of rows", labels)
