"""What all ranks do together before Dask starts in them: shares, a private folder, and Dask's configuration."""

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
from dask_hpc.mpi.folder import Folder
from dask_hpc.mpi.settings import MpiSettings
from dask_hpc.mpi.share import Share, of_this_rank
from dask_hpc.mpi.world import World

__all__ = ["Ready", "job_folder", "prepared"]


@dataclass(frozen=True)
class Ready:
    """What a rank starts with: its share, the interface of its node and why that, and the folder."""

    share: Share
    interface: tuple[str, str]
    folder: Folder
    tls: bool


def job_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the path of the folder that is this job's, on the home that its nodes share."""
    job = environ.get("SLURM_JOB_ID")
    step = environ.get("SLURM_STEP_ID", "")
    name = f"dask-mpi-{job}" + (f".{step}" if step.isdigit() else "") if job else f"dask-mpi-pid-{os.getpid()}"
    return Path.home() / ".dask-hpc" / name


@contextmanager
def prepared(
    world: World, speaker: int, path: Path | None, interface: str | None, *, tls: bool, settings: MpiSettings
) -> Iterator[Ready]:
    """Yield what this rank starts with; after it, rank 0 removes what it has made.

    Args:
        world: all ranks take part.
        speaker: the rank that says what is wrong.
        path: the folder; if it is there, it has been made for this cluster.
        interface: the one that was asked for.
        tls: with credentials, if the folder is made here.
        settings: for `dask_hpc.mpi.preload`.
    """
    from dask import config

    share = world.together(lambda: of_this_rank(world.here), speaker)
    own = world.together(lambda: _interface(interface), speaker)
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
        yield Ready(share, own, folder, "comm" in content["distributed"])


def _make(world: World, stack: ExitStack, folder: Folder, *, tls: bool) -> None:
    if world.rank == 0:
        stack.enter_context(folder.kept(tls=tls))


def _interface(wanted: str | None) -> tuple[str, str]:
    if wanted is None:
        return network.choose()
    network.address(wanted)
    return wanted, "asked for"


def _set_levels(levels: Mapping[str, str]) -> None:
    """Do what Dask does as it is imported, which was before it could know of these."""
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level.upper())
