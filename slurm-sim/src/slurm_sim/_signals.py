"""Handle, defer or ignore the signals that end a command: Ctrl-C, SIGTERM and a lost connection."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], object]


class Stopped(SystemExit):
    """A signal ended the command; the exit status is 128 + its number, as in a shell."""

    def __init__(self, signum: int) -> None:
        super().__init__(128 + signum)


class Interrupted(KeyboardInterrupt):
    """A KeyboardInterrupt that can be referenced weakly, which instances of built-in classes cannot."""


class Ended(SystemExit):
    """A SystemExit that can be referenced weakly."""


def stop(signum: int, _frame: FrameType | None) -> None:
    """Handle a signal by ending the command."""
    raise Stopped(signum)


@contextmanager
def handling(handler: Handler, *signals: signal.Signals) -> Iterator[None]:
    """Handle signals inside the block, in the main thread; do nothing in any other thread.

    Ignored signals (nohup) stay ignored. While an exception that the handler raised ends the block, further signals
    are ignored. If Python discards the exception, as it does in finalizers and in callbacks of weak references, the
    signal is sent again.
    """
    if not _in_main_thread():
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
        time.sleep(0.01)  # no event marks the end of the code that discards exceptions; if it still runs, this repeats
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


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM through and ignore later ones, for code that cleans up when interrupted.

    `uninterrupted` alone leaves a moment for a second Ctrl-C, between the first and the clean-up.
    """
    if not _in_main_thread():
        yield
        return
    # signals that are ignored, or that end the process at once, keep doing so
    before = {number: handler for number in INTERRUPTS if callable(handler := signal.getsignal(number))}

    def first(number: int, frame: FrameType | None) -> None:
        before[signal.Signals(number)](number, frame)

    with handling(first, *before):
        yield


@contextmanager
def deferred() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM to the end of the block."""
    came: list[int] = []
    try:
        with _handled_by(dict.fromkeys(INTERRUPTS, lambda number, _frame: came.append(number))):
            yield
    finally:
        for number in came[:1]:
            signal.raise_signal(number)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM inside the block, which cleans up."""
    with _handled_by(dict.fromkeys(INTERRUPTS, signal.SIG_IGN)):
        yield


def ignore_interrupts() -> None:
    """Ignore Ctrl-C and SIGTERM from now on, in a process that has done its work and is about to end."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C, so that `timeout pytest` and a cancelled CI job leave nothing behind either."""
    with _handled_by({signal.SIGTERM: signal.default_int_handler}):
        yield


@contextmanager
def _handled_by(handlers: Mapping[signal.Signals, Handler | signal.Handlers]) -> Iterator[None]:
    """Set these handlers inside the block, in the main thread, the only one to get signals; do nothing in any other."""
    if not _in_main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
