"""Names of clusters' jobs, and addresses of dashboards."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
from dask import config

from dask_hpc.clusters.base import dashboard_link, new_name, quieten


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


@pytest.mark.parametrize(("bound", "host"), [("0.0.0.0", "192.0.2.7"), ("127.0.0.1", "127.0.0.1")])
def test_a_dashboards_address_is_where_it_listens(bound: str, host: str) -> None:
    """On all interfaces, the scheduler's own is named; the form is Dask's configuration's."""
    server = SimpleNamespace(address=bound, port=8787)
    cluster = SimpleNamespace(scheduler=SimpleNamespace(http_server=server, ip="192.0.2.7"))
    with config.set({"distributed.dashboard.link": "http://{host}:{port}/status"}):
        assert dashboard_link(cluster) == f"http://{host}:8787/status"


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
