"""Store measurements as JSON, and print them as a table."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

SCHEMA = 2
RESULTS = Path(__file__).with_name("results.json")


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One number, and its bound.

    Attributes:
        what: Name of the measurement. With two leading blanks, it belongs to the last name without.
        value: Result, in `unit`.
        unit: `s`, `MB`, `×`, ….
        most: Upper bound, if less is better.
        least: Lower bound, if more is better.
    """

    what: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool | None:
        """True if the value is within the bound; `None` without a bound."""
        if self.most is not None:
            return self.value <= self.most
        return None if self.least is None else self.value >= self.least


class Machine(msgspec.Struct, frozen=True):
    """Machine of a measurement."""

    cpus: int = os.cpu_count() or 1
    kernel: str = platform.release()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements taken together.

    Attributes:
        taken: Start time, in UTC.
        machine: Machine of the measurements.
        busy: Fraction of the machine that other work used just before, 0 to 1.
        loaded: True if that was too much, so the numbers must not be quoted.
        measurements: Measurements, in order.
    """

    taken: str
    machine: Machine
    busy: float
    loaded: bool
    measurements: list[Measurement]

    def named(self) -> Iterator[tuple[str, Measurement]]:
        """Return each measurement with a name that is unique in this part."""
        head = ""
        for one in self.measurements:
            own = one.what.strip()
            head = head if one.what.startswith("  ") else own
            yield (own if own == head else f"{head}: {own}"), one


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """Contents of `bench/results.json`: the last results of each part."""

    schema: int = SCHEMA
    parts: dict[str, Part] = {}

    def find(self, name: str) -> Measurement:
        """Return a measurement by `part/name`; raise `KeyError` if it was not measured."""
        part, _, what = name.partition("/")
        return dict(self.parts[part].named())[what]


def read(path: Path) -> Results:
    """Read earlier results; return empty ones if the file does not exist or has another schema."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Results)
    except (FileNotFoundError, msgspec.ValidationError):
        return Results()
    return found if found.schema == SCHEMA else Results()


def write(path: Path, results: Results) -> None:
    """Write the results atomically."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    partial.replace(path)


def now() -> str:
    """Return the current time, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def best_of(count: int, measure: Callable[[], float]) -> float:
    """Return the minimum of several runs, which other work on the machine disturbs least."""
    return min(measure() for _ in range(count))


def best_of_each(count: int, *measures: Callable[[], float]) -> list[float]:
    """Return the minimum of each measure. Alternate between them, because the machine's speed drifts."""
    rounds = [[measure() for measure in measures] for _ in range(count)]
    return [min(measured) for measured in zip(*rounds, strict=True)]


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


def show(parts: Iterable[Part]) -> None:
    """Print a table."""
    table = Table("benchmark", "measured", "target", "", title="bench", title_justify="left")
    for part in parts:
        for one in part.measurements:
            bound = f"≤ {one.most:g}" if one.most is not None else f"≥ {one.least:g}" if one.least is not None else ""
            mark = {True: "[green]ok[/]", False: "[red]missed[/]", None: ""}[one.met]
            table.add_row(one.what, f"{one.value:.3g} {one.unit}", bound, mark + " [yellow]loaded[/]" * part.loaded)
    Console().print(table)
