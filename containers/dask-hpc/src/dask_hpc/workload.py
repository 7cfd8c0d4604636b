"""What a workload is: a function of a Dask client, its command-line options beside it, and what it gives back."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dask_hpc.results import Check, Value

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Outcome", "Workload", "cores_at_work", "workload"]


@dataclass(frozen=True)
class Outcome:
    """What a workload found out.

    Attributes:
        values: the numbers for programs, by name.
        timings: seconds, by name.
        checks: what must hold; a failed one fails the run.
        columns: the heads of the table for people.
        rows: its rows, one text a column.
    """

    values: Mapping[str, Value]
    timings: dict[str, float]
    checks: list[Check]
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


@dataclass(frozen=True)
class Workload:
    """A computation that `dask-hpc run` knows."""

    name: str
    summary: str
    help: str
    options: list[click.Parameter]
    validate: Callable[..., None] | None
    run: Callable[..., Outcome]


def workload(
    *options: Callable[[Callable[..., Any]], Callable[..., Any]], validate: Callable[..., None] | None = None
) -> Callable[[Callable[..., Outcome]], Workload]:
    """Make a workload of a function that takes a Dask client and the options' values.

    Args:
        options: `click.option(…)`s.
        validate: is called with the options' values before anything starts; raises `click.BadParameter`
            for values that do not go together.
    """

    def make(function: Callable[..., Outcome]) -> Workload:
        decorated = function
        for option in reversed(options):
            decorated = option(decorated)
        parameters: list[click.Parameter] = list(reversed(getattr(decorated, "__click_params__", [])))
        text = inspect.cleandoc(function.__doc__ or "")
        name = function.__name__.replace("_", "-")
        return Workload(name, text.split("\n", 1)[0], text, parameters, validate, function)

    return make


def cores_at_work(client: Client) -> int:
    """Return how many cores the workers really have between them, at most one a thread.

    Several nodes of a mini-cluster are one machine: they report one kernel, and its cores count once.
    """
    threads: int = sum(client.nthreads().values())
    machines: dict[str, set[int]] = {}
    for boot, cores in client.run(_machine).values():
        machines.setdefault(boot, set()).update(cores)
    return min(threads, sum(len(cores) for cores in machines.values()))


def _machine() -> tuple[str, list[int]]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return boot, sorted(os.sched_getaffinity(0))
