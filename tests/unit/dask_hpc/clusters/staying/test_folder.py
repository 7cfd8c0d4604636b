"""The folder of a cluster that stays: what it holds, who can read it, and what happens to it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.staying.folder import Address, ClusterFolder, End, find, folders, new_request, refuse_name
from dask_hpc.errors import ClusterError, RequestError


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every test has an empty home."""
    monkeypatch.setenv("HOME", str(tmp_path))


def created(name: str = "mine") -> ClusterFolder:
    """Return the folder of a new cluster."""
    folder = ClusterFolder(name)
    options = ClusterOptions(jobs=(1, 4), log_directory=Path("/logs"), sbatch_option=("--qos=a b",))
    folder.create(new_request(name, options, lifetime=60, idle=30, host=""))
    return folder


def test_only_its_user_can_read_it() -> None:
    """The folder, the one above and the files are closed to others."""
    folder = created()
    folder.began(Address(scheduler="tls://a:1", dashboard=("a", 2), node="a", pid=3, job="4", workers="x"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder.path, folder.path.parent)}
    assert modes == {"mine": 0o700, "clusters": 0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.glob("*.json")} == {0o600}


def test_keeps_what_was_written() -> None:
    """Options with paths and pairs come back as they were; what is not there yet is None."""
    folder = created()
    request = folder.request()
    assert request
    assert request.options == ClusterOptions(jobs=(1, 4), log_directory=Path("/logs"), sbatch_option=("--qos=a b",))
    assert request.scheduler == f"{request.jobs}-scheduler"
    assert (folder.address(), folder.end()) == (None, None)
    folder.ended(End(reason="was stopped"))
    assert folder.end() == End(reason="was stopped")
    assert [path.name for path in folder.path.iterdir() if path.name.startswith(".")] == []


def test_names_are_unique() -> None:
    """A folder is created once; after its removal, its name is free, and its jobs get another name."""
    folder = created()
    first = folder.request()
    with pytest.raises(FileExistsError):
        created()
    folder.remove()
    folder.remove()
    second = created().request()
    assert first
    assert second
    assert first.jobs != second.jobs
    assert [one.name for one in folders()] == ["mine"]


def test_finds_and_suggests() -> None:
    """A name that was mistyped gets a suggestion, and files beside the folders are no clusters."""
    with pytest.raises(RequestError, match="You have none"):
        find("mine")
    created()
    (Path.home() / ".dask-hpc" / "clusters" / "notes.txt").touch()
    assert find("mine").exists
    with pytest.raises(RequestError, match=r"There is no Dask cluster 'mien'\.\nYours: mine\n.*did you mean mine"):
        find("mien")
    assert not ClusterFolder("../clusters/mine").exists


@pytest.mark.parametrize("name", ["", "a b", "../x", ".x", "-x", "slurm", "local", "mpi", "x" * 33, "x\n", "é"])
def test_refuses_names(name: str) -> None:
    """Names become parts of paths, of job names and values of --on."""
    with pytest.raises(RequestError, match="cannot be called"):
        refuse_name(name)


@pytest.mark.parametrize("name", ["mine", "a", "A-1_b", "x" * 32])
def test_accepts_names(name: str) -> None:
    """Letters, digits, and - and _ between them."""
    refuse_name(name)


def test_damaged_file_is_named() -> None:
    """The error says which file, and how to remove the cluster."""
    folder = created()
    (folder.path / "request.json").write_text("{")
    with pytest.raises(ClusterError, match=r"Cannot read .*request\.json.*\n.*\n.*dask-hpc cluster stop mine"):
        folder.request()


def test_unwritable_home_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It names the folder."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    with pytest.raises(ClusterError, match=r"Cannot write .*clusters/mine"):
        created()
