"""Scores of mutation tests."""

from __future__ import annotations

from tests.mutants.score import score

FOUND = {
    "p.a.x_f__mutmut_1": "killed",
    "p.a.x_f__mutmut_2": "timeout",
    "p.a.xǁCǁm__mutmut_1": "survived",
    "p.b.x_g__mutmut_1": "no tests",
    "p.c.x_h__mutmut_1": "not checked",
}


def test_scores_only_mutants_that_tests_reach() -> None:
    """A timeout counts as noticed; untested and unchecked mutants are not counted."""
    found = score(FOUND)
    assert (found["mutants"], found["killed"], found["timeout"], found["survived"]) == (5, 1, 1, 1)
    assert (found["no_tests"], found["not_checked"], found["score"]) == (1, 1, 66.7)
    assert score({})["score"] is None


def test_lists_modules_without_tests_and_survivors() -> None:
    """Modules without tests and surviving mutants are listed, and each module has its own counts."""
    found = score(FOUND)
    assert found["modules_without_unit_tests"] == ["p.b"]
    assert found["survivors"] == ["p.a.xǁCǁm__mutmut_1"]
    assert found["modules"]["p.a"]["mutants"] == 3
