"""Check a SIF before anything starts (its header has its architecture and size), then share it."""

from __future__ import annotations

import platform
import struct
from pathlib import Path

from slurm_sim import _engine_errors
from slurm_sim._docker import docker
from slurm_sim._engine import Engine
from slurm_sim.errors import EngineError, SpecError
from slurm_sim.spec import Spec

# https://github.com/apptainer/sif: launcher, magic, version, architecture, id; times, counts, and offsets of the data.
_HEADER = struct.Struct("<32s 10s 3s 3s 16s 8q")
SHARED = "/shared"
"""The folder in which all nodes find it, read-only; a volume that only the controller's container can write to."""

_ARCHITECTURES = {b"01": "i386", b"02": "x86_64", b"03": "arm", b"04": "aarch64", b"06": "ppc64le", b"09": "s390x"}


def of_bare(file: str | Path | None, *, bare: bool) -> str | None:
    """Return the path of a bare mini-cluster's SIF, or None without one. Raises `SpecError`."""
    if file is None:
        return None
    if not bare:
        raise SpecError("Only bare nodes have Apptainer for a SIF.", f"sif {file}", "add --bare.")
    return str(check_sif(file))


def check_sif(file: str | Path) -> Path:
    """Return the SIF's absolute path if every user of this machine can run it; else raise `SpecError`."""
    path = Path(file).absolute()
    try:
        with path.open("rb") as stream:
            header = stream.read(_HEADER.size)
        status = path.stat()
    except OSError as error:
        raise SpecError(f"The SIF {path} cannot be read.", str(error.strerror), "'make sif' builds one.") from None
    again = "build or copy it again, and compare its sha256."
    if len(header) < _HEADER.size or header[32:41] != b"SIF_MAGIC":
        raise SpecError(f"{path} is not a SIF.", f"{status.st_size} bytes without a SIF header", again)
    _, _, _, code, _, *numbers = _HEADER.unpack(header)
    whole = numbers[6] + numbers[7]
    if status.st_size < whole:
        raise SpecError(f"The SIF {path} is truncated.", f"{status.st_size} of {whole} bytes", again)
    architecture = _ARCHITECTURES.get(code[:2], "unknown")
    if architecture != platform.machine():
        seen = f"it is for {architecture}, this machine is {platform.machine()}"
        raise SpecError(f"The SIF {path} is for another architecture.", seen, "build it on a machine like this one.")
    if not status.st_mode & 0o004:
        raise SpecError(f"The SIF {path} is not world-readable.", todo=f"run 'chmod a+r {path}'.")
    return path


def share(engine: Engine, spec: Spec, *, again: bool = False) -> None:
    """Copy a mini-cluster's SIF to its nodes' shared folder, through the engine, which may be on another host.

    The file appears there only when complete. Does nothing without a SIF or, with `again`, if the file exists already.
    Raises `EngineError`.
    """
    if spec.sif is None:
        return
    new = f"{SHARED}/.new"
    target = f"{SHARED}/{Path(spec.sif).name}"
    if again and engine.run("slurmctld", "test", "-e", target).returncode == 0:
        return
    done = docker("cp", "--follow-link", spec.sif, f"{engine.container('slurmctld')}:{new}")
    if not done.returncode:
        done = engine.run("slurmctld", "mv", new, target)
    if done.returncode:
        todo = _engine_errors.advice(done.stderr) or "check that the file still exists."
        raise EngineError(f"Cannot copy {spec.sif} to the nodes.", done.stderr, todo)
