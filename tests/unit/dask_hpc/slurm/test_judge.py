"""Deciding from the queue whether to keep waiting for jobs, and showing their logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm.ask import QueuedJob
from dask_hpc.slurm.judge import judge, log_tails, queue_lines


def job(state: str, reason: str = "None", number: str = "7") -> QueuedJob:
    """Return a job on c1."""
    return QueuedJob(number, state, reason, "c1")


@pytest.mark.parametrize("state", ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"])
def test_waits_for_a_job_that_may_start_or_runs(state: str, tmp_path: Path) -> None:
    """Priority and resources are reasons to wait."""
    judge([job(state, "Priority"), job(state, "Resources")], tmp_path)
    judge([], tmp_path)


@pytest.mark.parametrize(
    "reason", ["PartitionTimeLimit", "InvalidAccount", "launch failed requeued held", "JobHeldUser"]
)
def test_does_not_wait_for_a_job_that_never_starts(reason: str, tmp_path: Path) -> None:
    """Slurm keeps it pending all the same; only jobs that are stuck are shown."""
    with pytest.raises(RequestError) as refused:
        judge([job("RUNNING"), job("PENDING", reason, "8")], tmp_path)
    assert f"job 8: PENDING ({reason}) c1" in refused.value.message
    assert "job 7" not in refused.value.message


def test_a_running_job_may_have_any_reason(tmp_path: Path) -> None:
    """squeue still shows the reason from before the job started."""
    judge([job("RUNNING", "PartitionDown")], tmp_path)


@pytest.mark.parametrize("state", ["FAILED", "COMPLETED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"])
def test_a_job_that_has_ended_is_an_error_with_its_log(state: str, tmp_path: Path) -> None:
    """Its state, and the last lines of its log."""
    (tmp_path / "one.err").write_text("it broke\n")
    with pytest.raises(ClusterError) as ended:
        judge([job("RUNNING", number="8"), job(state)], tmp_path)
    assert f"job 7: {state} (None) c1" in ended.value.message
    assert "job 8" not in ended.value.message
    assert "it broke" in ended.value.message
    assert "--log-directory" not in ended.value.message


def test_without_a_log_the_folder_may_not_be_shared(tmp_path: Path) -> None:
    """A job that writes nothing probably could not."""
    with pytest.raises(ClusterError, match="--log-directory"):
        judge([job("FAILED")], tmp_path)


def test_no_job_is_said_to_be_none() -> None:
    """An empty queue is not an empty message."""
    assert queue_lines([]) == "  (no job in the queue)"
    assert queue_lines([job("A", number="1"), job("B")]) == "  job 1: A (None) c1\n  job 7: B (None) c1"


def test_log_tails_leave_out_what_dask_always_says(tmp_path: Path) -> None:
    """The last twelve lines of every log, in order of their names; output files are no logs."""
    (tmp_path / "b.err").write_text("".join(f"line {number}\n" for number in range(20)))
    (tmp_path / "a.err").write_bytes(b"2026-01-01 - distributed - INFO - Start worker\n\xff\n")
    (tmp_path / "c.out").write_text("output")
    lines = log_tails(tmp_path).splitlines()
    assert lines[:3] == [f"{tmp_path}/a.err:", "  \ufffd", f"{tmp_path}/b.err:"]
    assert lines[3:] == [f"  line {number}" for number in range(8, 20)]


def test_a_quiet_log_and_no_log_are_told_apart(tmp_path: Path) -> None:
    """A job that ran without trouble is not one that never started."""
    assert "No log in" in log_tails(tmp_path)
    (tmp_path / "a.err").write_text("x - INFO - y\n")
    assert log_tails(tmp_path) == f"{tmp_path}/a.err:\n  (no word of trouble)"
