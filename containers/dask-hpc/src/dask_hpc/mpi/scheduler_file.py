"""The scheduler file: written atomically, readable only by its user, and checked when it is read.

Dask's own scheduler file is written in place with default permissions, and remains if the scheduler is killed: a client
then waits at an address without a scheduler, or with another user's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dask_hpc.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client, Security


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The MPI world that the scheduler is in.

    Attributes:
        job: the Slurm job ID; empty without Slurm.
        world: number of ranks; 0 if unknown.
        dashboard: port of the dashboard on the scheduler's node; 0 without a dashboard.
        node: the scheduler's node.
        mpi: the MPI library.
    """

    job: str = ""
    world: int = 0
    dashboard: int = 0
    node: str = ""
    mpi: str = ""


class SchedulerFile(Origin, frozen=True, kw_only=True):
    """The parsed part of a scheduler file; Dask's own files have no origin.

    Attributes:
        id: the scheduler's unique ID.
        address: the scheduler's address.
    """

    id: str
    address: str


def publish(file: Path, identity: Mapping[str, Any], origin: Origin) -> None:
    """Write a scheduler file atomically, replacing any older one.

    Args:
        file: the path; its folder must exist.
        identity: the result of `distributed.Scheduler.identity`.
        origin: the scheduler's MPI world.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode({**identity, "workers": {}, **msgspec.to_builtins(origin)}))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def read(file: Path) -> SchedulerFile:
    """Return the content of a scheduler file.

    Raises:
        ClusterError: it is missing, incomplete or another user's, or its job has ended.
    """
    content = _content(file)
    try:
        found = msgspec.json.decode(content, type=SchedulerFile)
    except msgspec.MsgspecError as error:
        raise ClusterError(
            f"The scheduler file {file} is incomplete.",
            f"{len(content)} bytes: {error}",
            "try again in a moment; if it stays incomplete, its scheduler has died: remove it.",
        ) from error
    _refuse_dead(file, found)
    return found


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        owner = file.stat().st_uid
    except FileNotFoundError as error:
        raise ClusterError(
            f"Scheduler file {file} not found.", "Its cluster has not started yet, or has ended.", "check squeue."
        ) from error
    except OSError as error:
        raise ClusterError(f"The scheduler file {file} cannot be read.", str(error)) from error
    if owner != os.getuid():
        raise ClusterError(
            f"The scheduler file {file} belongs to user {owner}, not to you.",
            todo="start your own cluster: a scheduler can run code as you.",
        )
    return content


def _refuse_dead(file: Path, found: SchedulerFile) -> None:
    from dask_hpc.slurm.jobs import ended

    state = ""
    with suppress(ClusterError):  # without an answer from Slurm, the attempt to connect decides
        state = ended(found.job) if found.job else ""
    if state:
        raise _stale(file, f"It belongs to job {found.job}, which has ended: {state}.")


def connect(file: Path, security: Security | None = None, timeout: float = 30) -> Client:
    """Return a client of exactly the scheduler that the file names.

    Args:
        file: the scheduler file.
        security: the credentials, if Dask's configuration does not have them.
        timeout: seconds.

    Raises:
        ClusterError: as in `read`; or no scheduler answers, or another one.
    """
    from distributed import Client

    found = read(file)
    if security is None:
        _refuse_without_credentials(file, found)
    try:
        client = Client(found.address, security=security, timeout=timeout)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise _stale(file, f"No Dask scheduler answers there: {error}") from error
    if (other := client.scheduler_info(n_workers=0)["id"]) != found.id:
        client.close()
        raise _stale(file, f"{found.address} now belongs to another scheduler, {other}.")
    return client


def _refuse_without_credentials(file: Path, found: SchedulerFile) -> None:
    from dask import config

    if found.address.startswith("tls://") and not config.get("distributed.comm.tls.ca-file", None):
        raise ClusterError(
            f"The scheduler of {file} requires TLS.",
            f"No credentials found in {file.parent / 'tls'} or in Dask's configuration.",
            "name the original file, not a copy, or set DASK_CONFIG to the dask.yaml beside it.",
        )


def _stale(file: Path, seen: str) -> ClusterError:
    written = ""
    with suppress(OSError):
        written = time.strftime(" of %Y-%m-%d %H:%M:%S", time.localtime(file.stat().st_mtime))
    return ClusterError(
        f"The scheduler file {file}{written} is stale.", seen, "remove it, and start the cluster again."
    )
