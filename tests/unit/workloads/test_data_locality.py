"""The workload data-locality."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client

from dask_hpc.tutorial import Traffic, Workload
from dask_hpc.tutorial.discovery import load
from workloads import data_locality as script
from workloads.checks.data_locality import LOCAL, MADE, SCATTERED, held
from workloads.data_locality import FACTORS, WAYS, Way, main, random_matrix

BYTES = 8 * 1200**2  # of a matrix that Dask warns about


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(script.__file__))


@pytest.mark.parametrize("n", [1, 300, 1200])
def test_passes_all_checks(two_workers: Client, workload: Workload, n: int) -> None:
    """All checks pass below and above the size that Dask warns about."""
    outcome = workload.checks.run(two_workers, n=n, seed=3)
    assert [check for check in outcome.checks if not check.ok] == []
    warned = {name for name in WAYS if outcome.values[f"{name}: warns"]}
    assert warned == (set(LOCAL) if n == 1200 else set())
    assert outcome.graph is not None


def test_every_way_gives_same_numbers(two_workers: Client) -> None:
    """Every way gives c·tr(M), to the last digits."""
    matrix = random_matrix(100, 5)
    for way in WAYS.values():
        with two_workers.as_current():
            numbers = list(way(two_workers, matrix, 5))
        assert numbers == pytest.approx([c * matrix.trace() for c in FACTORS], rel=1e-12)


def test_script_finds_same_as_its_checks(two_workers: Client, workload: Workload) -> None:
    """The script's `main` gives the numbers and the warnings that the checks look at."""
    outcome = workload.checks.run(two_workers, n=1200, seed=6)
    with two_workers.as_current():
        found = main(two_workers, n=1200, seed=6)
    assert list(found) == list(WAYS)
    assert {name for name, way in found.items() if way.warned} == set(LOCAL)
    assert found[MADE].numbers[1] == outcome.values["trace"]


Findings = tuple[dict[str, Way], dict[str, Traffic]]


def ideal() -> Findings:
    """Return the findings of a good run."""
    found = {name: Way([0.5, 1.0, 2.0], name in LOCAL, 0.1) for name in WAYS}
    sent = dict.fromkeys(LOCAL, 2 * BYTES) | dict.fromkeys(SCATTERED, BYTES + 1000)
    return found, {name: Traffic(sent.get(name, 1000), 0, 0) for name in WAYS}


def failed(findings: Findings) -> list[str]:
    return [check.name for check in held(*findings, [0.5, 1.0, 2.0], BYTES) if not check.ok]


def test_checks_detect_faults() -> None:
    """A missing or extra warning, a wrong number, and bytes that should not have moved each fail one check."""
    found, moved = ideal()
    assert failed((found, moved)) == []
    bad = LOCAL[0]
    cases = [
        (({bad: replace(found[bad], warned=False)}, {}), "warns"),
        (({MADE: replace(found[MADE], warned=True)}, {}), "warns"),
        (({MADE: replace(found[MADE], numbers=[0.5, 1.0, 2.1])}, {}), "NumPy's"),
        (({}, {MADE: Traffic(BYTES, 0, 0)}), "not sent"),
        (({}, {SCATTERED[1]: Traffic(3 * BYTES, 0, 0)}), "once"),
        (({}, {bad: Traffic(1000, 0, 0)}), "every graph"),
    ]
    for (ways, traffic), words in cases:
        (only,) = failed((found | ways, moved | traffic))
        assert words in only
