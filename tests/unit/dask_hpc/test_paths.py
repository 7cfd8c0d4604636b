"""Paths on the command line."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest

from dask_hpc.paths import LocalPath, NodePath, in_bash


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables that the tests use."""
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("SCRATCH", "/scratch/my disk")
    monkeypatch.delenv("NOWHERE", raising=False)


CASES = [
    ("~/logs", "/home/me/logs"),
    ("~", "/home/me"),
    ("$SCRATCH/logs", "/scratch/my disk/logs"),
    ("${SCRATCH}s/a b", "/scratch/my disks/a b"),
    ("/a b/it's", "/a b/it's"),
    ('/a"b`c', '/a"b`c'),
    ("~/$(touch x)/$SCRATCH", "/home/me/$(touch x)//scratch/my disk"),
    ("/100$", "/100$"),
    ("/a\\b $SCRATCH", "/a\\b /scratch/my disk"),
]


@pytest.mark.parametrize(("text", "path"), CASES)
def test_expands_like_a_shell(text: str, path: str) -> None:
    """`~` and variables are expanded, and nothing else."""
    assert LocalPath().convert(text, None, None) == Path(path)


@pytest.mark.parametrize(("text", "path"), CASES)
def test_bash_expands_the_same(text: str, path: str) -> None:
    """On a node, bash expands the same path, as one word."""
    done = subprocess.run(["bash", "-c", f"printf %s {in_bash(text)}"], capture_output=True, text=True, check=True)
    assert done.stdout == path


@pytest.mark.parametrize("text", ["$NOWHERE/logs", "${NOWHERE}", "~no-such-user/x", "", " ", "a\nb"])
def test_rejects_invalid_path(text: str) -> None:
    """An unset variable, an unknown user, an empty path or a line break is a usage error."""
    with pytest.raises(click.BadParameter):
        LocalPath().convert(text, None, None)


def test_unset_variable_on_node_ends_job() -> None:
    """The message names the variable."""
    done = subprocess.run(["bash", "-c", f"echo {in_bash('$NOWHERE/x')}"], capture_output=True, text=True, check=False)
    assert done.returncode
    assert "NOWHERE: is not set on this node" in done.stderr
    assert NodePath().convert("$NOWHERE/x", None, None) == "$NOWHERE/x"
