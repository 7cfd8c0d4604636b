"""Batch scripts: submitted, waited for, refused, cancelled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slurm_sim import CommandError, JobError, JobTimeoutError, SlurmSim
from tests.support.command import refused, slurm_sim_command

FOR_EVER = "exec tail -f /dev/null"


def script(folder: Path, *lines: str, name: str = "job.sbatch") -> Path:
    """A batch script of this host."""
    path = folder / name
    path.write_text("\n".join(["#!/bin/bash", *lines, ""]), encoding="utf-8")
    return path


def test_a_job_is_submitted_waited_for_and_read(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A job runs where and as what its script says; its record and its output say so."""
    path = script(tmp_path, "#SBATCH --nodes=2 --job-name=two", "srun hostname", "echo $SLURM_JOB_NAME")
    job = slurm_sim.submit(path)
    record = job.wait(50)
    assert (record.state, record.exit_code, record.signal, record.nodes) == ("COMPLETED", 0, 0, "c[1-2]")
    assert record.output == f"/home/hpc/slurm-{job.id}.out"
    *hosts, name = job.output().split()
    assert (sorted(hosts), name) == (["c1", "c2"], "two")


def test_options_of_sbatch_win_over_the_script(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """Options behind the script are sbatch's, and stronger than the script's own."""
    path = script(tmp_path, "#SBATCH --nodes=1", "echo $SLURM_JOB_NUM_NODES $1")
    assert slurm_sim.submit(str(path), "--nodes=2", "--output=/home/hpc/a b.out").wait(50).output == "/home/hpc/a b.out"
    assert slurm_sim.exec("cat", "a b.out").stdout == "2\n"


def test_a_job_is_named_after_its_script(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """Slurm knows a job by its script's name, whose odd characters are made plain."""
    job = slurm_sim.submit(script(tmp_path, "echo $SLURM_JOB_NAME", name="my job's.sh"))
    job.wait(50)
    assert job.output() == "my_job_s.sh\n"


def test_what_a_user_writes_into_a_job_does_not_deceive(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A comment or a name that looks like Slurm's own words is not taken for them."""
    lie = "x JobState=COMPLETED ExitCode=0:0 StdOut=/dev/null"
    job = slurm_sim.submit(script(tmp_path, "exit 7"), f"--comment={lie}", f"--job-name={lie}")
    record = job.wait(50)
    assert (record.state, record.exit_code, record.reason) == ("FAILED", 7, "NonZeroExitCode")
    assert record.output == f"/home/hpc/slurm-{job.id}.out"


def test_the_command_waits_and_prints_the_output(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """--wait prints what the job wrote; a job that completed is status 0."""
    path = script(tmp_path, "echo hello from $(hostname)")
    done = slurm_sim_command("submit", "--name", slurm_sim.name, str(path), "--wait", "--", "--nodelist=c2")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello from c2\n", b"")


def test_the_command_fails_when_the_job_fails(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """--wait prints what the job wrote, says how it ended, and ends with a status of its own."""
    path = script(tmp_path, "echo so far", "exit 9")
    done = slurm_sim_command("submit", "--name", slurm_sim.name, "--wait", str(path))
    assert (done.returncode, done.stdout) == (1, b"so far\n")
    assert "ended as FAILED\n  seen:  status 9, reason NonZeroExitCode" in done.stderr.decode()


def test_the_command_prints_the_id(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """Without --wait, the job's id is all that is printed; with --json, its record."""
    path = str(script(tmp_path, "true"))
    number = int(slurm_sim_command("submit", "--name", slurm_sim.name, path).stdout)
    record = json.loads(slurm_sim_command("submit", "--name", slurm_sim.name, "--json", path).stdout)
    assert record["id"] == number + 1
    assert {"state", "reason", "exit_code", "nodes", "output"} <= set(record)


def test_a_script_that_does_not_exist_is_said(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A script that is not there, or is a folder, is refused with its path."""
    for wrong in (tmp_path / "missing.sbatch", tmp_path):
        assert str(wrong) in refused("submit", "--name", slurm_sim.name, str(wrong))
    with pytest.raises(FileNotFoundError):
        slurm_sim.submit(tmp_path / "missing.sbatch")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("#SBATCH --cpus-per-task=64", "node configuration is not available"),
        ("#SBATCH --nodes=99", "configuration"),
        ("#SBATCH --mem=1T", "Memory"),
        ("#SBATCH --partition=banana", "partition"),
        ("#SBATCH --no-such-option", "no-such-option"),
    ],
)
def test_a_script_that_slurm_refuses_is_refused_at_once(
    slurm_sim: SlurmSim, tmp_path: Path, line: str, words: str
) -> None:
    """What no node can ever do is said at once, in Slurm's words, and nothing is queued."""
    with pytest.raises(JobError, match="Slurm refused") as no:
        slurm_sim.submit(script(tmp_path, line, "true"))
    assert words.lower() in no.value.seen.lower()
    assert slurm_sim.exec("squeue", "--noheader").stdout == ""


@pytest.mark.parametrize(
    ("wrong", "hint"), [("banana", "that there is: general"), ("genreal", "did you mean 'general'?")]
)
def test_a_partition_that_there_is_none_of(slurm_sim: SlurmSim, tmp_path: Path, wrong: str, hint: str) -> None:
    """Who misspells a partition is told which one was meant, or which there are."""
    with pytest.raises(JobError) as no:
        slurm_sim.submit(script(tmp_path, "true"), f"--partition={wrong}")
    assert hint in no.value.hint


def test_a_script_that_is_none_is_refused(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A file without `#!` is no batch script; the command says so without a traceback."""
    path = tmp_path / "job.txt"
    path.write_text("hostname\n")
    said = refused("submit", "--name", slurm_sim.name, str(path), status=1)
    assert "Slurm refused" in said
    assert "interpreter" in said


def test_a_job_that_does_not_end_in_time_says_what_it_does(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """JobTimeoutError has the state, the nodes, and what the job has written."""
    job = slurm_sim.submit(script(tmp_path, "echo so far", FOR_EVER))
    assert job.wait_until_running(50).state == "RUNNING"
    with pytest.raises(JobTimeoutError, match=f"job {job.id} did not end within 1 s") as over:
        job.wait(1)
    assert "RUNNING" in over.value.seen
    assert "so far" in over.value.seen


def test_a_job_that_does_not_start_in_time_says_why(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A job that waits for another says Slurm's reason."""
    slurm_sim.submit(script(tmp_path, FOR_EVER), "--exclusive", "--nodes=2").wait_until_running(50)
    waiting = slurm_sim.submit(script(tmp_path, "true"))
    with pytest.raises(TimeoutError, match=r"did not start within 5 s") as over:
        waiting.wait_until_running(5)  # Slurm looks at its queue each 2 s, and gives the reason then
    assert "PENDING" in str(over.value)
    assert "reason Resources" in str(over.value)


def test_the_commands_wait_can_be_over(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """--timeout ends the waiting, not the job."""
    path = str(script(tmp_path, FOR_EVER))
    said = refused("submit", "--name", slurm_sim.name, path, "--wait", "--timeout=1", status=1)
    assert "did not end within 1 s" in said
    assert slurm_sim.exec("squeue", "--noheader").stdout


def test_a_cancelled_job_ends(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A job that is cancelled while it runs, or while it waits, ends as CANCELLED."""
    running = slurm_sim.submit(script(tmp_path, FOR_EVER), "--exclusive", "--nodes=2")
    waiting = slurm_sim.submit(script(tmp_path, FOR_EVER))
    running.wait_until_running(50)
    for job in (waiting, running):
        job.cancel()
        assert job.wait(50).state == "CANCELLED"


def test_a_job_that_a_signal_ends_says_which(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A script that is killed has failed, and its record has the signal."""
    record = slurm_sim.submit(script(tmp_path, "kill -KILL $$")).wait(50)
    assert record.state == "FAILED"
    assert record.signal == 9


def test_an_unknown_job_is_said(slurm_sim: SlurmSim) -> None:
    """Asking for a job that Slurm does not know raises in Slurm's words."""
    with pytest.raises(CommandError, match="Invalid job id"):
        slurm_sim.job(999999).record()
