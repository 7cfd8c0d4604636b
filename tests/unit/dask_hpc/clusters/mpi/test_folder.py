"""The private folder of a dask-mpi cluster."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_hpc.clusters.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.clusters.mpi.folder import Folder
from dask_hpc.errors import ClusterError

IDENTITY = {"type": "Scheduler", "id": "Scheduler-1", "address": "tls://192.0.2.1:1", "services": {}, "workers": {}}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set the process's umask."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_folder_is_private(tmp_path: Path) -> None:
    """Folders have mode 0700 and files 0600, whatever the umask; the configuration names paths and holds no secret."""
    folder = Folder(tmp_path / "home" / "one")
    with folder.kept(tls=True):
        mpi_scheduler_file.publish(folder.scheduler_file, IDENTITY, {})
        assert [mode(path) for path in (folder.path.parent, folder.path, folder.tls)] == [0o700] * 3
        files = [path for path in folder.path.rglob("*") if path.is_file()]
        assert sorted(path.name for path in files) == ["cert.pem", "dask.yaml", "key.pem", "scheduler.json"]
        assert [mode(path) for path in files] == [0o600] * 4
        text = folder.config.read_text()
        assert "PRIVATE KEY" not in text
        assert json.loads(text)["distributed"]["comm"]["tls"]["worker"]["key"] == str(folder.tls / "key.pem")
    assert not folder.path.exists()


def test_rejects_existing_folder(tmp_path: Path) -> None:
    """A folder that exists is rejected, and not touched."""
    folder = Folder(tmp_path / "one")
    with folder.kept(tls=False):
        before = folder.config.read_text()
        with pytest.raises(ClusterError, match="there already"):
            folder.make(tls=True)
        assert folder.config.read_text() == before


def test_reports_folder_that_cannot_be_created() -> None:
    """A folder in /proc cannot be created, and the error says so."""
    with pytest.raises(ClusterError, match="cannot be made"):
        Folder(Path("/proc/here")).make(tls=False)
