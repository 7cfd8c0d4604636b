"""The workload futures-pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from distributed import Client

from dask_hpc.tutorial import Workload
from dask_hpc.tutorial.discovery import load
from workloads import futures_pipeline as script
from workloads.checks.futures_pipeline import Found, compute, drawn_again, held, left_the_workers, measured, memory
from workloads.futures_pipeline import distance, main, pipeline, plain, random_matrix


@pytest.fixture(scope="module")
def workload() -> Workload:
    """Load the workload from its file, as `dask-hpc` does."""
    return load(Path(script.__file__))


def seeds(count: int) -> list[np.random.SeedSequence]:
    return np.random.SeedSequence(1).spawn(count)


@pytest.mark.parametrize(("n", "matrices"), [(1, 1), (2, 3), (40, 5), (64, 8)])
def test_passes_all_checks(two_workers: Client, workload: Workload, n: int, matrices: int) -> None:
    """Any size and number of matrices give NumPy's eigenvalues."""
    outcome = workload.checks.run(two_workers, n=n, matrices=matrices, seed=1, compare=matrices)
    assert [check for check in outcome.checks if not check.ok] == []
    assert outcome.values["largest_eigenvalue"] == pytest.approx(np.abs(plain(n, seeds(matrices))[0]).max(), rel=1e-12)
    assert set(outcome.timings) == {"dask", "numpy"}


def test_script_finds_same_as_its_checks(two_workers: Client, workload: Workload) -> None:
    """The script's `main` gives the eigenvalues that the checks look at, NumPy's, and shows purity."""
    outcome = workload.checks.run(two_workers, n=30, matrices=3, seed=5, compare=3)
    with two_workers.as_current():
        result = main(two_workers, n=30, matrices=3, seed=5, compare=2)
    assert np.abs(result.eigenvalues[0]).max() == pytest.approx(outcome.values["largest_eigenvalue"], rel=1e-12)
    assert len(result.eigenvalues) == 3
    assert result.distance < 1e-10
    assert list(result.purity.values()) == [True, True, True, False]


def test_matrices_stay_on_workers(two_workers: Client, workload: Workload) -> None:
    """Of 16 MB of matrices, less than a tenth reaches the client."""
    outcome = workload.checks.run(two_workers, n=400, matrices=6, seed=2, compare=1)
    assert all(check.ok for check in outcome.checks)
    assert outcome.values["bytes_on_workers"] == 2 * 6 * 8 * 400**2
    assert float(str(outcome.values["bytes_received_by_client"])) < 1.6e6
    assert "numpy" not in outcome.timings  # one of six does not give the time of all


def test_detects_matrix_sent_to_client(two_workers: Client) -> None:
    """Squares that the client gathers appear in the workers' transfer logs."""
    matrices, squares, _ = pipeline(two_workers, 30, seeds(4))
    assert left_the_workers(two_workers, squares)[1] == 0
    two_workers.gather(squares[:3])
    assert left_the_workers(two_workers, squares)[1] == 3
    assert left_the_workers(two_workers, matrices)[1] == 0


def test_distance_ignores_order() -> None:
    """A reordered spectrum has distance 0; a wrong eigenvalue is detected."""
    ours = np.linalg.eigvals(random_matrix(50, seeds(1)[0]))
    assert distance(ours[::-1], ours) == 0
    wrong = ours.copy()
    wrong[7] += 1e-3 * np.abs(ours).max()
    assert distance(wrong, ours) > 1e-4
    assert distance(ours, wrong) > 1e-4


def test_wrong_eigenvalues_fail_check(two_workers: Client) -> None:
    """Eigenvalues of other matrices do not pass."""
    with two_workers.as_current():
        found, _ = compute(two_workers, 20, seeds(2), 2)
    other = Found(found.expected[::-1], found.expected, found.moved, 0, 0, found.timings)
    named = {check.name: check.ok for check in held(other, measured(other, 0, 1))}
    assert named["eigenvalues are NumPy's"] is False


def test_impure_function_needs_pure_false(two_workers: Client) -> None:
    """Two calls of the tutorial's `random_matrix(dim)` give one matrix: unseeded random numbers need pure=False."""
    assert drawn_again(two_workers).ok


def test_estimates_memory() -> None:
    """For eight matrices on two workers, each has four, their squares, one more square, and a copy for eigvals."""
    need = memory(n=5000, matrices=8, compare=1, workers=2, threads=1)
    assert need.worker == 10 * 8 * 5000**2
    assert need.client >= 3 * 8 * 5000**2
    assert memory(n=5000, matrices=8, compare=0, workers=2, threads=1).client == 16 * 5000 * 8
