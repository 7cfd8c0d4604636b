"""Errors for people: what failed, what was found, what to do.

::

    click.ClickException
    └── DaskHpcError            exit status 1: the run failed
        ├── ClusterError        no Dask cluster, or it went away
        │   └── CollectiveError     ranks did not come together, or one failed
        ├── ResultsError        the results folder cannot be written
        ├── WorkloadError       a workload's file cannot be used
        └── RequestError        exit status 2: asked for what cannot be had
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
        seen: what was observed; may have several lines.
        todo: what to do about it.
    """

    def __init__(self, what: str, seen: str = "", todo: str = "") -> None:
        parts = [what, seen.strip(), f"What to do: {todo}" if todo else ""]
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
    """Return the question that names what was probably meant by a mistyped word, or nothing if no choice is near.

    Args:
        word: what was typed.
        choices: what there is.
        prefix: what stands before a choice where it is typed, such as an option's name and a blank.
        cutoff: how near a choice must be: 1 is the same word.
    """
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=cutoff)
    return f"did you mean {prefix}{near[0]}?" if near else ""
