"""Start a cluster that stays: submit its scheduler's job, or keep its scheduler on the login node, and wait for it."""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep

from dask_hpc import sif
from dask_hpc.clusters.jobs import refused
from dask_hpc.clusters.options import ClusterOptions
from dask_hpc.clusters.slurm.backend import SlurmBackend, SlurmPlan
from dask_hpc.clusters.staying.folder import Address, ClusterFolder, Request, new_request, refuse_name
from dask_hpc.clusters.staying.state import ended_because, look, settled
from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.screen import Screen
from dask_hpc.slurm import jobs as slurm
from dask_hpc.slurm.commands import run, submit
from dask_hpc.slurm.nodes import nodes
from dask_hpc.slurm.rules import refused_nodes
from dask_hpc.slurm.sbatch import SbatchOption, combine, parse
from dask_hpc.stop import not_interrupted, stopping_cleanly
from dask_hpc.units import format_walltime

_DAY = 86400  # seconds
_MEMORY = 2048  # MiB of the scheduler, which holds no data


@dataclass(frozen=True, kw_only=True)
class SchedulerOptions:
    """The options of the scheduler's job.

    Attributes:
        walltime: seconds; None for what the partition allows, at most a day.
        memory: MiB; 0 to request none from Slurm.
        partition: its partition; None for that of the workers.
        sbatch_option: further options for sbatch.
        idle: seconds without work after which the cluster ends.
    """

    walltime: int | None = None
    memory: int = _MEMORY
    partition: str | None = None
    sbatch_option: tuple[str, ...] = ()
    idle: int = 3600


def start(name: str, options: ClusterOptions, scheduler: SchedulerOptions, screen: Screen) -> Address:
    """Start a cluster, and return where its scheduler runs, once it does.

    Raises:
        RequestError: the name is invalid, or in use; no node suits.
        ClusterError: Slurm refuses the job, the job ends, or it does not start in time.
    """
    refuse_name(name)
    if not options.tls:
        raise RequestError("A cluster that stays requires TLS: its address is known to others.", todo="omit --no-tls.")
    plan = SlurmBackend().plan(options)
    where = scheduler.partition or plan.request.partition
    limit, forbidden = _limits(where, plan)
    lifetime = scheduler.walltime or min(limit or _DAY, _DAY)
    if limit and lifetime > limit:
        raise RequestError(
            f"The scheduler cannot run for {format_walltime(lifetime)}.",
            f"Partition {where} ends jobs after {format_walltime(limit)}.",
            "request less with --scheduler-walltime, or another --scheduler-partition.",
        )
    host = socket.gethostname() if forbidden else ""
    folder = ClusterFolder(name)
    request = new_request(name, _resolved(plan, options), lifetime=lifetime, idle=scheduler.idle, host=host)
    _create(folder, request, screen)
    try:
        with stopping_cleanly():
            plan.show(screen)
            if forbidden:
                screen.warn(_on_login_node(where, forbidden, host))
                _detach(folder)
            else:
                _submit(folder, request, scheduler, where, plan, screen)
            with screen.stage("waiting for the scheduler"):
                return _wait(folder, options.timeout)
    except BaseException:
        with not_interrupted():
            remove(folder, request)
        raise


def remove(folder: ClusterFolder, request: Request | None) -> None:
    """Cancel the jobs of a cluster, and remove its folder."""
    names = jobs_of(folder, request)
    folder.remove()  # first: a scheduler that starts now finds no request, and ends
    for name in names:
        with suppress(ClusterError):
            slurm.cancel(name)


def jobs_of(folder: ClusterFolder, request: Request | None) -> list[str]:
    """Return the names of the jobs of a cluster."""
    address = folder.address()
    names = [request.scheduler, request.jobs] if request else []
    return [*names, address.workers] if address and address.workers not in names else names


def _resolved(plan: SlurmPlan, options: ClusterOptions) -> ClusterOptions:
    """Return the options with the size that was planned and shown here: nodes may be idle or not when it starts."""
    request = plan.request
    bounds = request.jobs if request.jobs == request.most_jobs else (request.jobs, request.most_jobs)
    return replace(options, jobs=bounds, cores=request.cores, processes=request.processes)


def _limits(where: str, plan: SlurmPlan) -> tuple[int | None, list[str]]:
    """Return the time limit of the scheduler's partition, and its nodes that may not submit worker jobs."""
    there = [node for one in where.split(",") for node in nodes(one, "--scheduler-partition")]
    limits = [node.limit for node in there if node.limit]
    return min(limits) if limits else None, refused_nodes(where, plan.request.partition)


def _on_login_node(where: str, forbidden: list[str], host: str) -> str:
    few = ", ".join(forbidden[:3]) + (", …" if len(forbidden) > 3 else "")
    return (
        f"nodes of partition {where} may not submit jobs here ({few}), so the scheduler stays on {host}, "
        "as a process of yours. A site may end processes on its login nodes, and a reboot does: then the cluster ends."
    )


