"""Pieces of a page, as HTML: every text that comes from outside is escaped here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from dask_hpc.tutorial.report.style import PAGE_CSS

__all__ = ["duration", "facts", "figure", "legend", "page", "paragraphs", "table", "text", "verdict", "words"]

_SHORT = 16  # characters of a table's cell that are not spread over lines


def text(content: object) -> str:
    """Return a text, escaped."""
    return escape(str(content))


def words(content: str) -> str:
    """Return a text, escaped, with what stands in `backticks` as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text(content))


def paragraphs(sentences: Iterable[str]) -> str:
    """Return a paragraph for each text that is not empty."""
    return "".join(f"<p>{words(one)}</p>" for one in sentences if one)


def duration(seconds: float) -> str:
    """Return a time with a unit that suits it, and three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"


def verdict(word: str) -> str:
    """Return a badge: 'ok', 'failed', or something else that is neither."""
    kind = word if word in ("ok", "failed") else "none"
    return f'<span class="verdict {kind}">{text(word)}</span>'


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "numbers") -> str:
    """Return a table; one that is wider than the page can be moved in its own frame."""
    head = "".join(f'<th scope="col">{text(one)}</th>' for one in columns)
    body = "".join("<tr>" + "".join(_cell(cell) for cell in row) + "</tr>" for row in rows)
    start = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
    return f'<div class="wide"><table class="{kind}">{start}<tbody>{body}</tbody></table></div>'


def _cell(content: str) -> str:
    mark = ' class="short"' if len(content) <= _SHORT else ""
    return f"<td{mark}>{text(content)}</td>"


def facts(rows: Mapping[str, object]) -> str:
    """Return names and values, those that say nothing left out."""
    said = {name: value for name, value in rows.items() if value not in (None, "", [], {})}
    body = "".join(f'<tr><th scope="row">{text(name)}</th><td>{text(value)}</td></tr>' for name, value in said.items())
    return f'<table class="facts"><tbody>{body}</tbody></table>'


def legend(entries: Iterable[tuple[str, str]]) -> str:
    """Return colours and what they stand for."""
    items = "".join(f'<li><i style="background:{text(colour)}"></i>{text(name)}</li>' for name, colour in entries)
    return f'<ul class="legend">{items}</ul>'


def figure(title: str, drawn: str, description: str = "") -> str:
    """Return a figure with its title; the description is for those who hear the page."""
    label = text(description or title)
    caption = f"<figcaption>{text(title)}</figcaption>" if title else ""
    return f'<figure>{caption}<div role="img" aria-label="{label}">{drawn}</div></figure>'


def page(title: str, body: str, figures: Mapping[str, Any]) -> str:
    """Return the whole page.

    Args:
        title: of the window.
        body: has `{{name}}` where a figure goes.
        figures: Bokeh figures by name; with any, Bokeh's script is put into the page.
    """
    script = ""
    if figures:
        from bokeh.embed import components

        script, places = components(dict(figures))
        for name, place in places.items():
            body = body.replace("{{" + name + "}}", place)
        script = f"<script>{_bokeh()}</script>{script}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{text(title)}</title><style>{PAGE_CSS.read_text(encoding='utf-8')}</style></head>\n<body>{body}\n{script}</body></html>\n"
    )


def _bokeh() -> str:
    """Return Bokeh's script without the parts that no figure here uses: tables, widgets, WebGL and MathJax."""
    import bokeh

    return (Path(bokeh.__file__).parent / "server/static/js/bokeh.min.js").read_text(encoding="utf-8")
