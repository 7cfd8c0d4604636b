"""Draw pictures in a notebook as in a report."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_hpc.tutorial.pictures import Picture

_HEIGHT = 440  # of a picture, in pixels


class Drawn:
    """A picture that a notebook shows; `page` is a whole HTML page."""

    def __init__(self, title: str, page: str) -> None:
        self._title = title
        self._page = page

    def __repr__(self) -> str:
        return f"<picture: {self._title}>"

    def _repr_html_(self) -> str:
        # in its own frame: its scripts cannot interfere with the notebook, and srcdoc needs no network
        style = f"width: 100%; height: {_HEIGHT}px; border: 0"
        return f'<iframe title="{escape(self._title)}" style="{style}" srcdoc="{escape(self._page)}"></iframe>'


def draw(picture: Picture, *, one_scale: bool = False) -> Drawn:
    """Draw a picture as in a workload's report; `one_scale` gives both axes the same scale."""
    from dask_hpc.tutorial.report.figures.pictures import draw_picture
    from dask_hpc.tutorial.report.render import render

    drawn = draw_picture(picture)
    drawn.match_aspect = one_scale
    return Drawn(picture.title, render("picture.html.j2", {"picture": drawn}, title=picture.title))
