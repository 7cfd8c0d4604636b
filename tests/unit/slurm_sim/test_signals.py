"""Signals that end a command: handled, deferred, ignored."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from slurm_sim._signals import INTERRUPTS, Stopped, deferred, handling, interrupted_once, stop, uninterrupted


class Thing:
    """Has weak references, unlike `object`."""


class Finalized:
    """Sends itself a signal in its finalizer."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def signal_in_weak_reference() -> None:
    """Send a signal in the callback of a weak reference, such as those of a `WeakSet`."""
    thing = Thing()
    reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
    del thing
    assert reference() is None


def signal_in_extension() -> None:
    """Send a signal where every exception is discarded silently, as extensions do with `PyErr_Clear`."""
    with suppress(BaseException):
        signal.raise_signal(signal.SIGINT)


def wait_for_ever() -> None:
    while True:
        time.sleep(1)  # in a loop: a signal just before a wait would not end the wait


def stopped(get_signal: Callable[[], object]) -> None:
    with handling(stop, *INTERRUPTS):
        get_signal()
        wait_for_ever()


def stopped_in_change(get_signal: Callable[[], object]) -> None:
    with handling(stop, *INTERRUPTS), interrupted_once():
        get_signal()
        wait_for_ever()


def interrupted_in_change(get_signal: Callable[[], object]) -> None:
    with interrupted_once():
        get_signal()
        wait_for_ever()


def exit_by_signal(_signum: int, _frame: object) -> None:
    raise SystemExit(3)


@pytest.fixture(params=[signal.default_int_handler, exit_by_signal])
def handler(request: pytest.FixtureRequest) -> Iterator[object]:
    """Handle Ctrl-C outside the code under test as Python does, or by exiting."""
    before = signal.signal(signal.SIGINT, request.param)
    yield request.param
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("get_signal", [Finalized, signal_in_weak_reference, signal_in_extension])
@pytest.mark.parametrize(
    ("run", "error"),
    [(stopped, Stopped), (stopped_in_change, Stopped), (interrupted_in_change, (KeyboardInterrupt, SystemExit))],
)
@pytest.mark.usefixtures("handler")
def test_signal_is_not_lost_with_its_exception(
    run: Callable[[Callable[[], object]], None],
    error: type[BaseException] | tuple[type[BaseException], ...],
    get_signal: Callable[[], object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A signal ends the running code silently, even if the handler's exception is discarded at first."""
    hook = sys.unraisablehook
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(error):
        run(get_signal)
    assert capsys.readouterr().err == ""
    assert (sys.unraisablehook, signal.getsignal(signal.SIGINT)) == (hook, before)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_status_is_that_of_a_shell(signum: signal.Signals, status: int) -> None:
    """The exit status after a signal is 128 plus its number."""
    with pytest.raises(Stopped) as end:
        stopped(lambda: signal.raise_signal(signum))
    assert end.value.code == status


def test_handler_that_does_not_raise_gets_each_signal() -> None:
    """Only a handler that raises makes later signals be ignored."""
    seen: list[int] = []
    with handling(lambda signum, _frame: seen.append(signum), *INTERRUPTS):
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
    assert seen == [signal.SIGHUP] * 2


def test_ignored_signal_stays_ignored() -> None:
    """Under nohup, a lost terminal does not end the command."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with handling(stop, *INTERRUPTS):
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_discarded_exceptions_are_reported() -> None:
    """Other discarded exceptions are reported as Python does by default."""
    seen: list[str] = []

    class Failing:
        def __del__(self) -> None:
            raise ValueError("mine")

    hook = sys.unraisablehook
    sys.unraisablehook = lambda discarded: seen.append(str(discarded.exc_value))
    try:
        with handling(stop, *INTERRUPTS):
            Failing()
    finally:
        sys.unraisablehook = hook
    assert seen == ["mine"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cleaning_up_is_not_interrupted(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM are ignored in the block, and handled as before afterwards, even after an error."""
    seen: list[int] = []
    before = signal.signal(number, lambda signum, _frame: seen.append(signum))

    def fail() -> None:
        with uninterrupted():
            os.kill(os.getpid(), number)
            raise ZeroDivisionError

    try:
        with pytest.raises(ZeroDivisionError):
            fail()
        assert seen == []
        os.kill(os.getpid(), number)
        assert seen == [number]
    finally:
        signal.signal(number, before)


def test_uninterrupted_works_in_other_threads() -> None:
    """Threads other than the main one, which get no signals and cannot set handlers, can use the block."""
    done: list[bool] = []

    def clean_up() -> None:
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=clean_up)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_deferred_signal_comes_after_block(number: signal.Signals) -> None:
    """A signal in the block is handled after it, once."""
    seen: list[str] = []
    before = signal.signal(number, lambda _signum, _frame: seen.append("signal"))
    try:
        with deferred():
            for _ in range(3):
                os.kill(os.getpid(), number)
            seen.append("done")
        assert seen == ["done", "signal"]
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_only_first_signal_interrupts(number: signal.Signals) -> None:
    """The first signal raises, later ones are ignored, and afterwards the handlers are restored."""
    before = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGINT, signal.SIGTERM)}
    cleaned = []

    def interrupted() -> None:
        with interrupted_once():
            try:
                os.kill(os.getpid(), number)
            finally:
                for one in (signal.SIGINT, signal.SIGTERM):
                    os.kill(os.getpid(), one)
                cleaned.append(True)

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert cleaned == [True]
        assert {one: signal.getsignal(one) for one in before} == dict.fromkeys(before, signal.default_int_handler)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def test_ignored_signals_stay_ignored() -> None:
    """If Ctrl-C is ignored, as in a shell's background, it stays ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupted_once(), deferred():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
