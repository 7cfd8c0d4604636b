"""Eigenvalues of several matrices, a task each: how much faster than NumPy, on one worker, on two, and so on.

The tutorial's "Comparison with serial code", cells 239, 35 and 240: `jobs × processes` matrices, a serial loop against
`dask.delayed(np.linalg.eigvals)`. What differs, and why:

- There the matrices are made in the client and put into the graph: 1.6 GB for n = 5000, and the warning "Sending large
  graph". Here the graph holds seeds, and each task makes its own matrix.
- There 276 s become 55.7 s on 8 workers, an efficiency of 0.62. But the serial loop's BLAS had 72 cores, which it kept
  busy (5 h 31 min of CPU time) to little effect, and the workers had 144. Here both bases are measured, NumPy with one
  BLAS thread and with all cores; efficiency is against one thread of a worker, per core that is really there.
- There each was timed once. Here all ways take turns, `--repeats` times: ratios are taken within a turn, which a
  machine that is slow for a while does not change, and their median is reported.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import click
import dask
import numpy as np
from dask.delayed import Delayed
from dask.utils import parse_bytes
from distributed import Client, get_task_stream
from distributed.protocol import pickle

from dask_hpc.tutorial import (
    Bars,
    Check,
    Count,
    Lines,
    Need,
    Outcome,
    Points,
    blas_threads,
    cores_at_work,
    efficiency,
    workload,
)

CLOSE = 1e-9  # of an eigenvalue, relative to the largest: BLAS rounds differently with other numbers of threads
Seeds = list[np.random.SeedSequence]


def random_matrix(n: int, seed: np.random.SeedSequence) -> np.ndarray:
    """An n × n matrix of uniform random numbers: one eigenvalue near n/2, all others within about √(n/12) of 0."""
    return np.random.default_rng(seed).random((n, n))


def eigvals(n: int, seed: np.random.SeedSequence) -> np.ndarray:
    """The eigenvalues of one of them: where the task runs, the matrix is made, and forgotten."""
    return np.linalg.eigvals(random_matrix(n, seed))


def serially(n: int, seeds: Seeds) -> list[np.ndarray]:
    """The tutorial's serial loop."""
    output = []
    for seed in seeds:
        output.append(eigvals(n, seed))  # noqa: PERF401 (as in the tutorial)
    return output


def lazily(n: int, seeds: Seeds) -> Delayed:
    """The tutorial's loop with Dask; nothing is computed yet."""
    output = []
    for seed in seeds:
        output.append(dask.delayed(eigvals)(n, seed))  # noqa: PERF401
    return dask.delayed(output)


@dataclass
class Way:
    """One way to get all spectra, and how it went; without workers it is the serial loop, and `alone` in one worker."""

    name: str
    cores: int
    blas: int = 1
    workers: list[str] = field(default_factory=list)
    alone: bool = False
    seconds: list[float] = field(default_factory=list)
    spectra: list[list[np.ndarray]] = field(default_factory=list)
    blas_used: set[int] = field(default_factory=set)
    workers_used: set[str] = field(default_factory=set)

    def against(self, other: Way) -> float:
        """How many times as fast as the other way: the median over the turns."""
        return median(theirs / ours for theirs, ours in zip(other.seconds, self.seconds, strict=True))

    def efficiency(self, one: Way) -> float:
        """Speed-up against one thread, per core that is there."""
        return efficiency(self.against(one), self.cores)


def worker_counts(most: int) -> list[int]:
    """1, 2, 4, … and `most`."""
    return [*(2**power for power in range((most - 1).bit_length())), most]


def serial_ways() -> list[Way]:
    """Plain NumPy: the naive base, and the fair one if BLAS can be told to use all cores."""
    cores = len(os.sched_getaffinity(0)) if blas_threads() else 1
    return [Way("NumPy, 1 BLAS thread", 1), Way(f"NumPy, {cores} BLAS threads", cores, blas=cores)][:cores]


