"""Check eigenvalues: all spectra are right; and measure what more workers and more BLAS threads gain.

There are two baselines: NumPy with one BLAS thread, and with all cores. Efficiency is relative to one thread of a
worker, per available core.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

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
    checks,
    cores_at_work,
    efficiency,
)
from workloads.eigenvalues import Seeds, Way, lazily, random_matrix, serially, take_turn, worker_ways

CLOSE = 1e-9  # of an eigenvalue, relative to the largest: BLAS rounds differently with other numbers of threads


@dataclass
class Variant(Way):
    """A way with its BLAS threads, and what it used; `alone` is the serial loop on one thread of a worker."""

    cores: int = 1
    blas: int = 1
    alone: bool = False
    blas_used: set[int] = field(default_factory=set)
    workers_used: set[str] = field(default_factory=set)

    def efficiency(self, one: Way) -> float:
        """Return the speed-up over one thread, per available core."""
        return efficiency(self.against(one), self.cores)


def memory(n: int, matrices: int, repeats: int, threads: int = 1, **_: object) -> Need:
    """Estimate bytes: each thread has a matrix, LAPACK's copy and as much workspace; the client has all spectra."""
    matrix, spectrum, ways = 8 * n * n, 16 * n, 12
    return Need(client=3 * matrix + ways * repeats * matrices * spectrum, worker=threads * 3 * matrix)


@checks(
    types={
        "n": Count(2, 100_000),
        "matrices": Count(maximum=10_000),
        "seed": Count(minimum=0),
        "repeats": Count(maximum=1000),
    },
    sizes={"tutorial": {"n": 5000}},
    memory=memory,
)
def outcome(client: Client, n: int, matrices: int, seed: int, repeats: int, serial: bool) -> Outcome:
    """Let the script's ways take turns with ways that use other BLAS threads, and compare their spectra."""
    seeds = np.random.SeedSequence(seed).spawn(matrices)
    there = client.run(blas_threads)  # a worker's first call imports NumPy: that is not timed
    here = blas_threads()
    variants = [*(serial_variants() if serial else []), *worker_variants(client, matrices)]
    for variant in variants * repeats:
        measure(client, variant, n, seeds)
    blas_threads(here)
    client.run(blas_threads, max(there.values()))
    traces = [float(np.trace(random_matrix(n, seed))) for seed in seeds]
    graph = lazily(n, seeds)
    held = [*spectra_checks(variants, traces), *run_checks([one for one in variants if one.workers], graph)]
    return report(variants, matrices, held, graph)


def serial_variants() -> list[Variant]:
    """Return plain NumPy: the naive baseline, and the fair one if BLAS can use all cores."""
    cores = len(os.sched_getaffinity(0)) if blas_threads() else 1
    naive = Variant("NumPy, 1 BLAS thread")
    fair = Variant(f"NumPy, {cores} BLAS threads", cores=cores, blas=cores)
    return [naive, fair] if cores > 1 else [naive]


def worker_variants(client: Client, matrices: int) -> list[Variant]:
    """Return Dask with one thread, then on 1, 2, 4, … workers, then with more BLAS threads."""
    each = max(client.nthreads().values())
    cores = cores_at_work(client)
    variants = [
        Variant(way.name, way.workers, cores=min(cores, len(way.workers) * each))
        for way in worker_ways(client, matrices)
    ]
    most = variants[-1]
    blas = min(client.run(lambda: len(os.sched_getaffinity(0)), workers=most.workers).values())
    if blas > 1 and blas_threads():
        variants.append(Variant(f"{most.name}, {blas} BLAS threads each", most.workers, cores=most.cores, blas=blas))
    alone = Variant("1 thread of a worker", most.workers[:1], alone=True)
    return [alone, *variants] if each > 1 else variants


def measure(client: Client, variant: Variant, n: int, seeds: Seeds) -> None:
    """Take a turn with the way's BLAS threads, and record how many there were, and which workers computed."""
    if not variant.workers:
        variant.blas_used.add(blas_threads(variant.blas))
        take_turn(client, variant, n, seeds)
        return
    variant.blas_used |= set(client.run(blas_threads, variant.blas, workers=variant.workers).values())
    turn = take_turn_alone if variant.alone else take_turn
    with get_task_stream(client) as stream:
        turn(client, variant, n, seeds)
    variant.workers_used |= {task["worker"] for task in stream.data}


def take_turn_alone(client: Client, way: Way, n: int, seeds: Seeds) -> None:
    """Compute all spectra once in one task, and record them and the time."""
    start = perf_counter()
    spectra = client.submit(serially, n, seeds, workers=way.workers, pure=False).result()
    way.seconds.append(perf_counter() - start)
    way.spectra.append(spectra)


