"""Unix sockets that only their user can connect to: numbered, in one folder per user and machine.

The folder is in /tmp, which is local to the machine, survives a logout, and keeps paths within the 107 bytes that the
kernel allows. Jupyter's proxy and the SIF's launcher use it too.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tornado.netutil import bind_unix_socket

_TMP = Path("/tmp")  # noqa: S108 (the owner of the folder in it is checked)
_FIRST = 8787  # the default port of Dask's dashboard
_LAST = 65535  # `ssh -L` can forward ports up to this


def listen(number: int) -> tuple[socket.socket, Path, int]:
    """Return a listening socket, its path and its number: the first free one from `number` on.

    Sockets of killed processes are removed first.

    Args:
        number: a port number; 0 stands for Dask's default.

    Raises:
        OSError: the socket cannot be created.
    """
    with _locked(None) as folder:
        taken = {path for path in list(folder.iterdir()) if not _removed_if_stale(path)}
        free = (one for one in range(number or _FIRST, _LAST + 1) if folder / f"{one}.sock" not in taken)
        if (chosen := next(free, 0)) == 0:
            raise OSError(f"{folder}: no free number from {number} on")
        path = folder / f"{chosen}.sock"
        return bind_unix_socket(str(path), mode=0o600), path, chosen


def remove(path: Path) -> None:
    """Remove a socket, and its folder once that is empty."""
    with suppress(OSError), _locked(path.parent) as folder:
        path.unlink()
        folder.rmdir()


def user_of_peer(connection: socket.socket) -> int | None:
    """Return the user ID of the peer of an IPv4 loopback connection, as the kernel lists it; None if it has ended."""
    ends = [_as_listed(*end) for end in (connection.getpeername(), connection.getsockname())]
    with Path("/proc/self/net/tcp").open(encoding="ascii") as listed:
        return next((int(words[7]) for words in map(str.split, listed) if words[1:3] == ends), None)


def _as_listed(address: str, port: int) -> str:
    return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"


def _removed_if_stale(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return True
        except OSError:  # its queue is full
            return False
    return False


@contextmanager
def _locked(folder: Path | None) -> Iterator[Path]:
    """Yield a folder, by default the user's own, and keep other processes from changing it."""
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
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child forked in the meantime would keep the lock
            os.close(descriptor)


def _still_there(path: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _own_folder() -> Path:
    """Return the folder, created if needed; a new one if another user has taken its name."""
    path = _TMP / f"dask-hpc-{os.geteuid()}.dashboards"
    with suppress(FileExistsError):
        path.mkdir(0o700)
    with suppress(FileNotFoundError):  # removed by another process
        found = path.lstat()
        if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
            return Path(tempfile.mkdtemp(prefix="dask-hpc-", dir=_TMP))
        if stat.S_IMODE(found.st_mode) != 0o700:
            path.chmod(0o700)
    return path
