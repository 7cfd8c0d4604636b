"""Let only the first rank print until `speak`, so that an invalid option is reported once."""

from __future__ import annotations

import os
import sys

from dask_hpc.mpi.launch import launch

_kept: list[int] = []


def hush() -> None:
    """Discard the output of this process until `speak`, if it is a rank other than the first."""
    found = launch()
    if found is None or found.first or _kept:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        _kept.append(os.dup(stream))
        os.dup2(nowhere, stream)
    os.close(nowhere)


def speak() -> None:
    """Undo `hush`."""
    sys.stdout.flush()
    sys.stderr.flush()
    for stream, kept in zip((1, 2), _kept, strict=False):
        os.dup2(kept, stream)
        os.close(kept)
    _kept.clear()
