"""Find the engine's mini-clusters. All state is in the engine: in labels, not in files."""

from __future__ import annotations

import msgspec

from slurm_sim._docker import docker, docker_output
from slurm_sim._node_names import count_groups, group_of, node_names, node_number
from slurm_sim.errors import NotRunningError
from slurm_sim.spec import Spec

SPEC_LABEL = "io.slurm-sim.spec"
"""Label of every container, network and volume of a mini-cluster."""

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"


class Found(msgspec.Struct, frozen=True):
    """A mini-cluster of the engine: its spec, its compute nodes in order, and each container's state."""

    spec: Spec
    nodes: list[str]
    states: dict[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """Number of nodes per group; nodes are numbered without gaps, so containers between others were removed."""
        present = count_groups(self.nodes)
        return {group: present.get(group, 0) for group in self.spec.groups} if present else self.spec.counts

    @property
    def all_nodes(self) -> list[str]:
        """Its compute nodes, and those whose containers were removed."""
        return node_names(self.counts)

    @property
    def stopped(self) -> dict[str, str]:
        """Services that are not running, each with its state in the engine's words, or "removed"."""
        services = [*self.spec.services, *self.all_nodes]
        states = {service: self.states.get(service, "removed") for service in services}
        return {service: state for service, state in states.items() if state != "running"}

    @property
    def state(self) -> str:
        """Overall state: `running`, `stopped` or `partly stopped`."""
        if not self.stopped:
            return "running"
        return "partly stopped" if "running" in self.states.values() else "stopped"


def spec_label(spec: Spec) -> str:
    """Return the label that stores a spec: the engine holds all state, so none can go stale."""
    return msgspec.json.encode(spec).decode()


def find(name: str) -> Found:
    """Return the named mini-cluster. Raises `NotRunningError`, which lists the existing ones."""
    found = existing(name)
    if found is None:
        others = ", ".join(sorted(find_all()))
        raise NotRunningError(
            f"Mini-cluster {name!r} not found.",
            f"existing: {others or 'none'}",
            f"{'use one of these, or ' if others else ''}run 'slurm-sim up{name_option(name)}'.",
        )
    return found


def existing(name: str) -> Found | None:
    """Return the named mini-cluster, or None. Raises `NotRunningError` if another version of slurm-sim made it."""
    rows = _listed("ps", "--all")
    rows += [] if any(row[0] == name and row[-1] for row in rows) else _listed("volume", "ls")
    labels = _labels(rows)
    if name not in labels:
        return None
    found = _found(name, labels[name], rows)
    if found is None:
        raise NotRunningError(
            f"Mini-cluster {name!r} was made by another version of slurm-sim.",
            todo=f"use that version, or remove it with 'slurm-sim down --name {name}'.",
        )
    return found


def find_all() -> dict[str, Found]:
    """Return all mini-clusters of the engine by name, including those of which only volumes are left."""
    rows = [*_listed("ps", "--all"), *_listed("volume", "ls")]
    found = {name: _found(name, label, rows) for name, label in _labels(rows).items()}
    return {name: one for name, one in found.items() if one}


def count_nodes() -> int:
    """Return the total number of nodes of all mini-clusters in the engine."""
    return sum(len(found.nodes) for found in find_all().values())


def label_field(label: str) -> str:
    """Return the template for a label in the engine's lists."""
    return f'{{{{.Label "{label}"}}}}'


def _listed(*listing: str) -> list[list[str]]:
    """Return the engine's containers, or its volumes: project, service, state and label of each."""
    service, state = (label_field(SERVICE_LABEL), "{{.State}}") if listing[0] == "ps" else ("", "")
    columns = "\t".join([label_field(PROJECT_LABEL), service, state, label_field(SPEC_LABEL)])
    return [row.split("\t") for row in docker_output(*listing, "--format", columns).splitlines()]


def _labels(rows: list[list[str]]) -> dict[str, str]:
    return {project: label for project, _, _, label in rows if label}


def _found(name: str, label: str, rows: list[list[str]]) -> Found | None:
    """Read one mini-cluster; return None if a version with other fields wrote its label."""
    try:
        spec = msgspec.json.decode(label, type=Spec)
    except msgspec.MsgspecError:
        return None
    states = {service: state for project, service, state, _ in rows if project == name and service}
    order = list(spec.groups)
    nodes = [service for service in states if group_of(service) in order]
    nodes.sort(key=lambda node: (order.index(group_of(node)), node_number(node)))
    return Found(spec, nodes, states)


def require(name: str, *services: str) -> Found:
    """Return the named mini-cluster if these services are running; else raise `NotRunningError` with advice.

    Without services: all of them except compute nodes.
    """
    found = find(name)
    services = services or found.spec.services
    for service in services:
        if service not in found.states and service not in found.stopped:
            raise NotRunningError(
                f"{service!r} not found in mini-cluster {name!r}.",
                f"existing: {', '.join(sorted(found.states))}",
                "use one of these.",
            )
    if found.stopped.keys() & set(services):
        raise NotRunningError(f"Mini-cluster {name!r} is {found.state}.", seen_states(found), up_again(name))
    return found


def seen_states(found: Found) -> str:
    """Return the services in each state, one state per line."""
    lines: dict[str, list[str]] = {}
    for service, state in (found.stopped or found.states).items():
        lines.setdefault(state, []).append(service)
    return "\n".join(f"{state}: {', '.join(services)}" for state, services in lines.items())


def up_again(name: str) -> str:
    """Return how to bring back a stopped mini-cluster, or to remove it."""
    option = name_option(name)
    return f"'slurm-sim up{option}' brings it back with its files and its queue, 'slurm-sim down{option}' removes it."


def name_option(name: str) -> str:
    """Return the option that selects a mini-cluster in a command, after a space; "" for the default one."""
    return "" if name == "slurm-sim" else f" --name {name}"


def differences(found: Found, spec: Spec) -> list[str]:
    """Return how a mini-cluster differs from a running one of this spec, except in name and number of nodes."""
    return [f"{service} is {state}" for service, state in found.stopped.items()] or unlike(found, spec)


def unlike(found: Found, spec: Spec) -> list[str]:
    """Return how a mini-cluster's settings and images differ from a spec, except in name and number of nodes."""
    counts = {f"nodes.{group}.count" for group in spec.groups}
    told = changes(found.spec, spec, "was")
    return [line for key, line in told.items() if key != "name" and key not in counts] or _rebuilt_images(found)


def changes(there: Spec, wanted: Spec, verb: str = "is") -> dict[str, str]:
    """Return how two specs differ: a line for each setting, by its place in a `cluster.toml`."""
    old, new = there.settings(), wanted.settings()
    keys = dict.fromkeys([*old, *new])
    told = {
        key: f"{key} {verb} {_shown(old.get(key))}, not {_shown(new.get(key))}"
        for key in keys
        if old.get(key) != new.get(key)
    }
    return {key: line for key, line in told.items() if not any(key.startswith(f"{table}.") for table in told)}


def _shown(value: object) -> object:
    return "unset" if value in (None, [], "") else value


def _rebuilt_images(found: Found) -> list[str]:
    """Return a line for each image whose tag now points to another build."""
    services = {"slurmctld": found.spec.controller_image, "login": found.spec.login_image}
    services |= dict.fromkeys(found.nodes[:1], found.spec.node_image)
    built = {image: docker("image", "inspect", "--format={{.Id}}", image).stdout for image in services.values()}
    runs = {
        image: docker("inspect", "--format={{.Image}}", container_name(found.spec.name, service)).stdout
        for service, image in services.items()
    }
    return [f"{image} was rebuilt" for image in runs if runs[image] != built[image]]


def container_name(name: str, service: str) -> str:
    """Return the name that Compose gives the container of a mini-cluster's service."""
    return f"{name}-{service}-1"
