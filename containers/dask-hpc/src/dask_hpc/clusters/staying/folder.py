"""The folder of a cluster that stays: readable only by its user, on the home that all nodes share."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dask_hpc.clusters.base import home
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.errors import ClusterError, RequestError, did_you_mean

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}")
_TAKEN = {"local", "slurm", "mpi"}  # values of --on

T = TypeVar("T")


class Request(msgspec.Struct, kw_only=True):
    """The request for a cluster.

    Attributes:
        jobs: the beginning of its jobs' names, which no other cluster has had.
        options: the options of its worker jobs.
        lifetime: seconds that its scheduler may last.
        idle: seconds without work after which it ends.
        began: the time of the request, in seconds since 1970.
        host: the login node that keeps its scheduler; '' if a job does.
    """

    jobs: str
    options: ClusterOptions
    lifetime: int
    idle: int
    began: float
    host: str = ""

    @property
    def scheduler(self) -> str:
        """The name of the scheduler's job."""
        return f"{self.jobs}-scheduler"


class Address(msgspec.Struct, kw_only=True):
    """Where a scheduler runs.

    Attributes:
        scheduler: its address in Dask.
        dashboard: host and port of its dashboard for the relay.
        node: the name of its machine.
        pid: its process.
        job: its Slurm job; '' on a login node.
        workers: the name of its worker jobs.
    """

    scheduler: str
    dashboard: tuple[str, int]
    node: str
    pid: int
    job: str
    workers: str


class End(msgspec.Struct, kw_only=True):
    """The end of a cluster.

    Attributes:
        reason: completes a sentence that begins with the cluster.
        details: what else is known.
        by_slurm: whether Slurm ended the scheduler, and knows why.
    """

    reason: str
    details: str = ""
    by_slurm: bool = False


@dataclass(frozen=True)
class ClusterFolder:
    """The folder of a cluster of that name."""

    name: str

    @property
    def path(self) -> Path:
        """The folder."""
        return _all() / self.name

    @property
    def logs(self) -> Path:
        """The folder of the worker jobs' logs."""
        return self.path / "logs"

    @property
    def log(self) -> Path:
        """The scheduler's log."""
        return self.path / "scheduler.log"

    @property
    def tls(self) -> Path:
        """The folder of the credentials."""
        return self.path / "tls"

    @property
    def exists(self) -> bool:
        """True if there is a cluster of that name, even one that has ended."""
        return bool(_NAME.fullmatch(self.name)) and self.path.is_dir()

    def create(self, request: Request) -> None:
        """Create the folder.

        Raises:
            FileExistsError: there is one.
            ClusterError: it cannot be written.
        """
        try:
            for folder in (home(), _all()):
                folder.mkdir(mode=0o700, exist_ok=True)
            self.path.mkdir(mode=0o700)
            self.logs.mkdir()
            self._write("request.json", request)
        except FileExistsError:
            raise
        except OSError as error:
            raise ClusterError(f"Cannot write {self.path}.", str(error), "free some space in your home.") from error

    def remove(self) -> None:
        """Remove it, with all that is in it."""
        leaving = self.path.with_name(f".{self.name}-{secrets.token_hex(4)}")
        with suppress(FileNotFoundError):  # another process removes it
            self.path.rename(leaving)  # at once: another process may create one of the same name
            shutil.rmtree(leaving, ignore_errors=True)  # NFS keeps a file while a process has it open

    def request(self) -> Request | None:
        """Return the request; None if the folder has just been created, or is gone."""
        return self._read("request.json", Request)

    def address(self) -> Address | None:
        """Return where the scheduler runs; None before it does."""
        return self._read("address.json", Address)

    def end(self) -> End | None:
        """Return why the cluster has ended; None if it has not, or could not say so."""
        return self._read("end.json", End)

    def began(self, address: Address) -> None:
        """Note where the scheduler runs."""
        self._write("address.json", address)

    def ended(self, end: End) -> None:
        """Note why the cluster has ended."""
        with suppress(OSError):  # the folder is gone
            self._write("end.json", end)

    def _read(self, name: str, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind, dec_hook=_decode)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ClusterError(
                f"Cannot read {self.path / name}.", str(error), f"remove it: dask-hpc cluster stop {self.name}"
            ) from error

    def _write(self, name: str, content: msgspec.Struct) -> None:
        """Write a file at once: readers see all of it or nothing."""
        part = self.path / f".{name}-{secrets.token_hex(4)}"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(content, enc_hook=str))
        part.rename(self.path / name)


def new_request(name: str, options: ClusterOptions, *, lifetime: int, idle: int, host: str) -> Request:
    """Return the request for a new cluster."""
    jobs = f"dask-hpc-{name}-{secrets.token_hex(4)}"
    return Request(jobs=jobs, options=options, lifetime=lifetime, idle=idle, began=time.time(), host=host)


def folders() -> Iterator[ClusterFolder]:
    """Return the folders of all clusters of this user, by name."""
    found = sorted(_all().iterdir()) if _all().is_dir() else []
    return (ClusterFolder(path.name) for path in found if _NAME.fullmatch(path.name) and path.is_dir())


def find(name: str) -> ClusterFolder:
    """Return the folder of a cluster; raise `RequestError` if there is none."""
    folder = ClusterFolder(name)
    if not folder.exists:
        there = [one.name for one in folders()]
        raise RequestError(
            f"There is no Dask cluster {name!r}.",
            f"Yours: {', '.join(there)}" if there else "You have none.",
            did_you_mean(name, there) or f"start it: dask-hpc cluster start {name}",
        )
    return folder


def refuse_name(name: str) -> None:
    """Raise `RequestError` if a cluster cannot have that name."""
    if name in _TAKEN or not _NAME.fullmatch(name):
        raise RequestError(
            f"A Dask cluster cannot be called {name!r}.",
            "--on has another meaning for it." if name in _TAKEN else "",
            "use up to 32 letters, digits, '-' and '_', beginning with a letter or a digit.",
        )


def _all() -> Path:
    return home() / "clusters"


def _decode(kind: type, value: Any) -> Any:
    return kind(value)  # only paths need this
