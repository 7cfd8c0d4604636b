"""Start, find and remove mini-clusters. The engine is the only memory: labels, no files."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import msgspec

from slurm_sim import jupyter
from slurm_sim._locking import exclusive, interrupted_once, uninterrupted
from slurm_sim.errors import EngineError, NotRunningError, SlurmSimError, SpecError, StartError
from slurm_sim.running import check_engine, docker
from slurm_sim.spec import Spec

_PROJECT, _SERVICE, _SPEC = "com.docker.compose.project", "com.docker.compose.service", "io.slurm-sim.spec"
_GATE = "/usr/local/lib/slurm-sim/gate"
_NEIGHBOURS = 10  # entries a node: measured with 128 nodes, 1163 in all


class Found(msgspec.Struct, frozen=True):
    """A mini-cluster that the engine has: its spec, its compute nodes in order, and each container's state."""

    spec: Spec
    nodes: list[str]
    states: dict[str, str]


def start(spec: Spec, timeout: float) -> dict[str, float]:
    """Starts a mini-cluster and waits at the gate; on any error and on Ctrl-C, nothing of it is left.

    Returns:
        The seconds that each part took.
    """
    from slurm_sim._compose import project  # slow to import, and only starting needs it

    names = node_names(spec.nodes)
    with exclusive(spec.name), interrupted_once():
        _refuse_a_second(spec.name)
        try:
            began = time.monotonic()
            project(spec, names).up()
            return {"containers": time.monotonic() - began, **_await(spec, timeout)}
        except BaseException as error:
            remove(spec.name)
            if isinstance(error, SlurmSimError) and not isinstance(error, StartError):
                raise StartError(f"mini-cluster {spec.name!r} did not start", seen=error.seen) from None
            raise


def _await(spec: Spec, timeout: float) -> dict[str, float]:
    """Waits for all that a mini-cluster is to have. Returns the seconds that each part took."""
    began = time.monotonic()
    pass_gate(spec.name, spec.nodes, timeout)
    took = {"gate": time.monotonic() - began}
    if spec.jupyter:
        jupyter.await_answer(f"{spec.name}-login-1", timeout)
        took["jupyter"] = time.monotonic() - began - took["gate"]
    return took


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
                    _fail_if_one_died(name)
                if time.monotonic() > end:
                    raise _not_ready(name, nodes, f"not ready within {timeout:.0f} s")
        finally:
            waiting.kill()
    if waiting.returncode:
        _fail_if_one_died(name)
        raise _not_ready(name, nodes, said.decode(errors="replace").strip())


def remove(name: str) -> bool:
    """Removes whatever of a mini-cluster there is, also when asked to stop; says whether there was any."""
    with uninterrupted():
        return _remove(name)


def _remove(name: str) -> bool:
    of = f"label={_PROJECT}={name}"
    containers = docker("ps", "--all", "--quiet", "--filter", of).stdout.split()
    if containers:  # at once, rather than by asking each daemon to stop: nothing of them is kept
        docker("rm", "--force", "--volumes", *containers)
    networks = docker("network", "ls", "--quiet", "--filter", of).stdout.split()
    volumes = docker("volume", "ls", "--quiet", "--filter", of).stdout.split()
    if networks:
        docker("network", "rm", *networks)
    if volumes:
        docker("volume", "rm", "--force", *volumes)
    return bool(containers or networks or volumes)


def find(name: str) -> Found:
    """The mini-cluster of that name. Raises `NotRunningError`, naming those that there are."""
    found = find_all()
    if name not in found:
        others = ", ".join(sorted(found))
        raise NotRunningError(
            f"there is no mini-cluster {name!r}",
            seen=others or "none runs",
            hint=f"--name one of these, or 'slurm-sim up --name {name}'" if others else "'slurm-sim up' starts one",
        )
    return found[name]


def projects(prefix: str) -> set[str]:
    """Return the names that begin with `prefix` of which the engine has a container; none if there is no engine."""
    try:
        listed = docker("ps", "--all", "--filter", f"label={_SPEC}", "--format", f'{{{{.Label "{_PROJECT}"}}}}').stdout
    except EngineError:
        return set()
    return {name for name in listed.split() if name.startswith(prefix)}


def find_all() -> dict[str, Found]:
    """Every mini-cluster that the engine has, by name."""
    check_engine()
    columns = f'{{{{.Label "{_PROJECT}"}}}}\t{{{{.Label "{_SERVICE}"}}}}\t{{{{.State}}}}\t{{{{.Label "{_SPEC}"}}}}'
    rows = [row.split("\t") for row in docker("ps", "--all", "--format", columns).stdout.splitlines()]
    specs = {project: msgspec.json.decode(spec, type=Spec) for project, _, _, spec in rows if spec}
    found = {}
    for name, spec in specs.items():
        states = {service: state for project, service, state, _ in rows if project == name}
        nodes = sorted((s for s in states if s[0] == "c" and s[1:].isdigit()), key=lambda node: int(node[1:]))
        found[name] = Found(spec, nodes, states)
    return found


def differences(found: Found, spec: Spec) -> list[str]:
    """Say how a mini-cluster that runs differs from a spec; its name and its number of nodes do not count."""
    return [f"{service} is {state}" for service, state in found.states.items() if state != "running"] or unlike(
        found, spec
    )


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


def no_container(name: str, service: str) -> NotRunningError:
    """The error for a service that is not there: names those that are."""
    seen = ", ".join(sorted(find(name).states))
    return NotRunningError(f"mini-cluster {name!r} has no {service!r}", seen=seen, hint="--on one of these")


def _refuse_a_second(name: str) -> None:
    if name in find_all():
        raise SpecError(
            f"there is a mini-cluster {name!r} already",
            hint=f"use it, end it with 'slurm-sim down --name {name}', or take another --name",
        )


def _fail_if_one_died(name: str) -> None:
    filters = ("--filter", f"label={_PROJECT}={name}", "--filter", "status=exited")
    dead = docker("ps", "--all", "--format", "{{.Names}}", *filters).stdout.split()
    if dead:
        raise StartError(f"mini-cluster {name!r} did not start: {', '.join(dead)} ended", seen=logs(dead[0], 8))


def _not_ready(name: str, nodes: int, why: str) -> StartError:
    seen = docker("exec", f"{name}-login-1", "sinfo", "--Node", "--long").stdout.strip().splitlines()[:12]
    seen += [line for line in logs(f"{name}-slurmctld-1", 200).splitlines() if "rror" in line][-5:]
    what = f"mini-cluster {name!r} with {nodes} nodes did not become ready: {why}"
    return StartError(what, seen="\n".join(seen), hint=_neighbours_hint(nodes))


def _neighbours_hint(nodes: int) -> str:
    """What to do where the kernel's table of neighbours, one for all containers, is too small for so many nodes."""
    try:
        most = int(Path("/proc/sys/net/ipv4/neigh/default/gc_thresh3").read_text(encoding="ascii"))
    except OSError:  # an engine elsewhere: nothing can be said
        return ""
    wanted = nodes * _NEIGHBOURS
    return f"as root: sysctl -w net.ipv4.neigh.default.gc_thresh3={wanted}" if most < wanted else ""
