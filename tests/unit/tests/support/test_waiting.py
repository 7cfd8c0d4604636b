"""Wait for conditions in tests."""

from __future__ import annotations

import pytest

from tests.support.waiting import until


def test_returns_condition_once_it_holds() -> None:
    """The condition is evaluated until it is true, and its value is returned."""
    answers = iter([0, "", None, "found"])
    assert until(lambda: next(answers), "the answer") == "found"


def test_timeout_names_what_did_not_happen() -> None:
    """The error names the condition that the test waited for."""
    with pytest.raises(AssertionError, match="the answer did not happen within 0 s"):
        until(lambda: False, "the answer", timeout=0)
