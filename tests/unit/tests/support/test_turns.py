"""Turns of the processes of a test run: in parallel, alone, and work done once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.support.turns import Turns, once

LONG = 60  # seconds for a step on a busy machine


@pytest.fixture
def turns() -> Iterator[Turns]:
    """Make the lock of a separate run."""
    turns = Turns(secrets.token_hex(8))
    yield turns
    turns.remove()


class Holder:
    """A thread that waits for a turn, and keeps it until `end`."""

    def __init__(self, turns: Turns, *, alone: bool) -> None:
        self.has = Event()
        self._end = Event()
        self._thread = Thread(target=self._hold, args=(turns, alone), daemon=True)
        self._thread.start()

    def _hold(self, turns: Turns, alone: bool) -> None:
        with turns.turn(alone=alone):
            self.has.set()
            self._end.wait(LONG)

    def end(self) -> None:
        """Release the turn."""
        self._end.set()
        self._thread.join(LONG)


def test_tests_run_in_parallel(turns: Turns) -> None:
    """Two ordinary turns are held at the same time."""
    one = Holder(turns, alone=False)
    other = Holder(turns, alone=False)
    assert one.has.wait(LONG)
    assert other.has.wait(LONG)
    one.end()
    other.end()


def test_alone_waits_and_is_not_overtaken(turns: Turns) -> None:
    """A turn alone starts when all earlier turns have ended, and later turns wait for it."""
    before = Holder(turns, alone=False)
    assert before.has.wait(LONG)
    alone = Holder(turns, alone=True)
    assert not alone.has.wait(0.2)
    after = Holder(turns, alone=False)
    assert not after.has.wait(0.2)
    before.end()
    assert alone.has.wait(LONG)
    assert not after.has.is_set()
    alone.end()
    assert after.has.wait(LONG)
    after.end()


def test_work_is_done_once(tmp_path: Path) -> None:
    """The first process does the work, and all others find it done."""
    seen = []
    for _ in range(3):
        with once(tmp_path / "made") as done:
            seen.append(done)
    assert seen == [False, True, True]


def test_failed_work_is_repeated(tmp_path: Path) -> None:
    """If the work fails, the next process tries again."""
    with pytest.raises(ZeroDivisionError), once(tmp_path / "made"):
        raise ZeroDivisionError
    with once(tmp_path / "made") as done:
        assert not done
