"""Pictures of a result as data, which the report draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

Number = float | None
"""None or NaN for a missing value."""
Series = Mapping[str, tuple[Sequence[Number], Sequence[Number]]]
"""x and y of every point, by the series' name."""


class Lines(msgspec.Struct, frozen=True, tag="lines", tag_field="kind"):
    """Curves through points: `x` and `y` are the axes' labels, with units."""

    title: str
    x: str
    y: str
    series: Series
    log_x: bool = False
    log_y: bool = False


class Bars(msgspec.Struct, frozen=True, tag="bars", tag_field="kind"):
    """A bar for every name: `y` is the label of the values' axis, with its unit."""

    title: str
    y: str
    values: Mapping[str, Number]


class Grid(msgspec.Struct, frozen=True, tag="grid", tag_field="kind"):
    """A heat map: `cells[row][column]`, row 0 on top; `labels`, of the same shape, are written into the cells."""

    title: str
    cells: Sequence[Sequence[Number]]
    x: str = ""
    y: str = ""
    labels: Sequence[Sequence[str]] | None = None


class Points(msgspec.Struct, frozen=True, tag="points", tag_field="kind"):
    """Unconnected points: `x` and `y` are the axes' labels, with units."""

    title: str
    x: str
    y: str
    series: Series


Picture = Bars | Grid | Lines | Points
