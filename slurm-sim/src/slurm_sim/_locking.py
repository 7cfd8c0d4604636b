"""One change of a mini-cluster at a time, whoever asks for it on this host; and some to their end."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from slurm_sim._signals import INTERRUPTS, handling, in_main_thread


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Hold a mini-cluster's lock; another process that asks for it meanwhile waits. It ends with the process.

    The file goes when the lock is released; a process that waited for it has a file that is none any more, and makes
    another.
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
    """Return the names that begin with `prefix` of which SIGKILL has left a lock, or claims."""
    return sorted({file.stem for kind in ("lock", "claims") for file in _folder().glob(f"{prefix}*.{kind}")})


def forget(name: str) -> None:
    """Remove the lock and the claims of a mini-cluster that is gone for good."""
    (_folder() / f"{name}.lock").unlink(missing_ok=True)
    shutil.rmtree(claims_of(name), ignore_errors=True)


def claims_of(name: str) -> Path:
    """Return the folder of the claims on a mini-cluster's nodes."""
    return _folder() / f"{name}.claims"


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"slurm-sim-{os.getuid()}"


@contextmanager
def deferred() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM come a moment later, when what is done inside is done."""
    if not in_main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda one, _frame: came.append(one)) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for one in came[:1]:
            signal.raise_signal(one)


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM through and ignore those that follow, for what cleans up when it is interrupted.

    `uninterrupted` alone leaves a moment for a second Ctrl-C, between the first and the cleaning up.
    """
    if not in_main_thread():
        yield
        return
    # what is ignored, or ends the process at once, goes on to do so
    before = {number: handler for number in INTERRUPTS if callable(handler := signal.getsignal(number))}

    def first(number: int, frame: FrameType | None) -> None:
        before[signal.Signals(number)](number, frame)

    with handling(first, *before):
        yield


def ignore_interrupts() -> None:
    """Ignore Ctrl-C and SIGTERM from now on, in a process that has done its work and is about to end."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignores Ctrl-C and SIGTERM meanwhile (in the main thread, which alone gets them): cleaning up is stopping."""
    if not in_main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
