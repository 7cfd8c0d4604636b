"""Report facts about a node as one line of JSON: `python -m dask_hpc.jobqueue_config.on_node`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import psutil

from dask_hpc import network
from dask_hpc.errors import RequestError
from dask_hpc.slurm.allocation import Allocation

_CANDIDATES = ("/local", "/localscratch", "/scratch/local", "/tmp", "/var/tmp")  # noqa: S108 (Dask makes its own folder)
_MEMORY = {"tmpfs", "ramfs"}
_OWN = {"btrfs", "ext2", "ext3", "ext4", "overlay", "xfs", "zfs", "f2fs"}
_LEAST = 1 << 30  # bytes: less is of no use for spilling


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """A folder on a disk of the node, the type of its file system, and its free space in GiB."""

    folder: str
    type: str
    gib: int


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A node's name, the interface through which others reach it (or ''), and a disk for spilling."""

    node: str
    interface: str
    disk: Disk | None


class Mount(Protocol):
    """The attributes of psutil's mounts that are used here."""

    @property
    def mountpoint(self) -> str: ...  # noqa: D102
    @property
    def fstype(self) -> str: ...  # noqa: D102


def report(environ: Mapping[str, str]) -> NodeFacts:
    """Return the facts about this node."""
    try:
        interface = network.choose().name
    except RequestError:
        interface = ""
    return NodeFacts(node=Allocation.from_environment(environ).node, interface=interface, disk=own_disk())


def parse_reports(text: str) -> list[NodeFacts]:
    """Return the reports in nodes' output; other lines, such as those of a site's prologue, are ignored."""
    return [msgspec.json.decode(line, type=NodeFacts) for line in text.splitlines() if line.startswith('{"node"')]


def own_disk() -> Disk | None:
    """Return the first common folder that is writable and on a disk of this node."""
    mounts = psutil.disk_partitions(all=True)
    found = [(folder, file_system(folder, mounts)) for folder in _CANDIDATES if os.access(folder, os.W_OK | os.X_OK)]
    for kinds in (_OWN, _MEMORY):  # memory is better than a network
        for folder, kind in found:
            room = shutil.disk_usage(folder).free
            if kind in kinds and room >= _LEAST:
                return Disk(folder=folder, type=kind, gib=room >> 30)
    return None


def file_system(folder: str, mounts: Sequence[Mount]) -> str:
    """Return the type of a folder's file system: the innermost mount, and the last of several on one mount point."""
    around = [mount for mount in mounts if f"{folder}/".startswith(f"{mount.mountpoint.rstrip('/')}/")]
    return max(reversed(around), key=lambda mount: len(mount.mountpoint)).fstype if around else ""


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(report(os.environ)).decode() + "\n")
