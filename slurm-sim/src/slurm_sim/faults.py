"""Inject the faults of real clusters on demand, and repair them."""

from __future__ import annotations

import re
import time
from enum import StrEnum
from typing import Self, assert_never

from slurm_sim import _accounting, _found
from slurm_sim._docker import Completed, docker
from slurm_sim._engine import Engine
from slurm_sim._slurm import AWAIT_ACCOUNTING, AWAIT_CONTROLLER
from slurm_sim._suggest import did_you_mean
from slurm_sim.errors import CommandError, SlurmSimError, SpecError

__all__ = ["Fault"]

_SOCKETS = "/proc/net/unix"  # listening sockets; after a stop, a node still has the files of old ones
_BATCH_STEP = 4294967291  # Slurm's ID of a batch script's step, and part of the name of its slurmstepd's socket
_AS_BEFORE = ("--driver-opt", "com.docker.network.endpoint.ifname=eth0")  # ignored by engines before 28
_DOWN = re.compile("No such container|is not running|is paused")  # Slurm notices by itself that such a node is lost
_FREEZES = 20
_AWAIT_SLURMD = "until slurmd-healthcheck >/dev/null 2>&1; do sleep 0.1; done # slurmd sends no notice when it answers"
_TRUTH_SECONDS = 120  # BatchStartTimeout plus 10 s, and much more for a busy machine


class Fault(StrEnum):
    """A fault to inject; all except those of the controller and of accounting need names of nodes."""

    NODE_LOST = "node-lost"
    """The node loses power. Its processes are killed, and Slurm notices by itself."""
    NODE_HANGS = "node-hangs"
    """Every process of the node freezes."""
    NODE_CUT_OFF = "node-cut-off"
    """The node keeps running but loses its network."""
    NODE_DRAINED = "node-drained"
    """An administrator drains the node. Running jobs finish, and no new ones start."""
    CONTROLLER_LOST = "controller-lost"
    """slurmctld is killed; jobs keep running, but commands fail. Slurm forgets what happened since it last saved its
    state, up to 5 s ago: it lists a job that ended then as running until the job's node reports."""
    CONTROLLER_RESTARTED = "controller-restarted"
    """slurmctld is stopped, which saves its state, and started again from that state."""
    DATABASE_LOST = "database-lost"
    """With accounting: MariaDB is killed. Jobs start and end; sacct and sacctmgr wait, or fail."""
    DBD_LOST = "dbd-lost"
    """With accounting: slurmdbd is killed. Jobs start and end, and slurmctld keeps their records; sacct fails."""
    HEAL = "heal"
    """Repairs the named nodes or, without a name, the controller, slurmdbd and the database. The controller then knows
    what its nodes run, and accounting knows what the controller does. A batch job whose end the controller has missed
    is requeued or fails, as usual in Slurm."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the named fault. Raises `SpecError`, which suggests the nearest one."""
        try:
            return cls(text)
        except ValueError:
            todo = did_you_mean(text, [fault.value for fault in cls], f"use one of {', '.join(cls)}.")
            raise SpecError(f"Unknown fault {text!r}.", todo=todo) from None


_OF_ACCOUNTING = {Fault.DATABASE_LOST: "database", Fault.DBD_LOST: "slurmdbd"}


def inject(engine: Engine, fault: Fault, *nodes: str) -> None:
    """Inject the fault and return at once; Slurm notices it later."""
    controller = engine.container("slurmctld")
    match fault:
        case Fault.CONTROLLER_LOST if not nodes:
            _client(engine, "slurmctld", "kill", controller)
        case Fault.CONTROLLER_RESTARTED if not nodes:
            _client(engine, "slurmctld", "restart", "--time=10", controller)
        case Fault.DATABASE_LOST | Fault.DBD_LOST if not nodes:
            service = _OF_ACCOUNTING[fault]
            _accounting.require(engine, fault)
            _client(engine, service, "kill", engine.container(service))
        case Fault.HEAL if not nodes:
            _heal_services(engine)
        case _:
            for node in _checked(engine, nodes):
                _inject_node(engine, fault, node)


def _heal_services(engine: Engine) -> None:
    """Start what has stopped of the database, slurmdbd and the controller; return when they agree about all jobs."""
    spec = _found.find(engine.name).spec
    for service in spec.services:
        if service in (*_OF_ACCOUNTING.values(), "slurmctld"):
            _client(engine, service, "start", engine.container(service))
    register_again(engine, *(node for node in engine.nodes() if engine.state(node) == "running"))
    await_truth(engine)
    if spec.accounting:
        engine.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=_TRUTH_SECONDS)


def _inject_node(engine: Engine, fault: Fault, node: str) -> None:
    container = engine.container(node)
    if fault != Fault.HEAL and engine.state(node) not in ("running", "paused"):
        engine.require(node)
    match fault:
        case Fault.NODE_LOST:
            _client(engine, node, "kill", container)
        case Fault.NODE_HANGS:
            _pause(engine, node)
        case Fault.NODE_CUT_OFF:
            _client(engine, node, "network", "disconnect", engine.network, container)
        case Fault.NODE_DRAINED:
            _admin(engine, f"nodename={node}", "state=drain", "reason=drained on purpose")
        case Fault.HEAL:
            _heal(engine, node)
        case Fault.CONTROLLER_LOST | Fault.CONTROLLER_RESTARTED | Fault.DATABASE_LOST | Fault.DBD_LOST:
            raise SpecError(f"{fault} takes no nodes.", f"given: {node}", "leave out the nodes.")
        case _:
            assert_never(fault)


