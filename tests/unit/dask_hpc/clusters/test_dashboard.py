"""Addresses of dashboards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from dask import config

from dask_hpc.clusters.dashboard import dashboard_link


@pytest.mark.parametrize(("bound", "host"), [("0.0.0.0", "192.0.2.7"), ("127.0.0.1", "127.0.0.1")])
def test_link_names_listening_address(bound: str, host: str) -> None:
    """The link has the configured form, and names the address that the dashboard listens on, or the scheduler's."""
    server = SimpleNamespace(address=bound, port=8787)
    cluster = SimpleNamespace(scheduler=SimpleNamespace(http_server=server, ip="192.0.2.7"))
    with config.set({"distributed.dashboard.link": "http://{host}:{port}/status"}):
        assert dashboard_link(cluster) == f"http://{host}:8787/status"
