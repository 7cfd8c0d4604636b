"""Errors with three parts: what failed, what was found, what to do.

::

    click.ClickException
    └── DaskHpcError            exit status 1: the run failed
        ├── ClusterError        the Dask cluster did not start, or was lost
        │   └── CollectiveError     ranks did not start together, or one failed
        ├── ResultsError        the results folder cannot be written
        ├── WorkloadError       a workload's file cannot be loaded
        └── RequestError        exit status 2: an invalid or impossible request
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import click

__all__ = ["ClusterError", "CollectiveError", "DaskHpcError", "RequestError", "ResultsError", "WorkloadError"]


class DaskHpcError(click.ClickException):
    """An error that is shown without a traceback.

    Args:
        what: the failure, in one sentence.
        seen: what was found; may have several lines.
        todo: what to do about it.
    """

    def __init__(self, what: str, seen: str = "", todo: str = "") -> None:
        parts = [what, seen.strip("\n").rstrip(), f"What to do: {todo}" if todo else ""]
        super().__init__("\n".join(part for part in parts if part))


class ClusterError(DaskHpcError):
    """The Dask cluster could not be started, or was lost."""


class CollectiveError(ClusterError):
    """An MPI collective in Dask tasks did not begin, or was stopped; its cause is the rank's own error, if any."""


class ResultsError(DaskHpcError):
    """The results could not be written."""


class WorkloadError(DaskHpcError):
    """A workload's file could not be loaded."""


class RequestError(DaskHpcError):
    """The request exceeds the available resources or contradicts itself."""

    exit_code = 2


def did_you_mean(word: str, choices: Iterable[str], *, prefix: str = "", cutoff: float = 0.6) -> str:
    """Return a suggestion for a mistyped word, or '' if no choice is close.

    Args:
        word: the word as typed.
        choices: the valid words.
        prefix: text before the suggested word, such as an option's name and a space.
        cutoff: the least similarity, from 0 to 1, which means equal.
    """
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=cutoff)
    return f"did you mean {prefix}{near[0]}?" if near else ""
