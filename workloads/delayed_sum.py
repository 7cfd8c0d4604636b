"""A² + B² + C² by `dask.delayed` and `sum`: what NumPy gets, with the three squares computed at the same time.

The tutorial's "dask.delayed | Parallelizing a task with lazy evaluations", cells 235 to 237. What differs, and why:

- There A, B and C are made in the client and become part of the graph: 600 MB that go through the scheduler. Here the
  graph holds three seeds, and the workers make the matrices.
- There the random numbers are new every time. Here they are seeded: the sum is the same on any number of workers.
- That the products themselves are not parallel is not Dask's doing: BLAS would use every core, and a worker's
  environment keeps it at one thread (`OPENBLAS_NUM_THREADS`), so that tasks side by side do not fight for cores.
- `total.dask` prints the layers of the graph; the report of a run draws it.
"""

from __future__ import annotations

import math
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import click
import dask
import numpy as np
import numpy.typing as npt
from dask.delayed import Delayed
from distributed import Client, get_task_stream

from dask_hpc.tutorial import Bars, Check, Count, Lines, Need, Outcome, blas_threads, workload

Matrix = npt.NDArray[np.float64]
NAMES = ("A", "B", "C")
SHORT = 0.02  # s: Dask needs some ms to hand out a task, so that shorter ones may well run one after the other


class Span(NamedTuple):
    """A task's start and stop, in seconds since the first task began, and the thread that worked on it."""

    start: float
    stop: float
    thread: str


Spans = dict[str, Span]


def random_matrix(n: int, seed: np.random.SeedSequence) -> Matrix:
    """An n × n matrix of uniform random numbers."""
    return np.random.default_rng(seed).random((n, n))


def squared(arr: Matrix) -> Matrix:
    """The matrix times itself, as in the tutorial."""
    return arr @ arr


def lazily(n: int, seeds: list[np.random.SeedSequence]) -> tuple[list[Delayed], Delayed]:
    """The tutorial's loop: the squares, and their sum; nothing is computed yet."""
    output = []
    for seed in seeds:
        mat = dask.delayed(random_matrix)(n, seed)
        output.append(dask.delayed(squared)(mat))
    return output, dask.delayed(sum)(output)


def with_numpy(n: int, seeds: list[np.random.SeedSequence]) -> Matrix:
    """The same on one core of this process, with one matrix, its square and the sum in memory."""
    before, total = blas_threads(), np.zeros((n, n))
    blas_threads(1)
    for seed in seeds:
        total += squared(random_matrix(n, seed))
    blas_threads(before)
    return total


def memory(n: int, **_: object) -> Need:
    """Bytes: the client has both sums, their difference and one that arrives; one worker may be given everything.

    A worker that computes all of it holds three matrices and three squares at most, or three squares and two sums.
    """
    matrix = 8 * n * n
    return Need(client=4 * matrix, worker=6 * matrix)


def spans(stream: list[dict[str, Any]], squares: list[Delayed]) -> Spans:
    """From the task stream: when and where each square was computed."""
    names = {square.key: name for name, square in zip(NAMES, squares, strict=True)}
    found = {
        names[task["key"]]: Span(part["start"], part["stop"], f"{task['worker']} {task['thread']}")
        for task in stream
        if task["key"] in names
        for part in task["startstops"]
        if part["action"] == "compute"
    }
    first = min(span.start for span in found.values())
    return {name: Span(found[name].start - first, found[name].stop - first, found[name].thread) for name in NAMES}


def most_at_once(times: Spans) -> int:
    """How many threads compute at the same moment, at most.

    Dask corrects a worker's clock now and then, so that two tasks of one thread may seem to overlap: they do not count.
    """
    spans = times.values()
    return max(len({span.thread for span in spans if span.start <= at.start < span.stop}) for at in spans)


def relative_difference(result: Matrix, expected: Matrix) -> float:
    """The largest difference, as a part of the largest element."""
    difference = result - expected
    return float(np.abs(difference, out=difference).max() / expected.max())


