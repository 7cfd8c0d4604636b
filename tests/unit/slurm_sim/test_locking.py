"""Locks of mini-clusters."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from slurm_sim._locking import broken_off, exclusive, forget


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give locks the test's own folder."""
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
    """A mini-cluster's lock is held in the block and free afterwards, even after an error; others have their own."""
    with exclusive("one"):
        assert not is_free(temporary / "one.lock")
        with exclusive("two"):
            assert not is_free(temporary / "two.lock")
        assert not (temporary / "two.lock").exists()
    with pytest.raises(ZeroDivisionError), exclusive("one"):
        raise ZeroDivisionError
    assert list(temporary.iterdir()) == []


def test_waiting_survives_removal_of_lock(temporary: Path) -> None:
    """Only one of three threads holds the lock at a time, although every holder removes the file."""
    inside = 0
    most = 0

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


def test_finds_locks_of_killed_processes(temporary: Path) -> None:
    """The lock of a killed process still exists, names its mini-cluster, and can be removed."""
    temporary.mkdir(mode=0o700)
    (temporary / "run-1.lock").touch()
    (temporary / "other.lock").touch()
    assert broken_off("run-") == ["run-1"]
    forget("run-1")
    assert broken_off("run-") == []
    with exclusive("other"):
        assert not is_free(temporary / "other.lock")


def test_locks_are_private(temporary: Path) -> None:
    """No other user can hold this user's locks."""
    with exclusive("one"), exclusive("two"):
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
        assert sorted(file.name for file in temporary.iterdir()) == ["one.lock", "two.lock"]
