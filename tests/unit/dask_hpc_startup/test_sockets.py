"""Sockets that only their user can connect to."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dask_hpc_startup import sockets


@pytest.fixture(autouse=True)
def tmp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder in place of /tmp, with a short path, since that of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr(sockets, "_TMP", Path(folder))
        yield Path(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_socket_are_private(tmp: Path) -> None:
    """Modes are 0700 and 0600, also if the folder existed with another; the folder is removed with its last socket."""
    (tmp / f"dask-hpc-{os.geteuid()}.dashboards").mkdir(mode=0o755)
    listener, path, number = sockets.listen(8787)
    with listener:
        assert (mode(path.parent), mode(path), number) == (0o700, 0o600, 8787)
    sockets.remove(path)
    assert list(tmp.iterdir()) == []
    sockets.remove(path)


def test_uses_next_free_number() -> None:
    """0 stands for Dask's default; a number in use is skipped; a socket of a killed process is replaced."""
    first, second, other = sockets.listen(0), sockets.listen(0), sockets.listen(9000)
    assert [one[2] for one in (first, second, other)] == [8787, 8788, 9000]
    first[0].close()  # as if killed: its file remains
    assert first[1].exists()
    again = sockets.listen(0)
    assert again[2] == 8787
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(again[1]))
    for one in (second, other, again):
        one[0].close()


def test_parallel_starts_and_ends_do_not_collide(tmp: Path) -> None:
    """Sockets that are created and removed at the same time share the folder."""

    def once(_: int) -> None:
        listener, path, _number = sockets.listen(0)
        with listener, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            sockets.remove(path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(once, range(200)))
    assert list(tmp.iterdir()) == []


def test_avoids_folder_of_another_user(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user, or a link, is not used."""
    (tmp / "elsewhere").mkdir()
    (tmp / f"dask-hpc-{os.geteuid()}.dashboards").symlink_to(tmp / "elsewhere")
    listener, path, _ = sockets.listen(0)
    listener.close()
    assert path.parent.parent == tmp
    assert mode(path.parent) == 0o700
    assert list((tmp / "elsewhere").iterdir()) == []
    sockets.remove(path)
    assert not path.parent.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_reports_user_of_peer() -> None:
    """The kernel lists both ends of a connection over loopback, each with its user."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        for user in (os.geteuid(), 1001):
            connect = f"read </dev/tcp/127.0.0.1/{address[1]}; exit 0"
            with subprocess.Popen(["bash", "-c", connect], user=user) as client:
                connection, _ = server.accept()
                with connection:
                    assert sockets.user_of_peer(connection) == user
                assert client.wait() == 0
