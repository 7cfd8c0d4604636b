"""Fixtures and settings for unit tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster
from hypothesis import HealthCheck, settings

from tests.support.site_commands import Commands

# Slowness on a busy machine is not a failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def two_workers() -> Iterator[Client]:
    """Start two Dask workers of one thread each, in processes that cannot import the workloads' files."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def workloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make an empty folder of workloads, and point `dask-hpc` to it."""
    folder = tmp_path / "workloads"
    folder.mkdir()
    monkeypatch.setenv("DASK_HPC_WORKLOADS", str(folder))
    return folder


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """Replace Slurm's commands on PATH with scripts of the test."""
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return Commands(tmp_path / "bin")
