"""Claims on nodes of a shared mini-cluster: files that stay locked while their owners run."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Self

import msgspec

from slurm_sim import _locking

Kind = Literal["waiting", "test", "lasting"]
"""State of a claim: it waits for nodes, has them for one test, or has them for a fixture that outlives a test."""

_OPEN: weakref.WeakSet[Claim] = weakref.WeakSet()


class Entry(msgspec.Struct, frozen=True):
    """The content of a claim: its test run, state and nodes."""

    run: str = ""
    kind: Kind = "waiting"
    nodes: list[str] = []


class Claim:
    """A claim of this process. Its lock ends with the process, so every other process sees a crash."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        _OPEN.add(self)

    @classmethod
    def sole(cls, name: str) -> Self | None:
        """Return this process's claim on a whole mini-cluster, or None if another process has one."""
        path = _locking.claims_of(name) / "sole"
        with _locking.exclusive(path.parent.name):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            return None if _is_held(path) else cls(path)

    def write(self, entry: Entry) -> None:
        """Replace the content of the claim."""
        text = msgspec.json.encode(entry)
        os.ftruncate(self._file, os.pwrite(self._file, text, 0))

    def drop(self) -> None:
        """Release the nodes, which work and run no jobs."""
        self.path.unlink(missing_ok=True)
        self.abandon()

    def abandon(self) -> None:
        """Leave the nodes as a crash would: the next process that finds the claim repairs them."""
        with suppress(OSError):  # already closed
            os.close(self._file)
        self._file = -1


def _close_in_child() -> None:
    """Close a forked child's copies: an open one would let the claim outlive its owner."""
    for claim in list(_OPEN):
        claim.abandon()


os.register_at_fork(after_in_child=_close_in_child)


class Book:
    """All claims on one mini-cluster. Read and change them only inside `locked`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._folder = _locking.claims_of(name)

    @contextmanager
    def locked(self) -> Iterator[Self]:
        """Keep other processes from changing the book."""
        with _locking.exclusive(self._folder.name):
            yield self

    def join(self, run: str) -> Claim:
        """Add a claim, which waits behind all others."""
        with self.locked():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            claim = Claim(self._folder / f"{time.time_ns():020d}-{secrets.token_hex(3)}")
            claim.write(Entry(run))
        return claim

    def living(self) -> dict[Path, Entry]:
        """Return the claims whose owners still run, in order of arrival."""
        return {path: _read(path) for path in self._paths() if _is_held(path)}

    def dead(self) -> dict[Path, Entry]:
        """Return the claims that a crash or a failed test has left behind."""
        return {path: _read(path) for path in self._paths() if not _is_held(path)}

    def _paths(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*-*"))

    @property
    def condemned(self) -> Path:
        """The file that says why the mini-cluster must be replaced."""
        return self._folder / "condemned"


def _is_held(path: Path) -> bool:
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _read(path: Path) -> Entry:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Entry)
    except (FileNotFoundError, msgspec.DecodeError):  # its owner was killed while writing
        return Entry()
