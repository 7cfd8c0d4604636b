"""Fixtures for tests of scripts in containers/."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tree(root: Path) -> Iterator[Path]:
    """Copy the scripts to a folder that any user can read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (Path(folder) / "containers").mkdir()
        for name in ("containers/engine.sh", "containers/base.sh", "versions.env"):
            shutil.copy(root / name, Path(folder) / name)
        yield Path(folder)
