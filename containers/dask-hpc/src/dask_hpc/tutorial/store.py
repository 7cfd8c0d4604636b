"""Store a run's files in a folder that appears only when it is complete."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from dask_hpc.errors import ResultsError
from dask_hpc.tutorial.results import Result

_ROOM = 8 << 20  # upper limit for a run's files, in bytes; a report has 1-2 MB, and so has Dask's own


class Store:
    """The folder of one run, filled under a hidden name and renamed when complete.

    Args:
        root: the results folder; the run's are `root/<workload>/<UTC time>` and the link `root/<workload>/latest`.
        workload: the workload's name.

    Raises:
        ResultsError: the folder is not writable or full; raised before any work is done.
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
    def latest(self) -> Path:
        """The link to the last complete run's folder."""
        return self.folder.with_name("latest")

    def add(self, name: str, write: Callable[[Path], object]) -> None:
        """Let `write` create a file of that name; if the disk fails, `keep` reports it, and the result is not lost."""
        try:
            write(self.partial / name)
        except OSError as error:
            self.problem = error

    def take_logs(self, folder: Path | None) -> None:
        """Move the jobs' logs to the results; if that fails, `keep` reports it."""
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
            "choose another one with --results DIR, or free space in it.",
        )

    def keep(self, result: Result) -> None:
        """Write `result.json` and put the folder in place; raise `ResultsError` if that fails."""
        try:
            if self.problem:
                raise self.problem
            content = msgspec.json.format(msgspec.json.encode(result), indent=2)
            (self.partial / "result.json").write_bytes(content + b"\n")
            self.partial.rename(self.folder)
            self._point_latest()
        except OSError as error:
            self.discard()
            raise self._refusal(error) from error

    def _point_latest(self) -> None:
        link = self.folder.with_name(f".{self.folder.name}.link")
        link.symlink_to(self.folder.name)
        link.replace(self.latest)

    def discard(self) -> None:
        """Remove the incomplete folder."""
        shutil.rmtree(self.partial, ignore_errors=True)


def shown(path: str | Path) -> str:
    """Return a path for messages: relative if below the working directory, as `--get results` copies it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except (ValueError, FileNotFoundError):
        return str(path)
