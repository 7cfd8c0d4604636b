"""Locks of mini-clusters, and cleaning up that is not interrupted."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from slurm_sim._locking import broken_off, deferred, exclusive, forget, interrupted_once, uninterrupted


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give locks a folder of the test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"slurm-sim-{os.getuid()}"


def is_free(lock: Path) -> bool:
    """Return whether another process could take a lock now."""
    with lock.open() as other:
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_two_changes_never_overlap(temporary: Path) -> None:
    """A mini-cluster's lock is held inside and free afterwards, after an error too; others have their own."""
    with exclusive("one"):
        assert not is_free(temporary / "one.lock")
        with exclusive("two"):
            assert not is_free(temporary / "two.lock")
        assert not (temporary / "two.lock").exists()
    with pytest.raises(ZeroDivisionError), exclusive("one"):
        raise ZeroDivisionError
    assert list(temporary.iterdir()) == []


def test_waiting_for_a_lock_that_goes(temporary: Path) -> None:
    """Of three that want a lock at the same time, each has it alone, although every holder removes the file."""
    inside, most = 0, 0

    def hold() -> None:
        nonlocal inside, most
        for _ in range(20):
            with exclusive("one"):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=hold) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert list(temporary.iterdir()) == []


def test_names_what_was_broken_off(temporary: Path) -> None:
    """The lock of a process that was killed is still there, names what it changed, and can be forgotten."""
    temporary.mkdir(mode=0o700)
    (temporary / "run-1.lock").touch()
    (temporary / "other.lock").touch()
    assert broken_off("run-") == ["run-1"]
    forget("run-1")
    assert broken_off("run-") == []
    with exclusive("other"):
        assert not is_free(temporary / "other.lock")


def test_locks_are_private(temporary: Path) -> None:
    """No other user can hold a lock of this one's."""
    with exclusive("one"), exclusive("two"):
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
        assert sorted(file.name for file in temporary.iterdir()) == ["one.lock", "two.lock"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_cleaning_up_is_not_interrupted(number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM are ignored inside, and handled as before afterwards, after an error too."""
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


def test_another_thread_cleans_up_as_well() -> None:
    """Threads other than the main one never get signals, and cannot set handlers."""
    done: list[bool] = []

    def clean_up() -> None:
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=clean_up)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_comes_after_what_defers_it(number: signal.Signals) -> None:
    """What is done inside is done, and the signal comes then, once."""
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
def test_only_the_first_signal_interrupts(number: signal.Signals) -> None:
    """The first one raises, those that follow it change nothing, and afterwards all is as before."""
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
    """Where Ctrl-C is ignored, as in a shell's background, it goes on to be."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupted_once(), deferred():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
