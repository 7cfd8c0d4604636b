"""The error for every failure that the user can fix."""

from __future__ import annotations


class ChannelError(Exception):
    """An error with three parts: what failed, what was found, what to do."""

    def __init__(self, what: str, seen: str, todo: str) -> None:
        super().__init__(f"{what}\n  seen:  {seen}\n  to do: {todo}")
