"""Files with a SIF's header and nothing that can run."""

from __future__ import annotations

import platform
import struct
from pathlib import Path

from slurm_sim import _sif


def sif(
    folder: Path,
    *,
    name: str = "x.sif",
    code: bytes = b"",
    magic: bytes = b"SIF_MAGIC\0",
    size: int = 1024,
    mode: int = 0o644,
) -> Path:
    """Write a file with a SIF's header, which is complete at 1024 bytes."""
    codes = {name: number for number, name in _sif._ARCHITECTURES.items()}
    machine = code or codes[platform.machine()]
    numbers = (1, 2, 3, 4, 5, 6, 1000, 24)  # the last two: offset and size of the data
    header = struct.pack(
        "<32s10s3s3s16s8q", b"#!/usr/bin/env run-singularity\n", magic, b"01\0", machine, b"", *numbers
    )
    path = folder / name
    path.write_bytes(header.ljust(size, b"\0")[:size])
    path.chmod(mode)
    return path
