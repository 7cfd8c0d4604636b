"""What a run leaves: `result.json`, Dask's performance report, and a folder that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dask_hpc.errors import ResultsError
from dask_hpc.identity import Identity

__all__ = ["SCHEMA", "Check", "ClusterFacts", "Job", "Result", "Store", "Value", "load"]

SCHEMA = 1
Value = int | float | str | bool | None
_ROOM = 4 << 20  # bytes that a run's files need at most; a performance report has 1-2 MB


class Check(msgspec.Struct, frozen=True):
    """Something that must hold, and whether it did."""

    name: str
    ok: bool
    detail: str = ""


class Job(msgspec.Struct, frozen=True):
    """A Slurm job that held workers."""

    id: str
    node: str


class ClusterFacts(msgspec.Struct, frozen=True):
    """The Dask cluster that a run had: threads are Dask's, over all workers."""

    kind: str
    workers: int
    threads: int
    nodes: list[str]
    tls: bool
    jobs: list[Job] = []
    settings: dict[str, Value] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one run; times in seconds, `started` in UTC."""

    schema: int = SCHEMA
    workload: str
    started: str
    ok: bool
    parameters: dict[str, Value]
    values: dict[str, Value]
    timings: dict[str, float]
    checks: list[Check]
    cluster: ClusterFacts
    environment: Identity
    versions: dict[str, str]
    folder: str


def load(file: Path) -> Result:
    """Return a stored result; raises `ResultsError` if the file is none or has another schema."""
    try:
        result = msgspec.json.decode(file.read_bytes(), type=Result)
    except (OSError, msgspec.MsgspecError) as error:
        raise ResultsError(f"{file} is not a result.", str(error)) from error
    if result.schema != SCHEMA:
        raise ResultsError(f"{file} has schema {result.schema}; this dask-hpc reads {SCHEMA}.")
    return result


class Store:
    """The folder of one run. It is filled under a hidden name and renamed when it is complete.

    Args:
        root: the results folder; the run gets `root/<workload>/<UTC time>` and `root/<workload>/latest`.
        workload: the workload's name.

    Raises:
        ResultsError: the folder cannot be written, or there is no room; found out at once, before any work.
    """

    def __init__(self, root: Path, workload: str) -> None:
        self.problem: OSError | None = None
        self.started = datetime.now(UTC)
        stamp = self.started.strftime("%Y-%m-%dT%H-%M-%S.%fZ")
        self.folder = root.absolute() / workload / stamp
        self.partial = self.folder.with_name(f".{stamp}.partial")
        try:
            self.partial.mkdir(parents=True)
            self._probe()
        except OSError as error:
            self.discard()
            raise self._refusal(error) from error

    @property
    def report(self) -> Path:
        """Where Dask's performance report goes."""
        return self.partial / "performance-report.html"

    def take_logs(self, folder: Path | None) -> None:
        """Move the jobs' logs to the results; if that fails, `keep` says so."""
        if folder and folder.is_dir():
            try:
                shutil.move(folder, self.partial / "logs")
            except OSError as error:
                self.problem = error

    def _probe(self) -> None:
        probe = self.partial / "probe"
        with probe.open("wb") as file:
            file.write(bytes(_ROOM))
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()

    def _refusal(self, error: OSError) -> ResultsError:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        return ResultsError(
            f"The results folder {self.folder.parent} is {'full' if full else 'not writable'}.",
            f"{error.strerror or error}" + (f": a run needs {_ROOM >> 20} MiB there" if full else ""),
            "name another one by --results DIR, or make room in it.",
        )

    def keep(self, result: Result) -> None:
        """Write `result.json` and put the folder in place; raises `ResultsError` if that fails."""
        try:
            if self.problem:
                raise self.problem
            self._drop_favicon()
            content = msgspec.json.format(msgspec.json.encode(result), indent=2)
            (self.partial / "result.json").write_bytes(content + b"\n")
            self.partial.rename(self.folder)
            self._point_latest()
        except OSError as error:
            self.discard()
            raise self._refusal(error) from error

    def _drop_favicon(self) -> None:
        # the only thing in Dask's report that would be fetched from the network
        page = self.report.read_text(encoding="utf-8")
        self.report.write_text(re.sub(r'<link rel="shortcut icon"[^>]*>', "", page), encoding="utf-8")

    def _point_latest(self) -> None:
        link = self.folder.with_name(f".{self.folder.name}.link")
        link.symlink_to(self.folder.name)
        link.replace(self.folder.with_name("latest"))

    def discard(self) -> None:
        """Remove what is not complete."""
        shutil.rmtree(self.partial, ignore_errors=True)
