"""Bring back a mini-cluster whose containers are stopped, paused or removed: its volumes hold its files and queue."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

import msgspec

from slurm_sim import _found, _lifecycle, _rest, _sif, faults
from slurm_sim._docker import docker_output
from slurm_sim._engine import Engine
from slurm_sim._found import Found
from slurm_sim.errors import SlurmSimError, SpecError, StartError
from slurm_sim.spec import Spec

# Slurm's record of a node, in one line; its times are in the zone of $TZ.
_NODE = re.compile(r"^NodeName=(?P<name>\S+) .*? State=(?P<state>\S+) .*? SlurmdStartTime=(?P<since>\S+)", re.MULTILINE)
_NETWORK = '{{{{.Name}}}}\t{{{{with index .NetworkSettings.Networks "{}"}}}}{{{{.NetworkID}}}}{{{{end}}}}'
_EVERYWHERE = tuple(field.encode_name for field in msgspec.structs.fields(Spec))
_SECONDS = len("2026-01-01T00:00:00")
_ENDING_SECONDS = 2  # for a node to be completing: the epilog needs less than one


def refuse_others(found: Found, spec: Spec, places: Iterable[str] = _EVERYWHERE) -> None:
    """Raise `SpecError` if a mini-cluster runs, or differs from a spec in one of these places of a `cluster.toml`."""
    name = found.spec.name
    was = found.spec.resized(found.counts)
    original = _found.changes(found.spec, spec)
    seen = "\n".join(
        line
        for key, line in _found.changes(was, spec).items()
        if key in original and any(f"{key}.".startswith(f"{place}.") for place in places)
    )
    if found.state == "running":
        what = f"Mini-cluster {name!r} is already running{', with other settings' if seen else ''}."
        todo = f"use it, remove it with 'slurm-sim down --name {name}', or use another --name."
        raise SpecError(what, seen, todo)
    if seen:
        todo = f"leave out these options to bring it back as it was, or run 'slurm-sim down --name {name}' first."
        raise SpecError(f"Mini-cluster {name!r} is {found.state}, with other settings.", seen, todo)


def revive(engine: Engine, found: Found, timeout: float) -> dict[str, float]:
    """Start what is stopped; return when every node is back in Slurm, and Slurm knows which of its jobs have ended.

    Raises `StartError`, without removing anything: that would delete the mini-cluster's files and queue.

    Returns:
        The duration of each part, in seconds.
    """
    began = time.monotonic()
    spec = found.spec
    end = began + timeout
    try:
        _prepare(engine, found)
        _lifecycle.compose_up(spec, found.all_nodes)
        started = time.monotonic() - began
        _sif.share(engine, spec, again=True)
        with _rest.awaited(engine, spec, timeout):
            faults.register_again(engine, *(n for n in found.all_nodes if found.states.get(n) in ("running", "paused")))
            known = set(_await_nodes(engine, found.all_nodes, end))
        if removed := sorted(known - set(found.all_nodes)):
            _lifecycle.compose_up(spec, [*found.all_nodes, *removed], *removed)
            _await_nodes(engine, [*found.all_nodes, *removed], end)
        faults.await_truth(engine)
        _lifecycle.await_jupyter(engine, spec, timeout)
    except SlurmSimError as error:
        seen = error.seen if isinstance(error, StartError) else f"{error.what}\n{error.seen}"
        todo = error.todo or f"'slurm-sim logs' shows why; 'slurm-sim down --name {spec.name}' removes all of it."
        raise StartError(f"Mini-cluster {spec.name!r} did not come back.", seen, todo) from None
    return {"containers": started, "nodes": time.monotonic() - began - started}


def _prepare(engine: Engine, found: Found) -> None:
    """Resume paused containers, and remove those that cannot start: Compose creates them again."""
    containers = [engine.container(service) for service in found.states]
    paused = [engine.container(service) for service, state in found.states.items() if state == "paused"]
    if paused:
        docker_output("unpause", *paused)
    current = docker_output("network", "ls", "--no-trunc", "--quiet", "--filter", f"name=^{engine.network}$").strip()
    template = _NETWORK.format(engine.network)
    rows = docker_output("inspect", "--format", template, *containers).splitlines() if containers else []
    apart = [row.split("\t")[0].removeprefix("/") for row in rows if row.split("\t")[1] != current or not current]
    dead = [engine.container(service) for service, state in found.states.items() if state in ("dead", "removing")]
    if apart or dead:  # they would look for the old network, which was removed or recreated
        docker_output("rm", "--force", *apart, *dead)


def _await_nodes(engine: Engine, nodes: list[str], end: float) -> list[str]:
    """Wait until Slurm has heard from the slurmd that runs on each node now. Returns the nodes that Slurm knows."""
    containers = map(engine.container, nodes)
    times = docker_output("inspect", "--format={{.State.StartedAt}}", *containers).splitlines()
    since = dict(zip(nodes, times, strict=True))
    ending: dict[str, float] = {}  # since when a node whose slurmd answers has been completing
    while True:
        seen = _seen(engine)
        late = [node for node in nodes if not (_answers(seen.get(node), since[node]) and _serves(seen[node][0]))]
        if not late:
            return list(seen)
        _lifecycle.fail_if_one_died(engine)
        now = time.monotonic()
        if now > end:
            said = "\n".join(f"{node} is {seen[node][0] if node in seen else 'unknown to Slurm'}" for node in late[:12])
            raise StartError("Some nodes did not come back in time.", said)
        ending = {
            node: ending.get(node, now)
            for node in late
            if _answers(seen.get(node), since[node]) and re.match(r"IDLE\b.*\+COMPLETING\b", seen[node][0])
        }
        for node in [node for node, first in ending.items() if now - first > _ENDING_SECONDS]:
            _forget_jobs(engine, node)
            del ending[node]
        time.sleep(0.1)  # Slurm sends no event when a node registers


def _forget_jobs(engine: Engine, node: str) -> None:
    """Have Slurm forget the jobs that were ending on a node when it stopped.

    No slurmd knows them any more, and Slurm asks again only after a minute or more.
    """
    for state in ("down reason=stopped", "resume"):
        engine.run("slurmctld", "scontrol", "update", f"nodename={node}", *f"state={state}".split())


def _seen(engine: Engine) -> dict[str, tuple[str, str]]:
    """Return each node's state and its slurmd's start time, as Slurm knows them; empty if Slurm does not answer."""
    said = engine.run("login", "env", "TZ=UTC", "scontrol", "--oneliner", "show", "nodes").stdout
    return {node["name"]: (node["state"], node["since"]) for node in _NODE.finditer(said)}


def _answers(node: tuple[str, str] | None, since: str) -> bool:
    """Return whether Slurm has heard from the current slurmd; before that, the state is an old one."""
    if node is None:
        return False
    state, heard = node
    silent = "*" in state or "NOT_RESPONDING" in state.split("+")  # an asterisk means the same
    return not silent and heard[:1].isdigit() and since[:_SECONDS] <= heard  # "None" before the first time


def _serves(state: str) -> bool:
    """Return whether a node runs jobs, is free to, or is drained and will stay so."""
    base, *flags = state.split("+")
    return "DRAIN" in flags or base in {"MIXED", "ALLOCATED"} or (base == "IDLE" and "COMPLETING" not in flags)
