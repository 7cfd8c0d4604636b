"""Print progress and tables for users, and JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from slurm_sim import _found, _output
from slurm_sim._identity import people
from slurm_sim._jupyter import Jupyter
from slurm_sim._record import JobRecord
from slurm_sim._rest import Rest
from slurm_sim._signals import Stopped
from slurm_sim.cluster import SlurmSim
from slurm_sim.config import DEFAULT_PARTITION, GATE_PARTITION, USER
from slurm_sim.errors import JobError, SlurmSimError
from slurm_sim.job import Job
from slurm_sim.spec import Spec

_NODE_FORMAT = "%N|%T|%c|%m|%G|%R|%E"
_QUEUE_FORMAT = "%i|%u|%j|%T|%M|%D|%R"
# In one command, since each costs the engine more than Slurm. Lines with a form feed are between the answers.
_ASK = f"""set -e
sinfo --all --noheader --Node --format='{_NODE_FORMAT}'; printf '\\f\n'
squeue --noheader --format='{_QUEUE_FORMAT}'; printf '\\f\n'
getent passwd"""
_MOST = 10  # failed tasks that are named
_Addresses = TypeVar("_Addresses")


@contextmanager
def progress(what: str) -> Iterator[Callable[[], float]]:
    """Show progress, but only if standard error is a terminal. Yields a clock in seconds."""
    start = time.monotonic()
    with Console(stderr=True).status(f"{what} …"):
        yield lambda: time.monotonic() - start


def end_of(job: Job, timeout: float, *, as_json: bool) -> None:
    """Wait for a job's end, and print its output. Raises `JobError` unless it completed."""
    within = f"slurm-sim exec{_found.name_option(job.engine.name)} --"  # how a command runs in its mini-cluster

    def note_held(record: JobRecord) -> None:
        if record.held:
            release = f"`{within} scontrol release {record.id}`"
            click.echo(f"slurm-sim: job {record.id} is held ({record.reason}); {release} releases it", err=True)

    try:
        with progress(f"job {job.id}"):
            record = job.wait(timeout, on_change=note_held)
    except Stopped:
        click.echo(f"slurm-sim: job {job.id} continues; `{within} scancel {job.id}` cancels it", err=True)
        raise
    if as_json:
        click.echo(msgspec.json.encode(record))
    else:
        for errors in (False, True):
            _output.show(job.engine, record, errors=errors)
    if record.state != "COMPLETED":
        raise JobError(f"Job {job.id} ended in state {record.state}.", "\n".join(_failures(record)))


def _failures(record: JobRecord) -> list[str]:
    """Return how a job failed, or which of its tasks did."""
    failed = [task for task in record.tasks if task.state != "COMPLETED"]
    if not failed:
        return [record.summary]
    part = "component" if failed[0].task.startswith("+") else "task"
    lines = [f"{len(failed)} of {len(record.tasks)} {part}s failed"]
    lines += [f"{part} {task.task}: {task.state}, {task.summary}" for task in failed[:_MOST]]
    return lines + ["…"] * (len(failed) > _MOST)


