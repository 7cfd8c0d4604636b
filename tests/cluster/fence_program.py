"""Runs in the mini-cluster under srun: enters fences of PMIx, without MPI, and says in JSON when it came and left."""

from __future__ import annotations

import ctypes
import json
import sys
import time


class Proc(ctypes.Structure):
    """`pmix_proc_t`: a namespace and a rank."""

    _fields_ = (("nspace", ctypes.c_char * 256), ("rank", ctypes.c_uint32))


def main() -> None:
    """Enter one fence for each of SIZE ranks, to which that rank comes 50 ms late."""
    pmix = ctypes.CDLL("/opt/env/lib/openmpi/libpmix.so.2")
    nothing = ctypes.c_size_t(0)
    me = Proc()
    assert pmix.PMIx_Init(ctypes.byref(me), None, nothing) == 0
    times = []
    for late in range(int(sys.argv[1])):
        time.sleep(0.05 if me.rank == late else 0)
        came = time.time()
        assert pmix.PMIx_Fence(None, nothing, None, nothing) == 0
        times.append((came, time.time()))
    sys.stdout.write(json.dumps(times) + "\n")
    sys.stdout.flush()
    assert pmix.PMIx_Finalize(None, nothing) == 0


if __name__ == "__main__":
    main()
