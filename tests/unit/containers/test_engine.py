"""The engine's and the base image's scripts: quiet where all is there, clear where it is not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.scripts import assert_explained, run

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which takes root")


@needs_root
def test_an_ordinary_user_without_an_engine_is_told_what_to_install(tree: Path) -> None:
    """No engine and no root: what was looked for, what was seen, what to do."""
    nobody: list[str | Path] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = run(
        [*nobody, tree / "containers/engine.sh"], DOCKER_HOST="unix:///nonexistent/docker.sock", HOME="/nonexistent"
    )
    what, seen, todo = assert_explained(done, "engine")
    assert "no Docker engine" in what
    assert "/nonexistent/docker.sock" in what + seen
    assert "install Docker" in todo


@needs_root
def test_an_ordinary_user_without_docker_is_told_what_to_install(tree: Path, tmp_path: Path) -> None:
    """No docker command at all is said as such."""
    nobody: list[str | Path] = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = run([*nobody, tree / "containers/engine.sh"], PATH=str(programs_without_docker(tree)))
    _what, seen, _todo = assert_explained(done, "engine")
    assert "docker: command not found" in seen


def programs_without_docker(folder: Path) -> Path:
    """A folder with the programs that the scripts use, but docker."""
    there = folder / "bin"
    there.mkdir(mode=0o755)
    for name in ("bash", "dirname", "env", "id", "head", "tail", "sort", "setpriv", "printf"):
        found = shutil.which(name)
        if found:
            (there / name).symlink_to(found)
    return there


def test_an_engine_named_by_docker_host_that_is_dead_is_said(tree: Path) -> None:
    """A DOCKER_HOST that nobody answers at is the user's to mend: nothing is installed, also for root."""
    done = run([tree / "containers/engine.sh"], DOCKER_HOST="unix:///nonexistent/docker.sock", HOME="/nonexistent")
    what, _seen, _todo = assert_explained(done, "engine")
    assert "at unix:///nonexistent/docker.sock" in what


def test_a_socket_that_nobody_listens_at_is_said(tree: Path, tmp_path: Path) -> None:
    """A socket left over by an engine that died is told from one that answers."""
    left_over = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(left_over))
    done = run([tree / "containers/engine.sh"], DOCKER_HOST=f"unix://{left_over}", HOME="/nonexistent")
    what, seen, _todo = assert_explained(done, "engine")
    assert f"at unix://{left_over}" in what
    assert "connection refused" in seen.lower() or "cannot connect" in seen.lower()


def test_an_engine_that_answers_is_taken_quietly(tree: Path) -> None:
    """Where all is there, nothing is said and nothing is done."""
    done = run([tree / "containers/engine.sh"], HOME=str(Path.home()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_two_at_once_are_as_quiet_as_one(tree: Path) -> None:
    """Two that look for the engine at the same time do not disturb each other."""
    both = [
        subprocess.Popen([tree / "containers/engine.sh"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(2)
    ]
    assert [(one.communicate()[0], one.returncode) for one in both] == [(b"", 0), (b"", 0)]
