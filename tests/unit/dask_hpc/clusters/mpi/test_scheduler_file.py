"""The private folder of a dask-mpi cluster, and its scheduler file."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from dask_hpc.clusters.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.errors import ClusterError

IDENTITY = {"type": "Scheduler", "id": "Scheduler-1", "address": "tls://192.0.2.1:1", "services": {}, "workers": {}}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A scheduler file that is whole."""
    path = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(path, IDENTITY, {"world": 8})
    return path


def test_what_is_published_is_read(file: Path) -> None:
    """It says where the scheduler is, as Dask's own does, and of which world; beside it nothing is left."""
    found = mpi_scheduler_file.read(file)
    assert (found.id, found.address, found.world, found.job) == ("Scheduler-1", "tls://192.0.2.1:1", 8, "")
    assert json.loads(file.read_bytes())["type"] == "Scheduler"
    assert list(file.parent.iterdir()) == [file]


def test_publishing_replaces_another(file: Path) -> None:
    """What was there before, of whatever mode, is gone at once."""
    file.chmod(0o644)
    mpi_scheduler_file.publish(file, {**IDENTITY, "id": "Scheduler-2"}, {})
    assert mpi_scheduler_file.read(file).id == "Scheduler-2"
    assert mode(file) == 0o600


@pytest.mark.parametrize("content", ["", '{"type": "Scheduler", "id": "Sch', "{}", "[]"])
def test_half_written(tmp_path: Path, content: str) -> None:
    """One that is not whole is named, with what is there and what to do."""
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    with pytest.raises(ClusterError) as caught:
        mpi_scheduler_file.read(file)
    assert all(word in caught.value.message for word in (str(file), "not whole", f"{len(content)} bytes", "remove it"))


def test_not_there(tmp_path: Path) -> None:
    """A cluster that has not started, or has ended, is said to."""
    with pytest.raises(ClusterError, match="There is no scheduler file"):
        mpi_scheduler_file.read(tmp_path / "scheduler.json")


def test_somebody_elses(tmp_path: Path) -> None:
    """Another user's is not read further: whoever runs the scheduler runs what he likes in one's name."""
    file = Path("/etc/passwd")
    if os.getuid() == 0:
        file = tmp_path / "scheduler.json"
        mpi_scheduler_file.publish(file, IDENTITY, {})
        os.chown(file, 1000, 1000)
    with pytest.raises(ClusterError, match="not yours"):
        mpi_scheduler_file.read(file)


def test_nobody_answers(tmp_path: Path) -> None:
    """An address where nobody listens makes the file a stale one, and the error dates it."""
    file = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(file, {**IDENTITY, "address": "tcp://127.0.0.1:9"}, {})
    with pytest.raises(ClusterError) as caught:
        mpi_scheduler_file.connect(file, timeout=0.1)
    assert "is stale" in caught.value.message
    assert "Nobody answers" in caught.value.message


def test_another_scheduler_answers(tmp_path: Path) -> None:
    """A port that another scheduler has by now is noticed by its id, and that one is left alone."""
    from distributed import LocalCluster

    file = tmp_path / "scheduler.json"
    with LocalCluster(
        n_workers=0, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as cluster:
        mpi_scheduler_file.publish(file, {**IDENTITY, "address": cluster.scheduler_address}, {})
        with pytest.raises(ClusterError, match="another scheduler"):
            mpi_scheduler_file.connect(file, timeout=60)
        mpi_scheduler_file.publish(file, cluster.scheduler.identity(), {})
        with mpi_scheduler_file.connect(file, timeout=60) as client:
            assert client.scheduler_info(n_workers=0)["id"] == cluster.scheduler.id
