"""The outcome of a check."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "warning", "failure"]


class Verdict(msgspec.Struct, frozen=True):
    """A check's outcome: what was found, and what to do about it."""

    status: Status
    seen: str
    todo: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict with the name and the duration of its check."""

    check: str
    status: Status
    seen: str
    todo: str
    seconds: float


def ok(seen: str) -> Verdict:
    """Return a verdict without problems."""
    return Verdict("ok", seen)


def warning(seen: str, todo: str) -> Verdict:
    """Return a verdict that something will be slower or different from what was intended."""
    return Verdict("warning", seen, todo)


def failure(seen: str, todo: str) -> Verdict:
    """Return a verdict that something will not work."""
    return Verdict("failure", seen, todo)


def names(nodes: list[str], most: int = 5) -> str:
    """Return the names of at most `most` nodes, and the number of others."""
    more = f" and {len(nodes) - most} more" if len(nodes) > most else ""
    return " ".join(nodes[:most]) + more
