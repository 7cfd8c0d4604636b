"""Check monte-carlo-pi: π is right, and all ways count the same; and explain the curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click
import numpy as np
from distributed import Client, get_task_stream

from dask_hpc.tutorial import Bars, Check, Count, Lines, Need, Outcome, checks, cores_at_work, efficiency
from workloads.monte_carlo_pi import BLOCK, SWEEP, TURNS, Counted, main

MOST_SIGMAS = 5


@dataclass(frozen=True)
class Estimate:
    """π, its standard error, and its distance from the true π in standard errors."""

    pi: float
    error: float
    sigmas: float

    @classmethod
    def of(cls, inside: int, samples: int) -> Estimate:
        """Estimate π, with the standard error of a binomial count.

        Laplace's rule (one more dart inside, one more outside) keeps the error from being 0 when all of a few darts
        hit; for many darts it changes nothing.
        """
        share = (inside + 1) / (samples + 2)
        error = 4 * math.sqrt(share * (1 - share) / samples)
        pi = 4 * inside / samples
        return cls(pi, error, (pi - math.pi) / error)


def validate(samples: int, chunks: int, sweep: bool, **_: object) -> None:
    """Refuse chunks that would be empty."""
    for option, most in (("'--chunks'", chunks), ("'--sweep'", max(SWEEP) if sweep else 1)):
        if most > samples:
            message = f"{most} chunks are more than {samples} samples: use at most {samples}."
            raise click.BadParameter(message, param_hint=option)


def memory(chunks: int, threads: int = 1, **_: object) -> Need:
    """Estimate bytes: a block in every thread; in the client, a task with its seed for every chunk."""
    return Need(client=10_000 * chunks, worker=threads * BLOCK * (2 * 8 + 1))


@checks(
    types={"samples": Count(), "chunks": Count(maximum=100_000), "seed": Count(minimum=0)},
    validate=validate,
    sizes={"tutorial": {"samples": 10**6, "chunks": 32, "sweep": True}},
    memory=memory,
)
def outcome(client: Client, samples: int, chunks: int, seed: int, serial: bool, sweep: bool) -> Outcome:
    """Run the script, and compare the ways of counting with each other and with the true π."""
    with get_task_stream(client) as stream:
        found = main(client, samples, chunks, seed, serial, sweep)
    cores = cores_at_work(client)
    ways: dict[str, Counted] = {name: found[name] for name in ("serial", "parallel") if name in found}
    steps = {count: found[f"chunks: {count}"] for count in SWEEP if sweep}
    values = measured(ways, samples, cores)
    held = ways_checks(ways, values["sigmas"])
    rows = ways_rows(ways, values)
    pictures: list[Bars | Lines] = [Bars("Time to throw all darts", "seconds", times(ways))]
    notes = []
    if steps:
        costs = fit(steps, samples, cores)
        values |= {"seconds_per_dart": costs[0], "seconds_per_task": costs[1]}
        held += sweep_checks(steps, tasks_counted(stream.data))
        rows += sweep_rows(steps, len(ways) - 1)
        pictures += sweep_pictures(steps, samples, cores, costs)
        notes = sweep_notes(steps, samples, cores, costs)
    timings = times(ways) | {counted(count): step.seconds for count, step in steps.items()}
    return Outcome(values, timings, held, columns=("", *ways), rows=rows, pictures=pictures, notes=notes)


def measured(ways: Mapping[str, Counted], samples: int, cores: int) -> dict[str, Any]:
    """Return the numbers by name; `cores` is the number of the workers' cores."""
    estimate = Estimate.of(ways["parallel"].inside, samples)
    values = {"pi": estimate.pi, "standard_error": estimate.error, "sigmas": estimate.sigmas}
    values |= {"inside": ways["parallel"].inside, "cores": cores}
    if "serial" in ways:
        speedup = ways["serial"].seconds / ways["parallel"].seconds
        values |= {"speedup": speedup, "efficiency": efficiency(speedup, cores)}
    return values


def times(ways: Mapping[str, Counted]) -> dict[str, float]:
    """Return the seconds of every way."""
    return {name: way.seconds for name, way in ways.items()}


def ways_checks(ways: Mapping[str, Counted], sigmas: float) -> list[Check]:
    """Compare π with the true one, and the serial count with the parallel one."""
    near = abs(sigmas) <= MOST_SIGMAS
    held = [Check(f"π is within {MOST_SIGMAS} standard errors", near, f"{sigmas:+.2f} σ from {math.pi:.8f}")]
    if "serial" in ways:
        counts = [way.inside for way in ways.values()]
        same = counts[0] == counts[1]
        held.append(Check("serial and parallel count the same", same, f"{counts[0]} and {counts[1]}"))
    return held


