"""Conditions to bring back a mini-cluster, and for a node to be back."""

from __future__ import annotations

import msgspec
import pytest

from slurm_sim import SpecError
from slurm_sim._found import Found, seen_states
from slurm_sim._revive import _NODE, _answers, _serves, refuse_others
from slurm_sim.config import User
from tests.support.specs import spec

SPEC = spec("one")
RUNNING = dict.fromkeys(("slurmctld", "login", "c1", "c2"), "running")


def found(**states: str) -> Found:
    """Return a mini-cluster whose containers have these states; an empty state is a removed container."""
    all_states = {service: state for service, state in (RUNNING | states).items() if state}
    return Found(SPEC, [service for service in all_states if service.startswith("c")], all_states)


@pytest.mark.parametrize(
    ("states", "state", "seen"),
    [
        ({}, "running", "running: slurmctld, login, c1, c2"),
        ({"c2": "paused"}, "partly stopped", "paused: c2"),
        ({"login": ""}, "partly stopped", "removed: login"),
        ({"c1": ""}, "partly stopped", "removed: c1"),
        (
            {"slurmctld": "exited", "c1": "exited", "c2": "paused"},
            "partly stopped",
            "exited: slurmctld, c1\npaused: c2",
        ),
        (dict.fromkeys(RUNNING, "exited"), "stopped", "exited: slurmctld, login, c1, c2"),
        (dict.fromkeys(RUNNING, ""), "stopped", "removed: slurmctld, login, c1, c2"),
    ],
)
def test_state_counts_every_container(states: dict[str, str], state: str, seen: str) -> None:
    """Stopped, paused and removed containers count; running ones are not listed beside them."""
    one = found(**states)
    assert one.state == state
    assert seen_states(one) == seen


def test_rejects_running_or_different_mini_cluster() -> None:
    """A running mini-cluster is rejected, and a stopped one that differs; a scaled one may have either of its sizes."""
    with pytest.raises(SpecError, match=r"already running\.\n"):
        refuse_others(found(), SPEC)
    with pytest.raises(SpecError, match=r"already running, with other settings\.\nssh is False, not True\n"):
        refuse_others(found(), msgspec.structs.replace(SPEC, ssh=True))
    stopped = found(c1="exited")
    refuse_others(stopped, SPEC)
    other = spec("one", cpus=7, memory=99)
    with pytest.raises(SpecError, match=r"nodes\.c\.cpus is 1, not 7\nnodes\.c\.memory is 64, not 99"):
        refuse_others(stopped, other)
    refuse_others(stopped, other, ["nodes.c.count"])
    with pytest.raises(SpecError, match=r"users\.alice is unset, not given\n"):
        refuse_others(stopped, msgspec.structs.replace(SPEC, users={"alice": User(account="physics")}), ["users"])
    scaled = Found(SPEC, ["c1", "c2", "c3"], RUNNING | {"c3": "exited"})
    refuse_others(scaled, SPEC)
    refuse_others(scaled, SPEC.resized({"c": 3}))
    with pytest.raises(SpecError, match=r"nodes\.c\.count is 3, not 4"):
        refuse_others(scaled, SPEC.resized({"c": 4}))


def test_reads_nodes_of_scontrol() -> None:
    """Name, state and start time are read from Slurm's line for a node."""
    line = (
        "NodeName=c1 Arch=x86_64 CoresPerSocket=1 NodeAddr=c1 State=IDLE+DRAIN+DYNAMIC_NORM ThreadsPerCore=1 "
        "BootTime=2026-11-26T12:00:00 SlurmdStartTime=2026-11-27T03:00:00 Reason=State=DOWN * \n"
    )
    (node,) = _NODE.finditer(line)
    assert node.groupdict() == {"name": "c1", "state": "IDLE+DRAIN+DYNAMIC_NORM", "since": "2026-11-27T03:00:00"}


@pytest.mark.parametrize(
    ("state", "back"),
    [
        ("IDLE+DYNAMIC_NORM", True),
        ("MIXED+DYNAMIC_NORM", True),
        ("ALLOCATED+DYNAMIC_NORM", True),
        ("IDLE+DRAIN+DYNAMIC_NORM", True),
        ("DOWN+DRAIN+DYNAMIC_NORM", True),
        ("DOWN+DYNAMIC_NORM", False),
        ("IDLE*+DYNAMIC_NORM", False),
        ("DOWN*+DYNAMIC_NORM", False),
        ("IDLE*+DRAIN+DYNAMIC_NORM", False),
        ("IDLE+COMPLETING+DYNAMIC_NORM", False),
        ("MIXED+COMPLETING+DYNAMIC_NORM", True),
        ("IDLE+DYNAMIC_NORM+NOT_RESPONDING", False),
        ("UNKNOWN", False),
    ],
)
def test_node_is_back_when_it_serves(state: str, back: bool) -> None:
    """A node is back if it answers and is not down; a drained node counts."""
    assert (_answers((state, "2026-11-27T03:00:01"), "2026-11-27T03:00:01.123456789Z") and _serves(state)) is back


@pytest.mark.parametrize("heard", ["2026-11-27T03:00:00", "None", "Unknown", ""])
def test_node_is_not_back_until_slurm_hears_from_new_daemon(heard: str) -> None:
    """The state of an earlier daemon, or an unknown one, does not count."""
    assert not _answers(("IDLE+DYNAMIC_NORM", heard), "2026-11-27T03:00:01.1Z")
    assert not _answers(None, "2026-11-27T03:00:01.1Z")
