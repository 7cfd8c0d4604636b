"""Suites that are not ours, in the SIF: dask-mpi's own tests."""

from __future__ import annotations

import re

import pytest

from slurm_sim import SlurmSim
from slurm_sim.running import docker
from tests.images.test_suites import ALONE, LEFT, SUITE

pytestmark = pytest.mark.timeout(400)


def test_dask_mpis_own(bare: SlurmSim, shared: str) -> None:
    """24 pass and the one that wants CUDA is skipped; no rank is left where they ran."""
    docker("update", *ALONE, bare.container("login"))
    done = bare.exec("apptainer", "exec", shared, *SUITE, check=False, timeout=330)
    docker("update", "--cpu-shares", "1024", bare.container("login"))
    assert done.returncode == 0, done.stdout[-4000:]
    assert re.search(r"\b24 passed, 1 skipped\b", done.stdout), done.stdout[-1000:]
    assert bare.exec("bash", "-c", LEFT, check=False).stdout == ""
