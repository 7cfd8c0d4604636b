"""Why a job ended, from what squeue says."""

from __future__ import annotations

import pytest

from dask_hpc.clusters.slurm.kept.fate import GONE, NEVER_CAME, WITHOUT_WORKERS, Cause, Fate, fate, held, requeued
from dask_hpc.slurm.jobs import QueuedJob


def job(state: str, reason: str = "None", node: str = "c1") -> QueuedJob:
    """Return a job on c1."""
    return QueuedJob(id="7", state=state, reason=reason, node=node)


@pytest.mark.parametrize(
    ("state", "reason", "cause", "text"),
    [
        ("TIMEOUT", "TimeLimit", Cause.WALLTIME, "reached its wall time"),
        ("DEADLINE", "None", Cause.WALLTIME, "reached its deadline"),
        ("PREEMPTED", "None", Cause.TAKEN, "was preempted"),
        ("NODE_FAIL", "NodeFail", Cause.TAKEN, "lost its node (c1)"),
        ("CANCELLED", "None", Cause.TAKEN, "was cancelled"),
        ("BOOT_FAIL", "None", Cause.UNSTARTED, "could not be started: its node did not boot"),
        ("OUT_OF_MEMORY", "OutOfMemory", Cause.MEMORY, "used more memory than it requested"),
        ("FAILED", "OutOfMemory", Cause.MEMORY, "used more memory than it requested"),
        ("FAILED", "RaisedSignal:9(Killed)", Cause.MEMORY, "was killed by signal 9, as for using too much memory"),
        ("FAILED", "RaisedSignal:11(Segmentation_fault)", Cause.FAILED, None),
        ("FAILED", "NonZeroExitCode", Cause.FAILED, "ended as FAILED (NonZeroExitCode)"),
        ("FAILED", "None", Cause.FAILED, "ended as FAILED"),
        ("FAILED", "", Cause.FAILED, "ended as FAILED"),
        ("COMPLETED", "None", Cause.FAILED, "ended although it was still needed"),
        ("PENDING", "launch failed requeued held", Cause.UNSTARTED, None),
        ("PENDING", "launch_failed_requeued_held", Cause.UNSTARTED, None),
        ("PENDING", "JobHoldMaxRequeue", Cause.UNSTARTED, "could not be started (JobHoldMaxRequeue)"),
    ],
)
def test_state_and_reason_give_cause(state: str, reason: str, cause: Cause, text: str | None) -> None:
    """Each end of a job has a cause, and a text that completes "Job 7 on c1 …"."""
    found = fate(job(state, reason))
    assert found.cause is cause
    assert text is None or found.text == text


def test_node_that_is_not_known_is_left_out() -> None:
    """Slurm may have forgotten the node by the time it is asked."""
    assert fate(job("NODE_FAIL", node="")).text == "lost its node"


@pytest.mark.parametrize(
    ("end", "explained"),
    [
        (fate(job("TIMEOUT")), True),
        (fate(job("PREEMPTED")), True),
        (fate(job("BOOT_FAIL")), True),
        (GONE, True),
        (WITHOUT_WORKERS, True),
        (fate(job("OUT_OF_MEMORY")), False),
        (fate(job("FAILED")), False),
        (NEVER_CAME, False),
    ],
    ids=lambda value: value.cause.name if isinstance(value, Fate) else "",
)
def test_only_memory_and_failure_can_be_the_tasks_fault(end: Fate, explained: bool) -> None:
    """All other ends have a reason outside the job."""
    assert end.explained is explained


@pytest.mark.parametrize(
    ("state", "reason", "is_held"),
    [
        ("PENDING", "launch failed requeued held", True),
        ("PENDING", "JobHoldMaxRequeue", True),
        ("PENDING", "Priority", False),
        ("PENDING", "BeginTime", False),
        ("RUNNING", "launch failed requeued held", False),
    ],
)
def test_held_job(state: str, reason: str, is_held: bool) -> None:
    """Only a pending job that Slurm could not start is held; one that was requeued and waits is not."""
    assert held(job(state, reason)) is is_held


def test_requeued_job_names_reason() -> None:
    """A requeued job is taken away, not failed; Slurm's reason is shown if it has one."""
    assert requeued(job("PENDING", "BeginTime")).text == "was put back into the queue by Slurm (BeginTime)"
    assert requeued(job("PENDING")).text == "was put back into the queue by Slurm"
    assert requeued(job("PENDING")).cause is Cause.TAKEN
