"""The look of figures: dark on white, colours that colour-blind readers can tell apart, one text size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    from bokeh import plotting

    Figure: TypeAlias = plotting.figure

COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#CC79A7",
    "#56B4E9",
    "#8C6D1F",
    "#6A3D9A",
    "#882255",
    "#44AA99",
    "#999933",
    "#332288",
    "#6699CC",
    "#661100",
    "#AA4499",
)
"""Okabe and Ito's, then Tol's, except those that are too light on white or have another meaning here."""

TRANSFER = "#D55E00"
DISK = "#A01A58"
OTHER = "#8A8F98"
FAILED = "#000000"
TEXT = "#1F2430"
LINE = "#8A8F98"
_FAINT = "#D9DCE3"

MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "plus")


def colours(names: Sequence[str]) -> dict[str, str]:
    """Return a colour for each name, in order; names beyond the last colour share one."""
    return {name: COLOURS[number] if number < len(COLOURS) else OTHER for number, name in enumerate(names)}


def new_figure(height: int, **options: object) -> Figure:
    """Return a figure that is as wide as the page, and does not capture scrolling."""
    from bokeh.plotting import figure

    look = {
        "sizing_mode": "stretch_width",
        "min_width": 200,
        "height": height,
        "tools": "",
        "toolbar_location": None,
    }
    made = figure(**look | options)
    made.toolbar.logo = None
    made.background_fill_color = made.border_fill_color = None
    made.outline_line_color = None
    made.grid.grid_line_color = _FAINT
    made.axis.axis_line_color = made.axis.major_tick_line_color = LINE
    made.axis.minor_tick_line_color = None
    made.axis.major_label_text_color = made.axis.axis_label_text_color = TEXT
    made.axis.major_label_text_font_size = made.axis.axis_label_text_font_size = "12px"
    made.axis.axis_label_text_font_style = "normal"
    return made
