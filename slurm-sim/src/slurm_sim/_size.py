"""Derive limits of the engine's host and Slurm's timeouts from the number of nodes."""

from __future__ import annotations

import ipaddress
import json

import msgspec

from slurm_sim._docker import docker
from slurm_sim.errors import StartError

_SMALL = 64
"""Fewer nodes in total fit every host, whose limits are then not read."""


class _Limit(msgspec.Struct, frozen=True):
    """A limit that the kernel shares among all containers, and a node's part of it while a job starts on all nodes.

    Measured with 128, 256 and 512 nodes, rounded up.
    """

    key: str
    per_node: float

    @property
    def path(self) -> str:
        """The file with its value."""
        return "/proc/sys/" + self.key.replace(".", "/")


_LIMITS = (
    # 7.1 neighbours: 4 entries between controller, login node and node, and 2 between a node and its parent in the tree
    # that reports a step's end; the rest are the loopback's and the gateway's.
    _Limit("net.ipv4.neigh.default.gc_thresh3", 7.5),
    # 50 threads: slurmd, munged and the engine's shim have 29, and a step's start needs the others.
    _Limit("kernel.pid_max", 52),
    _Limit("kernel.threads-max", 52),
)
_MEMINFO = "/proc/meminfo"
_NODE_MB = 22
"""Memory per node while a job starts on all of them: 10 MB for its daemons, the rest for a step."""

_BESIDE_NODES = 5
"""Addresses per network that no node can have: controller, login node, gateway, and the first and the last."""


def timeouts(nodes: int) -> dict[str, str]:
    """Return slurm.conf's timeouts for this number of nodes, as keys and values.

    Nodes share one host's cores: on two cores, a step takes 30 s to start on 512 nodes. If a message times out
    meanwhile, a task loses its output. A node that begins after the job's credential has expired rejects its task. The
    values in slurm.conf are enough for 80 nodes.
    """
    message = min(max(10, nodes // 8), 100)
    return {
        "MessageTimeout": str(message),
        "SlurmdTimeout": str(3 * message + 15),
        "InactiveLimit": str(2 * message),
        "AuthInfo": f"cred_expire={2 * message}",
    }


def check_room(there: int, wanted: int, image: str, *, network: str | None = None, inside: int = 0) -> None:
    """Raise `StartError` if the engine's host has no room for more nodes.

    Args:
        there: Number of nodes in all of the engine's mini-clusters, which share the same limits.
        wanted: Number of nodes to add.
        image: Any image with a shell.
        network: Their network, if it exists already.
        inside: Number of nodes in that network.
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
        f"run 'sysctl -w {limit.key}={_rounded(needs)}' as root on that host" + _or_at_most(most - there),
    )


def _check_memory(has: int, wanted: int) -> None:
    if has < _NODE_MB * wanted:
        raise StartError(
            f"The engine's host does not have enough memory for {wanted} more nodes.",
            f"{has} MB available; a node needs {_NODE_MB} MB while a job starts, in addition to the job's own memory",
            "free memory" + _or_at_most(has // _NODE_MB),
        )


def _check_addresses(has: int | None, wanted: int) -> None:
    if has is not None and has < wanted + _BESIDE_NODES:
        raise StartError(
            f"The engine has no network with enough addresses for {wanted} nodes.",
            f"its networks have {has} addresses each, {_BESIDE_NODES} of which are not for nodes",
            'set "default-address-pools" with a smaller "size", such as 20, in the engine\'s daemon.json'
            + _or_at_most(has - _BESIDE_NODES),
        )


def _or_at_most(nodes: int) -> str:
    return f"; or use at most {nodes}." if nodes > 0 else "; or end another mini-cluster."


def _rounded(count: int) -> int:
    """Return the next power of two, like the kernel's own limits."""
    return 1 << (count - 1).bit_length()


def _host(image: str) -> dict[str, str]:
    """Return the contents of the files with the limits of the engine's host, by path.

    The engine may be remote, so a container reads them. It uses the host's namespaces: only the first one shows the
    limit of the table of neighbours. Unreadable files (a rootless engine has its own namespaces) are left out.
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
    """Return the number of addresses in a network or, without one, in the largest that the engine would make."""
    if network:
        done = docker("network", "inspect", "--format={{range .IPAM.Config}}{{.Subnet}} {{end}}", network)
        subnets = [ipaddress.ip_network(subnet) for subnet in done.stdout.split()]
        return max((subnet.num_addresses for subnet in subnets if subnet.version == 4), default=None)
    pools = json.loads(docker("info", "--format={{json .DefaultAddressPools}}").stdout or "null") or []
    sizes = [int(pool["Size"]) for pool in pools if ":" not in pool["Base"]]
    return 1 << (32 - min(sizes)) if sizes else None
