"""The package's public names, and the cost of importing them."""

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
def test_every_public_name_exists(name: str) -> None:
    """Each public name can be imported and completed."""
    assert getattr(dask_hpc, name).__name__ == name
    assert name in dir(dask_hpc)


@pytest.mark.parametrize("name", ["clusters", "errors", "mpi", "tutorial"])
def test_public_modules_need_no_separate_import(name: str) -> None:
    """`import dask_hpc` is enough for `dask_hpc.mpi.check_world()`."""
    assert python(f"import dask_hpc; print(dask_hpc.{name}.__name__)") == f"dask_hpc.{name}"
    assert importlib.import_module(f"dask_hpc.{name}") is getattr(dask_hpc, name)


def test_unknown_name_raises_attribute_error() -> None:
    """The error names the package and the missing name."""
    with pytest.raises(AttributeError, match="'dask_hpc' has no attribute 'clusterz'"):
        _ = dask_hpc.clusterz  # type: ignore[attr-defined]


def test_import_loads_only_the_named_module() -> None:
    """Every rank of an MPI program imports a part of the package, so the import loads no other part."""
    seen = set(python("import sys, dask_hpc.errors; print(*sys.modules)").split())
    assert not {"dask_hpc.clusters", "dask_hpc.mpi", "distributed", "rich"} & seen
