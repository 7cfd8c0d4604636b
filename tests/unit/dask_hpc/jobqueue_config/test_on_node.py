"""What a node tells of itself."""

from __future__ import annotations

from dask_hpc.jobqueue_config.on_node import file_system, own_disk


def test_file_systems_of_folders() -> None:
    """The innermost mount counts."""
    mounts = "/dev/a / ext4 rw 0 0\nserver:/t /tmp nfs4 rw 0 0\n/dev/b /tmp/local xfs rw 0 0"
    assert [file_system(folder, mounts) for folder in ("/var/tmp", "/tmp", "/tmp/local", "/tmpx")] == [
        "ext4", "nfs4", "xfs", "ext4",
    ]  # fmt: skip


def test_a_network_is_not_a_disk_of_the_nodes_own() -> None:
    """Where everything is on the network, there is no disk to spill to."""
    assert own_disk("server:/ / nfs4 rw 0 0") is None
    disk = own_disk("/dev/a / ext4 rw 0 0")
    assert disk is None or disk["type"] == "ext4"
