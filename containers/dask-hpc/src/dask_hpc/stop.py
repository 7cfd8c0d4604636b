"""End a run on Ctrl-C, SIGTERM or a lost connection as an exception would, so that it cleans up."""

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

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """A signal ended the run; the exit status is the shell's, 128 + its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)


def _stop(signum: int, _frame: FrameType | None) -> None:
    raise Stopped(signum)


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """Turn the signals that end a run into `Stopped`, in the main thread."""
    with handling(_stop, *_SIGNALS):
        yield


def ignore_further_signals() -> None:
    """Ignore those signals until the end of `stopping_cleanly`: Slurm and the launcher each send one."""
    for signum in _SIGNALS:
        signal.signal(signum, signal.SIG_IGN)


@contextmanager
def not_interrupted() -> Iterator[None]:
    """Ignore those signals during cleanup: a second Ctrl-C must not leave jobs behind."""
    with handling(signal.SIG_IGN, *_SIGNALS):
        yield


def in_main_thread() -> bool:
    """Return whether this is the thread that signals interrupt: no other can handle them."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def handling(handler: signal._HANDLER, *signals: signal.Signals) -> Iterator[None]:
    """Handle signals inside the block, in the main thread; do nothing in any other thread.

    An exception that the handler raises ends the block, even if it is discarded at first. Python discards exceptions in
    finalizers and in callbacks of weak references; so do some extensions, such as NumPy's during their import.
    A discarded exception is deleted, and the signal is then sent again. The exception's class must be defined in
    Python, since instances of built-in ones cannot be referenced weakly.
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
            # not threading.Thread: the interrupted code may hold threading's locks
            raised[signum] = weakref.ref(error, lambda _: _thread.start_new_thread(send_again, (signum,)))
            raise

    def send_again(signum: int) -> None:
        time.sleep(0.01)  # nothing signals the end of the code that discards exceptions; if it still runs, this repeats
        if signal.getsignal(signum) is handle:
            signal.pthread_kill(threading.main_thread().ident or 0, signum)

    def show_others(discarded: sys.UnraisableHookArgs) -> None:
        error = discarded.exc_value
        if error is None or all(reference() is not error for reference in raised.values()):
            show(discarded)

    before = {signum: signal.signal(signum, handle if callable(handler) else handler) for signum in signals}
    sys.unraisablehook = show_others
    try:
        yield
    finally:
        sys.unraisablehook = show
        for signum, previous in before.items():
            signal.signal(signum, previous)
