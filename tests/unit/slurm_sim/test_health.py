"""Checks of a mini-cluster between two tests."""

from __future__ import annotations

from slurm_sim._health import differences, settled

BEFORE = """Configuration data as of 2026-11-27T03:24:00
BOOT_TIME               = 2026-11-27T03:23:00
KillWait                = 5 sec
HASH_VAL                 = Match
NEXT_JOB_ID             = 3

Slurmctld(primary) at slurmctld is UP
PartitionName=general Default=YES Nodes=c[1-2] State=UP TotalCPUs=4 TotalNodes=2 TRES=cpu=4,mem=8G,node=2,billing=4
PartitionName=pytest-1a2b3c Default=NO Nodes=c1 State=UP
No reservations in the system
"""


def test_time_and_nodes_are_no_difference() -> None:
    """A restart, a job, another node or another lease does not change the configuration."""
    after = (
        BEFORE.replace("03:2", "04:1")
        .replace("= 3\n", "= 17\n")
        .replace("c[1-2]", "c[1-4]")
        .replace("=4", "=8")
        .replace("Match", "Different")
        .replace("pytest-1a2b3c", "pytest-9f9f9f")
    )
    assert settled(after) == settled(BEFORE)


def test_changes_are_named() -> None:
    """Values that a test has changed, added or removed are named, without the rest of their lines."""
    changed = BEFORE.replace("5 sec", "77 sec").replace("Nodes=c[1-2] State=UP", "Nodes=c[1-2] State=DOWN")
    assert differences(settled(BEFORE), settled(changed)) == ["KillWait 77", "PartitionName=general State=DOWN"]
    more = BEFORE.replace("No reservations in the system", "ReservationName=x Users=root")
    assert differences(settled(BEFORE), settled(more)) == ["ReservationName=x Users=root"]
    assert differences(settled(more), settled(BEFORE)) == ["ReservationName=x is missing"]
