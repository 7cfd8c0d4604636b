"""Ctrl-C, SIGTERM and a lost connection end a run the way an exception does, so that what it started is undone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Stopped", "handling", "in_main_thread", "not_interrupted", "stopping_cleanly"]

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
    with handling(_stop, *_SIGNALS):
        yield


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Hold those signals back while something is cleaned up: an impatient second Ctrl-C must not leave jobs."""
    with handling(signal.SIG_IGN, *_SIGNALS):
        yield


def in_main_thread() -> bool:
    """Return whether this is the thread that signals interrupt: no other can handle them."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def handling(handler: signal._HANDLER, *signals: signal.Signals) -> Iterator[None]:
    """Handle signals inside, in the main thread; in any other, do nothing."""
    if not in_main_thread():
        yield
        return
    before = {signum: signal.signal(signum, handler) for signum in signals}
    try:
        yield
    finally:
        for signum, previous in before.items():
            signal.signal(signum, previous)
