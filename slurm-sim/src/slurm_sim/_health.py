"""Check and repair a mini-cluster between two tests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from slurm_sim import _scaling, faults
from slurm_sim._docker import docker
from slurm_sim._found import PROJECT_LABEL, SERVICE_LABEL, label_field
from slurm_sim._slurm import AWAIT_CONTROLLER, empty_queue, gate_job
from slurm_sim.cluster import SlurmSim
from slurm_sim.errors import NotRunningError, SlurmSimError, StartError

PATIENCE = 30
"""Seconds to wait for an answer from a mini-cluster that may be broken."""

CONFIGURATION = (
    AWAIT_CONTROLLER
    + "scontrol show config && scontrol --all show partition --oneliner && scontrol show reservation --oneliner\n"
)
"""Shell commands that print all that an administrator can change in the controller, except nodes."""

LEASE = "pytest-"
"""Prefix of partitions that belong to one test."""

_ENDING = 10
"""Seconds for a suspect node to end its jobs, including KillWait; a slower node is replaced."""

_COLUMNS = label_field(SERVICE_LABEL) + "\t{{.State}}\t{{.Networks}}"
_STATES = "states of nodes:"
_UP = {"idle", "mix", "alloc", "comp"}
_OF_THE_MOMENT = re.compile(
    r"^(Configuration data|BOOT_TIME|NEXT_JOB_ID|HASH_VAL|Slurmctld\(|No reservations|PartitionName=" + LEASE + r").*\n"
    r"|\b(Nodes|TotalCPUs|TotalNodes|TRES)=\S*",
    re.MULTILINE,
)


def ailments(sim: SlurmSim, nodes: Sequence[str]) -> dict[str, str]:
    """Return the problems of the daemons' and these nodes' containers, by service; empty if all are running."""
    engine = sim.engine
    done = docker("ps", "--all", f"--filter=label={PROJECT_LABEL}={engine.name}", f"--format={_COLUMNS}")
    seen = {service: (state, networks) for service, state, networks in map(_fields, done.stdout.splitlines())}
    wrong = {}
    for service in (*sim.spec.services, *nodes):
        state, networks = seen.get(service, ("removed", ""))
        if state != "running":
            wrong[service] = state
        elif engine.network not in networks.split(","):
            wrong[service] = "cut off from the network"
    return wrong


def _fields(row: str) -> tuple[str, str, str]:
    service, state, networks = row.split("\t")
    return service, state, networks


def restore(sim: SlurmSim, nodes: Sequence[str], *, suspect: bool) -> str:
    """Restart broken daemons, replace broken nodes, and return the controller's configuration.

    Args:
        sim: The mini-cluster.
        nodes: Nodes that must work; missing ones are added.
        suspect: Whether a test has failed on these nodes: they must also run a job.

    Raises:
        SlurmSimError: The daemons cannot be restarted.
        TimeoutError: The controller does not answer.
    """
    wrong = ailments(sim, nodes)
    suspect |= revive(sim, wrong)
    configuration, broken = _asked(sim, nodes)
    if bad := [node for node in nodes if node in wrong or node in broken]:
        _scaling.replace(sim.engine, sim.spec, bad)
    if suspect:
        _probe(sim, nodes)
    return configuration


def revive(sim: SlurmSim, wrong: Mapping[str, str]) -> bool:
    """Restart broken daemons that all nodes need, and return whether there were any. Raises `NotRunningError`."""
    broken = [service for service in sim.spec.services if service in wrong]
    for service in broken:
        if wrong[service] == "removed":
            raise NotRunningError(f"The container of {service} was removed.")
        faults.revive(sim.engine, service)
    return bool(broken)


def _asked(sim: SlurmSim, nodes: Sequence[str]) -> tuple[str, set[str]]:
    """Return the controller's configuration and the nodes that are not up, as seen from the login node."""
    ask = f"{CONFIGURATION}echo '{_STATES}'; sinfo --all --noheader --Node --format='%N %t'"
    configuration, _, states = sim.exec("sh", "-c", ask, timeout=PATIENCE).stdout.partition(f"{_STATES}\n")
    up = {node for node, state in map(str.split, states.splitlines()) if state in _UP}
    return settled(configuration), set(nodes) - up


def settled(configuration: str) -> str:
    """Return a configuration without the parts that change by themselves."""
    return _OF_THE_MOMENT.sub("", configuration)


def configuration(sim: SlurmSim) -> str:
    """Return the controller's configuration, without the parts that change by themselves."""
    return settled(sim.exec("sh", "-c", CONFIGURATION, on="slurmctld", user="root", timeout=PATIENCE).stdout)


def end_jobs(sim: SlurmSim) -> str:
    """Cancel every job, and return the controller's configuration."""
    ask = empty_queue() + CONFIGURATION
    return settled(sim.exec("sh", "-c", ask, on="slurmctld", user="root", timeout=180).stdout)


def reason(error: SlurmSimError | TimeoutError) -> str:
    """Return an error's first line, for a note."""
    return str(error).splitlines()[0]


def differences(before: str, after: str) -> list[str]:
    """Return the new parts of a configuration or, without any, the missing ones."""
    old = dict.fromkeys(before.splitlines())
    new = dict.fromkeys(after.splitlines())
    words = {word for line in old for word in line.split()}
    told = [
        " ".join(dict.fromkeys([line.split()[0], *(w for w in line.split() if w not in words)]))
        for line in new
        if line not in old
    ]
    return told or [f"{line.split()[0]} is missing" for line in old if line.strip() and line not in new]


def _probe(sim: SlurmSim, nodes: Sequence[str]) -> None:
    """Run a job on these nodes, and replace them if it fails."""
    if not runs_a_job(sim, nodes):
        _scaling.replace(sim.engine, sim.spec, list(nodes))
        if not runs_a_job(sim, nodes):
            raise StartError(f"No job runs on {', '.join(nodes)}.")


def runs_a_job(sim: SlurmSim, nodes: Sequence[str]) -> bool:
    """Cancel the jobs of these nodes, and return whether a new job runs on all of them."""
    listed = ",".join(nodes)
    user, options = gate_job(sim.spec)
    job = ("srun", "--quiet", *options, f"--nodelist={listed}", f"--nodes={len(nodes)}", "--time=1", "true")
    try:
        sim.exec("sh", "-c", empty_queue(f"--nodelist={listed}"), on="slurmctld", user="root", timeout=_ENDING)
        sim.exec(*job, user=user, timeout=PATIENCE)
    except (SlurmSimError, TimeoutError):
        return False
    return True
