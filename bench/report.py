"""Measurements, as a table for people and as JSON for programs."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One number, and the bound that it is held against.

    Attributes:
        what: What was measured.
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
        """Whether the bound is kept; `None` where there is none."""
        if self.most is not None:
            return self.value <= self.most
        return None if self.least is None else self.value >= self.least


def best_of(count: int, measure: Callable[[], float]) -> float:
    """The least of some runs: what the machine can do when nothing else disturbs it."""
    return min(measure() for _ in range(count))


def best_of_each(count: int, *measures: Callable[[], float]) -> list[float]:
    """The same for what is compared: in turns, as the machine is not alike at all times."""
    rounds = [[measure() for measure in measures] for _ in range(count)]
    return [min(measured) for measured in zip(*rounds, strict=True)]


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    start = time.monotonic()
    call()
    return time.monotonic() - start


def show(measurements: Iterable[Measurement]) -> None:
    """Prints a table."""
    table = Table("what", "measured", "bound", "", title="bench", title_justify="left")
    for one in measurements:
        bound = f"≤ {one.most:g}" if one.most is not None else f"≥ {one.least:g}" if one.least is not None else ""
        mark = {True: "[green]ok[/]", False: "[red]missed[/]", None: ""}[one.met]
        table.add_row(one.what, f"{one.value:.3g} {one.unit}", bound, mark)
    Console().print(table)


def write(path: Path, measurements: list[Measurement]) -> None:
    """Writes JSON, with what the numbers depend on."""
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}
    taken = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    whole = {"schema": 1, "taken": taken, "machine": machine, "measurements": measurements}
    path.write_bytes(msgspec.json.format(msgspec.json.encode(whole), indent=1))