def _create(folder: ClusterFolder, request: Request, screen: Screen) -> None:
    while True:
        try:
            folder.create(request)
        except FileExistsError:
            _replace_stale(folder, screen)
        else:
            return


def _replace_stale(folder: ClusterFolder, screen: Screen) -> None:
    """Remove the folder of a cluster that has ended; raise if it has not."""
    state = settled(folder)
    if not state.over:
        raise RequestError(
            f"A Dask cluster {folder.name!r} is already {state.kind}.",
            f"Its scheduler: {state.text}.",
            f"use it, choose another name, or end it: dask-hpc cluster stop {folder.name}",
        )
    screen.note(f"The earlier cluster {folder.name} {state.text}; what it has left is removed.")
    remove(folder, folder.request())


def _submit(
    folder: ClusterFolder,
    request: Request,
    scheduler: SchedulerOptions,
    where: str,
    plan: SlurmPlan,
    screen: Screen,
) -> None:
    own = [
        SbatchOption("job-name", request.scheduler),
        SbatchOption("output", str(folder.log).replace("%", "%%")),
        SbatchOption("open-mode", "append"),
        SbatchOption("partition", where),
        *plan.request.asked.place(),
        SbatchOption("ntasks", "1"),
        SbatchOption("cpus-per-task", "1"),
        *([SbatchOption("mem", f"{scheduler.memory}M")] if scheduler.memory else []),
        SbatchOption("time", format_walltime(request.lifetime)),
        SbatchOption("no-requeue"),  # its state would be lost
    ]
    options = combine(own, parse(scheduler.sbatch_option))
    script = "\n".join(["#!/bin/bash", *(one.directive for one in options), "", *_command(folder), ""])
    screen.text("The scheduler's job script", script)
    answer = submit(script)
    if answer.status is None:
        raise ClusterError("Could not submit the scheduler's job.", answer.said, "run 'scontrol ping'.")
    if answer.status:
        raise refused(answer.err or answer.out)


def _command(folder: ClusterFolder) -> list[str]:
    words = ["cluster", "serve", folder.name]
    if image := sif.current():
        launcher = os.environ.get("DASK_HPC_LAUNCHER", "")
        lacks = f'echo "dask-hpc: node $(hostname): {launcher} cannot be read" >&2; exit 1'
        options = [f"--sif={image.path}", *([f"--bind={','.join(image.binds)}"] if image.binds else [])]
        return [f"[ -r {shlex.quote(launcher)} ] || {{ {lacks}; }}", f"exec {shlex.join([launcher, *options, *words])}"]
    return [f"exec {shlex.join([sys.executable, '-m', 'dask_hpc', *words])}"]


def _detach(folder: ClusterFolder) -> None:
    """Start the scheduler on this machine, out of reach of this terminal and session."""
    if sif.current():
        _detach_by_launcher(folder.name)
        return
    words = ["cluster", "serve", folder.name]
    with folder.log.open("ab") as log:
        subprocess.Popen(
            [sys.executable, "-m", "dask_hpc", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=Path.home(),
        )


def _detach_by_launcher(name: str) -> None:
    """Start the scheduler in another session of the launcher, which outlives the one around this process."""
    answer = run("dask-hpc-stay", name, timeout=30)
    if answer.status != 0:
        raise ClusterError(
            "The launcher cannot keep the scheduler on this machine.",
            answer.said,
            "copy the launcher again that comes with this SIF.",
        )


def _wait(folder: ClusterFolder, timeout: int) -> Address:
    """Wait until the scheduler runs."""
    deadline = monotonic() + timeout
    asked = monotonic()
    while (address := folder.address()) is None:
        if folder.end():
            raise _failed(folder)
        if monotonic() - asked > 2:  # the folder says more, and at once; asking loads the controller
            state = look(folder)
            if state.over:
                raise _failed(folder)
            if state.job and state.job.hopeless:
                raise RequestError(
                    "Slurm will not start the scheduler.",
                    slurm.queue_lines([state.job]),
                    "request less with --scheduler-walltime or --scheduler-memory.",
                )
            if monotonic() > deadline:
                raise ClusterError(
                    f"The scheduler did not start within {timeout} s.",
                    f"{state.text}\n{tail(folder.log)}",
                    "on a busy cluster, increase --timeout; otherwise see the log.",
                )
            asked = monotonic()
        sleep(0.1)  # a shared file system sends no notice of a new file
    return address


def _failed(folder: ClusterFolder) -> ClusterError:
    error = ended_because(folder)
    end = folder.end()
    seen = end.details if end else tail(folder.log)
    return ClusterError(error.message.splitlines()[0], seen, "find the cause above, then start it again.")


def tail(log: Path, lines: int = 20) -> str:
    """Return the last lines of a log."""
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""
