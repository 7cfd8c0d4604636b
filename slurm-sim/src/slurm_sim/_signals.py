"""Signals that ask for the end of what runs: Ctrl-C, SIGTERM, a lost connection."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(SystemExit):
    """A signal ended the command; the exit status is the shell's, 128 + its number."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt that can be referenced weakly, which instances of built-in classes cannot."""


class Ended(SystemExit):
    """A SystemExit that can be referenced weakly."""


def stop(signum: int, _frame: FrameType | None) -> None:
    """Handle a signal by ending the command."""
    raise Stopped(signum)


def in_main_thread() -> bool:
    """Return whether this is the thread that signals interrupt: no other can handle them."""
    return threading.current_thread() is threading.main_thread()


@contextmanager
def handling(handler: Callable[[int, FrameType | None], None], *signals: signal.Signals) -> Iterator[None]:
    """Handle signals inside the block, in the main thread; do nothing in any other thread.

    Signals that are ignored (nohup) stay so. While an exception that the handler raised ends the block, further signals
    are ignored. If Python discards the exception, as it does in finalizers and in callbacks of weak references, the
    signal is sent again.
    """
    if not in_main_thread():
        yield
        return
    raised: list[weakref.ref[BaseException]] = []
    show = sys.unraisablehook

    def handle(signum: int, frame: FrameType | None) -> None:
        if any(reference() is not None for reference in raised):
            return
        try:
            try:
                handler(signum, frame)
            except KeyboardInterrupt:
                raise Interrupted from None
            except SystemExit as error:
                if isinstance(error, Stopped):
                    raise
                raise Ended(error.code) from None
        except BaseException as error:
            # not threading.Thread: the interrupted code may hold threading's locks
            raised[:] = [weakref.ref(error, lambda _: _thread.start_new_thread(send_again, (signum,)))]
            raise

    def send_again(signum: int) -> None:
        time.sleep(0.01)  # nothing signals the end of the code that discards exceptions; if it still runs, this repeats
        if signal.getsignal(signum) is handle:
            signal.pthread_kill(threading.main_thread().ident or 0, signum)

    def show_others(discarded: sys.UnraisableHookArgs) -> None:
        if not isinstance(discarded.exc_value, Stopped | Interrupted | Ended):
            show(discarded)

    before = {signum: signal.getsignal(signum) for signum in signals}
    sys.unraisablehook = show_others
    try:
        for signum, previous in before.items():
            if previous is not signal.SIG_IGN:
                signal.signal(signum, handle)
        yield
    finally:
        sys.unraisablehook = show
        for signum, previous in before.items():
            signal.signal(signum, previous)
