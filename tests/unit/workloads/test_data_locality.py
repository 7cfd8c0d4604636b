"""The workload data-locality."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

from dask_hpc.tutorial import Traffic, Workload
from dask_hpc.tutorial.discovery import load
from workloads import data_locality as locality

BYTES = 8 * 1200**2  # of a matrix that Dask warns of


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(locality.__file__))


@pytest.mark.parametrize("n", [1, 300, 1200])
def test_passes_all_checks(two_workers: Client, workload: Workload, n: int) -> None:
    """All checks pass below and above the size that Dask warns about."""
    outcome = workload.run(two_workers, n=n, seed=3)
    assert [check for check in outcome.checks if not check.ok] == []
    warned = {name for name in locality.WAYS if outcome.values[f"{name}: warns"]}
    assert warned == (set(locality.LOCAL) if n == 1200 else set())
    assert outcome.graph is not None


def test_every_way_gives_same_numbers(two_workers: Client) -> None:
    """Every way gives c·tr(M), to the last digits."""
    matrix = locality.random_matrix(100, 5)
    for way in locality.WAYS.values():
        with two_workers.as_current():
            numbers = list(way(two_workers, matrix, 5))
        assert numbers == pytest.approx([c * matrix.trace() for c in locality.FACTORS], rel=1e-12)


def ideal() -> dict[str, locality.Way]:
    """Return the findings of a good run."""
    sent = dict.fromkeys(locality.LOCAL, 2 * BYTES) | dict.fromkeys(locality.SCATTERED, BYTES + 1000)
    return {
        name: locality.Way([0.5, 1.0, 2.0], name in locality.LOCAL, Traffic(sent.get(name, 1000), 0, 0), 0.1)
        for name in locality.WAYS
    }


def failed(found: dict[str, locality.Way]) -> list[str]:
    return [check.name for check in locality.checks(found, [0.5, 1.0, 2.0], BYTES) if not check.ok]


def test_checks_detect_faults() -> None:
    """A missing or extra warning, a wrong number, and bytes that should not have moved each fail one check."""
    assert failed(ideal()) == []
    bad = locality.LOCAL[0]
    made = locality.MADE
    scattered = locality.SCATTERED[1]
    cases = [
        (bad, {"warned": False}, "warns"),
        (made, {"warned": True}, "warns"),
        (made, {"numbers": [0.5, 1.0, 2.1]}, "NumPy's"),
        (made, {"moved": Traffic(BYTES, 0, 0)}, "not sent"),
        (scattered, {"moved": Traffic(3 * BYTES, 0, 0)}, "once"),
        (bad, {"moved": Traffic(1000, 0, 0)}, "every graph"),
    ]
    for name, change, words in cases:
        (only,) = failed(ideal() | {name: replace(ideal()[name], **change)})  # type: ignore[arg-type]
        assert words in only
