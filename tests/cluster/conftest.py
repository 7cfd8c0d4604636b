"""What several tests of mini-clusters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slurm_sim import SlurmSim
from tests.support.all_run import all_run
from tests.support.command import new_name

__all__ = ["all_run", "jupyter_sim"]


@pytest.fixture(scope="session")
def jupyter_sim() -> Iterator[SlurmSim]:
    """A mini-cluster with JupyterLab on its login node."""
    with SlurmSim(name=new_name(), nodes=2, jupyter=True) as started:
        yield started