def ways_rows(ways: Mapping[str, Counted], values: Mapping[str, Any]) -> list[list[str]]:
    """Return the table's rows, with a column for every way of counting."""
    estimates = [Estimate.of(way.inside, way.samples) for way in ways.values()]
    table = [
        ["π", *(f"{one.pi:.8f}" for one in estimates)],
        ["standard error", *(f"{one.error:.8f}" for one in estimates)],
        ["distance from π", *(f"{one.sigmas:+.2f} σ" for one in estimates)],
        ["time", *(f"{way.seconds:.3f} s" for way in ways.values())],
        ["samples per second", *(f"{way.samples / way.seconds:.3g}" for way in ways.values())],
    ]
    if "speedup" in values:
        table.append(["speed-up", "1", f"{values['speedup']:.2f}"])
        table.append([f"efficiency ({values['cores']} cores)", "", f"{values['efficiency']:.2f}"])
    return table


def counted(chunks: int) -> str:
    """Return a number of chunks in words."""
    return "1 chunk" if chunks == 1 else f"{chunks} chunks"


def tasks_counted(stream: Iterable[Mapping[str, Any]]) -> dict[int, list[int]]:
    """Return, for each number of chunks in the sweep, the number of tasks that threw darts in each turn.

    Every estimate ends with its sum. The first estimate is not part of the sweep.
    """
    counts = [0]
    for task in stream:
        if str(task["key"]).startswith("sum"):
            counts.append(0)
        else:
            counts[-1] += "count_inside" in str(task["key"])
    swept = counts[1 : 1 + len(SWEEP) * TURNS]
    return {chunks: swept[number :: len(SWEEP)] for number, chunks in enumerate(SWEEP)}


def sweep_checks(steps: Mapping[int, Counted], tasks: Mapping[int, Sequence[int]]) -> list[Check]:
    """Compare tasks with chunks, and every π of the sweep with the true one."""
    varied = all(turns == [chunks] * TURNS for chunks, turns in tasks.items())
    seen = ", ".join(f"{sum(turns) / TURNS:g}" for turns in tasks.values())
    sigmas = max(abs(Estimate.of(step.inside, step.samples).sigmas) for step in steps.values())
    return [
        Check("each number of chunks gives as many tasks", varied, seen),
        Check(
            f"π is within {MOST_SIGMAS} standard errors for every number of chunks",
            sigmas <= MOST_SIGMAS,
            f"{sigmas:.2f} σ at most",
        ),
    ]


def sweep_rows(steps: Mapping[int, Counted], empty: int) -> list[list[str]]:
    """Return the sweep's rows, in the column of the parallel count."""
    return [
        [counted(chunks), *[""] * empty, f"{step.seconds:.3f} s, π {4 * step.inside / step.samples:.6f}"]
        for chunks, step in steps.items()
    ]


def fit(steps: Mapping[int, Counted], samples: int, cores: int) -> tuple[float, float]:
    """Return the cost of a dart and of a task, in seconds, by least squares of relative errors.

    With c chunks on W cores, the busiest core has ⌈c/W⌉ chunks of N/c darts, and Dask hands out c tasks.
    """
    seconds = np.array([step.seconds for step in steps.values()])
    terms = np.array([[math.ceil(chunks / cores) * samples / chunks, chunks] for chunks in steps])
    costs, *_ = np.linalg.lstsq(terms / seconds[:, None], np.ones(len(steps)))
    return float(costs[0]), float(costs[1])


def sweep_pictures(
    steps: Mapping[int, Counted], samples: int, cores: int, costs: tuple[float, float]
) -> tuple[Lines, Lines]:
    """Draw time against chunks, with the fit; and error against chunks, with the standard error."""
    chunks = [float(count) for count in steps]
    fitted = [math.ceil(c / cores) * samples / c * costs[0] + c * costs[1] for c in steps]
    time = {"measured": (chunks, [step.seconds for step in steps.values()]), "darts + tasks": (chunks, fitted)}
    estimates = [Estimate.of(step.inside, samples) for step in steps.values()]
    error = {
        "distance from π": (chunks, [abs(one.pi - math.pi) for one in estimates]),
        "standard error": (chunks, [one.error for one in estimates]),
    }
    return (
        Lines("Time against chunks", "chunks", "seconds", time, log_x=True),
        Lines("Error against chunks", "chunks", "error of π", error, log_x=True),
    )


def sweep_notes(steps: Mapping[int, Counted], samples: int, cores: int, costs: tuple[float, float]) -> list[str]:
    """Explain the shape of both curves."""
    dart, task = costs
    best = min(steps, key=lambda chunks: steps[chunks].seconds)
    last = max(steps)
    return [
        f"Time: one core computes a chunk, so with c chunks the busiest of {cores} cores throws ⌈c/{cores}⌉·N/c darts, "
        f"at {dart * 1e9:.2g} ns each, and Dask needs {task * 1e3:.2g} ms per task. Once every core has a chunk, more "
        f"chunks only add cost. Fastest here: {counted(best)}; of the {steps[last].seconds:.2g} s for {counted(last)}, "
        f"tasks cost {last * task:.2g} s.",
        f"Error: it depends on the number of darts, 1.64/√N = {1.642 / math.sqrt(samples):.1e}, not on the chunks. "
        "Another number of chunks throws other darts and gives another π, as likely nearer as farther.",
    ]
