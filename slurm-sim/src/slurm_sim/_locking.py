"""One change of a mini-cluster at a time, whoever asks for it on this host."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Holds a mini-cluster's lock; whoever asks for it meanwhile waits. It ends with the process."""
    folder = Path(tempfile.gettempdir()) / f"slurm-sim-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
