"""Detect where this process runs: on a machine without Slurm, on a login node, or in an allocation."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from dask_hpc import network
from dask_hpc.doctor.survey import Survey, take
from dask_hpc.errors import RequestError
from dask_hpc.identity import share_folder, venv
from dask_hpc.sif import Sif, current
from dask_hpc.slurm.allocation import Allocation
from dask_hpc.slurm.commands import COMMANDS, missing
from dask_hpc.slurm.environment import CHOICES
from dask_hpc.slurm.rules import Rules, configuration, rules

Place = Literal["machine without Slurm", "login node", "allocation"]


@dataclass(frozen=True)
class Site:
    """The facts that all checks share.

    Attributes:
        place: kind of place that this process runs in.
        missing: Slurm's commands that are not on PATH.
        folders: folders that must be shared: home, the working directory, and those that the user named.
        jobs: True if a job, or a step in an allocation, may check the nodes.
        partition: partition of the nodes to check; None for Slurm's default.
        environ: environment of this process.
    """

    place: Place
    _: KW_ONLY
    missing: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    jobs: bool = True
    partition: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    _asking: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _reading: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def slurm(self) -> bool:
        """True if this machine has Slurm's commands."""
        return self.place != "machine without Slurm"

    @property
    def sif(self) -> Sif | None:
        """The SIF that this process runs in, or None."""
        return current(self.environ)

    @property
    def mark(self) -> Path:
        """The file that nodes must share with this machine: the SIF, or the environment's `env.json`."""
        return Path(self.sif.path) if self.sif else share_folder() / "env.json"

    @property
    def node_python(self) -> list[str]:
        """The command that starts this Python on a node."""
        return [self.sif.program, "exec", self.sif.path, sys.executable] if self.sif else [sys.executable]

    @cached_property
    def allocation(self) -> Allocation:
        """The allocation of this process."""
        return Allocation.from_environment(self.environ)

    @cached_property
    def interface(self) -> network.Interface:
        """The interface through which others reach this machine; raises `RequestError`."""
        return network.choose()

    @property
    def address(self) -> str:
        """The interface's address; raises `RequestError`."""
        return network.address(self.interface.name)

    @property
    def config(self) -> dict[str, str]:
        """Slurm's configuration; queried once for all checks, and empty if the controller does not answer."""
        with self._reading:
            return self._config

    @cached_property
    def _config(self) -> dict[str, str]:
        return configuration()

    @property
    def rules(self) -> Rules:
        """The site's rules for jobs; queried once for all checks, and empty if the controller does not answer."""
        with self._reading:
            return self._rules

    @cached_property
    def _rules(self) -> Rules:
        return rules(self.config)

    @property
    def survey(self) -> Survey:
        """The nodes' answers; the first check to read them runs the job, and all others wait for it."""
        with self._asking:
            return self._survey

    @cached_property
    def _survey(self) -> Survey:
        if "srun" in self.missing:
            return Survey(problem="srun is not on PATH")
        if not self.jobs:
            return Survey(problem="skipped (--no-job)", quiet=True)
        try:
            address = self.address
        except RequestError:
            address = ""
        return take(
            environ=self.environ, partition=self.partition, folders=self.folders, mark=self.mark, address=address
        )


def here(environ: Mapping[str, str], folders: Sequence[Path], *, jobs: bool, partition: str | None) -> Site:
    """Return the site; `folders` are checked in addition to home and the working directory."""
    absent = missing()
    place: Place = "login node"
    if Allocation.from_environment(environ).job:
        place = "allocation"
    elif len(absent) == len(COMMANDS):
        place = "machine without Slurm"
    own = [Path(folder)] if (folder := venv()) else []
    wanted = dict.fromkeys(folder.absolute() for folder in (Path.home(), Path.cwd(), *own, *folders))
    return Site(
        place,
        missing=absent,
        folders=tuple(wanted),
        jobs=jobs,
        partition=partition or environ.get(CHOICES["partition"]),
        environ=dict(environ),
    )
