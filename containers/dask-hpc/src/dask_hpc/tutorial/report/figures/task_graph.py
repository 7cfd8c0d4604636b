"""Draw a task graph: a circle per task, in the colour that its function has in the task stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dask_hpc.tutorial.report.figures.style import LINE, OTHER, TEXT, new_figure
from dask_hpc.tutorial.report.task_graph import Layout, Node

if TYPE_CHECKING:
    from bokeh.models import ColumnDataSource

    from dask_hpc.tutorial.report.figures.style import Figure

_NARROW = 330  # pixels: a figure's width on the narrowest supported page
_LETTER = 6.4  # pixels: average width of a letter, at 11 px
_LEAST_LETTERS = 6
_ROW = 34  # pixels
_HEIGHTS = (80, 900)


def draw_graph(graph: Layout, colour_of: Mapping[str, str]) -> Figure:
    """Return the figure; `colour_of` maps functions to colours."""
    from bokeh.models import HoverTool

    layers = max((node.layer for node in graph.nodes), default=0) + 1
    half = max(graph.height, 1) / 2
    least, most = _HEIGHTS
    hover = HoverTool(tooltips="@name, needs @needs, needed by @users")
    figure = new_figure(
        min(max(graph.height * _ROW, least), most) + 20,
        x_range=(-0.5, layers - 0.5),
        y_range=(half + 0.1, -half - 0.1),
        tools=[hover],
    )
    figure.axis.visible = figure.grid.visible = False
    _draw_edges(figure, graph)
    circles = figure.scatter(
        x="x",
        y="y",
        size="size",
        fill_color="colour",
        line_color="white",
        line_width=1.5,
        source=_circles(graph, colour_of),
    )
    hover.renderers = [circles]
    letters = int(_NARROW / layers / _LETTER)
    if letters >= _LEAST_LETTERS:
        _write_names(figure, graph.nodes, letters)
    return figure


def _draw_edges(figure: Figure, graph: Layout) -> None:
    """Draw curves that leave and arrive horizontally, so that those of one circle can be told apart."""
    ends = [(graph.nodes[start], graph.nodes[stop]) for start, stop in graph.edges]
    if not ends:
        return
    middle = [(start.layer + stop.layer) / 2 for start, stop in ends]
    figure.bezier(
        x0=[start.layer for start, _ in ends],
        y0=[start.place for start, _ in ends],
        x1=[stop.layer for _, stop in ends],
        y1=[stop.place for _, stop in ends],
        cx0=middle,
        cy0=[start.place for start, _ in ends],
        cx1=middle,
        cy1=[stop.place for _, stop in ends],
        line_color=LINE,
        line_alpha=0.7,
        line_width=1,
    )


def _circles(graph: Layout, colour_of: Mapping[str, str]) -> ColumnDataSource:
    from bokeh.models import ColumnDataSource

    nodes = graph.nodes
    needs = Counter(stop for _, stop in graph.edges)
    users = Counter(start for start, _ in graph.edges)
    return ColumnDataSource(
        {
            "x": [node.layer for node in nodes],
            "y": [node.place for node in nodes],
            "size": [13 if node.count == 1 else 22 for node in nodes],
            "colour": [colour_of.get(node.name, OTHER) for node in nodes],
            "name": [node.name + _times(node) for node in nodes],
            "needs": [needs[number] for number in range(len(nodes))],
            "users": [users[number] for number in range(len(nodes))],
        }
    )


def _times(node: Node) -> str:
    return "" if node.count == 1 else f" × {node.count}"


def _short_name(node: Node, letters: int) -> str:
    room = max(letters - len(_times(node)), 3)
    return (node.name if len(node.name) <= room else f"{node.name[: room - 1]}…") + _times(node)


def _write_names(figure: Figure, nodes: Sequence[Node], letters: int) -> None:
    figure.text(
        x=[node.layer for node in nodes],
        y=[node.place for node in nodes],
        text=[_short_name(node, letters) for node in nodes],
        y_offset=9 if all(node.count == 1 for node in nodes) else 13,
        text_align="center",
        text_baseline="top",
        text_font_size="11px",
        text_color=TEXT,
        background_fill_color="white",
        background_fill_alpha=0.75,
    )
