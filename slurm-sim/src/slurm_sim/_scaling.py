"""More nodes, or fewer, while a mini-cluster runs."""

from __future__ import annotations

import time

from slurm_sim import _lifecycle
from slurm_sim._locking import exclusive
from slurm_sim.errors import StartError
from slurm_sim.running import docker
from slurm_sim.spec import Spec

_FORGET = """
until scontrol delete nodename="$1" 2>/dev/null; do
  [ $SECONDS -lt 30 ] || exec scontrol delete nodename="$1"
  sleep 0.05 # a job of a node that went down is still completing, and nothing says when it is done
done
"""


def scale(spec: Spec, wanted: int) -> None:
    """Brings a running mini-cluster to that number of nodes, and returns when Slurm agrees."""
    with exclusive(spec.name):
        present = _lifecycle.find(spec.name).nodes
        names = _lifecycle.node_names(wanted)
        added = [node for node in names if node not in present]
        gone = [node for node in present if node not in names]
        if gone:
            _forget(spec.name, gone)
        if added:
            _add(spec, names, added)


def _add(spec: Spec, names: list[str], added: list[str]) -> None:
    from slurm_sim._compose import project

    try:
        with project(spec, names) as compose:
            compose.up(*added)
        _await_nodes(spec.name, added, timeout=30 + len(added))
    except BaseException:  # what did not come up is taken away again, and what ran goes on
        _remove_containers(spec.name, added)
        raise


def _await_nodes(name: str, nodes: list[str], timeout: float) -> None:
    end = time.monotonic() + timeout
    query = ("sinfo", "--noheader", "--Node", f"--nodes={','.join(nodes)}", "--format=%N %t")
    while True:
        seen = docker("exec", f"{name}-login-1", *query).stdout
        up = {line.split()[0] for line in seen.splitlines() if line.split()[-1] in {"idle", "mix", "alloc"}}
        if up.issuperset(nodes):
            return
        if time.monotonic() > end:
            raise StartError(f"new nodes did not come up within {timeout:.0f} s", seen=seen)
        time.sleep(0.05)  # Slurm tells nobody when a node registers


def _forget(name: str, gone: list[str]) -> None:
    """Slurm first, so that no job is sent to a node that is going; then the containers."""
    listed = ",".join(gone)
    down = ("scontrol", "update", f"nodename={listed}", "state=down", "reason=scaled away")
    docker("exec", f"{name}-slurmctld-1", *down)
    _remove_containers(name, gone)
    done = docker("exec", f"{name}-slurmctld-1", "bash", "-c", _FORGET, "forget", listed)
    if done.returncode:
        raise StartError(f"Slurm would not forget {listed}", seen=done.stderr, hint="a job may still be ending there")


def _remove_containers(name: str, nodes: list[str]) -> None:
    docker("rm", "--force", "--volumes", *(f"{name}-{node}-1" for node in nodes))
