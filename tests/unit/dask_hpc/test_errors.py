"""Errors, as a person sees them."""

from __future__ import annotations

import pytest

from dask_hpc.errors import DaskHpcError, did_you_mean


@pytest.mark.parametrize(
    ("seen", "todo", "message"),
    [
        ("", "", "It failed."),
        ("Found: x\n", "", "It failed.\nFound: x"),
        ("", "try again.", "It failed.\nWhat to do: try again."),
        ("Found: x", "try again.", "It failed.\nFound: x\nWhat to do: try again."),
    ],
)
def test_message_has_the_parts_that_there_are(seen: str, todo: str, message: str) -> None:
    """What failed, what was seen, what to do: a line each."""
    assert DaskHpcError("It failed.", seen, todo).message == message


@pytest.mark.parametrize(
    ("word", "cutoff", "question"),
    [
        ("bacth", 0.6, "did you mean --partition batch?"),
        ("gpus", 0.6, "did you mean --partition gpu?"),
        ("xyz", 0.6, ""),
        ("chat", 0.6, ""),
        ("chat", 0.4, "did you mean --partition batch?"),
        ("", 0.6, ""),
    ],
)
def test_names_what_was_probably_meant(word: str, cutoff: float, question: str) -> None:
    """One that is near enough, in the form in which it is typed; else nothing."""
    assert did_you_mean(word, ["gpu", "batch"], prefix="--partition ", cutoff=cutoff) == question
