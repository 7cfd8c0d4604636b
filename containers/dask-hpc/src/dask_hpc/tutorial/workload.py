"""Define workloads: a script with a function `main(client, …)`, and the checks that run it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

import click

from dask_hpc.clusters.facts import Value
from dask_hpc.tutorial.pictures import Picture
from dask_hpc.tutorial.results import Check

DEFAULT_SIZE = "default"


@dataclass(frozen=True)
class Outcome:
    """The findings of a workload.

    Attributes:
        values: the numbers for programs, by name.
        timings: seconds, by name.
        checks: conditions on the result; a failed one fails the run.
        columns: the table's column headings.
        rows: its rows, one text per column.
        pictures: pictures for the report, see `dask_hpc.tutorial.pictures`.
        graph: a Dask collection, a `Delayed` or a list of them, whose task graph the report draws.
        notes: sentences that explain the numbers, shown under the table and in the report.
    """

    values: Mapping[str, Value]
    timings: dict[str, float]
    checks: list[Check]
    _: KW_ONLY
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    pictures: Sequence[Picture] = ()
    graph: Any = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Need:
    """A workload's peak memory in bytes: in the client's process, and in one worker."""

    client: int
    worker: int


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The declarations about a script: the arguments of `checks`, and `run`, the decorated function."""

    run: Callable[..., Outcome]
    types: Mapping[str, click.ParamType[Any]] = field(default_factory=dict)
    validate: Callable[..., None] | None = None
    sizes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    memory: Callable[..., Need] | None = None
    backends: frozenset[str] | None = None
    least_workers: int = 1

    def need(self, parameters: Mapping[str, object], workers: int, threads: int = 1) -> Need | None:
        """Return the memory that a run on these workers needs, or None if it is not declared."""
        if self.memory is None:
            return None
        taken = inspect.signature(self.memory).parameters
        planned = {name: value for name, value in {"workers": workers, "threads": threads}.items() if name in taken}
        return self.memory(**parameters, **planned)


def checks(
    *,
    types: Mapping[str, click.ParamType[Any]] | None = None,
    validate: Callable[..., None] | None = None,
    sizes: Mapping[str, Mapping[str, object]] | None = None,
    memory: Callable[..., Need] | None = None,
    backends: frozenset[str] | None = None,
    least_workers: int = 1,
) -> Callable[[Callable[..., Outcome]], Checks]:
    """Declare a function that runs a script and checks its result.

    The function has the parameters of the script's `main`, and returns an `Outcome`.

    Args:
        types: ranges of options: `Count(2, 1000)` for a whole number, `Counts(1)` for several.
        validate: called with the options' values before anything starts; raises `click.BadParameter` for values that
            contradict each other.
        sizes: other defaults for some options, by the name given with `--size`.
        memory: called with the options' values before anything starts, and with `workers=` (the number planned) and
            `threads=` (per worker) if it has these parameters; its result is compared with the available memory.
        backends: names of the supported backends; None for all.
        least_workers: the minimum number of workers; a run with fewer is refused.
    """

    def declare(function: Callable[..., Outcome]) -> Checks:
        return Checks(
            run=function,
            types=dict(types or {}),
            validate=validate,
            sizes=dict(sizes or {}),
            memory=memory,
            backends=backends,
            least_workers=least_workers,
        )

    return declare


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A script for `dask-hpc run`: its options, and the checks that run it."""

    name: str
    checks: Checks
    summary: str = ""
    help: str = ""
    options: Sequence[click.Option] = ()