def distance(spectrum: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest distance between eigenvalues, in order, relative to the largest eigenvalue."""
    return float(np.abs(np.sort(spectrum) - np.sort(reference)).max() / np.abs(reference).max())


def spectra_checks(ways: list[Variant], traces: list[float]) -> list[Check]:
    """Compare all spectra of all turns with the first way's, and those with the matrices' traces."""
    first, *others = [spectra for way in ways for spectra in way.spectra]
    worst = max((distance(*pair) for spectra in others for pair in zip(spectra, first, strict=True)), default=0.0)
    off = max(abs(spectrum.sum() - trace) / abs(spectrum).max() for spectrum, trace in zip(first, traces, strict=True))
    compared = f"{len(others)} × {len(first)} compared with {ways[0].name}, largest distance {worst:.1e}"
    return [
        Check("all ways give the same spectra", worst <= CLOSE, compared),
        Check("eigenvalues add up to the trace", bool(off <= CLOSE), f"largest relative difference {off:.1e}"),
    ]


def run_checks(workers: list[Variant], graph: Delayed) -> list[Check]:
    """Check that each way used its workers and its BLAS threads, and that the graph is small."""
    strays = ", ".join(way.name for way in workers if not way.workers_used <= set(way.workers))
    others = ", ".join(f"{way.name}: {way.blas_used}" for way in workers if way.blas_used not in ({way.blas}, {0}))
    size = len(pickle.dumps(graph))
    limit = dask.config.get("distributed.admin.large-graph-warning-threshold")
    return [
        Check("tasks ran on the intended workers", not strays, strays),
        Check("BLAS had the intended threads", not others, others),
        Check("no large graph is sent", size < parse_bytes(limit), f"{size} bytes; Dask warns from {limit}"),
    ]


def report(ways: list[Variant], matrices: int, held: list[Check], graph: Delayed) -> Outcome:
    """Report all ways, one row each; speed-up and efficiency are relative to one thread of a worker."""
    bases = [way for way in ways if not way.workers]
    workers = [way for way in ways if way.workers]
    one = workers[0]
    most = several(workers)[-1]
    rows = []
    for way in ways:
        times = [f"{median(way.seconds):.3f} s", f"{way.against(bases[0]):.2f}" if bases else ""]
        scaling = [f"{way.against(one):.2f}", f"{way.efficiency(one):.2f}"] if way.workers else ["", ""]
        rows.append([way.name, str(way.cores), *times, *scaling])
    values: dict[str, float] = {"workers": len(most.workers), "cores": most.cores}
    values |= {"speedup": most.against(one), "efficiency": most.efficiency(one)}
    if bases:
        values |= {"against_naive": most.against(bases[0]), "against_fair": most.against(bases[-1])}
    timings = {way.name: median(way.seconds) for way in ways}
    return Outcome(
        values,
        timings,
        held,
        columns=("", "cores", "time", "against NumPy", "speed-up", "efficiency"),
        rows=rows,
        pictures=pictures(timings, workers),
        graph=graph,
        notes=notes_on(matrices, bases, workers),
    )


def several(workers: list[Variant]) -> list[Variant]:
    """Return the script's own ways, from one worker to all."""
    return [way for way in workers if way.blas == 1 and not way.alone]


def notes_on(matrices: int, bases: list[Variant], workers: list[Variant]) -> list[str]:
    """Explain the numbers."""
    most = several(workers)[-1]
    said = []
    if len(bases) > 1:
        gain = bases[1].against(bases[0])
        said.append(
            f"NumPy with {bases[1].blas} BLAS threads is {gain:.2f} times as fast as with one: it takes many small "
            "steps, and the threads wait for each other after every one. Tasks of whole matrices do not wait."
        )
    if matrices % most.cores:
        rounds = math.ceil(matrices / most.cores)
        limit = matrices / rounds / most.cores
        said.append(f"{matrices} matrices on {most.cores} cores take {rounds} rounds: at most {limit:.2f} efficiency.")
    if workers[-1] is not most:
        said.append(
            f"More BLAS threads on the same {most.cores} cores: {workers[-1].against(most):.2f} times as fast. "
            "Parallel tasks already keep the cores busy: that is why a worker's BLAS has one thread by default."
        )
    return said


def pictures(timings: Mapping[str, float], workers: list[Variant]) -> list[Bars | Lines | Points]:
    """Draw time by way, speed-up by workers, and the first spectrum without its largest eigenvalue, an outlier."""
    scaled = several(workers)
    counts = [float(len(way.workers)) for way in scaled]
    measured = [way.against(workers[0]) for way in scaled]
    cores = [float(way.cores) for way in scaled]
    speedup = {"measured": (counts, measured), "cores": (counts, cores)}
    spectrum = workers[0].spectra[0][0]
    rest = np.delete(spectrum, np.argmax(np.abs(spectrum)))
    points = {"eigenvalues": (rest.real.tolist(), rest.imag.tolist())}
    title = f"Eigenvalues of the first matrix, without the largest, {np.abs(spectrum).max():.4g}"
    return [
        Bars("Time for all matrices", "seconds", timings),
        *([Lines("Speed-up over one thread", "workers", "times as fast", speedup)] if len(scaled) > 1 else []),
        Points(title, "real part", "imaginary part", points),
    ]
