"""What unit tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster


@pytest.fixture(scope="session")
def two_workers() -> Iterator[Client]:
    """Two real Dask workers of one thread, in processes of their own that do not have the workloads' files."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@pytest.fixture
def workloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of workloads that is the test's own, and the one that `dask-hpc` uses."""
    folder = tmp_path / "workloads"
    folder.mkdir()
    monkeypatch.setenv("DASK_HPC_WORKLOADS", str(folder))
    return folder
