"""Start and remove mini-clusters."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterable

from slurm_sim import _found, _jupyter, _rest, _sif, _size, _ssh
from slurm_sim._docker import docker, docker_output, start_docker
from slurm_sim._engine import Engine
from slurm_sim._node_names import node_names
from slurm_sim._signals import uninterrupted
from slurm_sim._slurm import gate_job
from slurm_sim.errors import EngineError, SlurmSimError, StartError
from slurm_sim.spec import Spec

_GATE = "/usr/local/lib/slurm-sim/gate"
_KINDS = (  # commands that list and remove each kind of object in a mini-cluster
    (("ps", "--all"), ("rm", "--force", "--volumes")),
    (("network", "ls"), ("network", "rm")),
    (("volume", "ls"), ("volume", "rm", "--force")),
)
_REMOVED_BY_ANOTHER = re.compile("already in progress|no such|not found", re.IGNORECASE)


def start(spec: Spec, timeout: float) -> dict[str, float]:
    """Start a mini-cluster and wait at the gate; on any error and on Ctrl-C, remove it.

    Returns:
        The duration of each part, in seconds.
    """
    _size.check_room(_found.count_nodes(), spec.nodes, spec.controller_image)
    try:
        began = time.monotonic()
        compose_up(spec, node_names(spec.counts))
        return {"containers": time.monotonic() - began, **_await(spec, timeout)}
    except BaseException as error:
        remove(spec.name)
        if isinstance(error, SlurmSimError) and not isinstance(error, StartError):
            raise StartError(
                f"Mini-cluster {spec.name!r} did not start.", error.seen or error.what, error.todo
            ) from None
        raise


def compose_up(spec: Spec, nodes: Iterable[str], *services: str) -> None:
    """Start services of a mini-cluster with these nodes; all services if none is given."""
    from slurm_sim._compose import project  # slow to import, and only starting needs it

    project(spec, nodes).up(*services)


def _await(spec: Spec, timeout: float) -> dict[str, float]:
    """Wait for all parts of a mini-cluster. Returns the duration of each part, in seconds."""
    engine = Engine(spec.name)
    began = time.monotonic()
    try:
        _sif.share(engine, spec)
    except EngineError:
        fail_if_one_died(engine)  # its log explains the error
        raise
    with _rest.awaited(engine, spec, timeout):
        pass_gate(engine, spec, spec.nodes, timeout)
    took = {"gate": time.monotonic() - began}
    if await_jupyter(engine, spec, timeout):
        took["jupyter"] = time.monotonic() - began - took["gate"]
    return took


def await_jupyter(engine: Engine, spec: Spec, timeout: float) -> bool:
    """Wait until JupyterLab answers, if the spec includes it; return whether it does."""
    if spec.jupyter:
        _jupyter.await_answer(engine, timeout)
    return spec.jupyter


def pass_gate(engine: Engine, spec: Spec, nodes: int, timeout: float) -> None:
    """Wait until all nodes are idle and a job has run. Raises `StartError` with the reason."""
    end = time.monotonic() + timeout
    user, options = gate_job(spec)
    gate = ["exec", f"--user={user}", engine.container("login"), _GATE, str(nodes), *options]
    with start_docker(*gate, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as waiting:
        try:
            while True:
                try:
                    said, _ = waiting.communicate(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    fail_if_one_died(engine)
                if time.monotonic() > end:
                    raise _not_ready(engine, nodes, f"not ready within {timeout:.0f} s")
        finally:
            waiting.kill()
    if waiting.returncode:
        fail_if_one_died(engine)
        raise _not_ready(engine, nodes, said.decode(errors="replace").strip())


def fail_if_one_died(engine: Engine) -> None:
    """Raise `StartError` with the end of a container's log if it has exited."""
    filters = ("--filter", f"label={_found.PROJECT_LABEL}={engine.name}", "--filter", "status=exited")
    dead = docker("ps", "--all", "--format", _found.label_field(_found.SERVICE_LABEL), *filters).stdout.split()
    if dead:
        names = ", ".join(map(engine.container, dead))
        raise StartError(f"Mini-cluster {engine.name!r} did not start: {names} exited.", engine.logs(dead[0], 8))


def _not_ready(engine: Engine, nodes: int, why: str) -> StartError:
    seen = engine.run("login", "sinfo", "--Node", "--long").stdout.strip().splitlines()[:12]
    seen += [line for line in engine.logs("slurmctld", 200).splitlines() if "rror" in line][-5:]
    return StartError(f"Mini-cluster {engine.name!r} with {nodes} nodes did not become ready: {why}.", "\n".join(seen))


def projects(prefix: str = "") -> set[str]:
    """Return the mini-clusters, by prefix, that have a container, a network or a volume; none without an engine."""
    of_ours = ("--filter", f"label={_found.SPEC_LABEL}", "--format", _found.label_field(_found.PROJECT_LABEL))
    try:
        listed = [docker_output(*listing, *of_ours) for listing, _ in _KINDS]
    except EngineError:
        return set()
    return {name for name in "".join(listed).split() if name.startswith(prefix)}


def remove(name: str) -> bool:
    """Remove all parts of a mini-cluster, ignoring interrupts, and return whether there were any."""
    with uninterrupted():
        return _remove(name)


def _remove(name: str) -> bool:
    there = False
    for listing, removal in _KINDS:
        ids = docker_output(*listing, "--quiet", "--filter", f"label={_found.PROJECT_LABEL}={name}").split()
        if ids:
            there = True
            _remove_all(name, removal, ids)
    _ssh.forget(name)
    return there


def _remove_all(name: str, removal: tuple[str, ...], ids: list[str]) -> None:
    done = docker(*removal, *ids)
    if done.returncode and removal[0] == "network":  # another container is connected to it
        for network in ids:
            connected = docker(
                "network", "inspect", "--format={{range $id, $_ := .Containers}}{{$id}} {{end}}", network
            )
            for container in connected.stdout.split():
                docker("network", "disconnect", "--force", network, container)
        done = docker(*removal, *ids)
    problems = [line for line in done.stderr.splitlines() if not _REMOVED_BY_ANOTHER.search(line)]
    if done.returncode and problems:
        raise EngineError(
            f"Cannot remove all of mini-cluster {name!r}.",
            "\n".join(problems[-5:]),
            f"fix this, then run 'slurm-sim down --name {name}' again.",
        )
