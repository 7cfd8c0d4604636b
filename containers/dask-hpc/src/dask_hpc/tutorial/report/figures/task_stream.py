"""Draw the task stream: a row for every worker thread, with its actions from left to right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dask_hpc.tutorial.report.figures.style import DISK, FAILED, OTHER, TRANSFER, new_figure
from dask_hpc.tutorial.report.task_stream import ACTIONS, Span, Stream, duration

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource

    from dask_hpc.tutorial.report.figures.style import Figure

_MOST = 4000  # rectangles: more only make the page slow
_MOST_NAMED = 40  # rows: with more, their names are unreadable
_EDGES = {"left": "left", "right": "right", "top": "top", "bottom": "bottom"}
_COLOUR = {"fill_color": "colour", "line_color": "colour"}


def draw_stream(stream: Stream, colour_of: Mapping[str, str]) -> Figure:
    """Return the figure; `colour_of` maps functions to colours."""
    from bokeh.models import BoxZoomTool, HoverTool, ResetTool

    rows = len(stream.lanes)
    hover = HoverTool(tooltips="<b>@name</b><br>@what, @took, on @lane")
    figure = new_figure(
        min(max(rows * 26, 60), 640) + 90,
        x_axis_label="seconds since the run began",
        toolbar_location="above",
        x_range=(0, stream.seconds),
        y_range=(rows - 0.5, -0.5),
        tools=[hover, BoxZoomTool(dimensions="width"), ResetTool()],
        active_drag=None,
    )
    spans = thinned(stream)[0]
    # bars of other actions are narrower, for readers who cannot see the colours
    computing = _bars([span for span in spans if span.action == "compute"], stream.lanes, colour_of, half=0.42)
    moving = _bars([span for span in spans if span.action != "compute"], stream.lanes, colour_of, half=0.26)
    hatch = {"hatch_pattern": "/", "hatch_scale": 6, "hatch_color": "white", "hatch_alpha": 0.8}
    hover.renderers = [
        figure.quad(source=computing, **_EDGES, **_COLOUR),
        figure.quad(source=moving, **_EDGES, **_COLOUR, **hatch, fill_alpha=0.9),
    ]
    figure.ygrid.visible = False
    _name_rows(figure, stream.lanes)
    return figure


def _name_rows(figure: Figure, lanes: Sequence[str]) -> None:
    from bokeh.models import FixedTicker

    if len(lanes) > _MOST_NAMED:
        figure.yaxis.visible = False
        return
    figure.yaxis.ticker = FixedTicker(ticks=list(range(len(lanes))))
    figure.yaxis.major_label_overrides = dict(enumerate(lanes))


def _bars(
    spans: Sequence[Span], lanes: Sequence[str], colour_of: Mapping[str, str], *, half: float
) -> ColumnDataSource:
    """Return bars that reach `half` of a row above and below their lane."""
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(
        {
            "left": [span.start for span in spans],
            "right": [span.stop for span in spans],
            "top": [span.lane - half for span in spans],
            "bottom": [span.lane + half for span in spans],
            "colour": [_colour(span, colour_of) for span in spans],
            "name": [span.name if span.tasks == 1 else f"{span.name} × {span.tasks}" for span in spans],
            "what": ["failed" if span.failed else ACTIONS.get(span.action, span.action) for span in spans],
            "took": [duration(span.stop - span.start) for span in spans],
            "lane": [lanes[span.lane] for span in spans],
        }
    )


def _colour(span: Span, colour_of: Mapping[str, str]) -> str:
    if span.failed:
        return FAILED
    if span.action == "compute":
        return colour_of.get(span.name, OTHER)
    return {"transfer": TRANSFER, "deserialize": OTHER}.get(span.action, DISK)


def thinned(stream: Stream, most: int = _MOST) -> tuple[list[Span], str]:
    """Return at most `most` spans, with neighbours of one kind merged, and a sentence if that changed anything."""
    spans = list(stream.spans)
    if len(spans) <= most:
        return spans, ""
    joined = _joined(spans, stream.seconds / 1000)
    kept = sorted(joined, key=lambda span: span.start - span.stop)[:most]
    shorter = f", and the {len(joined) - most} shortest are left out" if len(joined) > most else ""
    return kept, f"{len(spans)} bars are too many to show: neighbours of one kind are merged{shorter}."


def _joined(spans: Iterable[Span], gap: float) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.lane, span.action, span.start)):
        last = joined[-1] if joined else None
        if last and _kind(last) == _kind(span) and span.start - last.stop <= gap:
            joined[-1] = replace(last, stop=max(last.stop, span.stop), tasks=last.tasks + span.tasks)
        else:
            joined.append(span)
    return joined


def _kind(span: Span) -> tuple[int, str, str, bool]:
    return span.lane, span.action, span.name, span.failed
