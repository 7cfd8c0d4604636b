"""Slurm's record of a job."""

from __future__ import annotations

import pytest

from slurm_sim.job import parse_record

RECORD = """JobId=7 JobName=a JobState=FAILED
   UserId=hpc(1000) GroupId=hpc(1000) MCS_label=N/A
   JobState=RUNNING Reason=None Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=7:9
   NodeList=c[1-2]
   Command=/tmp/JobState=COMPLETED
   Comment=no JobState=COMPLETED
   StdOut=/home/hpc/a b.out
"""


def test_parses_record() -> None:
    """State, reason, status, signal, nodes and output come from Slurm's fields, whatever a user wrote into others."""
    record = parse_record(RECORD)
    assert (record.id, record.state, record.reason) == (7, "RUNNING", "None")
    assert (record.exit_code, record.signal, record.nodes) == (7, 9, "c[1-2]")
    assert record.output == "/home/hpc/a b.out"
    assert not record.ended


@pytest.mark.parametrize(("state", "ended"), [("PENDING", False), ("COMPLETING", False), ("OUT_OF_MEMORY", True)])
def test_tells_whether_job_has_ended(state: str, ended: bool) -> None:
    """A job that waits or is completing has not ended; any other has."""
    assert parse_record(RECORD.replace("JobState=RUNNING", f"JobState={state}")).ended is ended


def test_job_without_nodes_has_none() -> None:
    """Slurm's (null) is no node."""
    assert parse_record(RECORD.replace("c[1-2]", "(null)")).nodes == ""


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ("RUNNING", False),
        ("CONFIGURING", False),
        ("SUSPENDED", False),
        ("REQUEUED", False),
        ("STAGE_OUT", False),
        ("SIGNALING", False),
        ("COMPLETED", True),
        ("FAILED", True),
        ("CANCELLED", True),
        ("TIMEOUT", True),
        ("NODE_FAIL", True),
    ],
)
def test_every_state_of_a_job_has_ended_or_not(state: str, ended: bool) -> None:
    """`wait` returns at the end, and not before."""
    assert parse_record(RECORD.replace("JobState=RUNNING", f"JobState={state}")).ended is ended


def test_a_reason_may_have_blanks() -> None:
    """Slurm's reasons are words or sentences."""
    assert parse_record(RECORD.replace("Reason=None", "Reason=Nodes required are DOWN")).reason == (
        "Nodes required are DOWN"
    )


def test_a_short_record_is_enough() -> None:
    """An interactive job has no output, and one that waits has no nodes; nothing is made up."""
    record = parse_record("JobId=8 JobName=a\n   JobState=PENDING Reason=Priority Dependency=(null)\n")
    assert (record.id, record.state, record.reason) == (8, "PENDING", "Priority")
    assert (record.exit_code, record.signal, record.nodes, record.output) == (0, 0, "", "")
