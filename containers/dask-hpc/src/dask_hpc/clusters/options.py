"""The command-line options that describe a Dask cluster, each in the section of the backend that it belongs to."""

from __future__ import annotations

from typing import Any

import click

from dask_hpc.paths import LocalPath, NodePath
from dask_hpc.units import Count, Memory, Walltime

__all__ = ["CLUSTER_OPTIONS", "SectionedCommand", "SectionedOption"]

_SMALL = Count(maximum=100_000)


class SectionedOption(click.Option):
    """An option that `--help` lists under a heading."""

    def __init__(self, *args: Any, section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class SectionedCommand(click.Command):
    """A command whose `--help` lists options under headings."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the workload's own options first, then those of each section."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                sections.setdefault(getattr(param, "section", "Workload"), []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


def _local(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="With --on local", **kwargs)


def _slurm(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="With --on slurm", **kwargs)


def _mpi(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="With --on mpi", **kwargs)


def _jobs(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="With --on slurm or mpi", **kwargs)


def _all(*names: str, **kwargs: Any) -> SectionedOption:
    return SectionedOption(names, section="Dask cluster", **kwargs)


CLUSTER_OPTIONS: list[SectionedOption] = [
    _all(
        "--memory",
        type=Memory(),
        help="Memory of a job (slurm), a rank (mpi) or a worker (local); none: ask Slurm for none. "
        "[default: its fair share]",
    ),
    _all(
        "--local-directory",
        metavar="DIR",
        type=NodePath(),
        help="Where workers spill to: a disk of their own, such as '$TMPDIR'. [default: /tmp]",
    ),
    _all(
        "--dashboard",
        metavar="ADDRESS",
        default="127.0.0.1:0",
        show_default=True,
        help="Port of the dashboard's link, which leads to a socket of yours alone. With an interface's address: a TCP "
        "port, without a password.",
    ),
    _all("--threads", type=_SMALL, help="Threads of a worker; not with --on slurm. [default: 1]"),
    _local("--workers", type=_SMALL, help="Worker processes. [default: one a core, at most 8]"),
    _slurm("--jobs", type=_SMALL, help="Slurm jobs. [default: one an idle node, at most 2]"),
    _slurm("--cores", type=_SMALL, help="Cores of a job. [default: a node's, at most 8]"),
    _slurm(
        "--processes", type=_SMALL, help="Worker processes of a job, which share its cores and memory. [default: 1]"
    ),
    _mpi("--nodes", type=_SMALL, help="Nodes of the job. [default: the idle ones, at most 2]"),
    _mpi(
        "--ranks-per-node",
        type=_SMALL,
        help="MPI ranks on each; one of all is the scheduler. [default: one a core, at most 8]",
    ),
    _mpi(
        "--scheduler-file",
        metavar="FILE",
        type=LocalPath(),
        help="Of a dask-mpi cluster that is there already: run on that, and leave it. [default: submit a job]",
    ),
    _jobs("--walltime", type=Walltime(), help="Longest time of a job. [default: 10 minutes]"),
    _jobs("--partition", help="Slurm partition. [default: $SBATCH_PARTITION, or Slurm's]"),
    _jobs("--account", help="Account that jobs are charged to. [default: $SBATCH_ACCOUNT, or Slurm's]"),
    _jobs(
        "--sbatch-option",
        multiple=True,
        metavar="OPTION",
        help="Anything else for sbatch, such as --qos=debug; replaces what the run would ask for.",
    ),
    _jobs(
        "--interface", help="Network interface of scheduler and workers. [default: the one others reach this host by]"
    ),
    _jobs(
        "--log-directory",
        metavar="DIR",
        type=LocalPath(),
        help="Shared folder for the jobs' logs. [default: one a run, in ~/.dask-hpc]",
    ),
    _jobs("--timeout", type=_SMALL, default="300", show_default=True, help="Seconds to wait for the workers."),
    _jobs("--tls/--no-tls", default=True, show_default=True, help="Encrypt and authenticate all connections."),
]
