"""A node's report."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest

from dask_hpc import network
from dask_hpc.errors import RequestError
from dask_hpc.jobqueue_config import on_node
from dask_hpc.jobqueue_config.on_node import Disk, NodeFacts, file_system, own_disk, parse_reports, report

GIB = 1 << 30


def mount(point: str, kind: str) -> SimpleNamespace:
    """Return a mount as psutil shows it."""
    return SimpleNamespace(mountpoint=point, fstype=kind)


@pytest.mark.parametrize(
    ("folder", "kind"), [("/var/tmp", "ext4"), ("/tmp", "nfs4"), ("/tmp/local", "xfs"), ("/tmpx", "ext4")]
)
def test_file_system_is_innermost_mount(folder: str, kind: str) -> None:
    """The innermost mount decides."""
    mounts = [mount("/", "ext4"), mount("/tmp", "nfs4"), mount("/tmp/local", "xfs")]
    assert file_system(folder, mounts) == kind


class Disks:
    """Folders that a node might have, each with a file system and free space."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._free: dict[str, int] = {}
        self._mounts = [mount("/", "nfs4")]
        monkeypatch.setattr(on_node, "_CANDIDATES", ())
        monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=self._free[path]))
        monkeypatch.setattr(psutil, "disk_partitions", lambda **_: self._mounts)
        self._patch = monkeypatch

    def add(self, name: str, kind: str, free: int) -> str:
        """Add the next candidate."""
        path = self._folder / name
        path.mkdir()
        self._patch.setattr(on_node, "_CANDIDATES", (*on_node._CANDIDATES, str(path)))
        self._free[str(path)] = free
        self._mounts.append(mount(str(path), kind))
        return str(path)


@pytest.fixture
def disks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disks:
    """Simulate a node without any local folder yet."""
    return Disks(tmp_path, monkeypatch)


def test_chooses_first_disk_with_enough_space(disks: Disks) -> None:
    """The size is in whole GiB; a full disk is skipped."""
    disks.add("full", "xfs", GIB - 1)
    first = disks.add("first", "ext4", 7 * GIB + 5)
    disks.add("second", "xfs", 90 * GIB)
    assert own_disk() == Disk(folder=first, type="ext4", gib=7)


def test_one_gib_is_enough(disks: Disks) -> None:
    """1 GiB is the least free space for spilling."""
    folder = disks.add("small", "btrfs", GIB)
    assert own_disk() == Disk(folder=folder, type="btrfs", gib=1)


def test_prefers_disk_to_memory_and_memory_to_network(disks: Disks) -> None:
    """The type of the file system counts before the order of the folders; a network never counts."""
    disks.add("network", "nfs4", 900 * GIB)
    assert own_disk() is None
    memory = disks.add("memory", "tmpfs", 60 * GIB)
    assert own_disk() == Disk(folder=memory, type="tmpfs", gib=60)
    disk = disks.add("disk", "zfs", 2 * GIB)
    assert own_disk() == Disk(folder=disk, type="zfs", gib=2)


def test_skips_missing_folder(disks: Disks) -> None:
    """Not every node has every common folder."""
    Path(disks.add("gone", "xfs", 9 * GIB)).rmdir()
    assert own_disk() is None


def test_folder_outside_mounts_has_no_type() -> None:
    """A mount point is a folder, not the beginning of a name; the last mount on a mount point hides the others."""
    assert file_system("/data", [mount("/dat", "ext4")]) == ""
    assert file_system("/data/x", [mount("/data", "ext4"), mount("/data", "nfs4")]) == "nfs4"


def test_reports_this_machine() -> None:
    """The report of a real machine has its name, its interface and possibly a disk."""
    seen = report({"SLURMD_NODENAME": "c1"})
    assert seen.node == "c1"
    assert seen.interface == network.choose().name
    assert seen.disk == own_disk()
    assert report({}).node == ""


def test_ignores_other_output() -> None:
    """A report is one line of JSON among the output of a site's prologue."""
    disk = Disk(folder="/local", type="xfs", gib=900)
    reports = [NodeFacts(node="c1", interface="ib0", disk=disk), NodeFacts(node="c2", interface="", disk=None)]
    printed = "\n".join(["Welcome {to} c1!", *(msgspec.json.encode(one).decode() for one in reports)])
    assert parse_reports(printed) == reports


def test_interface_is_empty_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an empty interface, the file leaves the choice to the worker."""

    def none() -> network.Interface:
        raise RequestError("This host has no route to others.")

    monkeypatch.setattr(network, "choose", none)
    assert report({}).interface == ""
