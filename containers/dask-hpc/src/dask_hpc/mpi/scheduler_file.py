"""The scheduler file: written at once and whole, for its user alone; read with a sharp eye.

Dask's own is written in place with the permissions of any file, and stays when its scheduler is killed: a client then
waits for an address with no scheduler, or with another user's.
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
        job: Slurm's number of the job, or nothing.
        world: how many ranks there are; 0 if that is not known.
        dashboard: the port of Dask's dashboard on the scheduler's node; 0 if there is none.
        node: the scheduler's.
        mpi: the library.
    """

    job: str = ""
    world: int = 0
    dashboard: int = 0
    node: str = ""
    mpi: str = ""


class SchedulerFile(Origin, frozen=True, kw_only=True):
    """The content of a scheduler file, as far as it is read; Dask's own files have no origin.

    Attributes:
        id: the scheduler's, new for each.
        address: where it listens.
    """

    id: str
    address: str


def publish(file: Path, identity: Mapping[str, Any], origin: Origin) -> None:
    """Write a scheduler file: a reader sees all of it or nothing, whatever else may be there.

    Args:
        file: the path; its folder must be there.
        identity: what `distributed.Scheduler.identity` returns.
        origin: the world that it is in.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode({**identity, "workers": {}, **msgspec.to_builtins(origin)}))
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def read(file: Path) -> SchedulerFile:
    """Return what a scheduler file says.

    Raises:
        ClusterError: it is not there, not whole, another user's, or its job has ended.
    """
    content = _content(file)
    try:
        found = msgspec.json.decode(content, type=SchedulerFile)
    except msgspec.MsgspecError as error:
        raise ClusterError(
            f"The scheduler file {file} is not whole.",
            f"{len(content)} bytes: {error}",
            "read it again in a moment; if it stays like this, its writer has died: remove it.",
        ) from error
    _refuse_dead(file, found)
    return found


def _content(file: Path) -> bytes:
    try:
        content = file.read_bytes()
        owner = file.stat().st_uid
    except FileNotFoundError as error:
        raise ClusterError(
            f"There is no scheduler file {file}.", "Its cluster has not started yet, or has ended.", "see squeue."
        ) from error
    except OSError as error:
        raise ClusterError(f"The scheduler file {file} cannot be read.", str(error)) from error
    if owner != os.getuid():
        raise ClusterError(
            f"The scheduler file {file} is of user {owner}, not yours.",
            todo="start a cluster of your own: what a scheduler sends is run in your name.",
        )
    return content


def _refuse_dead(file: Path, found: SchedulerFile) -> None:
    from dask_hpc.slurm.jobs import ended

    state = ""
    with suppress(ClusterError):  # where Slurm cannot be asked, trying to connect has to do
        state = ended(found.job) if found.job else ""
    if state:
        raise _stale(file, f"It is of job {found.job}, which has ended: {state}.")


def connect(file: Path, security: Security | None = None, timeout: float = 30) -> Client:
    """Return a client of the scheduler that the file names, and of no other.

    Args:
        file: the scheduler file.
        security: the credentials, if Dask's configuration does not have them.
        timeout: seconds.

    Raises:
        ClusterError: as `read`; or there is no answer, or another scheduler's.
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
        raise _stale(file, f"At {found.address} there is another scheduler by now, {other}.")
    return client


def _refuse_without_credentials(file: Path, found: SchedulerFile) -> None:
    from dask import config

    if found.address.startswith("tls://") and not config.get("distributed.comm.tls.ca-file", None):
        raise ClusterError(
            f"The scheduler of {file} takes no connection without TLS.",
            f"There are no credentials in {file.parent / 'tls'}, and none in Dask's configuration.",
            "name the file where it was written, or set DASK_CONFIG to the dask.yaml beside it.",
        )


def _stale(file: Path, seen: str) -> ClusterError:
    written = ""
    with suppress(OSError):
        written = time.strftime(" of %Y-%m-%d %H:%M:%S", time.localtime(file.stat().st_mtime))
    return ClusterError(
        f"The scheduler file {file}{written} is stale.", seen, "remove it, and start the cluster again."
    )
