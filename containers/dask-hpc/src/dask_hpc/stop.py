"""Ctrl-C, SIGTERM and a lost connection end a run the way an exception does, so that what it started is undone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stopped", "not_interrupted", "stopping_cleanly"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """A signal asked for the end; the exit status is the shell's, 128 + its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)


def _stop(signum: int, _frame: FrameType | None) -> None:
    raise Stopped(signum)


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Turn the signals that end a run into `Stopped`, in the main thread."""
    with _handlers(_stop):
        yield


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Hold those signals back while something is cleaned up: an impatient second Ctrl-C must not leave jobs."""
    with _handlers(signal.SIG_IGN):
        yield


@contextmanager
def _handlers(handler: signal._HANDLER) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {signum: signal.signal(signum, handler) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, previous in before.items():
            signal.signal(signum, previous)
