"""The one way in which this program fails for a reason that a person can act on."""

from __future__ import annotations


class ChannelError(Exception):
    """An error with three parts: what failed, what was found, what to do."""

    def __init__(self, what: str, seen: str, todo: str) -> None:
        super().__init__(f"{what}\n  seen:  {seen}\n  to do: {todo}")
