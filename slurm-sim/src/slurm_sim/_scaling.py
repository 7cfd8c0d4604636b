"""Add and remove nodes while a mini-cluster runs."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from slurm_sim import _found, _lifecycle, _size
from slurm_sim._docker import docker
from slurm_sim._engine import Engine
from slurm_sim._locking import exclusive
from slurm_sim._node_names import expand, node_names
from slurm_sim._signals import interrupted_once
from slurm_sim._slurm import gate_job
from slurm_sim._slurm_conf import conf_lines
from slurm_sim._suggest import did_you_mean
from slurm_sim.config import MAX_NODES
from slurm_sim.errors import SlurmSimError, SpecError, StartError
from slurm_sim.spec import Spec, check_count

# Set a node down only after its container is removed: if it answered again, Slurm would take it back (ReturnToService),
# with jobs that never end.
_FORGET = """
! scontrol delete nodename="$1" 2>/dev/null || exit 0
for node in ${1//,/ }; do # one by one: an unknown name, of a deleted node, makes a whole list invalid
  until ! scontrol show node "$node" >/dev/null || scontrol delete nodename="$node" 2>/dev/null; do
    [ $SECONDS -lt 30 ] || exec scontrol delete nodename="$node"
    scontrol update nodename="$node" state=down reason="scaled away" # its jobs are requeued
    sleep 0.05 # and are completing for a moment; Slurm sends no event when that is over
  done
done
"""

# The controller passes its configuration on to the nodes and the login node.
_SET_TIMEOUTS = "cat >/etc/slurm/timeouts && /usr/local/lib/slurm-sim/configure && scontrol reconfigure"


def wanted(spec: Spec, nodes: int | None, groups: Mapping[str, int]) -> dict[str, int]:
    """Return the number of nodes per group that a user asks for, without the groups that stay as they are.

    Raises `SpecError`.
    """
    if nodes is not None and len(spec.groups) > 1:
        names = " ".join(f"{name}=N" for name in spec.groups)
        what = "This mini-cluster has several groups of nodes."
        raise SpecError(what, f"groups: {', '.join(spec.groups)}", f"say which one: {names}.")
    asked = dict(groups) | ({} if nodes is None else {next(iter(spec.groups)): nodes})
    if not asked:
        raise SpecError("The number of nodes is missing.", todo="give a number, or GROUP=NUMBER.")
    for group, count in asked.items():
        if group not in spec.groups:
            todo = did_you_mean(group, spec.groups, f"use one of {', '.join(spec.groups)}.")
            raise SpecError(f"Unknown group of nodes {group!r}.", todo=todo)
        check_count("nodes", count, MAX_NODES, least=1 if len(spec.groups) == 1 else 0)
    return asked


def scale(engine: Engine, spec: Spec, asked: dict[str, int]) -> None:
    """Scale groups of a running mini-cluster to these numbers of nodes, and return when Slurm agrees."""
    with exclusive(engine.name), interrupted_once():
        found = engine.require()
        present = found.nodes
        counts = found.counts | asked
        check_count("nodes", sum(counts.values()), MAX_NODES)
        names = node_names(counts)
        added = [node for node in names if node not in present]
        gone = [node for node in present if node not in names]
        if added:
            _size.check_room(
                _found.count_nodes(),
                len(added),
                spec.controller_image,
                network=engine.network,
                inside=len(present),
            )
        if gone:
            _refuse_reserved(engine, gone)
            _forget(engine, gone)
        if added:
            if _size.timeouts(len(names)) != _size.timeouts(len(present)):
                set_timeouts(engine, len(names))
            _add(engine, spec, names, added=added)


def _refuse_reserved(engine: Engine, nodes: list[str]) -> None:
    """Raise `SpecError` if a reservation holds one of these nodes: Slurm does not delete it."""
    shown = engine.run("login", "scontrol", "--oneliner", "show", "reservation").stdout
    for name, held in re.findall(r"^ReservationName=(\S+) .*? Nodes=(\S+)", shown, re.MULTILINE):
        if reserved := [node for node in nodes if node in expand(held)]:
            raise SpecError(
                f"Cannot remove {', '.join(reserved)}: reservation {name!r} holds nodes until it ends.",
                f"its nodes are {held}",
                f"delete it first: 'slurm-sim exec --on slurmctld --user root -- scontrol delete reservation={name}'.",
            )


def set_timeouts(engine: Engine, nodes: int) -> None:
    """Set a running Slurm's timeouts for this number of nodes; they last across restarts of the controller."""
    lines = conf_lines(_size.timeouts(nodes)).encode()
    done = engine.run("slurmctld", "sh", "-ec", _SET_TIMEOUTS, stdin=lines)
    if done.returncode:
        raise StartError("Slurm rejected longer timeouts.", done.stdout + done.stderr)


def replace(engine: Engine, spec: Spec, nodes: list[str]) -> None:
    """Replace these nodes with new ones, regardless of their state; missing ones are added.

    Jobs on them are cancelled.
    """
    with exclusive(engine.name), interrupted_once():
        known = _known(engine, nodes)
        if known:
            engine.run("slurmctld", "scancel", f"--nodelist={','.join(known)}")
            _forget(engine, known)
        _remove_containers(engine, nodes)
        _add(engine, spec, nodes, added=nodes)


def _add(engine: Engine, spec: Spec, names: list[str], *, added: list[str]) -> None:
    try:
        _lifecycle.compose_up(spec, names, *added)
        _await_nodes(engine, added, timeout=30 + len(added))
        _await_answers(engine, spec, added)
        _await_nodes(engine, added, timeout=30)  # they are completing for a moment: the epilog runs
    except BaseException as error:  # remove the new nodes again; the old ones keep running
        _take_back(engine, added)
        if isinstance(error, SlurmSimError) and not isinstance(error, StartError):
            raise StartError(f"Could not add {', '.join(added)}.", error.seen, error.todo) from None
        raise


def _take_back(engine: Engine, added: list[str]) -> None:
    _remove_containers(engine, added)
    registered = _known(engine, added)
    if registered:
        _forget(engine, registered)


def _await_nodes(engine: Engine, nodes: list[str], *, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        seen = _states(engine, nodes)
        if all(seen.get(node) in {"idle", "mix", "alloc"} for node in nodes):
            return
        if time.monotonic() > end:
            states = "\n".join(f"{node} {seen.get(node, 'unknown to Slurm')}" for node in nodes)
            raise StartError(f"New nodes did not come up within {timeout:.0f} s.", states)
        time.sleep(0.05)  # Slurm sends no event when a node registers


def _await_answers(engine: Engine, spec: Spec, nodes: list[str]) -> None:
    """Run a job on new nodes, and return when each has answered, or when other jobs already use them."""
    user, options = gate_job(spec)
    job = (
        "srun",
        "--quiet",
        *options,
        "--immediate",
        "--mpi=none",
        "--time=10",
        f"--nodes={len(nodes)}",
        f"--nodelist={','.join(nodes)}",
    )
    done = engine.run("login", *job, "hostname", user=user)
    silent = set(nodes) - set(done.stdout.split())
    if silent and "Unable to allocate resources" not in done.stderr:
        what = f"Only {len(nodes) - len(silent)} of {len(nodes)} new nodes answered a job on all of them."
        raise StartError(what, done.stderr)


def _known(engine: Engine, nodes: list[str]) -> list[str]:
    """Return the nodes that Slurm knows."""
    states = _states(engine, nodes)
    return [node for node in nodes if node in states]


def _states(engine: Engine, nodes: list[str]) -> dict[str, str]:
    """Return Slurm's short word for the state of those nodes that it knows."""
    query = ("sinfo", "--noheader", "--Node", f"--nodes={','.join(nodes)}", "--format=%N %t")
    return dict(line.split() for line in engine.run("login", *query).stdout.splitlines())


def _forget(engine: Engine, gone: list[str]) -> None:
    """Drain nodes, so that Slurm sends them no more jobs; then remove their containers, and the nodes from Slurm."""
    listed = ",".join(gone)
    engine.run("slurmctld", "scontrol", "update", f"nodename={listed}", "state=drain", "reason=scaled away")
    _remove_containers(engine, gone)
    done = engine.run("slurmctld", "bash", "-c", _FORGET, "forget", listed)
    if done.returncode:
        raise StartError(f"Slurm did not remove {listed}.", done.stderr, "try again: a job may still be ending there.")


def _remove_containers(engine: Engine, nodes: list[str]) -> None:
    docker("rm", "--force", "--volumes", *map(engine.container, nodes))
