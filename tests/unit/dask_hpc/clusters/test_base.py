"""Names of jobs, and how much Dask logs."""

from __future__ import annotations

import logging

import pytest
from dask import config

from dask_hpc.clusters.base import new_name, quieten


def test_no_two_clusters_have_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are cancelled by their name."""
    monkeypatch.delenv("DASK_HPC_SESSION", raising=False)
    one, other = new_name(), new_name()
    assert one != other
    assert one.startswith("dask-hpc-")
    assert one.count("-") == 2


def test_a_launchers_session_is_part_of_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The launcher uses the name to find what a killed driver has left."""
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
def test_dask_speaks_up_only_where_something_is_wrong(configured: dict[str, str], level: int) -> None:
    """Unless the user's configuration says otherwise."""
    logger = logging.getLogger("distributed")
    before = logger.level
    try:
        logger.setLevel(logging.INFO)
        with config.set(logging=configured):
            quieten()
        assert logger.level == level
    finally:
        logger.setLevel(before)