@workload(
    click.option(
        "--n", type=Count(maximum=100_000), default="1500", show_default=True, help="Rows and columns of A, B and C."
    ),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    sizes={"tutorial": {"n": 5000}},
    memory=memory,
)
def delayed_sum(client: Client, n: int, seed: int) -> Outcome:
    """Compute A² + B² + C² with dask.delayed, the three squares at the same time, and compare with NumPy.

    The same n and seed give the same sum, on whatever number of workers, up to the rounding of their processors' BLAS.
    """
    seeds = np.random.SeedSequence(seed).spawn(len(NAMES))
    client.run(with_numpy, 1, seeds)  # a worker's first call imports NumPy: not what is timed
    start = perf_counter()
    expected = with_numpy(n, seeds)
    timings = {"numpy": perf_counter() - start}
    squares, total = lazily(n, seeds)
    with get_task_stream(client) as stream:
        start = perf_counter()
        result = client.compute(total).result()
        timings["dask"] = perf_counter() - start
    difference = relative_difference(result, expected)
    corner = (float(expected[0, 0]), float(result[0, 0]))
    return report(n, difference, corner, timings, spans(stream.data, squares), client.nthreads(), total)


def report(
    n: int,
    difference: float,
    corner: tuple[float, float],
    timings: dict[str, float],
    times: Spans,
    threads: dict[str, int],
    total: Delayed,
) -> Outcome:
    """Put NumPy and Dask side by side, and say whether the squares were computed at the same time."""
    slots, at_once = sum(threads.values()), most_at_once(times)
    checks = [sum_check(n, difference)]
    seconds = [span.stop - span.start for span in times.values()]
    if slots > 1 and min(seconds) >= SHORT:
        used = len({span.thread for span in times.values()})
        seen = f"{used} of {slots}; {at_once} at once"  # which also depends on what else the machine does
        checks.append(Check("squares are computed by several threads", used > 1, seen))
    speedup = timings["numpy"] / timings["dask"]
    values = {"at_once": at_once, "threads": slots, "relative_difference": difference, "speedup": speedup}
    rows = [
        ["time", *(f"{timings[way]:.3f} s" for way in ("numpy", "dask"))],
        ["first element", *(f"{element:.8f}" for element in corner)],
        *([f"{name}² computed", "", f"{span.start:.3f} s to {span.stop:.3f} s"] for name, span in times.items()),
        ["squares at once", "1", str(at_once)],
    ]
    drawn, said = pictures(timings, times), notes(slots, seconds)
    return Outcome(
        values, timings, checks, columns=("", "NumPy", "Dask"), rows=rows, pictures=drawn, graph=total, notes=said
    )


def sum_check(n: int, difference: float) -> Check:
    """Whether the sums differ by no more than the rounding of n products and three squares."""
    limit = (n + len(NAMES)) * float(np.finfo(float).eps)
    detail = f"largest difference {difference:.1e} of the largest element, {limit:.1e} allowed for rounding"
    return Check("the sum is NumPy's", difference <= limit, detail)


def pictures(timings: dict[str, float], times: Spans) -> tuple[Lines, Bars]:
    """When each square was computed, and how long it took in all."""
    lines: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}
    for height, (name, span) in enumerate(times.items(), 1):
        lines[f"{name}²"] = ((span.start, span.stop), (height, height))
    return (
        Lines("When each square was computed", "seconds since the first began", "square", lines),
        Bars("A² + B² + C²", "seconds", {"NumPy": timings["numpy"], "Dask": timings["dask"]}),
    )


def notes(slots: int, seconds: list[float]) -> list[str]:
    """What the numbers mean on so many threads."""
    rounds = math.ceil(len(NAMES) / slots)
    said = [
        f"Three squares on {slots} threads take {rounds} rounds: {len(NAMES) / rounds:.2g} times as fast as one thread "
        "at most, less what it takes to bring the squares to one worker and their sum to the client."
    ]
    if slots == 1:
        said.append("With one thread there is no 'at the same time': the squares were computed one after the other.")
    elif min(seconds) < SHORT:
        said.append(
            f"A square took {median(seconds) * 1000:.2g} ms, hardly longer than Dask needs to hand out the next one: "
            "which thread computed them says nothing. Take a larger n."
        )
    return said
