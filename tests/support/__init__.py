"""Helpers that tests share, by subject, and programs that run in mini-clusters."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest

from slurm_sim import SlurmSim

SimFor = Callable[[pytest.FixtureRequest], SlurmSim]
"""Type of the fixture `slurm_sim_for`, which returns the mini-cluster for a fixture's request."""


def lacking(what: str) -> NoReturn:
    """Skip a test because this machine lacks something; in CI, which installs everything first, fail."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
