"""The files of a mini-cluster, in a checkout and in a wheel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import _files


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a package in another place."""
    folder = tmp_path / "slurm-sim/src/slurm_sim"
    folder.mkdir(parents=True)
    monkeypatch.setattr(_files, "_PACKAGE", folder)
    _files.root.cache_clear()
    yield folder
    monkeypatch.undo()
    _files.root.cache_clear()


def test_checkout_has_files_at_its_top(package: Path, tmp_path: Path) -> None:
    """Without a tree inside the package, the checkout's files are used."""
    (tmp_path / "Makefile").touch()
    assert _files.root() == tmp_path
    assert _files.is_checkout()


def test_wheel_has_files_in_package(package: Path, tmp_path: Path) -> None:
    """An installed package uses its own files, even inside a checkout."""
    (package / "_tree").mkdir()
    (tmp_path / "Makefile").touch()
    assert _files.root() == package / "_tree"
    assert not _files.is_checkout()
