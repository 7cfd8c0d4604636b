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
        checks: what must hold; a failed one fails the run.
        columns: the heads of the table for people.
        rows: its rows, one text a column.
        pictures: what the report draws of the result, see `dask_hpc.tutorial.pictures`.
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
    """Bytes that a workload holds at most at one time: in the client's process, and in one worker."""

    client: int
    worker: int


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The declarations about a script; the attributes are those that `checks` takes, and `run` is its function."""

    run: Callable[..., Outcome]
    types: Mapping[str, click.ParamType[Any]] = field(default_factory=dict)
    validate: Callable[..., None] | None = None
    sizes: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    memory: Callable[..., Need] | None = None
    backends: frozenset[str] | None = None
    least_workers: int = 1

    def need(self, parameters: Mapping[str, object], workers: int, threads: int = 1) -> Need | None:
        """Return how much memory a run on so many workers takes, or None if that is not declared."""
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
    """Declare a function that runs a script and checks what it found.

    The function takes what the script's `main` takes, under the same names, and returns an `Outcome`.

    Args:
        types: the ranges of options: `Count(2, 1000)` for a whole number, `Counts(1)` for several.
        validate: is called with the options' values before anything starts; raises `click.BadParameter`
            for values that do not go together.
        sizes: other defaults for some of the options, by the name that `--size` takes.
        memory: is called with the options' values, and with `workers=` (how many are planned) and `threads=` (how
            many each has) if it takes those; the result is compared with the memory there is before anything starts.
        backends: the names of those that it can run on; None for all.
        least_workers: with fewer the run is refused.
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
    """A script that `dask-hpc run` knows: its options, and the checks that run it."""

    name: str
    checks: Checks
    summary: str = ""
    help: str = ""
    options: Sequence[click.Option] = ()
