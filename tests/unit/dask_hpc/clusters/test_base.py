"""Job names, and Dask's log level."""

from __future__ import annotations

import logging

import pytest
from dask import config

from dask_hpc.clusters.base import new_name, quieten


def test_job_names_are_unique(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cluster has its own name, as jobs are cancelled by name."""
    monkeypatch.delenv("DASK_HPC_SESSION", raising=False)
    one, other = new_name(), new_name()
    assert one != other
    assert one.startswith("dask-hpc-")
    assert one.count("-") == 2


def test_job_name_contains_launcher_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher finds the jobs of a killed driver by this part of the name."""
    monkeypatch.setenv("DASK_HPC_SESSION", "abc")
    assert new_name().startswith("dask-hpc-abc-")


@pytest.mark.parametrize(
    ("configured", "level"),
    [
        ({}, logging.WARNING),
        ({"distributed.batched": "warning"}, logging.WARNING),
        ({"distributed": "info"}, logging.INFO),
    ],
    ids=["nothing", "ours", "the user's"],
)
def test_quieten_sets_warning_level(configured: dict[str, str], level: int) -> None:
    """Dask logs warnings and errors only, unless the user's configuration sets a level."""
    logger = logging.getLogger("distributed")
    before = logger.level
    try:
        logger.setLevel(logging.INFO)
        with config.set(logging=configured):
            quieten()
        assert logger.level == level
    finally:
        logger.setLevel(before)
