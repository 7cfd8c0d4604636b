"""The private folder of a dask-mpi cluster."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_hpc.errors import ClusterError
from dask_hpc.mpi import scheduler_file as mpi_scheduler_file
from dask_hpc.mpi.folder import PRELOAD, Folder
from dask_hpc.mpi.scheduler_file import Origin
from dask_hpc.mpi.settings import MpiSettings

IDENTITY = {"type": "Scheduler", "id": "Scheduler-1", "address": "tls://192.0.2.1:1", "services": {}, "workers": {}}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """Set the umask of this process."""
    before = os.umask(request.param)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_folder_is_private(tmp_path: Path) -> None:
    """Folders have mode 0700 and files 0600 with any umask; the configuration has paths, but no secrets."""
    folder = Folder(tmp_path / "home" / "one")
    with folder.kept(tls=True):
        mpi_scheduler_file.publish(folder.scheduler_file, IDENTITY, Origin())
        assert [mode(path) for path in (folder.path.parent, folder.path, folder.tls)] == [0o700] * 3
        files = [path for path in folder.path.rglob("*") if path.is_file()]
        assert sorted(path.name for path in files) == ["cert.pem", "dask.yaml", "key.pem", "scheduler.json"]
        assert [mode(path) for path in files] == [0o600] * 4
        text = folder.config.read_text()
        assert "PRIVATE KEY" not in text
        assert json.loads(text)["distributed"]["comm"]["tls"]["worker"]["key"] == str(folder.tls / "key.pem")
    assert not folder.path.exists()


def test_rejects_existing_folder(tmp_path: Path) -> None:
    """A folder that exists is rejected, and not changed."""
    folder = Folder(tmp_path / "one")
    with folder.kept(tls=False):
        before = folder.config.read_text()
        with pytest.raises(ClusterError, match="already exists"):
            folder.make(tls=True)
        assert folder.config.read_text() == before


def test_reports_folder_that_cannot_be_created() -> None:
    """A folder in /proc cannot be created, and the error says so."""
    with pytest.raises(ClusterError, match="Cannot create /proc/here"):
        Folder(Path("/proc/here")).make(tls=False)


def test_configuration_has_credentials_and_preload(tmp_path: Path) -> None:
    """Every role has credentials, encryption is required, and every process loads the preload that ends the job."""
    folder = Folder(tmp_path / "one")
    settings = MpiSettings(wait_for_client=300)
    with folder.kept(tls=True, settings=settings, of_dask={"distributed.scheduler.idle-timeout": None}):
        seen = json.loads(folder.config.read_text())
        cert, key = str(folder.tls / "cert.pem"), str(folder.tls / "key.pem")
    role = {"cert": cert, "key": key}
    assert seen["distributed"] == {
        "scheduler": {"preload": [PRELOAD], "idle-timeout": None},
        "worker": {"preload": [PRELOAD]},
        "comm": {
            "default-scheme": "tls",
            "require-encryption": True,
            "tls": {"ca-file": cert, "client": role, "scheduler": role, "worker": role},
        },
    }
    assert seen["dask-hpc"] == {"mpi": {"wait-for-client": 300}}
    assert seen["logging"] == {"distributed.batched": "warning", "distributed.worker.state_machine": "error"}


def test_client_credentials_require_encryption(tmp_path: Path) -> None:
    """A client with these credentials never connects to a scheduler without TLS."""
    security = Folder(tmp_path).security()
    assert security.require_encryption
    assert security.tls_ca_file == security.tls_client_cert == str(tmp_path / "tls" / "cert.pem")
    assert security.tls_client_key == str(tmp_path / "tls" / "key.pem")


def test_creates_no_credentials_without_tls(tmp_path: Path) -> None:
    """Without TLS, neither the folder nor the configuration has credentials; parent folders are created."""
    folder = Folder(tmp_path / "a" / "b" / "one")
    with folder.kept(tls=False):
        assert not folder.tls.exists()
        assert "comm" not in json.loads(folder.config.read_text())["distributed"]
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_error_removes_folder(tmp_path: Path) -> None:
    """The folder is removed after any exception, and removing it again is not an error."""
    folder = Folder(tmp_path / "one")
    with pytest.raises(InterruptedError), folder.kept(tls=True):
        raise InterruptedError
    assert not folder.path.exists()
    folder.remove()


def test_keeps_files_of_other_programs(tmp_path: Path) -> None:
    """A folder with a file that the cluster did not create is kept, and so is the file."""
    folder = Folder(tmp_path / "one")
    folder.make(tls=False)
    (folder.path / "notes").touch()
    with pytest.raises(OSError, match="not empty"):
        folder.remove()
    assert [file.name for file in folder.path.iterdir()] == ["notes"]


def test_removes_incomplete_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the disk is full, the partly written folder is removed."""

    def full(_folder: Path, _lifetime: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dask_hpc.credentials.make", full)
    with pytest.raises(ClusterError, match="No space left"):
        Folder(tmp_path / "one").make(tls=True)
    assert not (tmp_path / "one").exists()
