"""Prepare all ranks before Dask starts in them: resources, a private folder, and Dask's configuration."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dask_hpc import network
from dask_hpc.mpi.ending import remove_folder
from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.share import Share, of_this_rank
from dask_hpc.mpi.world import World
from dask_hpc.slurm.allocation import Allocation
from dask_hpc.stop import Stopped


@dataclass(frozen=True)
class Means:
    """A rank's resources: its share of its node, and the node's interface and the reason for it."""

    share: Share
    interface: tuple[str, str]


@dataclass(frozen=True)
class Ready:
    """A cluster's private folder, and whether its connections are encrypted."""

    folder: Folder
    tls: bool


def job_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of this job's folder, in the home that its nodes share."""
    ours = Allocation.from_environment(environ)
    step = f".{ours.step}" if ours.step.isdigit() else ""
    name = f"dask-mpi-{ours.job}{step}" if ours.job else f"dask-mpi-pid-{os.getpid()}"
    return Path.home() / ".dask-hpc" / name


def means(world: World, *, speaker: int, interface: str | None) -> Means:
    """Return this rank's resources; all ranks take part.

    Args:
        world: all ranks.
        speaker: the rank that raises an error.
        interface: the requested interface, if any.
    """
    share = world.together(lambda: of_this_rank(world.here), speaker)
    return Means(share, world.together(lambda: _interface(interface), speaker))


def encrypted(world: World, *, tls: bool) -> bool:
    """Return whether this job's cluster is encrypted, from its folder if that exists, else `tls`."""
    config = Folder(job_folder()).config
    found = world.comm.bcast(json.loads(config.read_text()) if world.rank == 0 and config.exists() else None)
    return _encrypted(found) if found else tls


@contextmanager
def prepared(
    world: World, *, speaker: int, path: Path | None = None, tls: bool, settings: MpiSettings
) -> Iterator[Ready]:
    """Set up Dask's configuration in all ranks; afterwards, rank 0 removes the files that it created.

    Args:
        world: all ranks; they all take part.
        speaker: the rank that raises an error.
        path: the folder; if it exists, it was created for this cluster.
        tls: create credentials, if the folder is created here.
        settings: settings for `dask_hpc.mpi.preload`.
    """
    from dask import config

    folder = Folder(world.comm.bcast(path or job_folder()))
    with ExitStack() as stack:
        ours = world.comm.bcast(world.rank == 0 and not folder.config.exists())
        world.together(lambda: _make(world, stack, folder, tls=tls) if ours else None, speaker)
        content: dict[str, Any] = world.comm.bcast(json.loads(folder.config.read_text()) if world.rank == 0 else None)
        config.update(config.config, content)
        place = MpiSettings(scheduler_file=str(folder.scheduler_file), folder=str(folder.path), made_here=ours)
        known = MpiSettings(nodes=tuple(world.nodes), world=world.size, mpi=world.library).overridden_by(settings)
        place.overridden_by(MpiSettings.configured()).overridden_by(known).configure()
        _set_levels(content["logging"])
        try:
            yield Ready(folder, _encrypted(content))
        except Stopped:
            # on every rank: the one that created the folder may have been killed, or may wait in MPI for a killed one
            if ours:
                remove_folder()
            raise


def _encrypted(content: Mapping[str, Any]) -> bool:
    return "comm" in content["distributed"]


def _make(world: World, stack: ExitStack, folder: Folder, *, tls: bool) -> None:
    if world.rank == 0:
        stack.enter_context(folder.kept(tls=tls))


def _interface(wanted: str | None) -> tuple[str, str]:
    if wanted is None:
        return network.choose()
    network.address(wanted)
    return wanted, "asked for"


def _set_levels(levels: Mapping[str, str]) -> None:
    """Set log levels as Dask does on import, which was before these were known."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level.upper())
