"""Known mistakes with dask-mpi."""

from __future__ import annotations

from typing import Any

import pytest

from dask_hpc.errors import RequestError
from dask_hpc.mpi.traps import refuse_nanny, refuse_small_world


def test_accepts_defaults_and_worker_class() -> None:
    """dask-mpi's defaults are accepted, and so is its worker class without a nanny."""
    refuse_nanny()
    refuse_nanny(worker_class="distributed.Worker")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nanny": False}, ["--no-nanny", "DeprecationWarning"]),
        ({"nanny": True}, ["not an MPI rank"]),
        ({"worker_class": "distributed.Nanny"}, ["not an MPI rank"]),
    ],
)
def test_rejects_nanny_options(given: dict[str, Any], words: list[str]) -> None:
    """A nanny, or the option that breaks every worker, is rejected, and the error names the option to use."""
    with pytest.raises(RequestError) as caught:
        refuse_nanny(**given)
    assert all(word in caught.value.message for word in [*words, "--worker-class distributed.Worker"])


@pytest.mark.parametrize(("size", "roles"), [(1, 2), (2, 3)])
def test_rejects_too_small_world(size: int, roles: int) -> None:
    """A world without a rank for each role is rejected, and the error says how to request more."""
    with pytest.raises(RequestError) as caught:
        refuse_small_world(size, ["the scheduler", "the workload", "a worker"][-roles:])
    assert f"A world of {size} rank" in caught.value.message
    assert "a worker" in caught.value.message
    assert "srun --mpi=pmix -n" in caught.value.message


def test_accepts_one_rank_per_role() -> None:
    """One rank per role is enough."""
    refuse_small_world(2, ["the scheduler", "a worker"])
