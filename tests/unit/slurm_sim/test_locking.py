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

from slurm_sim._locking import exclusive, uninterrupted


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
        assert is_free(temporary / "two.lock")
    assert is_free(temporary / "one.lock")
    with pytest.raises(ZeroDivisionError), exclusive("one"):
        raise ZeroDivisionError
    assert is_free(temporary / "one.lock")


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
