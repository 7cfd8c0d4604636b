"""Draw a workload's pictures with Bokeh."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, assert_never

from dask_hpc.tutorial.pictures import Bars, Grid, Lines, Picture, Points, Series
from dask_hpc.tutorial.report.figures.style import COLOURS, MARKERS, TEXT, new_figure

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource

    from dask_hpc.tutorial.report.figures.style import Figure

_LABEL_WIDTH = 20  # characters per line of a bar's name
_HEIGHT = 300
_SMALL_HEIGHT = 220


def draw_picture(picture: Picture, *, small: bool = False) -> Figure:
    """Return the figure; `small` is for the overview."""
    match picture:
        case Lines():
            return _lines(picture, small=small)
        case Points():
            return _points(picture, small=small)
        case Bars():
            return _bars(picture)
        case Grid():
            return _grid(picture, small=small)
    assert_never(picture)


def _height(*, small: bool) -> int:
    return _SMALL_HEIGHT if small else _HEIGHT


def _lines(picture: Lines, *, small: bool) -> Figure:
    figure = new_figure(
        _height(small=small),
        x_axis_label=picture.x,
        y_axis_label=picture.y,
        x_axis_type="log" if picture.log_x else "linear",
        y_axis_type="log" if picture.log_y else "linear",
    )
    for number, (name, (x, y)) in enumerate(picture.series.items()):
        xs = _drawable(x, log=picture.log_x)
        ys = _drawable(y, log=picture.log_y)
        look = {"color": COLOURS[number % len(COLOURS)], "legend_label": name}
        figure.line(xs, ys, line_width=2, line_dash="solid" if number < len(COLOURS) else "dashed", **look)
        figure.scatter(xs, ys, size=7, marker=MARKERS[number % len(MARKERS)], **look)
    return _with_legend(figure, picture.series)


def _points(picture: Points, *, small: bool) -> Figure:
    figure = new_figure(_height(small=small), x_axis_label=picture.x, y_axis_label=picture.y)
    many = max((len(x) for x, _ in picture.series.values()), default=0) > 200
    for number, (name, (x, y)) in enumerate(picture.series.items()):
        figure.scatter(
            _drawable(x),
            _drawable(y),
            size=4 if many else 8,
            alpha=0.6,
            line_color=None if many else "white",
            marker=MARKERS[number % len(MARKERS)],
            fill_color=COLOURS[number % len(COLOURS)],
            legend_label=name,
        )
    return _with_legend(figure, picture.series)


def _drawable(values: Sequence[float | None], *, log: bool = False) -> list[float]:
    """Return the values, with NaN for those that the axis cannot show."""
    return [math.nan if value is None or (log and value <= 0) else float(value) for value in values]


def _with_legend(figure: Figure, series: Series) -> Figure:
    """Put the legend below, where it covers nothing; a single series needs none."""
    if not figure.legend:
        return figure
    legend = figure.legend[0]
    if len(series) == 1:
        legend.visible = False
        return figure
    figure.add_layout(legend, "below")
    legend.location = "left"
    legend.label_text_font_size = "12px"
    legend.label_text_color = TEXT
    legend.border_line_color = None
    legend.padding = legend.margin = legend.spacing = 2
    figure.height += 24 * len(series)
    return figure


def _bars(picture: Bars) -> Figure:
    """Draw horizontal bars, whose names stay readable on a narrow page."""
    names = {name: "\n".join(textwrap.wrap(name, _LABEL_WIDTH)) or " " for name in picture.values}
    values = [0.0 if math.isnan(value) else value for value in _drawable(list(picture.values.values()))]
    most = max([0.0, *values])
    least = min([0.0, *values])
    room = (most - least or 1) * 0.42  # for the numbers at the ends, also on the narrow cards of the overview
    figure = new_figure(
        40 + sum(22 + 16 * name.count("\n") for name in names.values()) + 14 * len(names),
        y_range=list(reversed(names.values())),
        x_axis_label=picture.y,
        x_range=(least - (room if least < 0 else 0), most + (room if most > 0 or not least else 0)),
    )
    labels = [_short(value, picture.y) for value in values]
    figure.hbar(y=list(names.values()), left=0, right=values, height=0.6, color=COLOURS[0])
    figure.text(
        x=values,
        y=list(names.values()),
        text=labels,
        x_offset=[5 if value >= 0 else -5 for value in values],
        text_align=["left" if value >= 0 else "right" for value in values],
        text_baseline="middle",
        text_font_size="12px",
        text_color=TEXT,
    )
    figure.ygrid.visible = False
    figure.xaxis.ticker.desired_num_ticks = 4
    if _is_bytes(picture.y):
        figure.xaxis.visible = False
    return figure


def _is_bytes(unit: str) -> bool:
    return unit.lower() == "bytes"


def _short(value: float, unit: str) -> str:
    from dask.utils import format_bytes

    if _is_bytes(unit):
        return str(format_bytes(int(value)))
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _grid(picture: Grid, *, small: bool) -> Figure:
    """Draw a heat map in Cividis, which looks the same to colour-blind readers."""
    from bokeh.models import ColorBar, LinearColorMapper
    from bokeh.palettes import cividis

    rows = [_drawable(row) for row in picture.cells]
    height = len(rows)
    width = max((len(row) for row in rows), default=0)
    finite = [cell for row in rows for cell in row if math.isfinite(cell)]
    low = min(finite, default=0.0)
    high = max(finite, default=0.0)
    figure = new_figure(
        min(max(44 * height + 60, 160), _SMALL_HEIGHT if small else 420),
        x_axis_label=picture.x,
        y_axis_label=picture.y,
        x_range=(-0.5, width - 0.5),
        y_range=(height - 0.5, -0.5),
    )
    mapper = LinearColorMapper(palette=cividis(256), low=low, high=high if high > low else low + 1, nan_color="#FFFFFF")
    figure.rect(
        x="x",
        y="y",
        width=1,
        height=1,
        line_color=None,
        fill_color={"field": "cell", "transform": mapper},
        source=_cells(rows),
    )
    figure.grid.visible = False
    _whole_ticks(figure, width, height)
    if picture.labels:
        _write_labels(figure, picture.labels, rows, middle=(low + high) / 2)
    elif not small:
        figure.add_layout(ColorBar(color_mapper=mapper, width=10, title=None, padding=4), "right")
    return figure


def _cells(rows: Sequence[Sequence[float]]) -> ColumnDataSource:
    from bokeh.models import ColumnDataSource

    cells = [(x, y, cell) for y, row in enumerate(rows) for x, cell in enumerate(row)]
    return ColumnDataSource(
        {"x": [x for x, _, _ in cells], "y": [y for _, y, _ in cells], "cell": [cell for _, _, cell in cells]}
    )


def _whole_ticks(figure: Figure, width: int, height: int) -> None:
    """Place ticks on whole rows and columns only."""
    from bokeh.models import AdaptiveTicker

    for axis, count in ((figure.xaxis, width), (figure.yaxis, height)):
        axis.ticker = AdaptiveTicker(min_interval=1, desired_num_ticks=min(count, 8), num_minor_ticks=0)


def _write_labels(
    figure: Figure, labels: Sequence[Sequence[str]], rows: Sequence[Sequence[float]], *, middle: float
) -> None:
    """Write labels into the cells, light on dark and dark on light."""
    cells = [(x, y, text) for y, row in enumerate(labels) for x, text in enumerate(row)]
    figure.text(
        x=[x for x, _, _ in cells],
        y=[y for _, y, _ in cells],
        text=[text for _, _, text in cells],
        text_color=["#FFFFFF" if rows[y][x] <= middle else "#101010" for x, y, _ in cells],
        text_align="center",
        text_baseline="middle",
        text_font_size="12px",
    )
