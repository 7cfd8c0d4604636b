"""The command-line options that describe a Dask cluster, each in the section of the backend that it belongs to."""

from __future__ import annotations

from typing import Any

import click

from dask_hpc.params import Count, Memory, Walltime

__all__ = ["CLUSTER_OPTIONS", "SectionedOption"]

_SMALL = Count(maximum=100_000)


class SectionedOption(click.Option):
    """An option that `--help` lists under a heading."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


def _local(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="With --on local", **kwargs)


def _slurm(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="With --on slurm", **kwargs)


def _both(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="Dask cluster", **kwargs)


CLUSTER_OPTIONS: list[SectionedOption] = [
    _both("--memory", type=Memory(), help="Memory of a job (slurm) or a worker (local). [default: its fair share]"),
    _both("--local-directory", metavar="DIR", help="Where workers spill to: a disk of their own. [default: /tmp]"),
    _both(
        "--dashboard",
        metavar="ADDRESS",
        default="127.0.0.1:0",
        show_default=True,
        help="Where Dask's dashboard listens.",
    ),
    _local("--workers", type=_SMALL, help="Worker processes. [default: one a core, at most 8]"),
    _local("--threads", type=_SMALL, help="Threads of each. [default: 1]"),
    _slurm("--jobs", type=_SMALL, help="Slurm jobs. [default: one an idle node, at most 2]"),
    _slurm("--cores", type=_SMALL, help="Cores of a job. [default: a node's, at most 8]"),
    _slurm(
        "--processes", type=_SMALL, help="Worker processes of a job, which share its cores and memory. [default: 1]"
    ),
    _slurm("--walltime", type=Walltime(), help="Longest time of a job. [default: 10 minutes]"),
    _slurm("--partition", help="Slurm partition. [default: Slurm's]"),
    _slurm("--account", help="Account that jobs are charged to."),
    _slurm("--sbatch-option", multiple=True, metavar="OPTION", help="Anything else for sbatch, such as --qos=debug."),
    _slurm(
        "--interface", help="Network interface of scheduler and workers. [default: the one others reach this host by]"
    ),
    _slurm(
        "--log-directory", metavar="DIR", help="Shared folder for the jobs' logs. [default: one a run, in ~/.dask-hpc]"
    ),
    _slurm("--timeout", type=_SMALL, default="300", show_default=True, help="Seconds to wait for the workers."),
    _slurm("--tls/--no-tls", default=True, show_default=True, help="Encrypt and authenticate all connections."),
]
