"""The scheduler file of a dask-mpi cluster."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path

import pytest
from dask import config

from dask_hpc.errors import ClusterError
from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.scheduler_file import Origin
from tests.support.site_commands import Commands

IDENTITY = {"type": "Scheduler", "id": "Scheduler-1", "address": "tls://192.0.2.1:1", "services": {}, "workers": {}}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Publish a complete scheduler file."""
    path = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(path, IDENTITY, Origin(world=8))
    return path


def test_reads_published_file(file: Path) -> None:
    """The file has the scheduler's address, as Dask's own does, and the world's size; no temporary file is left."""
    found = mpi_scheduler_file.read(file)
    assert (found.id, found.address, found.world, found.job) == ("Scheduler-1", "tls://192.0.2.1:1", 8, "")
    assert json.loads(file.read_bytes())["type"] == "Scheduler"
    assert list(file.parent.iterdir()) == [file]


def test_publish_replaces_older_file(file: Path) -> None:
    """An older file of any mode is replaced by a private one."""
    file.chmod(0o644)
    mpi_scheduler_file.publish(file, {**IDENTITY, "id": "Scheduler-2"}, Origin())
    assert mpi_scheduler_file.read(file).id == "Scheduler-2"
    assert mode(file) == 0o600


@pytest.mark.parametrize("content", ["", '{"type": "Scheduler", "id": "Sch', "{}", "[]"])
def test_rejects_truncated_file(tmp_path: Path, content: str) -> None:
    """A truncated file is named, with its size and what to do."""
    file = tmp_path / "scheduler.json"
    file.write_text(content)
    with pytest.raises(ClusterError) as caught:
        mpi_scheduler_file.read(file)
    assert all(word in caught.value.message for word in (str(file), "incomplete", f"{len(content)} bytes", "remove it"))


def test_reports_missing_file(tmp_path: Path) -> None:
    """A missing file is reported: the cluster has not started, or has ended."""
    with pytest.raises(ClusterError, match=r"Scheduler file .*scheduler\.json not found"):
        mpi_scheduler_file.read(tmp_path / "scheduler.json")


def test_rejects_file_of_other_user(tmp_path: Path) -> None:
    """Another user's file is not read: its scheduler could run code as you."""
    file = Path("/etc/passwd")
    if os.getuid() == 0:
        file = tmp_path / "scheduler.json"
        mpi_scheduler_file.publish(file, IDENTITY, Origin())
        os.chown(file, 1000, 1000)
    with pytest.raises(ClusterError, match="not to you"):
        mpi_scheduler_file.read(file)


def test_reports_stale_file(tmp_path: Path) -> None:
    """If nothing listens at the address, the error calls the file stale."""
    file = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(file, {**IDENTITY, "address": "tcp://127.0.0.1:9"}, Origin())
    with pytest.raises(ClusterError) as caught:
        mpi_scheduler_file.connect(file, timeout=0.1)
    assert "is stale" in caught.value.message
    assert "No Dask scheduler answers" in caught.value.message


def test_rejects_other_scheduler_at_same_address(tmp_path: Path) -> None:
    """A scheduler with another id at the same port is recognised and left alone."""
    from distributed import LocalCluster

    file = tmp_path / "scheduler.json"
    with LocalCluster(
        n_workers=0, processes=False, dashboard_address="127.0.0.1:0", protocol="tcp", host="127.0.0.1"
    ) as cluster:
        mpi_scheduler_file.publish(file, {**IDENTITY, "address": cluster.scheduler_address}, Origin())
        with pytest.raises(ClusterError, match="another scheduler"):
            mpi_scheduler_file.connect(file, timeout=60)
        mpi_scheduler_file.publish(file, cluster.scheduler.identity(), Origin())
        with mpi_scheduler_file.connect(file, timeout=60) as client:
            assert client.scheduler_info(n_workers=0)["id"] == cluster.scheduler.id


def test_file_of_ended_job_is_stale(tmp_path: Path, commands: Commands) -> None:
    """The error names the job, its final state and the file's age, without an attempt to connect."""
    file = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(file, IDENTITY, Origin(job="7"))
    os.utime(file, (1e9, 1e9))
    commands["squeue"] = "echo TIMEOUT"
    with pytest.raises(ClusterError) as caught:
        mpi_scheduler_file.read(file)
    date = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1e9))
    assert all(word in caught.value.message for word in (f"{file} of {date} is stale", "job 7", "TIMEOUT"))
    assert " -j 7 " in commands.calls("squeue")[0]


@pytest.mark.parametrize("script", ["echo RUNNING", None])
def test_reads_file_of_job_that_may_run(tmp_path: Path, commands: Commands, script: str | None) -> None:
    """A file is read if its job runs, or if Slurm does not answer."""
    file = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(file, IDENTITY, Origin(job="7"))
    if script:
        commands["squeue"] = script
    assert mpi_scheduler_file.read(file).job == "7"


def test_does_not_ask_slurm_about_file_without_job(file: Path, commands: Commands) -> None:
    """Slurm is not asked about a cluster without a Slurm job, as with mpirun."""
    commands["squeue"] = "echo FAILED"
    assert mpi_scheduler_file.read(file).job == ""
    assert commands.calls("squeue") == []


def test_scheduler_with_tls_requires_credentials(file: Path) -> None:
    """Without credentials, the error says where they belong; Dask's configuration may provide them."""
    with config.set({"distributed.comm.tls.ca-file": None}), pytest.raises(ClusterError) as caught:
        mpi_scheduler_file.connect(file, timeout=1)
    assert str(file.parent / "tls") in caught.value.message
    with config.set({"distributed.comm.tls.ca-file": "/cert.pem"}), pytest.raises(ClusterError, match="is stale"):
        mpi_scheduler_file.connect(file, timeout=0.01)


def test_does_not_publish_workers(tmp_path: Path) -> None:
    """The file does not list the workers, which change and may be many."""
    file = tmp_path / "scheduler.json"
    mpi_scheduler_file.publish(file, {**IDENTITY, "workers": {"tcp://a": {}}}, Origin())
    assert json.loads(file.read_bytes())["workers"] == {}


def test_reports_unreadable_file(tmp_path: Path) -> None:
    """A folder in place of the file is an error."""
    with pytest.raises(ClusterError, match="cannot be read"):
        mpi_scheduler_file.read(tmp_path)
