"""Find processes that outlive the worker that started them."""

from __future__ import annotations

import os
import secrets
import subprocess

from tests.support.leftovers import end_processes


def test_ends_processes_of_run_and_no_others() -> None:
    """A process of this run is killed; a process of another run continues."""
    run = secrets.token_hex(8)
    other = secrets.token_hex(8)
    processes = [
        subprocess.Popen(["tail", "-f", "/dev/null"], env=os.environ | {"PYTEST_XDIST_TESTRUNUID": name})
        for name in (run, other)
    ]
    try:
        assert end_processes(run) == [processes[0].pid]
        assert processes[0].wait(60) == -9
        assert processes[1].poll() is None
    finally:
        for process in processes:
            process.kill()
            process.wait()
