"""Jobs in the queue: states, logs, cancelling, and whether to keep waiting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm.allocation import Allocation
from dask_hpc.slurm.jobs import (
    QueuedJob,
    cancel,
    cancel_jobs,
    ended,
    jobs,
    judge,
    log_tails,
    queue,
    queue_lines,
    tasks_of_step,
    wait_until_gone,
    with_granted_memory,
)
from tests.support.site_commands import Commands


def job(state: str, reason: str = "None", number: str = "7") -> QueuedJob:
    """Return a job on c1."""
    return QueuedJob(id=number, state=state, reason=reason, node="c1")


@pytest.mark.parametrize("state", ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "COMPLETING", "REQUEUED"])
def test_waits_for_job_that_runs_or_may_start(state: str, tmp_path: Path) -> None:
    """Priority and resources are reasons to wait."""
    judge([job(state, "Priority"), job(state, "Resources")], tmp_path)
    judge([], tmp_path)


@pytest.mark.parametrize(
    "reason", ["PartitionTimeLimit", "InvalidAccount", "launch failed requeued held", "JobHeldUser"]
)
def test_rejects_job_that_never_starts(reason: str, tmp_path: Path) -> None:
    """Slurm keeps such a job pending; the error shows only the stuck jobs."""
    with pytest.raises(RequestError) as refused:
        judge([job("RUNNING"), job("PENDING", reason, "8")], tmp_path)
    assert f"job 8: PENDING ({reason}) c1" in refused.value.message
    assert "job 7" not in refused.value.message


def test_ignores_reason_of_running_job(tmp_path: Path) -> None:
    """squeue still shows the reason from before the job started."""
    judge([job("RUNNING", "PartitionDown")], tmp_path)


@pytest.mark.parametrize("state", ["FAILED", "COMPLETED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"])
def test_reports_ended_job_with_log(state: str, tmp_path: Path) -> None:
    """The error has the job's state and the last lines of its log."""
    (tmp_path / "one.err").write_text("it broke\n")
    with pytest.raises(ClusterError) as ended:
        judge([job("RUNNING", number="8"), job(state)], tmp_path)
    assert f"job 7: {state} (None) c1" in ended.value.message
    assert "job 8" not in ended.value.message
    assert "it broke" in ended.value.message
    assert "--log-directory" not in ended.value.message


def test_suggests_shared_folder_without_log(tmp_path: Path) -> None:
    """A job without a log probably could not write one."""
    with pytest.raises(ClusterError, match="--log-directory"):
        judge([job("FAILED")], tmp_path)


def test_empty_queue_has_message() -> None:
    """An empty queue has its own line instead of an empty text."""
    assert queue_lines([]) == "  (no job in the queue)"
    assert queue_lines([job("A", number="1"), job("B")]) == "  job 1: A (None) c1\n  job 7: B (None) c1"


def test_log_tails_leave_out_info_messages(tmp_path: Path) -> None:
    """The last twelve lines of each error file are shown, sorted by name; output files are left out."""
    (tmp_path / "b.err").write_text("".join(f"line {number}\n" for number in range(20)))
    (tmp_path / "a.err").write_bytes(b"2026-01-01 - distributed - INFO - Start worker\n\xff\n")
    (tmp_path / "c.out").write_text("output")
    lines = log_tails(tmp_path).splitlines()
    assert lines[:3] == [f"{tmp_path}/a.err:", "  \ufffd", f"{tmp_path}/b.err:"]
    assert lines[3:] == [f"  line {number}" for number in range(8, 20)]


def test_log_tails_of_some_jobs(tmp_path: Path) -> None:
    """With numbers of jobs, only their logs are shown: 7 is not 17."""
    for name in ("x-7", "x-17", "x-8"):
        (tmp_path / f"{name}.err").write_text(f"of {name}\n")
    assert log_tails(tmp_path, jobs=["7"]) == f"{tmp_path}/x-7.err:\n  of x-7"
    assert "No log in" in log_tails(tmp_path, jobs=["9"])


def test_distinguishes_quiet_log_from_no_log(tmp_path: Path) -> None:
    """A job without warnings differs from a job that never started."""
    assert "No log in" in log_tails(tmp_path)
    (tmp_path / "a.err").write_text("x - INFO - y\n")
    assert log_tails(tmp_path) == f"{tmp_path}/a.err:\n  (no warnings or errors)"


def test_lists_own_jobs_of_name(commands: Commands) -> None:
    """Each job has its number, state, reason, node, start and time left; a reason may contain spaces."""
    commands["squeue"] = (
        "printf '7|RUNNING|None|c1|2026-01-01T08:00:00|1:30\\n\\n8|PENDING|Nodes are DOWN||N/A|1-00:00:00\\n'"
    )
    assert jobs("one") == [
        QueuedJob(id="7", state="RUNNING", reason="None", node="c1", start="2026-01-01T08:00:00", left=90),
        QueuedJob(id="8", state="PENDING", reason="Nodes are DOWN", node="", start="N/A", left=86400),
    ]
    (call,) = commands.calls("squeue")
    assert call == f"-u {os.getuid()} --name one -h -t all -o %i|%T|%r|%N|%S|%L"


