"""Ending a run by a signal."""

from __future__ import annotations

import signal
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest

from dask_hpc.stop import Stopped, handling, ignore_further_signals, not_interrupted, stopping_cleanly


class Interrupted(Exception):  # noqa: N818 (an event)
    """Raised by a handler."""


class Thing:
    """Has weak references, unlike `object`."""


class Finalized:
    """Sends itself a signal in its finalizer."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def signal_in_weak_reference() -> None:
    """Send a signal in the callback of a weak reference, such as those of a `WeakSet`."""
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    del thing
    assert reference() is None


def signal_in_extension() -> None:
    """Send a signal where every exception is discarded silently, as extensions do with `PyErr_Clear`."""
    with suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def run_for_ever(get_signal: Callable[[], object]) -> None:
    """Send a signal that is discarded, then run until it is sent again."""
    with stopping_cleanly():
        get_signal()
        while True:
            time.sleep(1)  # in a loop: a signal just before a wait would not end the wait


@pytest.mark.parametrize("get_signal", [Finalized, signal_in_weak_reference, signal_in_extension])
def test_signal_ends_run_despite_discarded_exception(
    get_signal: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """The run ends silently, even if the handler's exception is discarded at first."""
    hook = sys.unraisablehook
    with pytest.raises(Stopped) as stopped:
        run_for_ever(get_signal)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err == ""
    assert sys.unraisablehook is hook


def test_other_discarded_exceptions_are_reported() -> None:
    """Other discarded exceptions are reported as Python does by default."""
    seen: list[str] = []

    class Failing:
        def __del__(self) -> None:
            raise ValueError("mine")

    hook, sys.unraisablehook = sys.unraisablehook, lambda discarded: seen.append(str(discarded.exc_value))
    try:
        with stopping_cleanly():
            Failing()
    finally:
        sys.unraisablehook = hook
    assert seen == ["mine"]


def test_handlers_are_nested() -> None:
    """An exception of the inner handler ends only the inner block."""
    seen: list[int] = []

    def fail(_signum: int, _frame: object) -> None:
        raise Interrupted

    def get_both() -> None:
        with handling(fail, signal.SIGUSR2):
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGUSR2)

    with handling(lambda signum, _: seen.append(signum), signal.SIGUSR1):
        with pytest.raises(Interrupted):
            get_both()
        signal.raise_signal(signal.SIGUSR1)
    assert seen == [signal.SIGUSR1] * 2


def test_cleanup_ignores_signals() -> None:
    """Signals are ignored during cleanup."""
    with stopping_cleanly(), not_interrupted():
        signal.raise_signal(signal.SIGTERM)


def test_second_signal_does_not_end_the_clean_up() -> None:
    """After the first one, further ones are ignored until the end of the block; then the handler is the earlier one."""
    before = signal.getsignal(signal.SIGTERM)
    cleaned = False
    with suppress(Stopped), stopping_cleanly():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Stopped:
            ignore_further_signals()
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            cleaned = True
            raise
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) is before
