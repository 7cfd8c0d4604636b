"""Allocate memory in a mini-cluster, in one of several ways, print "held", and keep it."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import sys

PAGE = 4096
PR_SET_DUMPABLE = 4


def block(kind: str, size: int) -> mmap.mmap:
    """Return zeros that use no memory yet."""
    if kind != "shm":
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE)
    file = os.open(f"/dev/shm/{os.environ['SLURM_JOB_ID']}", os.O_RDWR | os.O_CREAT)  # all tasks of a node share it
    os.ftruncate(file, size)
    return mmap.mmap(file, size)


def main() -> None:
    """Allocate MIB of memory as KIND says, with CHILDREN that use the same memory.

    KIND: `read` (children only read), `write` (they write to every page), `nondumpable` (as `read`, but its user
    cannot read its /proc files), `shm` (a file in /dev/shm).
    """
    kind = sys.argv[1]
    size = int(sys.argv[2]) << 20
    children = int(sys.argv[3])
    if kind == "nondumpable" and ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise SystemExit("prctl failed")
    data = block(kind, size)
    data[::PAGE] = b"x" * (size // PAGE)
    ready, done = os.pipe()
    for _ in range(children):
        if not os.fork():
            if kind == "write":
                data[::PAGE] = b"y" * (size // PAGE)
            sum(data[::PAGE])
            os.write(done, b".")
            signal.pause()
    for _ in range(children):
        os.read(ready, 1)
    sys.stdout.write("held\n")
    sys.stdout.flush()
    signal.pause()


main()
