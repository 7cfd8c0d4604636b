"""Signals that end a run."""

from __future__ import annotations

import signal
import sys
import time
import weakref
from collections.abc import Callable
from contextlib import suppress

import pytest

from dask_hpc.stop import Stopped, handling, not_interrupted, stopping_cleanly


class Interrupted(Exception):  # noqa: N818 (an event)
    """What a handler raises."""


class Thing:
    """Can be referred to weakly."""


class Finalized:
    """Gets a signal in its finalizer."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def drop_weakly_referenced() -> None:
    """Get a signal in the callback of a weak reference, as in the code of a `WeakSet`."""
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGTERM))
    del thing
    assert reference() is None


def clear() -> None:
    """Get a signal in code that drops every exception and says nothing, as extensions do by `PyErr_Clear`."""
    with suppress(BaseException):
        signal.raise_signal(signal.SIGTERM)


def run_for_ever(get_signal: Callable[[], object]) -> None:
    """Get a signal, and wait for nothing: what ends this is the same signal, sent again."""
    with stopping_cleanly():
        get_signal()
        while True:
            time.sleep(1)


@pytest.mark.parametrize("get_signal", [Finalized, drop_weakly_referenced, clear])
def test_stops_though_the_exception_is_dropped(
    get_signal: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal ends the run even if it comes where what its handler raises is dropped, and Python says nothing."""
    hook = sys.unraisablehook
    with pytest.raises(Stopped) as stopped:
        run_for_ever(get_signal)
    assert stopped.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err == ""
    assert sys.unraisablehook is hook


def test_other_dropped_exceptions_are_shown() -> None:
    """What Python drops besides is shown as ever."""
    seen: list[str] = []

    class Failing:
        def __del__(self) -> None:
            raise ValueError("mine")

    hook, sys.unraisablehook = sys.unraisablehook, lambda dropped: seen.append(str(dropped.exc_value))
    try:
        with stopping_cleanly():
            Failing()
    finally:
        sys.unraisablehook = hook
    assert seen == ["mine"]


def test_handlers_are_nested() -> None:
    """What is raised in a block inside of another handler's ends the inner one alone."""
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


def test_signals_are_held_back_while_cleaning_up() -> None:
    """A second Ctrl-C does not interrupt what undoes a run."""
    with stopping_cleanly(), not_interrupted():
        signal.raise_signal(signal.SIGTERM)
