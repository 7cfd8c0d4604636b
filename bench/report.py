"""Measurements, as a table for people and as JSON for programs."""

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
    """One number, and the bound that it is held against.

    Attributes:
        what: What was measured. With two blanks before it, it belongs to the last one without.
        value: In `unit`.
        unit: `s`, `MB`, `×`, ….
        most: The bound, if less is better.
        least: The bound, if more is better.
    """

    what: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    @property
    def met(self) -> bool | None:
        """True if the bound is kept; `None` if there is no bound."""
        if self.most is not None:
            return self.value <= self.most
        return None if self.least is None else self.value >= self.least


class Machine(msgspec.Struct, frozen=True):
    """The machine of a measurement."""

    cpus: int = os.cpu_count() or 1
    kernel: str = platform.release()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements taken together.

    Attributes:
        taken: When it began, in UTC.
        machine: On what.
        busy: The part of the machine that others used just before, 0 to 1.
        loaded: Whether that was too much: the numbers are not to be quoted.
        measurements: In their order.
    """

    taken: str
    machine: Machine
    busy: float
    loaded: bool
    measurements: list[Measurement]

    def named(self) -> Iterator[tuple[str, Measurement]]:
        """Return each measurement with a name that no other of this part has."""
        head = ""
        for one in self.measurements:
            own = one.what.strip()
            head = head if one.what.startswith("  ") else own
            yield (own if own == head else f"{head}: {own}"), one


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """`bench/results.json`: the last measurement of each part."""

    schema: int = SCHEMA
    parts: dict[str, Part] = {}

    def find(self, name: str) -> Measurement:
        """Return a measurement by `part/name`; raises `KeyError` if it was not measured."""
        part, _, what = name.partition("/")
        return dict(self.parts[part].named())[what]


def read(path: Path) -> Results:
    """Read what was measured before; nothing, if there is none, or it has another form."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Results)
    except (FileNotFoundError, msgspec.ValidationError):
        return Results()
    return found if found.schema == SCHEMA else Results()


def write(path: Path, results: Results) -> None:
    """Write them, the file whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")
    partial.replace(path)


def now() -> str:
    """The time, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def best_of(count: int, measure: Callable[[], float]) -> float:
    """The least of some runs: what the machine can do when nothing else disturbs it."""
    return min(measure() for _ in range(count))


def best_of_each(count: int, *measures: Callable[[], float]) -> list[float]:
    """The same for what is compared: in turns, as the machine is not alike at all times."""
    rounds = [[measure() for measure in measures] for _ in range(count)]
    return [min(measured) for measured in zip(*rounds, strict=True)]


def seconds(call: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


def show(parts: Iterable[Part]) -> None:
    """Prints a table."""
    table = Table("what", "measured", "bound", "", title="bench", title_justify="left")
    for part in parts:
        for one in part.measurements:
            bound = f"≤ {one.most:g}" if one.most is not None else f"≥ {one.least:g}" if one.least is not None else ""
            mark = {True: "[green]ok[/]", False: "[red]missed[/]", None: ""}[one.met]
            table.add_row(one.what, f"{one.value:.3g} {one.unit}", bound, mark + " [yellow]loaded[/]" * part.loaded)
    Console().print(table)
