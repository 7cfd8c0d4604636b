"""Fixtures for programs that others wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from slurm_sim import SlurmSim
from tests.support.clients import Client, install


@pytest.fixture(scope="module")
def client(
    slurm_sim_for: Callable[[pytest.FixtureRequest], SlurmSim], request: pytest.FixtureRequest
) -> Iterator[Client]:
    """The program that the module's file is named after, in its own virtual environment."""
    sim = slurm_sim_for(request)
    installed = install(sim, request.path.stem.removeprefix("test_"))
    yield installed
    sim.cancel_all()
    sim.exec("rm", "-rf", installed.folder)
