"""Unix sockets that only their user can connect to: numbered, in one folder per user and machine.

The folder is in /tmp, which is local to the machine, survives a logout, and keeps paths within the 107 bytes that the
kernel allows. Jupyter's proxy and the launcher of the SIF know it as well.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tornado.netutil import bind_unix_socket

__all__ = ["listen", "remove"]

_TMP = "/tmp"  # noqa: S108 (the folder in it is checked to be the user's)
_FIRST, _LAST = 8787, 65535  # ports that `ssh -L` can forward; the first is where people look for Dask's dashboard


def listen(number: int) -> tuple[socket.socket, str, int]:
    """Return a listening socket, its path and its number, which is the first free one from `number` on.

    Sockets of processes that were killed are removed first.

    Args:
        number: a port's; 0 stands for Dask's own.

    Raises:
        OSError: no socket can be made.
    """
    with _locked(None) as folder:
        taken = {name for name in os.listdir(folder) if not _removed_if_stale(f"{folder}/{name}")}
        free = (one for one in range(number or _FIRST, _LAST + 1) if f"{one}.sock" not in taken)
        if (chosen := next(free, 0)) == 0:
            raise OSError(f"{folder}: no number from {number} on is free")
        path = f"{folder}/{chosen}.sock"
        return bind_unix_socket(path, mode=0o600), path, chosen


def remove(path: str) -> None:
    """Remove a socket, and the folder with its last one."""
    folder = os.path.dirname(path)
    with suppress(OSError), _locked(folder):
        os.unlink(path)
        os.rmdir(folder)


def _removed_if_stale(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return True
        except OSError:  # its queue is full
            return False
    return False


@contextmanager
def _locked(folder: str | None) -> Iterator[str]:
    """Yield a folder, the user's own by default, that no other process changes meanwhile."""
    while True:
        path = folder or _own_folder()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            if folder:
                raise
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _still_there(path, descriptor):
                yield path
                return
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile would keep the lock
            os.close(descriptor)


def _still_there(path: str, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    return False


def _own_folder() -> str:
    """Return the folder, made if need be; a new one if another user has taken its name."""
    path = f"{_TMP}/dask-hpc-{os.geteuid()}.dashboards"
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    with suppress(FileNotFoundError):  # removed by another process
        found = os.lstat(path)
        if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
            return tempfile.mkdtemp(prefix="dask-hpc-", dir=_TMP)
        if stat.S_IMODE(found.st_mode) != 0o700:
            os.chmod(path, 0o700)
    return path
