"""Locks on this host: only one process at a time changes a mini-cluster."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold a mini-cluster's lock, for which other processes wait. It ends with the process.

    Releasing the lock removes the file. A process that waited for it holds a file that no longer exists, and makes a
    new one.
    """
    _folder().mkdir(mode=0o700, exist_ok=True)
    path = _folder() / f"{name}.lock"
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        while not _is(path, file):
            os.close(file)
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _is(path: Path, file: int) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file).st_ino
    except FileNotFoundError:
        return False


def broken_off(prefix: str) -> list[str]:
    """Return the mini-clusters, by prefix, whose locks or claims were left behind by SIGKILL."""
    return sorted({file.stem for kind in ("lock", "claims") for file in _folder().glob(f"{prefix}*.{kind}")})


def forget(name: str) -> None:
    """Remove the lock and the claims of a mini-cluster that was removed."""
    (_folder() / f"{name}.lock").unlink(missing_ok=True)
    shutil.rmtree(claims_of(name), ignore_errors=True)


def claims_of(name: str) -> Path:
    """Return the folder of the claims on a mini-cluster's nodes."""
    return _folder() / f"{name}.claims"


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"slurm-sim-{os.getuid()}"
