"""Enter PMIx fences under srun in a mini-cluster, without MPI, and print the fences that a rank left too early."""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

PATIENCE = 0.3  # seconds that a late rank waits for others to leave without it, after all of them have entered
LIMIT = 30  # seconds that it waits for them to enter


class Proc(ctypes.Structure):
    """`pmix_proc_t`: a namespace and a rank."""

    _fields_ = (("nspace", ctypes.c_char * 256), ("rank", ctypes.c_uint32))


def awaited(enough: Callable[[Iterable[bool]], bool], files: list[Path], seconds: float) -> bool:
    """Wait for all or any of the files; return whether they appeared in time."""
    end = time.monotonic() + seconds
    while not enough(file.exists() for file in files):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def main() -> None:
    """Enter one fence for each of SIZE ranks, which that rank enters last; ranks leave marks in the shared FOLDER.

    A late rank enters after all others, and after a pause in which none of them may leave.
    """
    size = int(sys.argv[1])
    folder = Path(sys.argv[2])
    pmix = ctypes.CDLL("/opt/env/lib/openmpi/libpmix.so.2")
    nothing = ctypes.c_size_t(0)
    me = Proc()
    assert pmix.PMIx_Init(ctypes.byref(me), None, nothing) == 0
    early = []
    for late in range(size):
        others = [rank for rank in range(size) if rank != late]
        if me.rank == late:
            assert awaited(all, [folder / f"{late}-came-{rank}" for rank in others], LIMIT)
            early += [late] * awaited(any, [folder / f"{late}-left-{rank}" for rank in others], PATIENCE)
        else:
            (folder / f"{late}-came-{me.rank}").touch()
        assert pmix.PMIx_Fence(None, nothing, None, nothing) == 0
        (folder / f"{late}-left-{me.rank}").touch()
    sys.stdout.write(json.dumps(early) + "\n")
    sys.stdout.flush()
    assert pmix.PMIx_Finalize(None, nothing) == 0


if __name__ == "__main__":
    main()
