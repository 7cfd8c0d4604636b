"""Copy files into and out of a mini-cluster, like `cp -r`."""

from __future__ import annotations

import io
import tarfile
from functools import partial
from pathlib import Path, PurePosixPath

from slurm_sim._docker import docker
from slurm_sim._engine import Engine
from slurm_sim._identity import Identity, identify
from slurm_sim.errors import SlurmSimError


def put(engine: Engine, source: Path, target: PurePosixPath, *, on: str, user: str) -> None:
    """Copy into a container, or into `target` if that is an existing folder. The copies belong to the user."""
    if not source.exists():
        raise SlurmSimError(f"{source} not found.", todo="check the path.")
    engine.require(on)
    owner = identify(engine.container(on), user)
    inside = engine.exec("test", "-d", str(target), on=on, user=user, check=False).returncode == 0
    folder, name = (target, source.resolve().name) if inside else (target.parent, target.name)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add(source, arcname=name, filter=partial(_owned, owner=owner))
    done = docker("cp", "-", f"{engine.container(on)}:{folder}", stdin=packed.getvalue())
    if done.returncode:
        raise SlurmSimError(f"Cannot copy {source} to {on}:{target}.", done.stderr)


def get(engine: Engine, source: PurePosixPath, target: Path, *, on: str) -> None:
    """Copy out of a container."""
    engine.require(on)
    done = docker("cp", f"{engine.container(on)}:{source}", str(target))
    if done.returncode:
        raise SlurmSimError(f"Cannot copy {on}:{source} to {target}.", done.stderr)


def _owned(member: tarfile.TarInfo, *, owner: Identity) -> tarfile.TarInfo:
    member.uid = owner.uid
    member.gid = owner.gid
    member.uname = ""
    member.gname = ""
    return member
