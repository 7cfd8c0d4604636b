"""What a person sees: progress on a terminal, tables; and JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from slurm_sim import _lifecycle, _output
from slurm_sim._signals import Stopped
from slurm_sim.cluster import SlurmSim
from slurm_sim.errors import JobError, SlurmSimError
from slurm_sim.job import Job
from slurm_sim.jupyter import Jupyter
from slurm_sim.record import JobRecord

_NODE_FORMAT = "%N|%T|%c|%m|%e|%E"
_QUEUE_FORMAT = "%i|%u|%j|%T|%M|%D|%R"
_MOST = 10  # failed tasks that are named


@contextmanager
def progress(what: str) -> Iterator[Callable[[], float]]:
    """Shows that something goes on, on a terminal's standard error only. Yields a clock in seconds."""
    start = time.monotonic()
    with Console(stderr=True).status(f"{what} …"):
        yield lambda: time.monotonic() - start


def end_of(job: Job, timeout: float, as_json: bool) -> None:
    """Wait for a job's end, and print its output. Raises `JobError` unless it completed."""
    try:
        with progress(f"job {job.id}"):
            record = job.wait(timeout, on_change=lambda record: _note_held(job.sim, record))
    except Stopped:
        click.echo(f"slurm-sim: job {job.id} goes on; `{_in(job.sim)} scancel {job.id}` ends it", err=True)
        raise
    if as_json:
        click.echo(msgspec.json.encode(record))
    else:
        for errors in (False, True):
            _output.show(job.sim, record, errors=errors)
    if record.state != "COMPLETED":
        raise JobError(f"job {job.id} ended as {record.state}", seen="\n".join(_failures(record)))


def _in(sim: SlurmSim) -> str:
    """Return the command line that runs a command in a mini-cluster."""
    return f"slurm-sim exec{_option(sim)} --"


def _option(sim: SlurmSim) -> str:
    return "" if sim.name == "slurm-sim" else f" --name {sim.name}"


def _note_held(sim: SlurmSim, record: JobRecord) -> None:
    if record.held:
        release = f"`{_in(sim)} scontrol release {record.id}`"
        click.echo(f"slurm-sim: job {record.id} is held ({record.reason}); {release} lets it start", err=True)


def _failures(record: JobRecord) -> list[str]:
    """Say how a job failed, or which of its tasks did."""
    failed = [task for task in record.tasks if task.state != "COMPLETED"]
    if not failed:
        return [record.summary]
    part = "component" if failed[0].task.startswith("+") else "task"
    lines = [f"{len(failed)} of {len(record.tasks)} {part}s failed"]
    lines += [f"{part} {task.task}: {task.state}, {task.summary}" for task in failed[:_MOST]]
    return lines + ["…"] * (len(failed) > _MOST)


def status(sim: SlurmSim, as_json: bool, note: str = "") -> None:
    """Print the nodes and the queue, and what of the mini-cluster is stopped."""
    found = _lifecycle.require(sim.name, "slurmctld", "login")
    nodes = _rows(sim, "sinfo", "--noheader", "--Node", f"--format={_NODE_FORMAT}")
    jobs = _rows(sim, "squeue", "--noheader", f"--format={_QUEUE_FORMAT}")
    lab = _jupyter(sim)
    if as_json:
        emit(_as_json(sim, nodes, jobs) | {"jupyter": lab} | ({"stopped": found.stopped} if found.stopped else {}))
        return
    console = Console()
    console.print(_table(f"mini-cluster {sim.name}", ["node", "state", "CPUs", "MiB"], [row[:4] for row in nodes]))
    if jobs:
        console.print(_table("queue", ["job", "user", "name", "state", "time", "nodes", "where or why"], jobs))
    for what, address in _lines(lab):
        console.print(f"{what:22}{address}", highlight=False, markup=False, soft_wrap=True)
    if found.stopped:
        console.print(f"{found.state}: {_lifecycle.seen_states(found)}", highlight=False, markup=False)
        console.print(_lifecycle.up_again(sim.name), highlight=False, markup=False)
    console.print(f"{note}{'; ' if note else ''}slurm-sim shell{_option(sim)}", highlight=False)


def listing(as_json: bool) -> None:
    """Prints every mini-cluster of this engine."""
    found = _lifecycle.find_all()
    if as_json:
        emit([msgspec.to_builtins(one) | {"state": one.state} for one in found.values()])
        return
    rows = [
        [
            name,
            str(len(f.nodes)),
            str(f.spec.cpus_per_node),
            str(f.spec.memory_mb),
            f.state if f.state != "partly stopped" else f"{f.state}: {_lifecycle.seen_states(f)}",
        ]
        for name, f in sorted(found.items())
    ]
    Console().print(_table("mini-clusters", ["name", "nodes", "CPUs each", "MiB each", "containers"], rows))


def _jupyter(sim: SlurmSim) -> Jupyter | dict[str, str] | None:
    """Where it is, or why it cannot be found: a status is asked for most where something is wrong."""
    try:
        return sim.jupyter() if sim.spec.jupyter else None
    except SlurmSimError as error:
        return {"error": str(error)}


def _lines(found: Jupyter | dict[str, str] | None) -> list[tuple[str, str]]:
    match found:
        case Jupyter():
            first = f"on {found.elsewhere}, from here" if found.elsewhere else "from another machine"
            tunnels = {
                first: found.tunnel,
                "on a real cluster": "ssh -L 8888:127.0.0.1:8888 USER@LOGIN",
            }
            return [("JupyterLab", found.address), *found.pages.items(), *tunnels.items()]
        case None:
            return []
        case _:
            return [("JupyterLab", found["error"])]


def emit(value: Any) -> None:
    """Prints JSON on standard output."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _as_json(sim: SlurmSim, nodes: list[list[str]], jobs: list[list[str]]) -> dict[str, Any]:
    return {
        "name": sim.name,
        "nodes": [
            {"name": name, "state": state, "cpus": int(cpus), "memory_mb": int(memory), "reason": reason}
            for name, state, cpus, memory, _free, reason in nodes
        ],
        "jobs": [
            {"id": job, "user": user, "name": title, "state": state, "nodes": int(count), "where": where}
            for job, user, title, state, _time, count, where in jobs
        ],
    }


def _rows(sim: SlurmSim, *command: str) -> list[list[str]]:
    return [line.split("|") for line in sim.exec(*command).stdout.splitlines()]


def _table(title: str, columns: list[str], rows: list[list[str]]) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table
