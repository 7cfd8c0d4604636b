"""Suggest the intended word for a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(typed: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return a question that names the nearest of the known words, or `otherwise` if none is near."""
    near = difflib.get_close_matches(typed, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else otherwise
