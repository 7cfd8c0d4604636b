"""Render self-contained pages from `templates/`: styles, figures and Bokeh's script are inline."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

    from dask_hpc.tutorial.report.figures.style import Figure


def render(template: str, figures: Mapping[str, Figure], **context: object) -> str:
    """Return a page.

    Args:
        template: the template's file name.
        figures: Bokeh figures, by the name used in the template; without any, the page has no script.
        context: the template's other variables.
    """
    scripts, places = _embedded(figures) if figures else ("", {})
    return _environment().get_template(template).render(context, figures=places, scripts=scripts)


def _embedded(figures: Mapping[str, Figure]) -> tuple[str, dict[str, str]]:
    """Return the scripts that draw the figures, and the elements that hold them, as HTML."""
    from bokeh.embed import components
    from bokeh.resources import Resources

    # the other components, which no figure here uses, are tables, widgets, WebGL and MathJax
    library = Resources(mode="inline", components=["bokeh"]).render_js()
    script, places = components(dict(figures))
    return library + script, places


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("dask_hpc.tutorial.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["split_code"] = _split_code
    environment.filters["utc"] = _utc
    return environment


def _split_code(text: str) -> list[str]:
    """Split a text at `backticks`; the parts are outside and inside in turn, beginning outside."""
    return re.split(r"`([^`]+)`", text)


def _utc(time: str) -> str:
    """Format an ISO time in UTC, to the second."""
    return f"{time[:19].replace('T', ' ')} UTC"
