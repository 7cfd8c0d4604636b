"""Helpers that tests share, by subject, and programs that run in mini-clusters."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NoReturn

import pytest

from slurm_sim import SlurmSim

SimFor = Callable[[pytest.FixtureRequest], SlurmSim]
"""The value of the fixture `slurm_sim_for`: the mini-cluster of a place in the tests."""


def lacking(what: str) -> NoReturn:
    """Skip a test for what this machine lacks; in CI, which installs everything first, fail."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)
