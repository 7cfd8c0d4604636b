"""Verdicts."""

from __future__ import annotations

from dask_hpc.doctor.verdict import names


def test_many_names_are_cut_short() -> None:
    """A screen has room for a few nodes."""
    assert names([f"c{number}" for number in range(1, 9)]) == "c1 c2 c3 c4 c5 and 3 more"
