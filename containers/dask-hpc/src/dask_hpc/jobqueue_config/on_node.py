"""What a node says of itself, as one line of JSON: `python -m dask_hpc.jobqueue_config.on_node`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dask_hpc import network
from dask_hpc.errors import RequestError

__all__ = ["file_system", "own_disk", "report"]

_CANDIDATES = ("/local", "/localscratch", "/scratch/local", "/tmp", "/var/tmp")  # noqa: S108 (Dask makes its own folder)
_MEMORY = {"tmpfs", "ramfs"}
_OWN = {"btrfs", "ext2", "ext3", "ext4", "overlay", "xfs", "zfs", "f2fs"}
_LEAST = 1 << 30  # bytes: with less, there is no use in spilling to it


def report(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the node's name, its interface, and a folder on its own disk with the disk's type and room in GiB."""
    try:
        interface = network.choose()[0]
    except RequestError:
        interface = ""
    return {"node": environ.get("SLURMD_NODENAME", ""), "interface": interface, "disk": own_disk()}


def own_disk(mounts: str | None = None) -> dict[str, Any] | None:
    """Return the first of the usual folders that can be written and is on a disk of the node's own."""
    table = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace") if mounts is None else mounts
    found = [(folder, file_system(folder, table)) for folder in _CANDIDATES if os.access(folder, os.W_OK | os.X_OK)]
    for kinds in (_OWN, _MEMORY):  # memory is better than a network
        for folder, kind in found:
            room = shutil.disk_usage(folder).free
            if kind in kinds and room >= _LEAST:
                return {"folder": folder, "type": kind, "gib": room >> 30}
    return None


def file_system(folder: str, mounts: str) -> str:
    """Return the type of the file system that a folder is on, out of the lines of /proc/mounts."""
    best, kind = "", ""
    for line in mounts.splitlines():
        _, point, type_, *_ = line.split()
        if (folder == point or folder.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
            best, kind = point, type_
    return kind


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report(os.environ)) + "\n")
