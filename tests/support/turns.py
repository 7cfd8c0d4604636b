"""Let the processes of one test run take turns: one test may run alone, and one process makes shared files."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """A lock for all processes of one test run: many tests may share it, or one test holds it alone.

    A test that must run alone waits for running tests, and later tests wait for its end. Kernel locks end with their
    process, so a crashed worker blocks nothing.

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
    """Yield whether another process of this run has done the work; if not, do it inside, while the others wait.

    Args:
        mark: file that exists once the work has succeeded.
    """
    with mark.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield mark.exists()
        mark.touch()
