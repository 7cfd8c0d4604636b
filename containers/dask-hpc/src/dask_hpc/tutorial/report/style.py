"""How pages and figures look: dark on white, colours that colour-blind people can tell apart, one size of text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["COLOURS", "DISK", "FAILED", "MARKERS", "OTHER", "PAGE_CSS", "TEXT", "TRANSFER", "colours", "new_figure"]

COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F", "#6A3D9A",
    "#882255", "#44AA99", "#999933", "#332288", "#6699CC", "#661100", "#AA4499",
)  # fmt: skip
"""Okabe and Ito's, then Tol's: without those that are too light on white, or that mean something else here."""
TRANSFER, DISK, OTHER, FAILED = "#D55E00", "#A01A58", "#8A8F98", "#000000"
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "plus")
TEXT, FAINT = "#1F2430", "#D9DCE3"

PAGE_CSS = Path(__file__).with_name("page.css")


def colours(names: list[str]) -> dict[str, str]:
    """Return a colour for each name, in their order; those that come after the last colour share one."""
    return {name: COLOURS[number] if number < len(COLOURS) else OTHER for number, name in enumerate(names)}


def new_figure(height: int, **options: Any) -> Any:
    """Return a Bokeh figure that is as wide as the page lets it be, and does not take the page's scrolling away."""
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
    made.grid.grid_line_color = FAINT
    made.axis.axis_line_color = made.axis.major_tick_line_color = "#8A8F98"
    made.axis.minor_tick_line_color = None
    made.axis.major_label_text_color = made.axis.axis_label_text_color = TEXT
    made.axis.major_label_text_font_size = made.axis.axis_label_text_font_size = "12px"
    made.axis.axis_label_text_font_style = "normal"
    return made
