"""Draw a task graph: a circle a task, in the colour that its function has in the task stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dask_hpc.tutorial.report.layers import Drawing, Node
from dask_hpc.tutorial.report.style import OTHER, TEXT, new_figure

__all__ = ["draw_graph"]

_NARROW = 330  # pixels that a figure has at least on the narrowest page that is cared for
_LETTER = 6.4  # pixels of a letter on average, at 11 px
_LEAST_LETTERS = 6


def draw_graph(drawing: Drawing, colours: Mapping[str, str]) -> Any:
    """Return the Bokeh figure; `colours` are the functions'."""
    from bokeh.models import ColumnDataSource, HoverTool

    layers = max((node.layer for node in drawing.nodes), default=0) + 1
    half = max(drawing.height, 1) / 2
    figure = new_figure(
        min(max(drawing.height * 34, 80), 900) + 20, x_range=(-0.5, layers - 0.5), y_range=(half + 0.1, -half - 0.1),
        tools=[hover := HoverTool(tooltips="@name, needs @needs, needed by @users")],
    )  # fmt: skip
    figure.axis.visible = figure.grid.visible = False
    _edges(figure, drawing)
    hover.renderers = [
        figure.scatter(
            x="x", y="y", size="size", fill_color="colour", line_color="white", line_width=1.5,
            source=ColumnDataSource(_columns(drawing, colours)),
        )
    ]  # fmt: skip
    letters = int(_NARROW / layers / _LETTER)
    if letters >= _LEAST_LETTERS:
        _names(figure, drawing.nodes, letters)
    return figure


def _edges(figure: Any, drawing: Drawing) -> None:
    """Curves that leave and arrive level, so that those of one circle can be told apart."""
    ends = [(drawing.nodes[start], drawing.nodes[stop]) for start, stop in drawing.edges]
    if not ends:
        return
    middle = [(start.layer + stop.layer) / 2 for start, stop in ends]
    figure.bezier(
        x0=[start.layer for start, _ in ends], y0=[start.place for start, _ in ends],
        x1=[stop.layer for _, stop in ends], y1=[stop.place for _, stop in ends],
        cx0=middle, cy0=[start.place for start, _ in ends], cx1=middle, cy1=[stop.place for _, stop in ends],
        line_color="#8A8F98", line_alpha=0.7, line_width=1,
    )  # fmt: skip


def _columns(drawing: Drawing, colours: Mapping[str, str]) -> dict[str, list[Any]]:
    nodes = drawing.nodes
    needs, users = [0] * len(nodes), [0] * len(nodes)
    for start, stop in drawing.edges:
        needs[stop] += 1
        users[start] += 1
    return {
        "x": [node.layer for node in nodes],
        "y": [node.place for node in nodes],
        "size": [13 if node.count == 1 else 22 for node in nodes],
        "colour": [colours.get(node.name, OTHER) for node in nodes],
        "name": [_name(node) for node in nodes],
        "needs": needs,
        "users": users,
    }


def _name(node: Node) -> str:
    return node.name if node.count == 1 else f"{node.name} × {node.count}"


def _short(node: Node, letters: int) -> str:
    count = "" if node.count == 1 else f" × {node.count}"
    room = max(letters - len(count), 3)
    return (node.name if len(node.name) <= room else f"{node.name[: room - 1]}…") + count


def _names(figure: Any, nodes: Sequence[Node], letters: int) -> None:
    texts = [_short(node, letters) for node in nodes]
    offset = 9 if all(node.count == 1 for node in nodes) else 13
    figure.text(
        x=[node.layer for node in nodes], y=[node.place for node in nodes], text=texts, y_offset=offset,
        text_align="center", text_baseline="top", text_font_size="11px", text_color=TEXT,
        background_fill_color="white", background_fill_alpha=0.75,
    )  # fmt: skip
