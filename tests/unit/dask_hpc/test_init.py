"""The package itself: its names, and what their import costs."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import dask_hpc
from tests.support.hpc_command import PACKAGE


def python(code: str) -> str:
    """Return what a new Python prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("name", dask_hpc.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """And is found by completion."""
    assert getattr(dask_hpc, name).__name__ == name
    assert name in dir(dask_hpc)


@pytest.mark.parametrize("name", ["clusters", "errors", "mpi", "tutorial"])
def test_public_modules_need_no_import_of_their_own(name: str) -> None:
    """`import dask_hpc` is enough for `dask_hpc.mpi.check_world()`."""
    assert python(f"import dask_hpc; print(dask_hpc.{name}.__name__)") == f"dask_hpc.{name}"
    assert importlib.import_module(f"dask_hpc.{name}") is getattr(dask_hpc, name)


def test_an_unknown_name_is_an_error_as_of_any_module() -> None:
    """It names the package and what is missing."""
    with pytest.raises(AttributeError, match="'dask_hpc' has no attribute 'clusterz'"):
        _ = dask_hpc.clusterz  # type: ignore[attr-defined]


def test_import_of_a_part_leaves_the_others_alone() -> None:
    """Every rank of an MPI program imports some part of the package."""
    seen = set(python("import sys, dask_hpc.errors; print(*sys.modules)").split())
    assert not {"dask_hpc.clusters", "dask_hpc.mpi", "distributed", "rich"} & seen
