"""Detecting virtual environments of this environment, and restarting commands in them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dask_hpc_startup import venv

OURS = "home = /opt/env/bin\ninclude-system-site-packages = true\nversion = 3.13.5\n"


@pytest.fixture
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate the environment's own Python."""
    monkeypatch.setattr(sys, "prefix", "/opt/env")
    monkeypatch.setattr(sys, "base_prefix", "/opt/env")


@pytest.mark.parametrize(
    ("config", "ours"),
    [
        (OURS, True),
        (OURS.replace("true", "false"), False),
        (OURS.replace("/opt/env", "/usr"), False),
        ("", False),
        ("home\n", False),
        ("home = /opt/env/bin\ncommand = python -m venv --x=y /z\ninclude-system-site-packages=true", True),
    ],
)
def test_recognizes_virtual_environment(base: None, tmp_path: Path, config: str, ours: bool) -> None:
    """It was made from this Python, and sees its packages."""
    (tmp_path / "pyvenv.cfg").write_text(config)
    assert venv.is_ours(str(tmp_path)) is ours


def test_folder_without_configuration_is_not_ours(base: None, tmp_path: Path) -> None:
    """A missing or unreadable configuration is not an error."""
    assert not venv.is_ours(str(tmp_path / "gone"))
    (tmp_path / "pyvenv.cfg").write_bytes(b"\xff\xfe")
    assert not venv.is_ours(str(tmp_path))


@pytest.mark.parametrize(
    ("words", "follows"),
    [
        (["/opt/env/bin/python3.13", "/opt/env/bin/dask-hpc", "run", "x"], True),
        (["python", "/opt/env/bin/pytest"], True),
        (["python"], False),
        (["python", "-c", "pass"], False),
        (["python", "script.py"], False),
        (["python", "/home/me/bin/dask-hpc"], False),
    ],
)
def test_restarts_only_commands_of_environment(
    base: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], follows: bool
) -> None:
    """Only the environment's own commands restart, in the same process and with the same arguments."""
    (tmp_path / "pyvenv.cfg").write_text(OURS)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    monkeypatch.setattr(sys, "orig_argv", words)
    started: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(os, "execv", lambda path, argv: started.append((path, argv)))
    venv.follow_active()
    python = f"{tmp_path}/bin/python"
    assert started == ([(python, [python, *words[1:]])] if follows else [])
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    venv.follow_active()
    assert len(started) == follows, "already in the virtual environment"
