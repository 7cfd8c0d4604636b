"""Estimate π by throwing darts at a square, in parallel, and compare with one core.

The tutorial's "Monte Carlo Method". A quarter of a circle of radius 1 covers π/4 of the unit square, so of N darts
thrown at random about N·π/4 land inside. The N darts are cut into chunks, and every chunk is a task.
"""

from __future__ import annotations

import math
from time import perf_counter

import click
import dask
import numpy as np
from distributed import Client

from dask_hpc import Check, Count, Outcome, cores_at_work, workload

BLOCK = 1 << 16  # darts at a time: 2 × 512 KiB of coordinates, which stay in a core's cache


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
    x, y = np.empty(min(size, BLOCK)), np.empty(min(size, BLOCK))
    inside = 0
    for start in range(0, size, BLOCK):
        x, y = x[: size - start], y[: size - start]
        random.random(out=x)
        random.random(out=y)
        x *= x
        y *= y
        x += y
        inside += int(np.count_nonzero(x < 1))
    return inside


def count_serial(sizes: list[int], seeds: list[np.random.SeedSequence]) -> int:
    """Count with plain NumPy on one core of this process."""
    return sum(count_inside(size, seed) for size, seed in zip(sizes, seeds, strict=True))


def count_parallel(client: Client, sizes: list[int], seeds: list[np.random.SeedSequence]) -> int:
    """Count with Dask: a task a chunk, and one that adds up."""
    counts = [dask.delayed(count_inside)(size, seed) for size, seed in zip(sizes, seeds, strict=True)]
    total = dask.delayed(sum)(counts)
    return int(client.compute(total).result())


def estimate(inside: int, samples: int) -> tuple[float, float, float]:
    """Return π, its standard error, and its distance from the true π in standard errors.

    `inside` is binomial. Laplace's rule (one more dart inside, one more outside) keeps the error of a handful of
    darts from being 0 when all of them hit; for many darts it changes nothing.
    """
    share = (inside + 1) / (samples + 2)
    error = 4 * math.sqrt(share * (1 - share) / samples)
    pi = 4 * inside / samples
    return pi, error, (pi - math.pi) / error


def validate(samples: int, chunks: int, **_: object) -> None:
    """Refuse chunks that would be empty."""
    if chunks > samples:
        message = f"{chunks} chunks are more than {samples} samples: give at most as many."
        raise click.BadParameter(message, param_hint="'--chunks'")


@workload(
    click.option("--samples", type=Count(), default="2e7", show_default=True, help="Darts to throw."),
    click.option(
        "--chunks", type=Count(maximum=100_000), default="16", show_default=True, help="Tasks to cut them into."
    ),
    click.option("--seed", type=Count(minimum=0), default="42", show_default=True, help="Start of the random numbers."),
    click.option("--serial/--no-serial", default=True, show_default=True, help="Run on one core too, and compare."),
    validate=validate,
)
def monte_carlo_pi(client: Client, samples: int, chunks: int, seed: int, serial: bool) -> Outcome:
    """Estimate π by throwing darts at a square, in parallel, and compare with one core.

    The same samples, chunks and seed give the same π, on whatever number of workers.
    """
    sizes, seeds = chunk_sizes(samples, chunks), chunk_seeds(seed, chunks)
    client.run(count_inside, 1, np.random.SeedSequence(0))  # a worker's first call imports NumPy: not what is timed
    timings, hits = {}, {}
    if serial:
        count_inside(1, np.random.SeedSequence(0))
        start = perf_counter()
        hits["serial"] = count_serial(sizes, seeds)
        timings["serial"] = perf_counter() - start
    start = perf_counter()
    hits["parallel"] = count_parallel(client, sizes, seeds)
    timings["parallel"] = perf_counter() - start
    return report(samples, hits, timings, cores_at_work(client))


def report(samples: int, hits: dict[str, int], timings: dict[str, float], cores: int) -> Outcome:
    """Put serial and parallel side by side; `cores` is how many the workers have."""
    pi, error, sigmas = estimate(hits["parallel"], samples)
    values = {"pi": pi, "standard_error": error, "sigmas": sigmas, "inside": hits["parallel"], "cores": cores}
    checks = [Check("π is within 5 standard errors", abs(sigmas) <= 5, f"{sigmas:+.2f} σ from {math.pi:.8f}")]
    if "serial" in hits:
        speedup = timings["serial"] / timings["parallel"]
        values |= {"speedup": speedup, "efficiency": speedup / cores}
        same = hits["serial"] == hits["parallel"]
        checks.append(Check("serial and parallel count the same", same, f"{hits['serial']} and {hits['parallel']}"))
    return Outcome(values, timings, checks, ("", *hits), rows(samples, hits, timings, values))


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
