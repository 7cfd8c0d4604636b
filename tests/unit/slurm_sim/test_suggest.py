"""Suggestions for mistyped words."""

from __future__ import annotations

import pytest

from slurm_sim._suggest import did_you_mean


@pytest.mark.parametrize(
    ("typed", "said"), [("statsu", "did you mean 'status'?"), ("banana", "otherwise"), ("", "otherwise")]
)
def test_suggests_nearest_word(typed: str, said: str) -> None:
    """A mistyped word gets a suggestion; any other word gets the alternative text."""
    assert did_you_mean(typed, {"status": 1, "up": 2}, "otherwise") == said
