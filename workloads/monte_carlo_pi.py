"""Estimate π by throwing darts at a square, in parallel, and compare with one core.

The tutorial's "Monte Carlo Method", cells 217 to 225. A quarter of a circle of radius 1 covers π/4 of the unit square,
so of N darts thrown at random about N·π/4 land inside. The N darts are cut into chunks, and every chunk is a task. What
differs from the tutorial, and why:

- There `dask_array_MC(runs, 1)` is called however many chunks the text speaks of: 489, 477 and 444 ms are one
  measurement three times over, and do not show that more chunks take longer. `--sweep` really varies them, 1 to 128.
- There a chunk's coordinates are all in memory, 16 bytes a dart. Here a chunk is worked through in blocks.
- There the random numbers are new every time. Here every chunk has a stream of its own, spawned from the seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter

import click
import dask
import numpy as np
from dask.delayed import Delayed
from distributed import Client, get_task_stream

from dask_hpc.tutorial import Bars, Check, Count, Lines, Need, Outcome, cores_at_work, efficiency, workload

BLOCK = 1 << 16  # darts at a time: with fewer a task returns to Python, and waits for the GIL, more often
SWEEP, TURNS = (1, 2, 4, 8, 16, 32, 64, 128), 3  # the chunks of the sweep; the median of the turns counts


def chunk_sizes(samples: int, chunks: int) -> list[int]:
    """Cut `samples` into `chunks` sizes that differ by one at most and add up."""
    size, rest = divmod(samples, chunks)
    return [size + (number < rest) for number in range(chunks)]


def chunk_seeds(seed: int, chunks: int) -> list[np.random.SeedSequence]:
    """One independent random stream a chunk: which worker draws it makes no difference."""
    return np.random.SeedSequence(seed).spawn(chunks)


def count_inside(size: int, seed: np.random.SeedSequence) -> int:
    """Throw `size` darts and count those inside the circle, in blocks: memory does not grow with `size`.

    NumPy lets go of the GIL in every step, so a worker's threads run side by side.
    """
    random = np.random.default_rng(seed)
    darts, hit = np.empty((2, min(size, BLOCK))), np.empty(min(size, BLOCK), bool)
    inside = 0
    for start in range(0, size, BLOCK):
        if (left := size - start) < len(hit):
            darts, hit = np.empty((2, left)), np.empty(left, bool)
        random.random(out=darts)
        np.multiply(darts, darts, out=darts)
        np.add(darts[0], darts[1], out=darts[0])
        np.less(darts[0], 1, out=hit)
        inside += int(np.count_nonzero(hit))
    return inside


def count_serial(sizes: list[int], seeds: list[np.random.SeedSequence]) -> int:
    """Count with plain NumPy on one core."""
    return sum(count_inside(size, seed) for size, seed in zip(sizes, seeds, strict=True))


def lazily(sizes: list[int], seeds: list[np.random.SeedSequence]) -> Delayed:
    """A task a chunk, and one that adds up; nothing is computed yet."""
    counts = [dask.delayed(count_inside)(size, seed) for size, seed in zip(sizes, seeds, strict=True)]
    return dask.delayed(sum)(counts)


def count_parallel(client: Client, sizes: list[int], seeds: list[np.random.SeedSequence]) -> int:
    """Count with Dask."""
    return int(client.compute(lazily(sizes, seeds)).result())


def estimate(inside: int, samples: int) -> tuple[float, float, float]:
    """Return π, its standard error, and its distance from the true π in standard errors.

    `inside` is binomial. Laplace's rule (one more dart inside, one more outside) keeps the error of a handful of
    darts from being 0 when all of them hit; for many darts it changes nothing.
    """
    share = (inside + 1) / (samples + 2)
    error = 4 * math.sqrt(share * (1 - share) / samples)
    pi = 4 * inside / samples
    return pi, error, (pi - math.pi) / error


@dataclass(frozen=True)
class Step:
    """What a number of chunks came to: seconds, π, its standard error, and the tasks that workers ran in one turn."""

    seconds: float
    pi: float
    error: float
    tasks: float


def sweep_chunks(client: Client, samples: int, seed: int) -> dict[int, Step]:
    """Estimate π with 1 to 128 chunks, in turns."""
    seconds: dict[int, list[float]] = {chunks: [] for chunks in SWEEP}
    inside: dict[int, int] = {}
    tasks = dict.fromkeys(SWEEP, 0)
    for chunks in SWEEP * TURNS:
        sizes, seeds = chunk_sizes(samples, chunks), chunk_seeds(seed, chunks)
        with get_task_stream(client) as stream:
            start = perf_counter()
            inside[chunks] = count_parallel(client, sizes, seeds)
            seconds[chunks].append(perf_counter() - start)
        tasks[chunks] += sum("count_inside" in task["key"] for task in stream.data)
    return {
        chunks: Step(median(seconds[chunks]), *estimate(inside[chunks], samples)[:2], tasks[chunks] / TURNS)
        for chunks in SWEEP
    }


def fit(steps: dict[int, Step], samples: int, cores: int) -> tuple[float, float]:
    """Return what a dart and what a task cost, in seconds, by least squares of relative errors.

    With c chunks on W cores, the busiest core has ⌈c/W⌉ chunks of N/c darts, and Dask hands out c tasks.
    """
    measured = np.array([step.seconds for step in steps.values()])
    terms = np.array([[math.ceil(chunks / cores) * samples / chunks, chunks] for chunks in steps])
    costs, *_ = np.linalg.lstsq(terms / measured[:, None], np.ones(len(steps)))
    return float(costs[0]), float(costs[1])


def validate(samples: int, chunks: int, sweep: bool, **_: object) -> None:
    """Refuse chunks that would be empty."""
    for option, most in (("'--chunks'", chunks), ("'--sweep'", max(SWEEP) if sweep else 1)):
        if most > samples:
            message = f"{most} chunks are more than {samples} samples: give at most as many."
            raise click.BadParameter(message, param_hint=option)


def memory(chunks: int, threads: int = 1, **_: object) -> Need:
    """Bytes: a block in every thread; in the client, a task with its seed for every chunk."""
    return Need(client=10_000 * chunks, worker=threads * BLOCK * (2 * 8 + 1))


@workload(
    click.option("--samples", type=Count(), default="2e7", show_default=True, help="Darts to throw."),
    click.option(
        "--chunks", type=Count(maximum=100_000), default="16", show_default=True, help="Tasks to cut them into."
    ),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    click.option(
        "--serial/--no-serial", default=True, show_default=True, help="Run on one core of a worker, too, and compare."
    ),
    click.option("--sweep/--no-sweep", default=False, show_default=True, help="Try 1, 2, 4, … 128 chunks too."),
    validate=validate,
    sizes={"tutorial": {"samples": 10**6, "chunks": 32, "sweep": True}},
    memory=memory,
)
def monte_carlo_pi(client: Client, samples: int, chunks: int, seed: int, serial: bool, sweep: bool = False) -> Outcome:
    """Estimate π by throwing darts at a square, in parallel, and compare with one core.

    The same samples, chunks and seed give the same π, on whatever number of workers.
    """
    sizes, seeds = chunk_sizes(samples, chunks), chunk_seeds(seed, chunks)
    client.run(count_inside, 1, np.random.SeedSequence(0))  # a worker's first call imports NumPy: not what is timed
    timings, hits = {}, {}
    if serial:  # on a worker: this machine's cores may be others than theirs
        start = perf_counter()
        hits["serial"] = client.submit(count_serial, sizes, seeds, pure=False).result()
        timings["serial"] = perf_counter() - start
    start = perf_counter()
    hits["parallel"] = count_parallel(client, sizes, seeds)
    timings["parallel"] = perf_counter() - start
    cores = cores_at_work(client)
    outcome = report(samples, hits, timings, cores)
    return with_sweep(outcome, sweep_chunks(client, samples, seed), samples, cores) if sweep else outcome


def report(samples: int, hits: dict[str, int], timings: dict[str, float], cores: int) -> Outcome:
    """Put serial and parallel side by side; `cores` is how many the workers have."""
    pi, error, sigmas = estimate(hits["parallel"], samples)
    values = {"pi": pi, "standard_error": error, "sigmas": sigmas, "inside": hits["parallel"], "cores": cores}
    checks = [Check("π is within 5 standard errors", abs(sigmas) <= 5, f"{sigmas:+.2f} σ from {math.pi:.8f}")]
    if "serial" in hits:
        speedup = timings["serial"] / timings["parallel"]
        values |= {"speedup": speedup, "efficiency": efficiency(speedup, cores)}
        same = hits["serial"] == hits["parallel"]
        checks.append(Check("serial and parallel count the same", same, f"{hits['serial']} and {hits['parallel']}"))
    bars = Bars("Time to throw all darts", "seconds", dict(timings))
    return Outcome(
        values, timings, checks, columns=("", *hits), rows=rows(samples, hits, timings, values), pictures=[bars]
    )


def rows(samples: int, hits: dict[str, int], timings: dict[str, float], values: dict[str, float]) -> list[list[str]]:
    """Lay the numbers out for people, a column for every way of counting."""
    estimates = [estimate(inside, samples) for inside in hits.values()]
    table = [
        ["π", *(f"{pi:.8f}" for pi, _, _ in estimates)],
        ["standard error", *(f"{error:.8f}" for _, error, _ in estimates)],
        ["distance from π", *(f"{sigmas:+.2f} σ" for _, _, sigmas in estimates)],
        ["time", *(f"{timings[way]:.3f} s" for way in hits)],
        ["samples per second", *(f"{samples / timings[way]:.3g}" for way in hits)],
    ]
    if "speedup" in values:
        table.append(["speed-up", "1", f"{values['speedup']:.2f}"])
        table.append([f"efficiency ({values['cores']} cores)", "", f"{values['efficiency']:.2f}"])
    return table


def with_sweep(outcome: Outcome, steps: dict[int, Step], samples: int, cores: int) -> Outcome:
    """Add the sweep to what a run found out."""
    costs = fit(steps, samples, cores)
    empty = [""] * (len(outcome.columns) - 2)
    named = {f"{chunks} chunk{'s'[: chunks - 1]}": step for chunks, step in steps.items()}
    lines = [[name, *empty, f"{step.seconds:.3f} s, π {step.pi:.6f}"] for name, step in named.items()]
    seen = ", ".join(f"{step.tasks:g}" for step in steps.values())
    varied = Check("each number of chunks is as many tasks", all(step.tasks == c for c, step in steps.items()), seen)
    sigmas = max(abs(step.pi - math.pi) / step.error for step in steps.values())
    right = Check("π is within 5 standard errors with any chunks", sigmas <= 5, f"{sigmas:.2f} σ at most")
    return replace(
        outcome,
        values={**outcome.values, "seconds_per_dart": costs[0], "seconds_per_task": costs[1]},
        timings=outcome.timings | {name: step.seconds for name, step in named.items()},
        checks=[*outcome.checks, varied, right],
        rows=[*outcome.rows, *lines],
        pictures=[*outcome.pictures, *sweep_pictures(steps, samples, cores, costs)],
        notes=sweep_notes(steps, samples, cores, costs),
    )


def sweep_pictures(steps: dict[int, Step], samples: int, cores: int, costs: tuple[float, float]) -> list[Lines]:
    """Time against chunks, with the fit; error against chunks, with what chance makes of so many darts."""
    chunks = [float(count) for count in steps]
    fitted = [math.ceil(c / cores) * samples / c * costs[0] + c * costs[1] for c in steps]
    time = {"measured": (chunks, [step.seconds for step in steps.values()]), "darts + tasks": (chunks, fitted)}
    off, chance = [abs(step.pi - math.pi) for step in steps.values()], [step.error for step in steps.values()]
    error = {"distance from π": (chunks, off), "standard error": (chunks, chance)}
    return [
        Lines("Time against chunks", "chunks", "seconds", time, log_x=True),
        Lines("Error against chunks", "chunks", "error of π", error, log_x=True),
    ]


def sweep_notes(steps: dict[int, Step], samples: int, cores: int, costs: tuple[float, float]) -> list[str]:
    """Why the curves look as they do."""
    dart, task = costs
    best, last = min(steps, key=lambda chunks: steps[chunks].seconds), max(steps)
    return [
        f"Time: one core computes a chunk, so with c chunks the busiest of {cores} cores throws ⌈c/{cores}⌉·N/c darts, "
        f"at {dart * 1e9:.2g} ns each, and Dask takes {task * 1e3:.2g} ms a task. Once every core has one, more only "
        f"cost. Fastest here: {best}; of the {steps[last].seconds:.2g} s for {last}, tasks are {last * task:.2g} s.",
        f"Error: it depends on how many darts there are, 1.64/√N = {1.642 / math.sqrt(samples):.1e}, not on chunks. "
        "Another number of chunks throws other darts: hence another π, as likely nearer as farther.",
    ]
