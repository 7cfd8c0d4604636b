"""A node's report about itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from dask_hpc.jobqueue_config import on_node
from dask_hpc.jobqueue_config.on_node import file_system, own_disk


def test_file_system_is_innermost_mount() -> None:
    """The innermost mount decides."""
    mounts = "/dev/a / ext4 rw 0 0\nserver:/t /tmp nfs4 rw 0 0\n/dev/b /tmp/local xfs rw 0 0"
    assert [file_system(folder, mounts) for folder in ("/var/tmp", "/tmp", "/tmp/local", "/tmpx")] == [
        "ext4", "nfs4", "xfs", "ext4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("types", "free", "chosen"),
    [
        (("tmpfs", "ext4"), 5 << 30, "b"),
        (("tmpfs", "nfs4"), 5 << 30, "a"),
        (("nfs4", "xfs"), 5 << 30, "b"),
        (("nfs4", "lustre"), 5 << 30, None),
        (("ext4", "ext4"), 1 << 20, None),
    ],
)
def test_own_disk_prefers_disk_to_memory_to_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, types: tuple[str, str], free: int, chosen: str | None
) -> None:
    """A disk of the node is used before memory; a network file system or a full disk is not used at all."""
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(on_node, "_CANDIDATES", tuple(map(str, folders)))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    disk = own_disk("\n".join(f"x {folder} {kind} rw 0 0" for folder, kind in zip(folders, types, strict=True)))
    expected = {"folder": str(tmp_path / chosen), "type": types[chosen == "b"], "gib": 5} if chosen else None
    assert disk == expected
