"""Options of a Dask cluster: their values, and how the command line parses them.

`--help` lists each option in the section of the backend that accepts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import click

from dask_hpc.errors import RequestError
from dask_hpc.paths import LocalPath, NodePath
from dask_hpc.units import Bounds, Count, Memory, Walltime

_SMALL = Count(maximum=100_000)


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """The options of a Dask cluster; None if not given.

    Attributes:
        memory: MiB per job (slurm), rank (mpi) or worker (local); 0 to request none from Slurm.
        local_directory: folder that workers spill to; each node expands it.
        dashboard: address of the dashboard.
        threads: threads per worker.
        workers: worker processes on this machine.
        jobs: Slurm jobs; a pair for as many as the work can use, within these bounds.
        cores: cores per job.
        processes: worker processes per job.
        nodes: nodes of an MPI job.
        ranks_per_node: MPI ranks per node.
        scheduler_file: scheduler file of a running dask-mpi cluster.
        walltime: time limit of a job, in seconds.
        partition: Slurm partition, or several separated by commas.
        account: account that jobs are charged to.
        sbatch_option: further options for sbatch.
        interface: network interface of scheduler and workers.
        log_directory: shared folder for the jobs' logs.
        timeout: seconds to wait for the workers.
        max_failures: jobs in a row that may fail.
        verbose: say why the number of jobs changes.
        tls: whether connections are encrypted and authenticated.
    """

    memory: int | None = None
    local_directory: str | None = None
    dashboard: str = "127.0.0.1:0"
    threads: int | None = None
    workers: int | None = None
    jobs: int | tuple[int, int] | None = None
    cores: int | None = None
    processes: int | None = None
    nodes: int | None = None
    ranks_per_node: int | None = None
    scheduler_file: Path | None = None
    walltime: int | None = None
    partition: str | None = None
    account: str | None = None
    sbatch_option: tuple[str, ...] = ()
    interface: str | None = None
    log_directory: Path | None = None
    timeout: int = 300
    max_failures: int = 3
    verbose: bool = False
    tls: bool = True

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Self:
        """Return the options among the parameters of a click command."""
        return cls(**{field.name: params[field.name] for field in fields(cls) if field.name in params})

    def given(self) -> list[str]:
        """Return the names of the options that differ from their default, sorted."""
        return sorted(field.name for field in fields(self) if getattr(self, field.name) != field.default)

    def refuse_others(self, allowed: frozenset[str], *, where: str, seen: str, todo: str = "leave it out.") -> None:
        """Raise `RequestError` if an option has a value that is not among the allowed ones."""
        if others := [name for name in self.given() if name not in allowed]:
            raise no_meaning(others[0], where=where, seen=seen, todo=todo)


def no_meaning(name: str, *, where: str, seen: str = "", todo: str = "leave it out.") -> RequestError:
    """Return the error for an option that would have no effect."""
    return RequestError(f"--{name.replace('_', '-')} has no effect {where}.", seen, todo)


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
        help="Memory per job (slurm), rank (mpi) or worker (local); none: request no memory from Slurm. "
        "[default: its fair share]",
    ),
    _all(
        "--local-directory",
        metavar="DIR",
        type=NodePath(),
        help="Folder on each node's own disk for workers to spill to, such as '$TMPDIR'. [default: /tmp]",
    ),
    _all(
        "--dashboard",
        metavar="ADDRESS",
        default="127.0.0.1:0",
        show_default=True,
        help="Port in the dashboard's link, which leads to a socket that only you can open. With the address of an "
        "interface: a TCP port without a password.",
    ),
    _all("--threads", type=_SMALL, help="Threads per worker; not with --on slurm. [default: 1]"),
    _local("--workers", type=_SMALL, help="Worker processes. [default: one per core, at most 8]"),
    _slurm(
        "--jobs",
        type=Bounds(),
        help="Slurm jobs. A range, such as 1-8 or 0-8, follows the work. [default: one per idle node, at most 2]",
    ),
    _slurm("--cores", type=_SMALL, help="Cores per job. [default: all of a node, at most 8]"),
    _slurm("--processes", type=_SMALL, help="Worker processes per job, which share its cores and memory. [default: 1]"),
    _mpi("--nodes", type=_SMALL, help="Nodes of the job. [default: idle nodes, at most 2]"),
    _mpi(
        "--ranks-per-node",
        type=_SMALL,
        help="MPI ranks per node; rank 0 runs the scheduler. [default: one per core, at most 8]",
    ),
    _mpi(
        "--scheduler-file",
        metavar="FILE",
        type=LocalPath(),
        help="Connect to a running dask-mpi cluster and leave it running. [default: submit a job]",
    ),
    _jobs("--walltime", type=Walltime(), help="Time limit of a job. [default: 10 minutes]"),
    _jobs("--partition", help="Slurm partition. [default: $SBATCH_PARTITION, or Slurm's]"),
    _jobs("--account", help="Account to charge. [default: $SBATCH_ACCOUNT, or Slurm's]"),
    _jobs(
        "--sbatch-option",
        multiple=True,
        metavar="OPTION",
        help="Any other sbatch option, such as --qos=debug; overrides what the run would request.",
    ),
    _jobs("--interface", help="Network interface of scheduler and workers. [default: by which others reach this host]"),
    _jobs(
        "--log-directory",
        metavar="DIR",
        type=LocalPath(),
        help="Shared folder for the jobs' logs. [default: one per run, in ~/.dask-hpc]",
    ),
    _jobs("--timeout", type=_SMALL, default="300", show_default=True, help="Seconds to wait for the workers."),
    _slurm(
        "--max-failures",
        type=_SMALL,
        default="3",
        show_default=True,
        help="Jobs in a row that may fail. Jobs that Slurm ends (wall time, preemption, a lost node) are replaced, and "
        "do not count.",
    ),
    _slurm("--verbose", is_flag=True, help="Say why the number of jobs changes, with a range of --jobs."),
    _jobs("--tls/--no-tls", default=True, show_default=True, help="Encrypt and authenticate all connections."),
]
