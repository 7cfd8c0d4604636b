"""Faults on demand: what goes wrong on real clusters, and how it is mended."""

from __future__ import annotations

import difflib
import re
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from slurm_sim.errors import CommandError, SlurmSimError, SpecError
from slurm_sim.running import Completed, docker

if TYPE_CHECKING:
    from slurm_sim.cluster import SlurmSim

_SOCKETS = "/proc/net/unix"  # those that somebody listens on; a node that was stopped still has the files of others
_BATCH_STEP = 4294967291  # Slurm's number of a batch script's step; slurmstepd listens on a socket of that name
_AS_BEFORE = ("--driver-opt", "com.docker.network.endpoint.ifname=eth0")  # ignored by engines before 28
_DOWN = re.compile("No such container|is not running|is paused")  # Slurm finds out itself that such a node is lost
_FREEZES = 20
_TRUTH_SECONDS = 120  # BatchStartTimeout and 10 s, and far more for a busy machine


class Fault(StrEnum):
    """What can be broken; all but the controller's take the names of nodes."""

    NODE_LOST = "node-lost"
    """The node's power is cut: its processes are gone, and Slurm finds out by itself."""
    NODE_HANGS = "node-hangs"
    """Every process of the node stops where it is."""
    NODE_CUT_OFF = "node-cut-off"
    """The node runs on, and the network to it does not."""
    NODE_DRAINED = "node-drained"
    """An administrator takes it out of service: running jobs end, none is started."""
    CONTROLLER_LOST = "controller-lost"
    """slurmctld is killed; jobs run on, commands fail. Slurm forgets what it was told since it last saved its state, up
    to 5 s ago: a job that ended then runs once more for it, until its node says what runs there."""
    CONTROLLER_RESTARTED = "controller-restarted"
    """slurmctld is stopped, which saves its state, and starts again from that."""
    HEAL = "heal"
    """Mends whatever of the above was done: the controller, or the nodes that are named. The controller then knows what
    its nodes run: a batch job whose end it has missed is queued again, or failed, as Slurm does with such jobs."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """The fault of that name. Raises `SpecError` that names the nearest."""
        try:
            return cls(text)
        except ValueError:
            near = difflib.get_close_matches(text, [fault.value for fault in cls], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(cls)}"
            raise SpecError(f"there is no fault {text!r}", hint=hint) from None


def inject(sim: SlurmSim, fault: Fault, *nodes: str) -> None:
    """Does it; returns when it is done, which is not when Slurm has noticed."""
    controller = sim.container("slurmctld")
    match fault:
        case Fault.CONTROLLER_LOST:
            _engine(sim, "slurmctld", "kill", controller)
        case Fault.CONTROLLER_RESTARTED:
            _engine(sim, "slurmctld", "restart", "--time=10", controller)
        case Fault.HEAL if not nodes:
            _engine(sim, "slurmctld", "start", controller)
            await_truth(sim)
        case _:
            for node in _checked(sim, nodes):
                _inject_node(sim, fault, node)


def _inject_node(sim: SlurmSim, fault: Fault, node: str) -> None:
    container, network = sim.container(node), f"{sim.name}_default"
    if fault != Fault.HEAL and sim.state(node) not in ("running", "paused"):
        sim.check_service(node)
    match fault:
        case Fault.NODE_LOST:
            _engine(sim, node, "kill", container)
        case Fault.NODE_HANGS:
            _pause(sim, node)
        case Fault.NODE_CUT_OFF:
            _engine(sim, node, "network", "disconnect", network, container)
        case Fault.NODE_DRAINED:
            _admin(sim, f"nodename={node}", "state=drain", "reason=drained on purpose")
        case Fault.HEAL:
            _heal(sim, node)


def _pause(sim: SlurmSim, node: str) -> None:
    """Stop every process of a container. The kernel gives up, now and then, while many of them start and end."""
    for _ in range(_FREEZES):
        done = docker("pause", sim.container(node))
        if "unable to freeze" not in done.stderr:
            break
    _check(sim, node, done, f"pause {node}")


def revive(sim: SlurmSim, service: str) -> None:
    """Make the container of a service run, with its network. Raises `SlurmSimError` if the engine cannot."""
    container, network = sim.container(service), f"{sim.name}_default"
    docker("unpause", container)  # fails, rightly, unless it hangs
    docker("network", "connect", *_AS_BEFORE, f"--alias={service}", network, container)  # likewise, unless cut off
    _engine(sim, service, "start", container)


def _heal(sim: SlurmSim, node: str) -> None:
    revive(sim, node)
    try:
        _admin(sim, f"nodename={node}", "state=resume")
    except CommandError as error:
        if "Invalid node state" not in error.stderr:  # which it is where Slurm has not missed the node
            raise


def await_truth(sim: SlurmSim) -> None:
    """Return when Slurm believes of no batch job that it runs whose node knows nothing of it.

    By itself Slurm asks a node for its jobs at each 20th ping, which is every 200 s here, and takes its word once a job
    is older than BatchStartTimeout and 10 s. A node that is told to read its configuration again tells Slurm unasked.
    """
    end = time.monotonic() + _TRUTH_SECONDS
    sim.exec("sh", "-c", "until scontrol ping >/dev/null; do sleep 0.1; done", timeout=_TRUTH_SECONDS)
    wrong = before = _nodes_without_their_jobs(sim)
    while wrong and time.monotonic() < end:
        time.sleep(2)  # nothing tells that Slurm has listened; and a job that has just ended is none that it missed
        wrong = _nodes_without_their_jobs(sim)
        for node in wrong & before:
            docker("kill", "--signal=HUP", sim.container(node))
        before = wrong


def _nodes_without_their_jobs(sim: SlurmSim) -> set[str]:
    listed = sim.exec("squeue", "--noheader", "--states=running", "--Format=BatchFlag:4,JobID:12,BatchHost:64").stdout
    hosts = {job: host for batch, job, host in map(str.split, listed.splitlines()) if batch == "1"}
    here = {node: docker("exec", sim.container(node), "cat", _SOCKETS) for node in set(hosts.values())}
    return {
        host
        for job, host in hosts.items()
        if not _DOWN.search(here[host].stderr) and f"/{host}_{job}.{_BATCH_STEP}\n" not in here[host].stdout
    }


def _admin(sim: SlurmSim, *change: str) -> None:
    sim.exec("scontrol", "update", *change, on="slurmctld", user="root")


def _checked(sim: SlurmSim, nodes: tuple[str, ...]) -> tuple[str, ...]:
    present = sim.nodes()
    unknown = [node for node in nodes if node not in present]
    if unknown or not nodes:
        what = f"there is no node {unknown[0]!r}" if unknown else "no node is named"
        raise SpecError(what, seen=", ".join(present), hint="name one of these")
    return nodes


def _engine(sim: SlurmSim, service: str, *arguments: str) -> None:
    _check(sim, service, docker(*arguments), f"{arguments[0]} {arguments[-1]}")


def _check(sim: SlurmSim, service: str, done: Completed, what: str) -> None:
    if done.returncode:
        sim.check_service(service)
        raise SlurmSimError(f"the engine would not {what}", seen=done.stderr)