def worker_ways(client: Client, matrices: int) -> list[Way]:
    """Dask with one thread, with more and more workers as long as each thread has a matrix, with more BLAS threads."""
    threads, cores = client.nthreads(), cores_at_work(client)
    each = max(threads.values())
    addresses = sorted(threads)[: math.ceil(matrices / each)]
    ways = [Way("1 thread of a worker", 1, workers=addresses[:1], alone=True)] if each > 1 else []
    ways += [
        Way(f"{count} worker{'s'[: count - 1]}", min(cores, count * each), workers=addresses[:count])
        for count in worker_counts(len(addresses))
    ]
    blas = min(client.run(lambda: len(os.sched_getaffinity(0)), workers=addresses).values())
    if blas > 1 and blas_threads():
        ways.append(Way(f"{ways[-1].name}, {blas} BLAS threads each", ways[-1].cores, blas, addresses))
    return ways


def take_turn(client: Client, way: Way, n: int, seeds: Seeds) -> None:
    """Compute all spectra that way, once, and keep them and the time."""
    if not way.workers:
        way.blas_used.add(blas_threads(way.blas))
        start = perf_counter()
        way.spectra.append(serially(n, seeds))
        way.seconds.append(perf_counter() - start)
        return
    way.blas_used |= set(client.run(blas_threads, way.blas, workers=way.workers).values())
    total = lazily(n, seeds)  # anew: under the same keys Dask could give the last turn's results again
    with get_task_stream(client) as stream:
        start = perf_counter()
        if way.alone:
            spectra = client.submit(serially, n, seeds, workers=way.workers, pure=False)
        else:
            spectra = client.compute(total, workers=way.workers)
        way.spectra.append(spectra.result())
        way.seconds.append(perf_counter() - start)
    way.workers_used |= {task["worker"] for task in stream.data}


def memory(n: int, matrices: int, repeats: int, threads: int = 1, **_: object) -> Need:
    """Bytes: a matrix, LAPACK's copy and as much again for its work, in each thread; and spectra in the client."""
    matrix, spectrum, ways = 8 * n * n, 16 * n, 12
    return Need(client=3 * matrix + ways * repeats * matrices * spectrum, worker=threads * 3 * matrix)


@workload(
    click.option("--n", type=Count(2, 100_000), default="300", show_default=True, help="Rows and columns."),
    click.option("--matrices", type=Count(maximum=10_000), default="8", show_default=True, help="How many."),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    click.option(
        "--repeats", type=Count(maximum=1000), default="1", show_default=True, help="Turns; the median counts."
    ),
    click.option("--serial/--no-serial", default=True, show_default=True, help="Run plain NumPy too, and compare."),
    sizes={"tutorial": {"n": 5000}},
    memory=memory,
)
def eigenvalues(client: Client, n: int, matrices: int, seed: int, repeats: int, serial: bool) -> Outcome:
    """Compute eigenvalues of several matrices with dask.delayed, on 1, 2, … workers, and compare with NumPy.

    The same n, matrices and seed give the same spectra, on whatever number of workers, up to the rounding of BLAS.
    """
    seeds = np.random.SeedSequence(seed).spawn(matrices)
    there = client.run(blas_threads)  # a worker's first call imports NumPy: not what is timed
    here = blas_threads()
    ways = [*(serial_ways() if serial else []), *worker_ways(client, matrices)]
    for way in ways * repeats:
        take_turn(client, way, n, seeds)
    blas_threads(here)
    client.run(blas_threads, max(there.values()))
    traces = [float(np.trace(random_matrix(n, seed))) for seed in seeds]
    graph = lazily(n, seeds)
    checks = [*spectra_checks(ways, traces), *run_checks([way for way in ways if way.workers], graph)]
    return report(ways, matrices, checks, graph)


def distance(spectrum: np.ndarray, reference: np.ndarray) -> float:
    """The largest distance between eigenvalues, in order, relative to the largest eigenvalue."""
    return float(np.abs(np.sort(spectrum) - np.sort(reference)).max() / np.abs(reference).max())


def spectra_checks(ways: list[Way], traces: list[float]) -> list[Check]:
    """All spectra of all turns against the first way's, and those against what the matrices' traces say."""
    first, *others = [spectra for way in ways for spectra in way.spectra]
    worst = max((distance(*pair) for spectra in others for pair in zip(spectra, first, strict=True)), default=0.0)
    off = max(abs(spectrum.sum() - trace) / abs(spectrum).max() for spectrum, trace in zip(first, traces, strict=True))
    compared = f"{len(others)} × {len(first)} compared with {ways[0].name}, largest distance {worst:.1e}"
    return [
        Check("spectra are the same whichever way", worst <= CLOSE, compared),
        Check("eigenvalues add up to the trace", bool(off <= CLOSE), f"largest relative difference {off:.1e}"),
    ]


