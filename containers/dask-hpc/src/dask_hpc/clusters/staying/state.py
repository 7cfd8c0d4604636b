"""Find out whether a cluster that stays starts, runs or has ended, and why."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Literal

from dask_hpc.clusters.slurm.kept import fate as fates
from dask_hpc.clusters.staying.folder import Address, ClusterFolder, End, Request
from dask_hpc.errors import ClusterError
from dask_hpc.slurm import jobs as slurm
from dask_hpc.slurm.jobs import QueuedJob

_SETTLING = 45.0  # seconds for Slurm to end a job: its KillWait is 30 s by default


@dataclass(frozen=True)
class State:
    """The state of a cluster.

    Attributes:
        kind: the state.
        text: what it waits for, where it runs, or why it ended.
        details: more about its end.
        job: its scheduler's job, if Slurm still knows it.
    """

    kind: Literal["starting", "running", "ending", "ended"]
    text: str
    details: str = ""
    job: QueuedJob | None = None

    @property
    def over(self) -> bool:
        """True if it has ended."""
        return self.kind == "ended"


def look(folder: ClusterFolder) -> State:
    """Return the state of a cluster; asks Slurm at most twice.

    Raises:
        ClusterError: Slurm does not answer.
    """
    request, address, end = folder.request(), folder.address(), folder.end()  # in this order: the last one is decisive
    if end and (not end.by_slurm or request is None or request.host):
        return State("ended", end.reason, end.details)
    if request is None:
        return State("ended", "was never requested")
    if request.host:
        return _on_login_node(request, address)
    found = slurm.jobs(request.scheduler)
    if alive := [job for job in found if job.alive]:
        return _of_job(alive[-1], address)
    if completing := [job for job in found if job.completing]:
        return State("ending", f"job {completing[-1].id}", job=completing[-1])
    return _ended(found, address, end)


def _of_job(job: QueuedJob, address: Address | None) -> State:
    if address:
        return State("running", f"job {job.id} on {job.node or address.node}", job=job)
    why = f" ({job.reason})" if job.reason not in {"", "None"} else ""
    return State("starting", f"job {job.id} is {job.state}{why}", job=job)


def _ended(found: Sequence[QueuedJob], address: Address | None, end: End | None) -> State:
    if not found and address and address.job:
        found = list(slurm.accounted([address.job]).values())
    if not found:
        return State("ended", end.reason if end else "ended; Slurm no longer knows its job")
    job = found[-1]
    if job.state == "COMPLETED":
        return State("ended", "ended", job=job)
    return State("ended", f"ended: its scheduler, job {job.id}, {fates.fate(job).text}", job=job)


def settled(folder: ClusterFolder) -> State:
    """Return the state of a cluster, once it is not just ending."""
    deadline = monotonic() + _SETTLING
    while (state := look(folder)).kind == "ending" and monotonic() < deadline:
        sleep(0.5)  # Slurm sends no notice
    return state


def _on_login_node(request: Request, address: Address | None) -> State:
    here = request.host == socket.gethostname()
    if address is None:
        return State("starting", f"on {request.host}")
    if here and not _serves(address.pid):
        return State("ended", f"ended: its scheduler, process {address.pid} on {request.host}, was killed")
    return State("running", f"process {address.pid} on {request.host}")


def _serves(pid: int) -> bool:
    """Return whether a process of this machine is a scheduler that stays."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"serve" in words and Path(f"/proc/{pid}").stat().st_uid == os.getuid()


def ended_because(folder: ClusterFolder, end: End | None = None) -> ClusterError:
    """Return the error for a client of a cluster that has ended; `end` is what the scheduler has said."""
    name = folder.name
    todo = f"start it again, if you need it: dask-hpc cluster start {name}. Results in its memory are lost."
    if end and not end.by_slurm:
        return ClusterError(f"The Dask cluster {name!r} {end.reason}.", end.details, todo)
    if not folder.exists:
        return ClusterError(f"The Dask cluster {name!r} has ended.", "", todo)
    state = settled(folder)
    if not state.over:
        return ClusterError(
            f"The Dask cluster {name!r} does not answer.",
            f"According to Slurm, it is {state.kind}: {state.text}.",
            f"try again, or see its log: dask-hpc cluster logs {name}",
        )
    return ClusterError(f"The Dask cluster {name!r} {state.text}.", state.details, todo)
