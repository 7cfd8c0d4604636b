"""Messages of errors."""

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
def test_message_omits_empty_parts(seen: str, todo: str, message: str) -> None:
    """An error has a line for each of its parts, and none for an empty part."""
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
def test_suggests_closest_choice(word: str, cutoff: float, question: str) -> None:
    """A choice that is close enough is suggested as it is typed; otherwise the suggestion is empty."""
    assert did_you_mean(word, ["gpu", "batch"], prefix="--partition ", cutoff=cutoff) == question
