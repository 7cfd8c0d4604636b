"""Files into a mini-cluster and out of it, as `cp -r` would."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath

from slurm_sim._docker import docker
from slurm_sim._engine import Engine
from slurm_sim.errors import SlurmSimError

_UID = 1000


def put(engine: Engine, source: Path, target: PurePosixPath, *, on: str) -> None:
    """Copy into a container. A folder that exists takes the source inside it; files belong to `hpc`."""
    if not source.exists():
        raise SlurmSimError(f"There is no {source}.", todo="see the path.")
    engine.require(on)
    inside = engine.exec("test", "-d", str(target), on=on, check=False).returncode == 0
    folder, name = (target, source.resolve().name) if inside else (target.parent, target.name)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(source, arcname=name, filter=_as_hpc)
    done = docker("cp", "-", f"{engine.container(on)}:{folder}", stdin=packed.getvalue())
    if done.returncode:
        raise SlurmSimError(f"{source} could not be copied to {on}:{target}.", done.stderr)


def get(engine: Engine, source: PurePosixPath, target: Path, *, on: str) -> None:
    """Copy out of a container."""
    engine.require(on)
    done = docker("cp", f"{engine.container(on)}:{source}", str(target))
    if done.returncode:
        raise SlurmSimError(f"{on}:{source} could not be copied to {target}.", done.stderr)


def _as_hpc(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = _UID
    member.gid = _UID
    member.uname = ""
    member.gname = ""
    return member
