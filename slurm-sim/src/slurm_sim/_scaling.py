"""More nodes, or fewer, while a mini-cluster runs."""

from __future__ import annotations

import time

from slurm_sim import _lifecycle, _size
from slurm_sim._locking import exclusive, interrupted_once
from slurm_sim.errors import SlurmSimError, StartError
from slurm_sim.running import docker
from slurm_sim.spec import Spec

# Down only when it is gone: a node that answers once more is taken back (ReturnToService), with jobs that never end.
_FORGET = """
! scontrol delete nodename="$1" 2>/dev/null || exit 0
for node in ${1//,/ }; do # one by one: some of them may be gone, and their names would make every list invalid
  until ! scontrol show node "$node" >/dev/null || scontrol delete nodename="$node" 2>/dev/null; do
    [ $SECONDS -lt 30 ] || exec scontrol delete nodename="$node"
    scontrol update nodename="$node" state=down reason="scaled away" # its jobs are queued again
    sleep 0.05 # and are completing for a moment; nothing says when that is over
  done
done
"""

# The controller hands its configuration on to the nodes and the login node.
_SET_TIMEOUTS = "cat >/etc/slurm/timeouts && /usr/local/lib/slurm-sim/configure && scontrol reconfigure"


def scale(spec: Spec, wanted: int) -> None:
    """Brings a running mini-cluster to that number of nodes, and returns when Slurm agrees."""
    with exclusive(spec.name), interrupted_once():
        present = _lifecycle.require(spec.name, "slurmctld", "login").nodes
        names = _lifecycle.node_names(wanted)
        added = [node for node in names if node not in present]
        gone = [node for node in present if node not in names]
        if added:
            _check_room(spec, len(present), len(added))
        if gone:
            _forget(spec.name, gone)
        if added:
            if _size.timeouts(wanted) != _size.timeouts(len(present)):
                set_timeouts(spec.name, wanted)
            _add(spec, names, added)


def _check_room(spec: Spec, present: int, wanted: int) -> None:
    there = _lifecycle.count_nodes(_lifecycle.find_all())
    _size.check_room(there, wanted, spec.controller_image, network=f"{spec.name}_default", inside=present)


def set_timeouts(name: str, nodes: int) -> None:
    """Give a running Slurm the timeouts that so many nodes ask for; the controller has them after a restart as well."""
    done = docker(
        "exec",
        "--interactive",
        f"{name}-slurmctld-1",
        "sh",
        "-ec",
        _SET_TIMEOUTS,
        stdin=_size.conf_lines(_size.timeouts(nodes)).encode(),
    )
    if done.returncode:
        raise StartError("Slurm did not accept longer timeouts", seen=done.stdout + done.stderr)


def replace(spec: Spec, nodes: list[str]) -> None:
    """Put fresh nodes in the place of these, whatever has become of them; those that are missing are added.

    Jobs on them are cancelled.
    """
    with exclusive(spec.name), interrupted_once():
        known = [node for node in nodes if node in _states(spec.name, nodes)]
        if known:
            docker("exec", f"{spec.name}-slurmctld-1", "scancel", f"--nodelist={','.join(known)}")
            _forget(spec.name, known)
        _remove_containers(spec.name, nodes)
        _add(spec, nodes, nodes)


def _add(spec: Spec, names: list[str], added: list[str]) -> None:
    from slurm_sim._compose import project

    try:
        project(spec, names).up(*added)
        _await_nodes(spec.name, added, timeout=30 + len(added))
        _await_answers(spec.name, added)
        _await_nodes(spec.name, added, timeout=30)  # they are completing for a moment: the epilog runs
    except BaseException as error:  # what did not come up is taken away again, and what ran goes on
        _take_back(spec.name, added)
        if isinstance(error, SlurmSimError) and not isinstance(error, StartError):
            raise StartError(f"could not add {', '.join(added)}", seen=error.seen, hint=error.hint) from None
        raise


def _take_back(name: str, added: list[str]) -> None:
    _remove_containers(name, added)
    registered = [node for node in added if node in _states(name, added)]
    if registered:
        _forget(name, registered)


def _await_nodes(name: str, nodes: list[str], timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        seen = _states(name, nodes)
        if all(seen.get(node) in {"idle", "mix", "alloc"} for node in nodes):
            return
        if time.monotonic() > end:
            states = "\n".join(f"{node} {seen.get(node, 'unknown to Slurm')}" for node in nodes)
            raise StartError(f"new nodes did not come up within {timeout:.0f} s", seen=states)
        time.sleep(0.05)  # Slurm tells nobody when a node registers


def _await_answers(name: str, nodes: list[str]) -> None:
    """Run a job on new nodes, and return when each has answered, or when they are taken by other jobs already."""
    job = (
        "srun",
        "--quiet",
        "--immediate",
        "--mpi=none",
        "--time=10",
        f"--nodes={len(nodes)}",
        f"--nodelist={','.join(nodes)}",
    )
    done = docker("exec", "--user=hpc", f"{name}-login-1", *job, "hostname")
    silent = set(nodes) - set(done.stdout.split())
    if silent and "Unable to allocate resources" not in done.stderr:
        what = f"{len(nodes) - len(silent)} of {len(nodes)} new nodes answered a job on all of them"
        raise StartError(what, seen=done.stderr)


def _states(name: str, nodes: list[str]) -> dict[str, str]:
    """Slurm's short word for the state of those nodes that it knows."""
    query = ("sinfo", "--noheader", "--Node", f"--nodes={','.join(nodes)}", "--format=%N %t")
    seen = docker("exec", f"{name}-login-1", *query).stdout
    return dict(line.split() for line in seen.splitlines())


def _forget(name: str, gone: list[str]) -> None:
    """Slurm first, so that no job is sent to a node that is going; then the containers."""
    listed = ",".join(gone)
    drain = ("scontrol", "update", f"nodename={listed}", "state=drain", "reason=scaled away")
    docker("exec", f"{name}-slurmctld-1", *drain)
    _remove_containers(name, gone)
    done = docker("exec", f"{name}-slurmctld-1", "bash", "-c", _FORGET, "forget", listed)
    if done.returncode:
        raise StartError(f"Slurm would not forget {listed}", seen=done.stderr, hint="a job may still be ending there")


def _remove_containers(name: str, nodes: list[str]) -> None:
    docker("rm", "--force", "--volumes", *(f"{name}-{node}-1" for node in nodes))
