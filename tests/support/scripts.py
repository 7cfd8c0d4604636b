"""Run the repository's scripts with a clean environment."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def run(command: list[str | Path], **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command with only PATH, LC_ALL=C and these variables."""
    own = {"PATH": os.environ["PATH"], "LC_ALL": "C"} | env
    return subprocess.run(command, env=own, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def assert_explained(done: subprocess.CompletedProcess[str], who: str) -> list[str]:
    """Assert status 1 and an error of three lines (what, seen, to do); return the lines."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 3, done.stderr
    assert lines[0].startswith(f"{who}: ")
    assert lines[1].strip().startswith("seen: ")
    assert lines[2].strip().startswith("to do: ")
    return lines
