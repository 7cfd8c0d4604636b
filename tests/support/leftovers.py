"""What the processes of a test run leave if they are killed: browsers, commands, and sessions inside of tests."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def end_processes(run: str) -> list[int]:
    """Kill every process that a worker of this run has started and that is still there; return their numbers.

    A worker that does not end in time is killed by pytest-xdist, and cannot end its own.

    Args:
        run: what pytest-xdist calls this run, which its workers have in their environment.
    """
    mark, ended = f"PYTEST_XDIST_TESTRUNUID={run}".encode(), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it is gone by now, or another user's
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
                ended.append(int(folder.name))
    return ended
