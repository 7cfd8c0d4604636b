"""How many threads NumPy's BLAS uses in this process: asked and set while it runs, as threadpoolctl would."""

from __future__ import annotations

import ctypes
from pathlib import Path

__all__ = ["blas_threads"]

# OpenBLAS in NumPy's wheels, in conda-forge's packages, and with 64-bit integers
_NAMES = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads", "openblas_{}_num_threads64_")


def blas_threads(count: int = 0) -> int:
    """Let this process's BLAS use `count` threads from now on; 0 changes nothing.

    Returns:
        how many it uses, or 0 if it is no OpenBLAS and cannot be asked.
    """
    import numpy as np

    np.linalg.eigvals(np.eye(2))  # so that the library is loaded
    maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    files = {line.split()[-1] for line in maps if "blas" in line.lower() and ".so" in line}
    for library in map(ctypes.CDLL, files):
        for name in _NAMES:
            if hasattr(library, name.format("set")):
                if count:
                    getattr(library, name.format("set"))(count)
                return int(getattr(library, name.format("get"))())
    return 0
