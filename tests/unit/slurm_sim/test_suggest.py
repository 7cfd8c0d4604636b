"""What a word was probably meant to be."""

from __future__ import annotations

import pytest

from slurm_sim._suggest import did_you_mean


@pytest.mark.parametrize(
    ("typed", "said"), [("statsu", "did you mean 'status'?"), ("banana", "otherwise"), ("", "otherwise")]
)
def test_names_the_nearest_word(typed: str, said: str) -> None:
    """A near miss is recognised; for anything else there is no guess."""
    assert did_you_mean(typed, {"status": 1, "up": 2}, "otherwise") == said
