"""Slurm's record of a job."""

from __future__ import annotations

import pytest

from slurm_sim._record import JobRecord, parse_accounted, parse_records, sacct, sum_up

RECORD = """JobId=7 JobName=a JobState=FAILED
   UserId=hpc(1000) GroupId=hpc(1000) MCS_label=N/A
   JobState=RUNNING Reason=None Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=7:9
   NodeList=c[1-2]
   Command=/tmp/JobState=COMPLETED
   Comment=no JobState=COMPLETED
   StdOut=/home/hpc/a b.out
"""


TASK = """JobId={id} ArrayJobId=2 ArrayTaskId={task} ArrayTaskThrottle=1 JobName=x.sh
   UserId=hpc(1000) GroupId=hpc(1000) MCS_label=N/A
   JobState={state} Reason={reason} Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode={status}:0
   NodeList=c1
   BatchHost={host}
   StdErr=/tmp/e-{task}-%N
   StdOut=/home/hpc/o-%3n-%t-%J-%s-%z
"""


def parse_record(text: str) -> JobRecord:
    (record,) = parse_records(text)
    return record


def tasks(*states: str) -> JobRecord:
    """Return the record of an array with these states, of which FAILED has status 3."""
    parts = [
        TASK.format(id=9 - task, task=task, state=state, reason="None", status=3 * (state == "FAILED"), host="c1")
        for task, state in enumerate(states)
    ]
    return sum_up(2, parse_records("\n\n".join(reversed(parts))))


def test_parses_record() -> None:
    """State, reason, status, signal, nodes and output come from Slurm's fields, not from text in a user's fields."""
    record = parse_record(RECORD)
    assert (record.id, record.state, record.reason) == (7, "RUNNING", "None")
    assert (record.exit_code, record.signal, record.nodes) == (7, 9, "c[1-2]")
    assert record.output == "/home/hpc/a b.out"
    assert not record.ended


@pytest.mark.parametrize(("state", "ended"), [("PENDING", False), ("COMPLETING", False), ("OUT_OF_MEMORY", True)])
def test_pending_and_completing_jobs_have_not_ended(state: str, ended: bool) -> None:
    """A job that is pending or completing has not ended; one that ran out of memory has."""
    assert parse_record(RECORD.replace("JobState=RUNNING", f"JobState={state}")).ended is ended


def test_job_without_nodes_has_none() -> None:
    """Slurm's (null) is not a node."""
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
def test_classifies_every_state_of_job(state: str, ended: bool) -> None:
    """Only final states count as ended, so that `wait` does not return before."""
    assert parse_record(RECORD.replace("JobState=RUNNING", f"JobState={state}")).ended is ended


def test_reason_may_have_blanks() -> None:
    """Slurm's reasons are words or phrases."""
    assert parse_record(RECORD.replace("Reason=None", "Reason=Nodes required are DOWN")).reason == (
        "Nodes required are DOWN"
    )


def test_parses_short_record() -> None:
    """Missing fields, such as the output of an interactive job and the nodes of a pending one, are empty."""
    record = parse_record("JobId=8 JobName=a\n   JobState=PENDING Reason=Priority Dependency=(null)\n")
    assert (record.id, record.state, record.reason) == (8, "PENDING", "Priority")
    assert (record.exit_code, record.signal, record.nodes, record.output) == (0, 0, "", "")


@pytest.mark.parametrize(
    ("states", "state"),
    [
        (("COMPLETED", "COMPLETED"), "COMPLETED"),
        (("COMPLETED", "FAILED", "TIMEOUT"), "FAILED"),
        (("FAILED", "PENDING", "RUNNING"), "RUNNING"),
        (("FAILED", "PENDING"), "PENDING"),
        (("CANCELLED", "COMPLETED"), "CANCELLED"),
    ],
)
def test_array_sums_up_its_tasks(states: tuple[str, ...], state: str) -> None:
    """An array ends when all of its tasks have, and fails if one did; its status is the largest."""
    record = tasks(*states)
    assert (record.id, record.state, record.task) == (2, state, "")
    assert record.exit_code == 3 * ("FAILED" in states)
    assert record.nodes == "c1"
    assert [(task.task, task.state) for task in record.tasks] == [(str(n), one) for n, one in enumerate(states)]


def test_distinguishes_component_from_task() -> None:
    """A component of a heterogeneous job is marked by a plus, even if it is the only one left."""
    record = sum_up(
        6, parse_records("JobId=7 HetJobId=6 HetJobOffset=1 JobName=a\n   JobState=FAILED Reason=x Dependency=")
    )
    assert [(part.id, part.task) for part in record.tasks] == [(7, "+1")]


def test_expands_patterns_of_node() -> None:
    """Patterns that scontrol leaves are expanded once the node is known; unknown patterns stay."""
    text = TASK.format(id=5, task=1, state="RUNNING", reason="None", status=0, host="c1")
    record = parse_record(text)
    assert (record.errors, record.output) == ("/tmp/e-1-c1", "/home/hpc/o-000-0-5-batch-%z")
    assert parse_record(text.replace("BatchHost=c1", "BatchHost=(null)")).errors == "/tmp/e-1-%N"


def test_recognises_held_and_hopeless_jobs() -> None:
    """A held job can be released, and a job whose dependency has failed never starts."""
    text = TASK.format(id=5, task=1, state="PENDING", reason="{}", status=0, host="")
    assert parse_record(text.format("JobHeldUser")).held
    assert parse_record(text.format("DependencyNeverSatisfied")).hopeless
    waiting = parse_record(text.format("Dependency"))
    assert (waiting.held, waiting.hopeless) == (False, False)


def accounted(name: str, raw: int, state: str, **others: str) -> JobRecord:
    """Parse a line of sacct."""
    defaults = {"JobID": name, "JobIDRaw": str(raw), "State": state, "JobName": "a|b", "ExitCode": "3:9", "UID": "7"}
    files = {"User": "me", "NodeList": "n[2-3,5]", "StdOut": "/o-%A-%a-%4j-%u-%x-%N", "StdErr": "", "Reason": "None"}
    fields = sacct(1)[-1].removeprefix("--format=").split(",")
    (record,) = parse_accounted("\x1f".join((defaults | files | others)[field] for field in fields) + "\n")
    return record


def test_parses_accounted_task() -> None:
    """A task's record in accounting has what the controller's has, with the patterns of its files expanded."""
    record = accounted("5_1", 7, "CANCELLED by 1000")
    assert (record.id, record.task, record.state, record.host) == (7, "1", "CANCELLED", "n2")
    assert (record.exit_code, record.signal, record.uid, record.nodes) == (3, 9, 7, "n[2-3,5]")
    assert record.output == record.errors == "/o-5-1-0007-me-a|b-n2"
    assert record.ended


def test_parses_accounted_component_and_pending_tasks() -> None:
    """Components and pending tasks have the controller's names; a job that never started has no nodes."""
    assert accounted("5+1", 6, "COMPLETED").task == "+1"
    pending = accounted("5_[2-4]", 5, "PENDING", NodeList="None assigned")
    assert (pending.task, pending.nodes, pending.host, pending.ended) == ("2-4", "", "", False)
    assert pending.output.startswith("/o-5-2-4-")
