"""The files that a mini-cluster is made of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import tree


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package at some other place."""
    folder = tmp_path / "slurm-sim/src/slurm_sim"
    folder.mkdir(parents=True)
    monkeypatch.setattr(tree, "_PACKAGE", folder)
    tree.root.cache_clear()
    yield folder
    monkeypatch.undo()
    tree.root.cache_clear()


def test_a_checkout_has_them_at_its_top(package: Path, tmp_path: Path) -> None:
    """Without a tree inside the package, the files are the checkout's."""
    (tmp_path / "Makefile").touch()
    assert tree.root() == tmp_path
    assert tree.is_checkout()


def test_a_wheel_has_them_inside(package: Path, tmp_path: Path) -> None:
    """An installed package uses its own files, wherever it lies."""
    (package / "_tree").mkdir()
    (tmp_path / "Makefile").touch()
    assert tree.root() == package / "_tree"
    assert not tree.is_checkout()
