"""End the processes that a killed test run leaves behind: browsers, commands and sessions inside tests."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def end_processes(run: str) -> list[int]:
    """Kill every remaining process that a worker of this run has started, and return the process IDs.

    pytest-xdist kills a worker that does not end in time, so the worker cannot end its own processes.

    Args:
        run: pytest-xdist's name for this run; its workers have it in their environment.
    """
    mark = f"PYTEST_XDIST_TESTRUNUID={run}".encode()
    ended = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or belongs to another user
            if mark in (folder / "environ").read_bytes().split(b"\0"):
                os.kill(int(folder.name), signal.SIGKILL)
                ended.append(int(folder.name))
    return ended
