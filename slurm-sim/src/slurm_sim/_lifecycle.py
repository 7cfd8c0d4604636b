"""Start, find and remove mini-clusters. The engine is the only memory: labels, no files."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping

import msgspec

from slurm_sim import _sif, _size, jupyter
from slurm_sim._locking import uninterrupted
from slurm_sim.errors import EngineError, NotRunningError, SlurmSimError, StartError
from slurm_sim.running import docker, engine
from slurm_sim.spec import Spec

SPEC_LABEL = "io.slurm-sim.spec"
"""The label of all that a mini-cluster consists of."""

_PROJECT, _SERVICE = "com.docker.compose.project", "com.docker.compose.service"
_GATE = "/usr/local/lib/slurm-sim/gate"
_KINDS = (  # what a mini-cluster consists of: how it is listed, and how it is removed
    (("ps", "--all"), ("rm", "--force", "--volumes")),
    (("network", "ls"), ("network", "rm")),
    (("volume", "ls"), ("volume", "rm", "--force")),
)
_REMOVED_BY_ANOTHER = re.compile("already in progress|no such|not found", re.IGNORECASE)


class Found(msgspec.Struct, frozen=True):
    """A mini-cluster that the engine has: its spec, its compute nodes in order, and each container's state."""

    spec: Spec
    nodes: list[str]
    states: dict[str, str]

    @property
    def all_nodes(self) -> list[str]:
        """Its compute nodes, and those between them whose containers are gone: nodes are numbered without a gap."""
        return node_names(int(self.nodes[-1][1:])) if self.nodes else node_names(self.spec.nodes)

    @property
    def stopped(self) -> dict[str, str]:
        """The services that do not run, each with the engine's word for its state, or "removed"."""
        services = ["slurmctld", "login", *self.all_nodes]
        states = {service: self.states.get(service, "removed") for service in services}
        return {service: state for service, state in states.items() if state != "running"}

    @property
    def state(self) -> str:
        """One word for it: `running`, `stopped`, or `partly stopped`."""
        if not self.stopped:
            return "running"
        return "partly stopped" if "running" in self.states.values() else "stopped"


def start(spec: Spec, timeout: float) -> dict[str, float]:
    """Starts a mini-cluster and waits at the gate; on any error and on Ctrl-C, nothing of it is left.

    Returns:
        The seconds that each part took.
    """
    from slurm_sim._compose import project  # slow to import, and only starting needs it

    names = node_names(spec.nodes)
    _size.check_room(count_nodes(find_all()), spec.nodes, spec.controller_image)
    try:
        began = time.monotonic()
        project(spec, names).up()
        return {"containers": time.monotonic() - began, **_await(spec, timeout)}
    except BaseException as error:
        remove(spec.name)
        if isinstance(error, SlurmSimError) and not isinstance(error, StartError):
            what = f"mini-cluster {spec.name!r} did not start"
            raise StartError(what, seen=error.seen or error.what, hint=error.hint) from None
        raise


def _await(spec: Spec, timeout: float) -> dict[str, float]:
    """Waits for all that a mini-cluster is to have. Returns the seconds that each part took."""
    began = time.monotonic()
    try:
        _sif.share(spec)
    except EngineError:
        fail_if_one_died(spec.name)  # which explains it
        raise
    pass_gate(spec.name, spec.nodes, timeout)
    took = {"gate": time.monotonic() - began}
    if await_jupyter(spec, timeout):
        took["jupyter"] = time.monotonic() - began - took["gate"]
    return took


def await_jupyter(spec: Spec, timeout: float) -> bool:
    """Wait until JupyterLab answers, and return whether there is one to wait for."""
    if spec.jupyter:
        jupyter.await_answer(f"{spec.name}-login-1", timeout)
    return spec.jupyter


def node_names(count: int) -> list[str]:
    """c1…cN."""
    return [f"c{number}" for number in range(1, count + 1)]