def run_checks(workers: list[Way], graph: Delayed) -> list[Check]:
    """Whether each way ran where and as it should, and whether the graph is small."""
    strays = ", ".join(way.name for way in workers if not way.workers_used <= set(way.workers))
    others = ", ".join(f"{way.name}: {way.blas_used}" for way in workers if way.blas_used not in ({way.blas}, {0}))
    size, limit = len(pickle.dumps(graph)), dask.config.get("distributed.admin.large-graph-warning-threshold")
    return [
        Check("tasks ran on the workers meant", not strays, strays),
        Check("BLAS had the threads meant", not others, others),
        Check("no large graph is sent", size < parse_bytes(limit), f"{size} bytes; Dask warns from {limit} on"),
    ]


def report(ways: list[Way], matrices: int, checks: list[Check], graph: Delayed) -> Outcome:
    """Lay out all ways, a row each; speed-up and efficiency are against one thread of a worker."""
    bases, workers = [way for way in ways if not way.workers], [way for way in ways if way.workers]
    one, most = workers[0], max((way for way in workers if way.blas == 1 and not way.alone), key=_size)
    rows = []
    for way in ways:
        times = [f"{median(way.seconds):.3f} s", f"{way.against(bases[0]):.2f}" if bases else ""]
        scaling = [f"{way.against(one):.2f}", f"{way.efficiency(one):.2f}"] if way.workers else ["", ""]
        rows.append([way.name, str(way.cores), *times, *scaling])
    values: dict[str, float] = {"workers": len(most.workers), "cores": most.cores}
    values |= {"speedup": most.against(one), "efficiency": most.efficiency(one)}
    if bases:
        values |= {"against_naive": most.against(bases[0]), "against_fair": most.against(bases[-1])}
    timings, notes = {way.name: median(way.seconds) for way in ways}, notes_on(matrices, bases, workers, most)
    head = ("", "cores", "time", "against NumPy", "speed-up", "efficiency")
    return Outcome(
        values, timings, checks, columns=head, rows=rows, pictures=pictures(timings, workers), graph=graph, notes=notes
    )


def _size(way: Way) -> int:
    return len(way.workers)


def notes_on(matrices: int, bases: list[Way], workers: list[Way], most: Way) -> list[str]:
    """What made the numbers what they are."""
    said = []
    if len(bases) > 1:
        gain = bases[1].against(bases[0])
        said.append(
            f"NumPy with {bases[1].blas} BLAS threads is {gain:.2f} times as fast as with one: it is a chain of small "
            "steps, after each of which the threads wait for one another. Tasks of whole matrices do not."
        )
    if matrices % most.cores:
        rounds = math.ceil(matrices / most.cores)
        limit = matrices / rounds / most.cores
        said.append(f"{matrices} matrices on {most.cores} cores take {rounds} rounds: efficiency {limit:.2f} at most.")
    if workers[-1] is not most:
        said.append(
            f"More BLAS threads on the same {most.cores} cores: {workers[-1].against(most):.2f} times as fast. "
            "Tasks side by side keep the cores busy already: that is why a worker's BLAS has one thread by default."
        )
    return said


def pictures(timings: dict[str, float], workers: list[Way]) -> list[Bars | Lines | Points]:
    """Time by way, speed-up by workers, and the first spectrum without its largest eigenvalue, which is far outside."""
    several = [way for way in workers if way.blas == 1 and not way.alone]
    counts = [float(len(way.workers)) for way in several]
    measured, cores = [way.against(workers[0]) for way in several], [float(way.cores) for way in several]
    speedup = {"measured": (counts, measured), "cores": (counts, cores)}
    spectrum = workers[0].spectra[0][0]
    rest = np.delete(spectrum, np.argmax(np.abs(spectrum)))
    points = {"eigenvalues": (rest.real.tolist(), rest.imag.tolist())}
    title = f"Eigenvalues of the first matrix, without the largest, {np.abs(spectrum).max():.4g}"
    return [
        Bars("Time for all matrices", "seconds", timings),
        *([Lines("Speed-up against one thread", "workers", "times as fast", speedup)] if len(several) > 1 else []),
        Points(title, "real part", "imaginary part", points),
    ]
