"""dask-mpi's own test suite in the SIF, whose environment is the image's."""

from __future__ import annotations

import re

import pytest

from slurm_sim import SlurmSim
from tests.support.dask_mpi_suite import LEFT, SUITE

# Their deadlines assume an idle machine: 5 s from mpirun to a scheduler, 10 s to three workers.
pytestmark = [pytest.mark.timeout(400), pytest.mark.alone]


def test_dask_mpi_test_suite_passes(bare: SlurmSim, shared: str) -> None:
    """24 tests pass, the one that needs CUDA is skipped, and no rank is left running."""
    done = bare.exec("apptainer", "exec", shared, *SUITE, check=False, timeout=330)
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b24 passed, 1 skipped\b", done.stdout), done.stdout[-1000:]
    assert re.search(r"^SKIPPED .*dask_cuda", done.stdout, re.MULTILINE), done.stdout[-1000:]
    assert bare.exec("bash", "-c", LEFT, check=False).stdout == ""