@pytest.mark.parametrize(
    ("left", "seconds"),
    [("0:05", 5), ("59:59", 3599), ("2:00:00", 7200), ("7-00:00:01", 604801), ("UNLIMITED", None), ("INVALID", None)],
)
def test_reads_time_left(commands: Commands, left: str, seconds: int | None) -> None:
    """squeue leaves out days and hours that are zero; a job without a limit has no end."""
    commands["squeue"] = f"echo '7|RUNNING|None|c1|2026-01-01T08:00:00|{left}'"
    assert jobs("one")[0].left == seconds


@pytest.mark.parametrize("state", ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "REQUEUED"])
def test_active_job_has_not_ended(commands: Commands, state: str) -> None:
    """A job that may still start, or start again, has not ended."""
    commands["squeue"] = f"echo {state}"
    assert ended("7") == ""
    assert commands.calls("squeue") == ["-h -t all -j 7 -o %T"]


@pytest.mark.parametrize("state", ["COMPLETED", "COMPLETING", "FAILED", "TIMEOUT"])
def test_ended_job_has_state(commands: Commands, state: str) -> None:
    """A completing job has ended too."""
    commands["squeue"] = f"echo {state}"
    assert ended("7") == state


def test_forgotten_job_has_ended(commands: Commands) -> None:
    """squeue rejects the number of a job that ended minutes ago; without squeue, the job counts as running."""
    commands["squeue"] = "echo 'slurm_load_jobs error: Invalid job id' >&2; exit 1"
    assert "no longer known" in ended("7")
    (commands.folder / "squeue").unlink()
    assert ended("7") == ""


def test_cancels_jobs_by_name(commands: Commands) -> None:
    """Jobs that have already ended are not an error."""
    commands["scancel"] = "exit 1"
    cancel("one")
    assert commands.calls("scancel") == ["--name one"]


def test_cancels_jobs_by_number(commands: Commands) -> None:
    """All jobs are cancelled in one call; jobs that have already ended are not an error."""
    commands["scancel"] = "exit 1"
    cancel_jobs(["7", "8"])
    assert commands.calls("scancel") == ["7 8"]


def test_waits_until_queue_is_empty(commands: Commands) -> None:
    """squeue is called again until no job is left."""
    left = commands.folder / "left"
    left.write_text("xx")
    commands["squeue"] = f'[ -s {left} ] || exit 0; echo "7 COMPLETING"; truncate -s -1 {left}'
    wait_until_gone("one")
    assert commands.calls("squeue") == [f"-u {os.getuid()} --name one -h -o %i %T"] * 3


def test_reports_jobs_that_stay_in_queue(commands: Commands) -> None:
    """The error shows the remaining jobs."""
    commands["squeue"] = 'echo "7 COMPLETING"'
    with pytest.raises(ClusterError, match="7 COMPLETING"):
        wait_until_gone("one", timeout=0)


@pytest.mark.parametrize(
    ("state", "alive", "finished"),
    [("PENDING", True, False), ("RUNNING", True, False), ("COMPLETING", False, False), ("TIMEOUT", False, True)],
)
def test_completing_job_is_neither_alive_nor_finished(state: str, *, alive: bool, finished: bool) -> None:
    """It starts no more workers, but still holds its node."""
    assert (job(state).alive, job(state).finished) == (alive, finished)


def test_queue_returns_output_of_squeue(commands: Commands) -> None:
    """The output is unchanged."""
    commands["squeue"] = "echo 'JOBID  USER'"
    assert queue("one") == "JOBID  USER\n"


def test_reads_tasks_of_step_from_controller(commands: Commands) -> None:
    """Without Slurm, or for an unknown step, the number is 0."""
    assert tasks_of_step("7.0") == 0
    commands["scontrol"] = "echo '   State=RUNNING Tasks=12 Name=python'"
    assert tasks_of_step("7.0") == 12
    assert commands.calls("scontrol") == ["show step 7.0"]
    commands["scontrol"] = "echo 'slurm_get_job_steps error: Invalid job id' >&2; exit 1"
    assert tasks_of_step("7.0") == 0


@pytest.mark.parametrize(
    ("said", "memory"),
    [
        ("MinMemoryNode=2G MinTmpDiskNode=0", 2048),
        ("MinMemoryNode=1.50G", 1536),
        ("MinMemoryCPU=500M", 1000),
        ("MinMemoryNode=0", None),
        ("", None),
    ],
)
def test_reads_default_memory_from_controller(commands: Commands, said: str, memory: int | None) -> None:
    """A site's default is only in the job's record; 0 means all memory of the node."""
    commands["scontrol"] = f"echo JobId=7 {said} Features=x"
    assert with_granted_memory(Allocation(job="7", cpus=2)).memory == memory
    assert commands.calls("scontrol") == ["show job 7 --oneliner"]