class _Node(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: str
    cpus: int
    memory_mb: int
    gpus: str
    partitions: list[str]
    reason: str


class _QueuedJob(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    user: str
    name: str
    state: str
    nodes: int
    where: str


class _NoAnswer(msgspec.Struct, frozen=True):
    error: str


class _Status(msgspec.Struct, frozen=True, kw_only=True):
    """The output of `slurm-sim status --json`."""

    name: str
    nodes: list[_Node]
    jobs: list[_QueuedJob]
    users: list[str]
    jupyter: Jupyter | _NoAnswer | None
    rest: Rest | _NoAnswer | None
    stopped: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def status(sim: SlurmSim, *, as_json: bool, note: str = "") -> None:
    """Print the nodes, the queue and the stopped services."""
    found = sim.engine.require("slurmctld", "login")
    of_nodes, of_jobs, passwd = sim.exec("sh", "-c", _ASK).stdout.split("\f\n")
    nodes = _nodes(_rows(of_nodes), sim.nodes())
    jobs = _rows(of_jobs)
    users = list(people(passwd))
    lab = _answer(sim.jupyter, wanted=sim.spec.jupyter)
    rest = _answer(sim.rest, wanted=sim.spec.rest)
    if as_json:
        _print_json(
            _Status(
                name=sim.name,
                nodes=nodes,
                jobs=[_queued_job(row) for row in jobs],
                users=users,
                jupyter=lab,
                rest=rest,
                stopped=found.stopped or msgspec.UNSET,
            )
        )
        return
    console = Console()
    console.print(_table_of_nodes(sim.name, nodes))
    if jobs:
        console.print(_table("queue", ["job", "user", "name", "state", "time", "nodes", "nodelist (reason)"], jobs))
    ssh = [("ssh", f"ssh -F $(slurm-sim ssh-config{_found.name_option(sim.name)}) login")] * sim.spec.ssh
    if users != [USER]:
        console.print(f"{'users':22}{', '.join(users)}", highlight=False, markup=False)
    for what, address in [*_addresses(lab), *_rest_addresses(rest), *ssh]:
        console.print(f"{what:22}{address}", highlight=False, markup=False, soft_wrap=True)
    if found.stopped:
        console.print(f"{found.state}: {_found.seen_states(found)}", highlight=False, markup=False)
        console.print(_found.up_again(sim.name), highlight=False, markup=False)
    console.print(f"{note}{'; ' if note else ''}slurm-sim shell{_found.name_option(sim.name)}", highlight=False)


def _rows(text: str) -> list[list[str]]:
    return [line.split("|") for line in text.splitlines()]


def _nodes(rows: list[list[str]], names: list[str]) -> list[_Node]:
    """Return the nodes in order, each with all of its partitions; sinfo has a line for each partition of a node."""
    partitions: dict[str, list[str]] = {}
    for name, *_, partition, _reason in rows:
        partitions.setdefault(name, []).extend([partition] * (partition != GATE_PARTITION))
    found = {row[0]: _node(row, sorted(partitions[row[0]])) for row in rows}
    order = [*names, *found]
    return sorted(found.values(), key=lambda node: order.index(node.name))


def _node(row: list[str], partitions: list[str]) -> _Node:
    name, state, cpus, memory, gres, _partition, reason = row
    gpus = "" if gres == "(null)" else gres.removeprefix("gpu:").replace(",gpu:", ",")
    return _Node(
        name=name,
        state=state,
        cpus=int(cpus),
        memory_mb=int(memory),
        gpus=gpus,
        partitions=partitions,
        reason=reason,
    )


def _table_of_nodes(name: str, nodes: list[_Node]) -> Table:
    """Return the table; it has columns for GPUs and for partitions only if there is more than the usual."""
    columns: dict[str, list[str]] = {
        "node": [node.name for node in nodes],
        "state": [node.state for node in nodes],
        "CPUs": [str(node.cpus) for node in nodes],
        "MiB": [str(node.memory_mb) for node in nodes],
    }
    if any(node.gpus for node in nodes):
        columns["GPUs"] = [node.gpus for node in nodes]
    if any(node.partitions != [DEFAULT_PARTITION] for node in nodes):
        columns["partitions"] = [", ".join(node.partitions) for node in nodes]
    return _table(f"mini-cluster {name}", list(columns), [list(row) for row in zip(*columns.values(), strict=True)])


def _queued_job(row: list[str]) -> _QueuedJob:
    job, user, name, state, _time, nodes, where = row
    return _QueuedJob(id=job, user=user, name=name, state=state, nodes=int(nodes), where=where)


def _answer(ask: Callable[[], _Addresses], *, wanted: bool) -> _Addresses | _NoAnswer | None:
    """Return its addresses, or the error: the status must work when something is wrong."""
    try:
        return ask() if wanted else None
    except SlurmSimError as error:
        return _NoAnswer(str(error))


def _addresses(lab: Jupyter | _NoAnswer | None) -> list[tuple[str, str]]:
    match lab:
        case Jupyter():
            tunnels = {
                f"on {lab.elsewhere}, from here" if lab.elsewhere else "from another machine": lab.tunnel,
                "on a real cluster": "ssh -L 8888:127.0.0.1:8888 USER@LOGIN",
            }
            return [("JupyterLab", lab.address), *lab.pages.items(), *tunnels.items()]
        case None:
            return []
        case _:
            return [("JupyterLab", lab.error)]


def _rest_addresses(rest: Rest | _NoAnswer | None) -> list[tuple[str, str]]:
    match rest:
        case Rest():
            return [("REST API", f"{rest.address} ({', '.join(rest.versions)})"), ("on the login node", rest.socket)]
        case None:
            return []
        case _:
            return [("REST API", rest.error)]


def listing(*, as_json: bool) -> None:
    """Print all mini-clusters of this engine."""
    found = _found.find_all()
    if as_json:
        _print_json([msgspec.to_builtins(one) | {"state": one.state} for one in found.values()])
        return
    rows = [
        [
            name,
            str(len(f.nodes)),
            _each(f.spec, "cpus"),
            _each(f.spec, "memory_mb"),
            f.state if f.state != "partly stopped" else f"{f.state}: {_found.seen_states(f)}",
        ]
        for name, f in sorted(found.items())
    ]
    Console().print(_table("mini-clusters", ["name", "nodes", "CPUs per node", "MiB per node", "containers"], rows))


def users(sim: SlurmSim, *, as_json: bool) -> None:
    """Print the users who can submit jobs."""
    found = sim.users()
    if as_json:
        _print_json([{"name": name, "uid": uid} for name, uid in found.items()])
        return
    rows = [[name, str(uid)] for name, uid in found.items()]
    Console().print(_table("users", ["name", "ID"], rows))


def _each(spec: Spec, what: str) -> str:
    """Return a number that all groups of nodes have, or the number of each group."""
    numbers = {name: str(getattr(group, what)) for name, group in spec.groups.items()}
    if len({*numbers.values()}) == 1:
        return next(iter(numbers.values()))
    return ", ".join(f"{name} {number}" for name, number in numbers.items())


def _print_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _table(title: str, columns: list[str], rows: list[list[str]]) -> Table:
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    return table
