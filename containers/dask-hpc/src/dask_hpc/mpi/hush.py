"""What is wrong with a command line is said by one rank, not by each."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dask_hpc.mpi.launch import launch

__all__ = ["hush", "speak"]

_kept: list[int] = []


def hush(words: Sequence[str]) -> None:
    """Until `speak`, have standard output and error go nowhere if this is a rank, and not the first, of `--on mpi`."""
    if not any(word == "--on=mpi" or words[at : at + 2] == ["--on", "mpi"] for at, word in enumerate(words)):
        return
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
