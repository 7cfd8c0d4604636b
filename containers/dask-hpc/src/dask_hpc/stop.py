"""Ctrl-C, SIGTERM and a lost connection end a run the way an exception does, so that what it started is undone."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
import weakref
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

    What the handler raises (of a class made in Python) comes out of the main thread, even if the signal comes at a
    moment at which it would be lost: Python drops every exception in a finalizer and in the callback of a weak
    reference, and so do some extensions, as those of NumPy while they are imported. An exception that has been
    dropped exists no more: then the signal is sent again.
    """
    if not in_main_thread():
        yield
        return
    raised: dict[int, weakref.ref[BaseException]] = {}
    show = sys.unraisablehook

    def handle(signum: int, frame: FrameType | None) -> None:
        try:
            if callable(handler):
                handler(signum, frame)
        except BaseException as error:
            # the bare function: what was interrupted may hold threading's locks
            raised[signum] = weakref.ref(error, lambda _: _thread.start_new_thread(send_again, (signum,)))
            raise

    def send_again(signum: int) -> None:
        time.sleep(0.01)  # nothing tells when that moment is over; if it is not, this happens again
        if signal.getsignal(signum) is handle:
            signal.pthread_kill(threading.main_thread().ident or 0, signum)

    def show_others(dropped: sys.UnraisableHookArgs) -> None:
        if dropped.exc_value not in [reference() for reference in raised.values()]:
            show(dropped)

    before = {signum: signal.signal(signum, handle if callable(handler) else handler) for signum in signals}
    sys.unraisablehook = show_others
    try:
        yield
    finally:
        sys.unraisablehook = show
        for signum, previous in before.items():
            signal.signal(signum, previous)
