"""Let the processes of one test run agree on who runs alone, and who makes shared things."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """A lock for all processes of one test run: many tests may share it, one that runs alone has it to itself.

    A test that is to run alone waits for those that run; tests that come after it wait for its end. Locks of the
    kernel end with their process, so a worker that crashes holds nothing up.

    Args:
        run: A name for the test run.
    """

    def __init__(self, run: str) -> None:
        folder = Path(tempfile.gettempdir())
        self._files = [folder / f"tests-{os.getuid()}-{run}.{name}" for name in ("door", "room")]

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Wait for a turn, and hold it."""
        door, room = (os.open(file, os.O_RDWR | os.O_CREAT, 0o600) for file in self._files)
        try:
            fcntl.flock(door, fcntl.LOCK_EX)  # a process that waits for the room holds the door, so that none overtakes
            fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(door, fcntl.LOCK_UN)
            yield
        finally:
            os.close(room)
            os.close(door)

    def remove(self) -> None:
        """Remove the files once the run is over."""
        for file in self._files:
            file.unlink(missing_ok=True)


@contextmanager
def once(mark: Path) -> Iterator[bool]:
    """Say whether another process of this run has done it; otherwise do it inside, while the others wait.

    Args:
        mark: a file that is there when it has been done without an error.
    """
    with mark.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield mark.exists()
        mark.touch()
