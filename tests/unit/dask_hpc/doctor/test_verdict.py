"""Verdicts."""

from __future__ import annotations

from dask_hpc.doctor.verdict import names


def test_shortens_long_list_of_nodes() -> None:
    """Only the first five nodes are listed."""
    assert names([f"c{number}" for number in range(1, 9)]) == "c1 c2 c3 c4 c5 and 3 more"
