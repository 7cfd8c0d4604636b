"""Let one rank print for all until `speak`, so that an invalid option is reported once."""

from __future__ import annotations

import os
import sys

from dask_hpc.mpi.launch import launch

_kept: list[int] = []


def hush() -> None:
    """Until `speak`, discard the output of this process if it is a rank, and not the first."""
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
