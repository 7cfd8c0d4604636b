"""The state of a cluster that stays, from its folder and from Slurm's answers."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.staying.folder import Address, ClusterFolder, End, new_request
from dask_hpc.clusters.staying.state import ended_because, look
from dask_hpc.slurm import jobs as slurm
from dask_hpc.slurm.jobs import QueuedJob
from tests.support.waiting import until

Known = Callable[..., None]


def job(state: str, reason: str = "None", node: str = "c1") -> QueuedJob:
    """Return the scheduler's job."""
    return QueuedJob(id="7", state=state, reason=reason, node=node)


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ClusterFolder:
    """A cluster that was requested; Slurm knows no job."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(slurm, "jobs", lambda _name: [])
    monkeypatch.setattr(slurm, "accounted", lambda _ids: {})
    created = ClusterFolder("mine")
    created.create(new_request("mine", ClusterOptions(), lifetime=60, idle=30, host=""))
    return created


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    """Let Slurm know these jobs."""
    return lambda *found: monkeypatch.setattr(slurm, "jobs", lambda _name: list(found))


def began(folder: ClusterFolder, pid: int = 1, job: str = "7") -> None:
    """Let the scheduler run."""
    folder.began(Address(scheduler="tls://c1:1", dashboard=("c1", 2), node="c1", pid=pid, job=job, workers="x"))


def test_starts_and_runs(folder: ClusterFolder, known: Known) -> None:
    """Until it has an address, the state says what its job waits for."""
    known(job("PENDING", "Resources", ""))
    assert (look(folder).kind, look(folder).text) == ("starting", "job 7 is PENDING (Resources)")
    known(job("RUNNING"))
    assert look(folder).kind == "starting"
    began(folder)
    assert (look(folder).kind, look(folder).text) == ("running", "job 7 on c1")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("TIMEOUT", "ended: its scheduler, job 7, reached its wall time"),
        ("PREEMPTED", "ended: its scheduler, job 7, was preempted"),
        ("NODE_FAIL", "ended: its scheduler, job 7, lost its node (c1)"),
        ("CANCELLED", "ended: its scheduler, job 7, was cancelled"),
        ("COMPLETED", "ended"),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_slurm_knows_why_it_ended(folder: ClusterFolder, known: Known, state: str, text: str, told: bool) -> None:
    """Whether or not the scheduler could note that it was told to end."""
    began(folder)
    if told:
        folder.ended(End(reason="ended: its scheduler was told to end", by_slurm=True))
    known(job("COMPLETING"))
    assert look(folder).kind == "ending"
    known(job(state))
    assert (look(folder).kind, look(folder).text) == ("ended", text)


def test_slurm_has_forgotten_it(folder: ClusterFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The accounting may still know it; without one, the scheduler's note is what is known."""
    began(folder)
    assert look(folder).text == "ended; Slurm no longer knows its job"
    folder.ended(End(reason="ended: its scheduler was told to end", by_slurm=True))
    assert look(folder).text == "ended: its scheduler was told to end"
    monkeypatch.setattr(slurm, "accounted", lambda ids: {ids[0]: job("TIMEOUT")})
    assert look(folder).text == "ended: its scheduler, job 7, reached its wall time"


def test_own_reason_counts(folder: ClusterFolder, known: Known) -> None:
    """An error that the scheduler has noted is the reason, whatever Slurm says about its job."""
    folder.ended(End(reason="ended with an error", details="sbatch rejected the job."))
    known(job("FAILED", "NonZeroExitCode"))
    error = ended_because(folder)
    assert error.message.splitlines()[:2] == [
        "The Dask cluster 'mine' ended with an error.",
        "sbatch rejected the job.",
    ]
    assert "dask-hpc cluster start mine" in error.message


def test_removed_folder(folder: ClusterFolder) -> None:
    """Nothing is known but that it has ended."""
    folder.remove()
    assert ended_because(folder).message.startswith("The Dask cluster 'mine' has ended.\n")


def test_on_a_login_node(folder: ClusterFolder) -> None:
    """A process of this machine is looked at; one of another machine cannot be."""
    folder.remove()
    here = socket.gethostname()
    folder.create(new_request("mine", ClusterOptions(), lifetime=60, idle=30, host=here))
    assert (look(folder).kind, look(folder).text) == ("starting", f"on {here}")
    with subprocess.Popen([sys.executable, "-c", "input()", "serve"], stdin=subprocess.PIPE) as process:
        began(folder, process.pid, job="")
        until(lambda: look(folder).kind == "running", "its command line")  # the kernel shows it a moment later
        process.communicate(b"\n")
    assert look(folder).text == f"ended: its scheduler, process {process.pid} on {here}, was killed"
    began(folder, os.getpid(), job="")
    assert look(folder).kind == "ended"
    folder.ended(End(reason="ended: its scheduler was told to end", by_slurm=True))
    assert look(folder).text == "ended: its scheduler was told to end"
    folder.remove()
    folder.create(new_request("mine", ClusterOptions(), lifetime=60, idle=30, host="elsewhere"))
    began(folder, job="")
    assert (look(folder).kind, look(folder).text) == ("running", "process 1 on elsewhere")
