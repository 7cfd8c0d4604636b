"""Pictures of a result, as data: a workload says what is to be seen, and the report draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Bars", "Grid", "Lines", "Picture", "Points"]

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]
"""By name, x and y of every point."""


@dataclass(frozen=True)
class Lines:
    """Curves through points: `x` and `y` are the axes' labels, with units."""

    title: str
    x: str
    y: str
    series: Series
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class Bars:
    """A bar for every name: `y` is the label of the values' axis, with its unit."""

    title: str
    y: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Grid:
    """A heat map: `cells[row][column]`, row 0 on top; `labels`, of the same shape, are written into the cells."""

    title: str
    cells: Sequence[Sequence[float]]
    x: str = ""
    y: str = ""
    labels: Sequence[Sequence[str]] | None = None


@dataclass(frozen=True)
class Points:
    """Points that are not joined: `x` and `y` are the axes' labels, with units; both axes have one scale if equal."""

    title: str
    x: str
    y: str
    series: Series


Picture = Bars | Grid | Lines | Points
