"""The workload hybrid-mpi: its parts that do not need MPI, compared with NumPy."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.checks.hybrid_mpi import (
    held,
    memory,
    power_iteration_in_dask,
    power_iteration_in_numpy,
    report,
    share_of,
)


@given(ranks=st.integers(1, 40), n=st.integers(64, 1000))
def test_shares_cover_every_entry_once(ranks: int, n: int) -> None:
    """The ranks' shares are all entries, once and in order."""
    entries = np.arange(n)
    parts = [entries[share_of(rank, ranks, n)] for rank in range(ranks)]
    assert np.array_equal(np.concatenate(parts), entries)


def test_numpy_power_iteration_finds_eigenvalue() -> None:
    """The reference agrees with LAPACK."""
    matrix = np.random.default_rng(1).random((100, 100))
    norms, vector = power_iteration_in_numpy(matrix, 50)
    assert norms[-1] == pytest.approx(max(abs(np.linalg.eigvals(matrix))), rel=1e-12)
    assert np.allclose(matrix @ vector, norms[-1] * vector)


def test_dask_takes_same_steps_as_numpy() -> None:
    """One Dask graph per step gives the same norms as NumPy."""
    matrix = da.random.default_rng(1).random((90, 90), chunks=40)
    in_numpy, _ = power_iteration_in_numpy(matrix.compute(), 5)
    assert power_iteration_in_dask(matrix, 5) == pytest.approx(in_numpy, rel=1e-12)


def test_memory_is_shared_by_workers() -> None:
    """More workers need less memory each; the client needs the matrix twice."""
    two = memory(n=5000, workers=2)
    eight = memory(n=5000, workers=8)
    assert two.client == eight.client > 2 * 8 * 5000**2
    assert two.worker - eight.worker == 8 * 5000**2 * 3 // 8
    assert eight.worker > 8 * 5000**2 / 8


def results(**changed: Any) -> dict[str, Any]:
    """Return the findings of a good run, with some changed."""
    vector = np.full(4, 0.5)
    whole = {
        "norms": [[3.0, 2.0], [3.0, 2.0]],
        "in_dask": [3.0],
        "expected": ([3.0, 2.0], vector),
        "found": {"residual": 1e-14, "moved": 0, "vector": vector},
    }
    return whole | changed


def test_good_run_passes_all_checks() -> None:
    """Equal numbers pass every check."""
    assert all(check.ok for check in held(**results()))


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"norms": [[3.0, 2.1]] * 2}, "MPI in Dask finds NumPy's eigenvalue"),
        ({"norms": [[3.0, 2.0], [3.0, 2.0000001]]}, "all ranks have the same numbers"),
        ({"in_dask": [3.1]}, "Dask alone takes the same steps"),
        ({"expected": ([3.0, 2.0], np.array([0.5, 0.5, 0.5, 0.6]))}, "MPI in Dask finds NumPy's eigenvector"),
        ({"found": {"residual": 0.1, "moved": 0, "vector": np.full(4, 0.5)}}, "A·v = λ·v, computed by Dask"),
        ({"found": {"residual": 0.0, "moved": 1, "vector": np.full(4, 0.5)}}, "no block has moved"),
    ],
)
def test_wrong_number_fails_its_check(changed: dict[str, Any], name: str) -> None:
    """A wrong number fails its own check and no other."""
    assert [check.name for check in held(**results(**changed)) if not check.ok] == [name]


def test_rejects_vector_with_two_signs() -> None:
    """An eigenvector of another eigenvalue of a positive matrix has both signs."""
    vector = np.array([0.5, 0.5, 0.5, -0.5])
    found = {"residual": 0.0, "moved": 0, "vector": vector}
    failed = [check.name for check in held(**results(found=found, expected=([3.0, 2.0], vector))) if not check.ok]
    assert failed == ["λ is the largest: v has one sign"]


def test_report_has_every_way() -> None:
    """The report has three ways, their times per step, and the cost of entering the collective."""
    timings = {"mpi": 0.2, "mpi_call": 0.3, "dask": 1.0, "numpy": 0.4}
    outcome = report(**results(), timings=timings, graph=SimpleNamespace())
    assert [row[0] for row in outcome.rows] == ["MPI in Dask", "Dask alone", "NumPy, one core"]
    assert outcome.values["mpi_step"] == pytest.approx(0.1)
    assert outcome.values["dask_step"] == pytest.approx(1.0)
    assert outcome.values["entry"] == pytest.approx(0.1)
