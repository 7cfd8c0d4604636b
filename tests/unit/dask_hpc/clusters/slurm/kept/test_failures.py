"""Failures in a row, and the errors with which they end a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.clusters.slurm.kept.failures import Failures, never_worked, passes
from dask_hpc.clusters.slurm.kept.fate import Cause, Fate
from dask_hpc.clusters.slurm.kept.job import WorkerJob
from dask_hpc.clusters.slurm.kept.losses import Loss, Memory
from dask_hpc.slurm.jobs import QueuedJob

BROKE = Fate(Cause.FAILED, "ended as FAILED (NonZeroExitCode)")
NO_MEMORY = Fate(Cause.MEMORY, "used more memory than it requested")


def job(number: str, *losses: Loss, submitted: float = 1e6) -> WorkerJob:
    """Return a job on c1; by default, it was submitted after every failure before it."""
    queued = QueuedJob(id=number, state="FAILED", reason="None", node="c1")
    return WorkerJob(name=f"x-{number}", submitted=submitted, id=number, queued=queued, node="c1", losses=list(losses))


def loss(used: int, limit: int) -> Loss:
    """Return the loss of a worker without tasks."""
    worker: object = None
    return Loss(worker=worker, tasks=[], running={}, memory=Memory(used, limit), counts=True)


def test_some_failures_in_a_row_end_the_run(tmp_path: Path) -> None:
    """The error has each failure and the logs of these jobs, and names the option; logs of other jobs are left out."""
    for number in ("6", "7", "8"):
        (tmp_path / f"x-{number}.err").write_text(f"log of {number}\n")
    failures = Failures(2, tmp_path)
    assert failures.add(job("7"), BROKE, 10.0) is None
    error = failures.add(job("8"), BROKE, 20.0)
    assert error
    lines = error.message.splitlines()
    assert lines[0] == "Worker jobs failed 2 times in a row."
    assert "Job 7 on c1 ended as FAILED (NonZeroExitCode)" in lines[1]
    assert "Job 8 on c1 ended as FAILED (NonZeroExitCode)" in lines[2]
    assert [word in error.message for word in ("log of 6", "log of 7", "log of 8")] == [False, True, True]
    assert "--max-failures" in lines[-1]


def test_failures_at_once_count_as_one(tmp_path: Path) -> None:
    """Many jobs that fail together have one cause; the next ones count again. The error shows the last ones."""
    failures = Failures(2, tmp_path)
    for number in range(64):
        assert failures.add(job(f"{number}", submitted=1.0), BROKE, 10.0 + number) is None
    assert failures.pause == 0
    error = failures.add(job("64", submitted=11.0), BROKE, 90.0)
    assert error
    lines = error.message.splitlines()
    assert lines[:3] == [
        "Worker jobs failed 2 times in a row.",
        "  57 more, before:",
        "  Job 57 on c1 ended as FAILED (NonZeroExitCode)",
    ]
    assert "Job 64 " in lines[9]
    refused = Failures(2, tmp_path)
    for _ in range(3):
        assert refused.refused(job("", submitted=1.0), "sbatch: error: Invalid account", 2.0) is None


def test_a_job_that_works_ends_the_row(tmp_path: Path) -> None:
    """Failures before are forgotten, with their pause."""
    failures = Failures(2, tmp_path)
    failures.add(job("7"), BROKE, 10.0)
    assert failures.any
    failures.forget()
    assert not failures.any
    error = failures.add(job("8"), BROKE, 20.0)
    assert error is None
    error = failures.add(job("9"), BROKE, 30.0)
    assert error
    assert "Job 7" not in error.message


def test_memory_is_named(tmp_path: Path) -> None:
    """If the last jobs needed more memory, the error says how much they had, and names `--memory`."""
    failures = Failures(2, tmp_path)
    failures.add(job("7"), BROKE, 10.0)
    error = failures.add(job("8", loss(480 << 20, 500 << 20)), NO_MEMORY, 20.0)
    assert error
    assert "--memory" in error.message
    assert "480.00 MiB of 500.00 MiB" in error.message


def test_refusals_count(tmp_path: Path) -> None:
    """A job that sbatch rejects counts as a failure; it has no log."""
    failures = Failures(2, tmp_path)
    assert failures.refused(job(""), "sbatch: error: Invalid qos", 10.0) is None
    error = failures.refused(job(""), "sbatch: error: Invalid account", 20.0)
    assert error
    assert "Invalid qos" in error.message
    assert "Invalid account" in error.message
    assert "No log" not in error.message


def test_pause_grows_with_failures(tmp_path: Path) -> None:
    """The first failure is replaced at once; further ones wait longer and longer, up to a minute."""
    failures = Failures(100, tmp_path)
    assert failures.pause == 0
    pauses = []
    for number in range(6):
        failures.add(job("7"), BROKE, float(number))
        pauses.append(failures.pause)
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert 0 < pauses[1] < pauses[2] < pauses[-1] == 60
    failures.forget()
    assert failures.pause == 0


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
        "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation",
        "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates …",
        "sbatch: error: AssocMaxSubmitJobLimit",
        "sbatch: error: AssocGrpSubmitJobsLimit",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "sbatch: error: Batch job submission failed: Zero Bytes were transmitted or received",
        "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
    ],
)
def test_passing_rejection(said: str) -> None:
    """sbatch may accept the same job later if Slurm is away or the user has too many jobs."""
    assert passes(said)


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: Batch job submission failed: Invalid qos specification",
        "sbatch: error: invalid partition specified: gpu",
        "sbatch: error: Batch job submission failed: Requested node configuration is not available",
        "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
        "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
        "",
    ],
)
def test_final_rejection(said: str) -> None:
    """An invalid request stays invalid."""
    assert not passes(said)


def test_job_that_ended_before_any_worked(tmp_path: Path) -> None:
    """The error has the job's end and the logs; without any log, it suggests a shared folder."""
    without = never_worked([job("7")], BROKE, tmp_path)
    assert "A job ended before its workers connected." in without.message
    assert "--log-directory" in without.message
    assert str(tmp_path) in without.message
    (tmp_path / "x-7.err").write_text("it broke\n")
    with_log = never_worked([job("7")], BROKE, tmp_path)
    assert "Job 7 on c1 ended as FAILED (NonZeroExitCode)" in with_log.message
    assert "it broke" in with_log.message
    assert "--log-directory" not in with_log.message
