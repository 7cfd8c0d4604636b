"""Derive limits of the engine's host and Slurm's timeouts from the number of nodes."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping

import msgspec

from slurm_sim._docker import docker
from slurm_sim.errors import StartError

_SMALL = 64
"""Mini-clusters of fewer nodes altogether fit every host: it is not asked."""


class _Limit(msgspec.Struct, frozen=True):
    """A limit that the kernel shares among all containers, and what a node needs of it while a job starts on all nodes.

    Measured with 128, 256 and 512 nodes, rounded up.
    """

    key: str
    per_node: float

    @property
    def path(self) -> str:
        """The file with its value."""
        return "/proc/sys/" + self.key.replace(".", "/")


_LIMITS = (
    # 7.1 neighbours: controller, login node and node know one another (4 entries), and so do a node and its parent in
    # the tree that a step's end goes up (2); the rest is the loopback's and the gateway's.
    _Limit("net.ipv4.neigh.default.gc_thresh3", 7.5),
    # 50 threads: slurmd, munged and the engine's shim have 29, a step's start takes the others.
    _Limit("kernel.pid_max", 52),
    _Limit("kernel.threads-max", 52),
)
_MEMINFO = "/proc/meminfo"
_NODE_MB = 22
"""Memory that a node takes while a job starts on all of them: 10 MB are its daemons', the rest a step's."""

_BESIDE_NODES = 5
"""Addresses of a network that are no node's: controller, login node, gateway, and the first and the last."""


def timeouts(nodes: int) -> dict[str, str]:
    """Return slurm.conf's timeouts for that many nodes, as keys and values.

    Nodes share one host's cores: on two, a step takes 30 s to start on 512 nodes. A message that is given up meanwhile
    costs a task its output, and a node that begins after the job's credential has expired refuses its task. The values
    of slurm.conf do for 80 nodes.
    """
    message = min(max(10, nodes // 8), 100)
    return {
        "MessageTimeout": str(message),
        "SlurmdTimeout": str(3 * message + 15),
        "InactiveLimit": str(2 * message),
        "AuthInfo": f"cred_expire={2 * message}",
    }


def conf_lines(values: Mapping[str, str]) -> str:
    """Return lines of slurm.conf, each with its end."""
    return "".join(f"{key}={value}\n" for key, value in values.items())


def check_room(there: int, wanted: int, image: str, *, network: str | None = None, inside: int = 0) -> None:
    """Raise `StartError` if the engine's host has no room for more nodes.

    Args:
        there: nodes that all of the engine's mini-clusters have already: they share the same limits.
        wanted: how many will be added.
        image: any image with a shell.
        network: the network that they will be in, if it exists already.
        inside: nodes that are in it already.
    """
    if there + wanted < _SMALL:
        return
    seen = _host(image)
    for limit in _LIMITS:
        if limit.path in seen:
            _check_limit(limit, int(seen[limit.path]), there=there, wanted=wanted)
    if _MEMINFO in seen:
        _check_memory(_available_mb(seen[_MEMINFO]), wanted)
    _check_addresses(_addresses(network), inside + wanted)


def _check_limit(limit: _Limit, has: int, *, there: int, wanted: int) -> None:
    needs = round(limit.per_node * (there + wanted))
    if has >= needs:
        return
    most = int(has // limit.per_node)
    others = f", and {there} run already" if there else ""
    raise StartError(
        f"The engine's host has no room for {wanted} more nodes.",
        f"{limit.key} is {has}, enough for {most} nodes in all mini-clusters{others}",
        f"as root on that host: sysctl -w {limit.key}={_rounded(needs)}" + _or_at_most(most - there),
    )


def _check_memory(has: int, wanted: int) -> None:
    if has < _NODE_MB * wanted:
        raise StartError(
            f"The engine's host has no memory for {wanted} more nodes.",
            f"{has} MB available; a node takes {_NODE_MB} MB while a job starts, without what it runs",
            "free memory" + _or_at_most(has // _NODE_MB),
        )


def _check_addresses(has: int | None, wanted: int) -> None:
    if has is not None and has < wanted + _BESIDE_NODES:
        raise StartError(
            f"The engine has no network with addresses for {wanted} nodes.",
            f"its networks have {has} addresses each, {_BESIDE_NODES} of which are not for nodes",
            'in the engine\'s daemon.json, "default-address-pools" with a smaller "size", such as 20'
            + _or_at_most(has - _BESIDE_NODES),
        )


def _or_at_most(nodes: int) -> str:
    return f"; or take {nodes} at most." if nodes > 0 else "; or end another mini-cluster."


def _rounded(count: int) -> int:
    """Return the next power of two: the kernel's own limits are such."""
    return 1 << (count - 1).bit_length()


def _host(image: str) -> dict[str, str]:
    """Return the contents of the host's files, by path.

    The engine may be elsewhere, and these limits are the host's: a container of its own shows the table of neighbours
    of no namespace but the first. What cannot be read (a rootless engine has its own namespaces) is left out.
    """
    paths = [*(limit.path for limit in _LIMITS), _MEMINFO]
    script = 'for file; do [ ! -r "$file" ] || { echo "=$file"; cat "$file"; }; done'
    spaces = ("--network=host", "--pid=host", "--userns=host")
    bounds = ("--cap-drop=ALL", "--security-opt=no-new-privileges:true", "--pull=never")
    done = docker("run", "--rm", *spaces, *bounds, "--entrypoint=sh", image, "-c", script, "sh", *paths)
    if done.returncode:
        return {}
    found = (part.split("\n", 1) for part in done.stdout.split("=")[1:])
    return {path: text.strip() for path, text in found}


def _available_mb(meminfo: str) -> int:
    fields = dict(line.split(":", 1) for line in meminfo.splitlines())
    return int(fields["MemAvailable"].split()[0]) // 1024


def _addresses(network: str | None) -> int | None:
    """Return how many addresses the network has; without one, the largest that the engine would make, if it says."""
    if network:
        done = docker("network", "inspect", "--format={{range .IPAM.Config}}{{.Subnet}} {{end}}", network)
        subnets = [ipaddress.ip_network(subnet) for subnet in done.stdout.split()]
        return max((subnet.num_addresses for subnet in subnets if subnet.version == 4), default=None)
    pools = json.loads(docker("info", "--format={{json .DefaultAddressPools}}").stdout or "null") or []
    sizes = [int(pool["Size"]) for pool in pools if ":" not in pool["Base"]]
    return 1 << (32 - min(sizes)) if sizes else None
