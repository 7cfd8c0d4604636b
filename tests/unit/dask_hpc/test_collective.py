"""The public module of collectives."""

from __future__ import annotations

import sys

import pytest

from dask_hpc import collective


def test_import_does_not_start_mpi() -> None:
    """The import does not load MPI, as clients outside the MPI job import the module too."""
    assert "Ranks" in collective.__all__
    assert "mpi4py.MPI" not in sys.modules
    with pytest.raises(AttributeError, match="no attribute 'Comm'"):
        collective.Comm  # noqa: B018 (the access is what is tested)
