"""Check delayed-sum: the sum is NumPy's, and several threads computed the squares."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from dask.delayed import Delayed
from distributed import Client, get_task_stream

from dask_hpc.tutorial import Bars, Check, Count, Lines, Need, Outcome, blas_threads, checks
from workloads.delayed_sum import NAMES, Sums, main, relative_difference

SHORT = 0.02  # s: Dask needs some ms to hand out a task, so shorter ones may run one after the other


class Span(NamedTuple):
    """A task's start and stop, in seconds since the first task began, and the thread that ran it."""

    start: float
    stop: float
    thread: str


Spans = dict[str, Span]


def memory(n: int, **_: object) -> Need:
    """Estimate bytes: the client has both sums, their difference and one that arrives; one worker may get all tasks.

    A worker with all tasks holds at most three matrices and three squares, or three squares and two sums.
    """
    matrix = 8 * n * n
    return Need(client=4 * matrix, worker=6 * matrix)


@checks(
    types={"n": Count(maximum=100_000), "seed": Count(minimum=0)},
    sizes={"tutorial": {"n": 5000}},
    memory=memory,
)
def outcome(client: Client, n: int, seed: int) -> Outcome:
    """Run the script with one BLAS thread in this process, and find in the task stream when and where squares ran."""
    before = blas_threads()
    blas_threads(1)
    try:
        with get_task_stream(client) as stream:
            found = main(client, n, seed)
    finally:
        blas_threads(before)
    return report(found, spans(stream.data, found.squares), client.nthreads())


def spans(stream: Iterable[Mapping[str, Any]], squares: list[Delayed]) -> Spans:
    """Return when and where each square was computed, from the task stream."""
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
    """Return the maximum number of threads that compute at the same moment.

    Dask sometimes corrects a worker's clock, so two tasks of one thread may seem to overlap: they do not count.
    """
    spans = times.values()
    return max(len({span.thread for span in spans if span.start <= at.start < span.stop}) for at in spans)


def report(found: Sums, times: Spans, threads: Mapping[str, int]) -> Outcome:
    """Compare NumPy with Dask, and check whether several threads computed the squares."""
    n = len(found.by_numpy)
    difference = relative_difference(found.by_dask, found.by_numpy)
    slots = sum(threads.values())
    at_once = most_at_once(times)
    held = [sum_check(n, difference)]
    seconds = [span.stop - span.start for span in times.values()]
    if slots > 1 and min(seconds) >= SHORT:
        used = len({span.thread for span in times.values()})
        seen = f"{used} of {slots}; {at_once} at once"  # "at once" also depends on other load on the machine
        held.append(Check("squares are computed by several threads", used > 1, seen))
    timings = {"numpy": found.numpy_seconds, "dask": found.dask_seconds}
    speedup = found.numpy_seconds / found.dask_seconds
    values = {"at_once": at_once, "threads": slots, "relative_difference": difference, "speedup": speedup}
    return Outcome(
        values,
        timings,
        held,
        columns=("", "NumPy", "Dask"),
        rows=rows(found, times, at_once),
        pictures=pictures(timings, times),
        graph=found.total,
        notes=notes(slots, seconds),
    )


def rows(found: Sums, times: Spans, at_once: int) -> list[list[str]]:
    """Return the table's rows, with a column for NumPy and one for Dask."""
    return [
        ["time", *(f"{seconds:.3f} s" for seconds in (found.numpy_seconds, found.dask_seconds))],
        ["first element", *(f"{matrix[0, 0]:.8f}" for matrix in (found.by_numpy, found.by_dask))],
        *([f"{name}² computed", "", f"{span.start:.3f} s to {span.stop:.3f} s"] for name, span in times.items()),
        ["squares at once", "1", str(at_once)],
    ]


def sum_check(n: int, difference: float) -> Check:
    """Check that the sums differ by no more than the rounding of n products and three squares."""
    limit = (n + len(NAMES)) * float(np.finfo(float).eps)
    detail = f"largest difference {difference:.1e} of the largest element, {limit:.1e} allowed for rounding"
    return Check("the sum is NumPy's", difference <= limit, detail)


def pictures(timings: Mapping[str, float], times: Spans) -> tuple[Lines, Bars]:
    """Draw when each square was computed, and the total times."""
    lines: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {}
    for height, (name, span) in enumerate(times.items(), 1):
        lines[f"{name}²"] = ((span.start, span.stop), (height, height))
    return (
        Lines("When each square was computed", "seconds since the first began", "square", lines),
        Bars("A² + B² + C²", "seconds", {"NumPy": timings["numpy"], "Dask": timings["dask"]}),
    )


def notes(slots: int, seconds: list[float]) -> list[str]:
    """Explain the numbers."""
    rounds = math.ceil(len(NAMES) / slots)
    said = [
        f"Three squares on {slots} threads take {rounds} rounds: at most {len(NAMES) / rounds:.2g} times as fast as on "
        "one thread, without the time to bring the squares to one worker and their sum to the client."
    ]
    if slots == 1:
        said.append("On one thread, the squares were computed one after the other.")
    elif min(seconds) < SHORT:
        said.append(
            f"A square took {median(seconds) * 1000:.2g} ms, not much longer than Dask needs to hand out a task, so "
            "the number of threads is not checked. Use a larger n."
        )
    return said
