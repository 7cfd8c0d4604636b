"""Draw the task stream: a row for every worker thread, from left to right what it did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dask_hpc.tutorial.report.html import duration
from dask_hpc.tutorial.report.stream import ACTIONS, Span, Stream
from dask_hpc.tutorial.report.style import DISK, FAILED, OTHER, TRANSFER, new_figure

__all__ = ["draw_stream", "thinned"]

_MOST = 4000  # rectangles: more only make the page slow
_MOST_NAMED = 40  # rows whose names can be read


def draw_stream(stream: Stream, colours: Mapping[str, str]) -> Any:
    """Return the Bokeh figure; `colours` are the functions'."""
    from bokeh.models import BoxZoomTool, HoverTool, ResetTool

    rows = len(stream.lanes)
    figure = new_figure(
        min(max(rows * 26, 60), 640) + 90, x_axis_label="seconds since the run began", toolbar_location="above",
        x_range=(0, stream.seconds), y_range=(rows - 0.5, -0.5),
        tools=[hover := HoverTool(tooltips=_TOOLTIP), BoxZoomTool(dimensions="width"), ResetTool()],
        active_drag=None,
    )  # fmt: skip
    spans = sorted(thinned(stream)[0], key=lambda span: span.action != "compute")
    computing = figure.quad(
        source=_source(spans, stream.lanes, colours, computing=True), line_color="colour", **_FIELDS
    )
    moving = figure.quad(
        source=_source(spans, stream.lanes, colours, computing=False), line_color="colour",
        hatch_pattern="/", hatch_scale=6, hatch_color="white", hatch_alpha=0.8, fill_alpha=0.9, **_FIELDS,
    )  # fmt: skip
    hover.renderers = [computing, moving]
    figure.ygrid.visible = False
    _name_rows(figure, stream.lanes)
    return figure


_FIELDS = {"left": "left", "right": "right", "top": "top", "bottom": "bottom", "fill_color": "colour"}
_TOOLTIP = "<b>@name</b><br>@what, @took, on @lane"


def _name_rows(figure: Any, lanes: Sequence[str]) -> None:
    from bokeh.models import FixedTicker

    if len(lanes) > _MOST_NAMED:
        figure.yaxis.visible = False
        return
    figure.yaxis.ticker = FixedTicker(ticks=list(range(len(lanes))))
    figure.yaxis.major_label_overrides = dict(enumerate(lanes))


def _source(spans: Iterable[Span], lanes: Sequence[str], colours: Mapping[str, str], *, computing: bool) -> Any:
    from bokeh.models import ColumnDataSource

    mine = [span for span in spans if (span.action == "compute") == computing]
    half = 0.42 if computing else 0.26  # what is not computing is narrower, for those who do not see its colour
    return ColumnDataSource(
        {
            "left": [span.start for span in mine],
            "right": [span.stop for span in mine],
            "top": [span.lane - half for span in mine],
            "bottom": [span.lane + half for span in mine],
            "colour": [_colour(span, colours) for span in mine],
            "name": [span.name if span.tasks == 1 else f"{span.name} × {span.tasks}" for span in mine],
            "what": ["failed" if span.failed else ACTIONS.get(span.action, span.action) for span in mine],
            "took": [duration(span.stop - span.start) for span in mine],
            "lane": [lanes[span.lane] for span in mine],
        }
    )


def _colour(span: Span, colours: Mapping[str, str]) -> str:
    if span.failed:
        return FAILED
    if span.action == "compute":
        return colours.get(span.name, OTHER)
    return {"transfer": TRANSFER, "deserialize": OTHER}.get(span.action, DISK)


def thinned(stream: Stream, most: int = _MOST) -> tuple[list[Span], str]:
    """Return at most `most` spans, and a sentence if those are not all: neighbours of one kind become one."""
    spans = list(stream.spans)
    if len(spans) <= most:
        return spans, ""
    joined = _joined(spans, stream.seconds / 1000)
    kept = sorted(joined, key=lambda span: span.start - span.stop)[:most]
    shorter = f", and the {len(joined) - most} shortest of those are left out" if len(joined) > most else ""
    return kept, f"{len(spans)} bars are more than can be seen: neighbours of one kind are drawn as one{shorter}."


def _kind(span: Span) -> tuple[object, ...]:
    return span.lane, span.action, span.name, span.failed


def _joined(spans: Iterable[Span], gap: float) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.lane, span.action, span.start)):
        last = joined[-1] if joined else None
        if last and _kind(last) == _kind(span) and span.start - last.stop <= gap:
            joined[-1] = replace(last, stop=max(last.stop, span.stop), tasks=last.tasks + span.tasks)
        else:
            joined.append(span)
    return joined
