"""Files into a mini-cluster and out of it, as `cp -r` would."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from slurm_sim.errors import SlurmSimError
from slurm_sim.running import docker

if TYPE_CHECKING:
    from slurm_sim.cluster import SlurmSim

_UID = 1000


def put(sim: SlurmSim, source: Path, target: PurePosixPath, on: str) -> None:
    """Copies into a container. A folder that exists takes the source inside it; files belong to `hpc`."""
    if not source.exists():
        raise SlurmSimError(f"there is no {source}", hint="see the path")
    sim.check_service(on)
    inside = sim.exec("test", "-d", str(target), on=on, check=False).returncode == 0
    folder, name = (target, source.resolve().name) if inside else (target.parent, target.name)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(source, arcname=name, filter=_as_hpc)
    done = docker("cp", "-", f"{sim.container(on)}:{folder}", stdin=packed.getvalue())
    if done.returncode:
        raise SlurmSimError(f"could not copy {source} to {on}:{target}", seen=done.stderr)


def get(sim: SlurmSim, source: PurePosixPath, target: Path, on: str) -> None:
    """Copies out of a container."""
    sim.check_service(on)
    done = docker("cp", f"{sim.container(on)}:{source}", str(target))
    if done.returncode:
        raise SlurmSimError(f"could not copy {on}:{source} to {target}", seen=done.stderr)


def _as_hpc(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = _UID
    member.uname = member.gname = ""
    return member