def pass_gate(name: str, nodes: int, timeout: float) -> None:
    """Returns when all nodes are idle and a job has run. Raises `StartError` with what explains it."""
    end = time.monotonic() + timeout
    gate = ["docker", "exec", "--user=hpc", f"{name}-login-1", _GATE, str(nodes)]
    with subprocess.Popen(gate, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as waiting:
        try:
            while True:
                try:
                    said, _ = waiting.communicate(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    fail_if_one_died(name)
                if time.monotonic() > end:
                    raise _not_ready(name, nodes, f"not ready within {timeout:.0f} s")
        finally:
            waiting.kill()
    if waiting.returncode:
        fail_if_one_died(name)
        raise _not_ready(name, nodes, said.decode(errors="replace").strip())


def remove(name: str) -> bool:
    """Removes whatever of a mini-cluster there is, also when asked to stop; says whether there was any."""
    with uninterrupted():
        return _remove(name)


def _remove(name: str) -> bool:
    of = f"label={_PROJECT}={name}"
    there = False
    for listing, removal in _KINDS:
        ids = engine(*listing, "--quiet", "--filter", of).split()
        if ids:
            there = True
            _remove_all(name, removal, ids)
    return there


def _remove_all(name: str, removal: tuple[str, ...], ids: list[str]) -> None:
    done = docker(*removal, *ids)
    if done.returncode and removal[0] == "network":  # somebody has connected another container to it
        for network in ids:
            connected = docker(
                "network", "inspect", "--format={{range $id, $_ := .Containers}}{{$id}} {{end}}", network
            )
            for container in connected.stdout.split():
                docker("network", "disconnect", "--force", network, container)
        done = docker(*removal, *ids)
    problems = [line for line in done.stderr.splitlines() if not _REMOVED_BY_ANOTHER.search(line)]
    if done.returncode and problems:
        again = f"then run 'slurm-sim down --name {name}' again"
        raise EngineError(f"cannot remove all of mini-cluster {name!r}", seen="\n".join(problems[-5:]), hint=again)


def find(name: str) -> Found:
    """The mini-cluster of that name. Raises `NotRunningError`, naming those that there are."""
    found = existing(name)
    if found is None:
        others = ", ".join(sorted(find_all()))
        raise NotRunningError(
            f"there is no mini-cluster {name!r}",
            seen=others or "none runs",
            hint=f"--name one of these, or 'slurm-sim up --name {name}'" if others else "'slurm-sim up' starts one",
        )
    return found


def existing(name: str) -> Found | None:
    """The mini-cluster of that name, or None. Raises `NotRunningError` for one of another version."""
    rows = _listed("ps", "--all")
    rows += [] if any(row[0] == name and row[-1] for row in rows) else _listed("volume", "ls")
    labels = _labels(rows)
    if name not in labels:
        return None
    found = _found(name, labels[name], rows)
    if found is None:
        hint = f"use that version, or remove it with 'slurm-sim down --name {name}'"
        raise NotRunningError(f"mini-cluster {name!r} is of another version of slurm-sim", hint=hint)
    return found


def projects(prefix: str = "") -> set[str]:
    """Return the names that begin with `prefix` of which the engine has a container, a network or a volume.

    There are none if there is no engine.
    """
    label = f'{{{{.Label "{_PROJECT}"}}}}'
    try:
        listed = [engine(*listing, "--filter", f"label={SPEC_LABEL}", "--format", label) for listing, _ in _KINDS]
    except EngineError:
        return set()
    return {name for name in "".join(listed).split() if name.startswith(prefix)}


def find_all() -> dict[str, Found]:
    """Every mini-cluster that the engine has, by name, also one of which only volumes are left."""
    rows = [*_listed("ps", "--all"), *_listed("volume", "ls")]
    found = {name: _found(name, label, rows) for name, label in _labels(rows).items()}
    return {name: one for name, one in found.items() if one}


def _listed(*listing: str) -> list[list[str]]:
    """The engine's containers, or its volumes: project, service, state and label of each."""
    container = listing[0] == "ps"
    service, state = (f'{{{{.Label "{_SERVICE}"}}}}', "{{.State}}") if container else ("", "")
    columns = f'{{{{.Label "{_PROJECT}"}}}}\t{service}\t{state}\t{{{{.Label "{SPEC_LABEL}"}}}}'
    return [row.split("\t") for row in engine(*listing, "--format", columns).splitlines()]


def _labels(rows: list[list[str]]) -> dict[str, str]:
    return {project: label for project, _, _, label in rows if label}


def _found(name: str, label: str, rows: list[list[str]]) -> Found | None:
    """Read one mini-cluster; None if a version wrote its label that knew other fields."""
    try:
        spec = msgspec.json.decode(label, type=Spec)
    except msgspec.MsgspecError:
        return None
    states = {service: state for project, service, state, _ in rows if project == name and service}
    nodes = sorted((s for s in states if s[0] == "c" and s[1:].isdigit()), key=lambda node: int(node[1:]))
    return Found(spec, nodes, states)


def require(name: str, *services: str) -> Found:
    """Return the mini-cluster of that name if these services run. Raises `NotRunningError` that says what to do."""
    found = find(name)
    for service in services:
        if service not in found.states and service not in found.stopped:
            raise no_container(name, service, found)
    if found.stopped.keys() & set(services):
        raise NotRunningError(f"mini-cluster {name!r} is {found.state}", seen=seen_states(found), hint=up_again(name))
    return found


def seen_states(found: Found) -> str:
    """Say which services are in which state, each state in a line."""
    lines: dict[str, list[str]] = {}
    for service, state in (found.stopped or found.states).items():
        lines.setdefault(state, []).append(service)
    return "\n".join(f"{state}: {', '.join(services)}" for state, services in lines.items())


def up_again(name: str) -> str:
    """Say how a stopped mini-cluster comes back."""
    option = "" if name == "slurm-sim" else f" --name {name}"
    return f"'slurm-sim up{option}' brings it back with its files and its queue, 'slurm-sim down{option}' removes it"


def count_nodes(found: Mapping[str, Found]) -> int:
    """Return how many nodes they have together."""
    return sum(len(one.nodes) for one in found.values())


def differences(found: Found, spec: Spec) -> list[str]:
    """Say how a mini-cluster that runs differs from a spec; its name and its number of nodes do not count."""
    return [f"{service} is {state}" for service, state in found.stopped.items()] or unlike(found, spec)


def unlike(found: Found, spec: Spec) -> list[str]:
    """Say how what a mini-cluster is made of differs from a spec; its name and number of nodes do not count."""
    told = []
    for field in msgspec.structs.fields(Spec):
        was, wanted = getattr(found.spec, field.name), getattr(spec, field.name)
        if was != wanted and field.name not in ("name", "nodes"):
            told.append(f"{field.name} was {was}, not {wanted}")
    return told or _rebuilt_images(found)


def _rebuilt_images(found: Found) -> list[str]:
    """Those of its images whose tag means another build by now."""
    services = {"slurmctld": found.spec.controller_image, "login": found.spec.login_image}
    services |= dict.fromkeys(found.nodes[:1], found.spec.node_image)
    built = {image: docker("image", "inspect", "--format={{.Id}}", image).stdout for image in services.values()}
    runs = {
        image: docker("inspect", "--format={{.Image}}", f"{found.spec.name}-{service}-1").stdout
        for service, image in services.items()
    }
    return [f"{image} was built anew" for image in runs if runs[image] != built[image]]


def logs(container: str, lines: int) -> str:
    """The last lines that a container wrote."""
    done = docker("logs", "--tail", str(lines), container)
    return done.stdout + done.stderr


def no_container(name: str, service: str, found: Found) -> NotRunningError:
    """The error for a service that is not there: names those that are."""
    seen = ", ".join(sorted(found.states))
    return NotRunningError(f"mini-cluster {name!r} has no {service!r}", seen=seen, hint="--on one of these")


def fail_if_one_died(name: str) -> None:
    """Raise `StartError` with a container's last words if it has ended."""
    filters = ("--filter", f"label={_PROJECT}={name}", "--filter", "status=exited")
    dead = docker("ps", "--all", "--format", "{{.Names}}", *filters).stdout.split()
    if dead:
        raise StartError(f"mini-cluster {name!r} did not start: {', '.join(dead)} ended", seen=logs(dead[0], 8))


def _not_ready(name: str, nodes: int, why: str) -> StartError:
    seen = docker("exec", f"{name}-login-1", "sinfo", "--Node", "--long").stdout.strip().splitlines()[:12]
    seen += [line for line in logs(f"{name}-slurmctld-1", 200).splitlines() if "rror" in line][-5:]
    return StartError(f"mini-cluster {name!r} with {nodes} nodes did not become ready: {why}", seen="\n".join(seen))