def _pause(engine: Engine, node: str) -> None:
    """Freeze every process of a container. The kernel sometimes gives up while many of them start and end."""
    for _ in range(_FREEZES):
        done = docker("pause", engine.container(node))
        if "unable to freeze" not in done.stderr:
            break
    _check(engine, node, done, what=f"pause {engine.container(node)}")


def revive(engine: Engine, service: str) -> None:
    """Make the container of a service run, with its network. Raises `SlurmSimError` if the engine cannot."""
    container = engine.container(service)
    docker("unpause", container)  # fails, rightly, unless it is paused
    # likewise, unless it is cut off
    docker("network", "connect", *_AS_BEFORE, f"--alias={service}", engine.network, container)
    _client(engine, service, "start", container)


def _heal(engine: Engine, node: str) -> None:
    before = engine.state(node)
    revive(engine, node)
    if before in ("running", "paused"):
        register_again(engine, node)
    else:  # its slurmd has just started, and registers by itself
        _await_registered(engine, node)
    engine.exec("sh", "-c", _AWAIT_SLURMD, on=node, user="root", timeout=_TRUTH_SECONDS)
    try:
        _admin(engine, f"nodename={node}", "state=resume")
    except CommandError as error:
        if "Invalid node state" not in error.stderr:  # Slurm's error if it has not missed the node
            raise


def register_again(engine: Engine, *nodes: str) -> None:
    """Have those of these running nodes register that Slurm does not know, and wait until it knows them.

    Slurm saves a new node up to six seconds late, and a node registers unasked only when it starts or rereads its
    configuration. So a controller that was killed may have forgotten new nodes.
    """
    ask = f"{AWAIT_CONTROLLER}sinfo --all --noheader --Node --format=%N"
    # on slurmctld: if it does not run, this fails at once
    known = engine.exec("sh", "-c", ask, on="slurmctld", timeout=_TRUTH_SECONDS).stdout.split()
    for node in set(nodes).difference(known):
        docker("kill", "--signal=HUP", engine.container(node))
        _await_registered(engine, node)


def _await_registered(engine: Engine, node: str) -> None:
    until = f"until scontrol show node {node} >/dev/null; do sleep 0.1; done # Slurm sends no event when one registers"
    engine.exec("sh", "-c", until, on="slurmctld", timeout=_TRUTH_SECONDS)


def await_truth(engine: Engine) -> None:
    """Wait until every batch job that Slurm believes to be running is known to its node.

    By itself Slurm asks a node for its jobs at every 20th ping, which is every 200 s here, and believes the answer once
    a job is older than BatchStartTimeout plus 10 s. A node that is told to reread its configuration reports unasked.
    """
    end = time.monotonic() + _TRUTH_SECONDS
    engine.exec("sh", "-c", AWAIT_CONTROLLER, timeout=_TRUTH_SECONDS)
    wrong = before = _nodes_without_their_jobs(engine)
    while wrong and time.monotonic() < end:
        time.sleep(2)  # Slurm sends no event; and a job that has just ended was not missed
        wrong = _nodes_without_their_jobs(engine)
        for node in wrong & before:
            docker("kill", "--signal=HUP", engine.container(node))
        before = wrong


def _nodes_without_their_jobs(engine: Engine) -> set[str]:
    listed = engine.exec(
        "squeue", "--noheader", "--states=running", "--Format=BatchFlag:4,JobID:12,BatchHost:64"
    ).stdout
    hosts = {job: host for batch, job, host in map(str.split, listed.splitlines()) if batch == "1"}
    here = {node: engine.run(node, "cat", _SOCKETS) for node in set(hosts.values())}
    return {
        host
        for job, host in hosts.items()
        if not _DOWN.search(here[host].stderr) and f"/{host}_{job}.{_BATCH_STEP}\n" not in here[host].stdout
    }


def _admin(engine: Engine, *change: str) -> None:
    engine.exec("scontrol", "update", *change, on="slurmctld", user="root")


def _checked(engine: Engine, nodes: tuple[str, ...]) -> tuple[str, ...]:
    present = engine.nodes()
    unknown = [node for node in nodes if node not in present]
    if unknown or not nodes:
        what = f"Unknown node {unknown[0]!r}." if unknown else "The name of a node is missing."
        raise SpecError(what, f"existing: {', '.join(present)}", "use one of these.")
    return nodes


def _client(engine: Engine, service: str, *arguments: str) -> None:
    _check(engine, service, docker(*arguments), what=" ".join(arguments))


def _check(engine: Engine, service: str, done: Completed, *, what: str) -> None:
    if done.returncode:
        engine.require(service)
        raise SlurmSimError(f"'docker {what}' failed.", done.stderr)
