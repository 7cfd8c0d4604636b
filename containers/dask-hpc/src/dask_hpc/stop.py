"""Ctrl-C, SIGTERM and a lost connection end a run the way an exception does, so that what it started is undone."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
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
    """Handle signals inside, in the main thread; in any other, do nothing.

    What the handler raises comes out of the main thread, even if the signal comes at a moment at which Python drops
    every exception: while it runs a finalizer, or the callback of a weak reference.
    """
    if not in_main_thread():
        yield
        return
    raised: dict[int, BaseException] = {}
    drop = sys.unraisablehook

    def handle(signum: int, frame: FrameType | None) -> None:
        try:
            if callable(handler):
                handler(signum, frame)
        except BaseException as error:
            raised[signum] = error
            raise

    def raise_again(dropped: sys.UnraisableHookArgs) -> None:
        signum = next((signum for signum, error in raised.items() if error is dropped.exc_value), None)
        if signum is None:
            drop(dropped)
        else:  # the bare function: threading's locks may be held by what was interrupted
            _thread.start_new_thread(send_again, (signum,))

    def send_again(signum: int) -> None:
        time.sleep(0.01)  # nothing tells when the callback has ended; if it has not, this happens again
        if signal.getsignal(signum) is handle:
            signal.pthread_kill(threading.main_thread().ident or 0, signum)

    before = {signum: signal.signal(signum, handle if callable(handler) else handler) for signum in signals}
    sys.unraisablehook = raise_again
    try:
        yield
    finally:
        sys.unraisablehook = drop
        for signum, previous in before.items():
            signal.signal(signum, previous)
