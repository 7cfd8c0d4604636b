"""Submitting batch scripts, waiting for them, and cancelling them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slurm_sim import CommandError, JobError, JobTimeoutError, SlurmSim
from tests.support.command import refused, slurm_sim_command
from tests.support.jobs import FOR_EVER, script


def test_submits_job_waits_and_reads_output(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A job follows its script's options, and its record and output match."""
    path = script(tmp_path, "#SBATCH --nodes=2 --job-name=two", "srun hostname", "echo $SLURM_JOB_NAME")
    job = slurm_sim.submit(path)
    record = job.wait(150)
    assert (record.state, record.exit_code, record.signal, record.nodes) == ("COMPLETED", 0, 0, "c[1-2]")
    assert record.output == f"/home/hpc/slurm-{job.id}.out"
    *hosts, name = job.output().split()
    assert (sorted(hosts), name) == (["c1", "c2"], "two")


def test_sbatch_options_override_script(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """Options after the script are passed to sbatch, and override the script's own."""
    path = script(tmp_path, "#SBATCH --nodes=1", "echo $SLURM_JOB_NUM_NODES $1")
    assert (
        slurm_sim.submit(str(path), "--nodes=2", "--output=/home/hpc/a b.out").wait(150).output == "/home/hpc/a b.out"
    )
    assert slurm_sim.exec("cat", "a b.out").stdout == "2\n"


def test_job_is_named_after_its_script(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """The job name is the script's name, with special characters replaced."""
    job = slurm_sim.submit(script(tmp_path, "echo $SLURM_JOB_NAME", name="my job's.sh"))
    job.wait(150)
    assert job.output() == "my_job_s.sh\n"


def test_user_text_cannot_forge_job_record(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A comment or job name that looks like fields of Slurm's record is not parsed as such."""
    lie = "x JobState=COMPLETED ExitCode=0:0 StdOut=/dev/null"
    job = slurm_sim.submit(script(tmp_path, "exit 7"), f"--comment={lie}", f"--job-name={lie}")
    record = job.wait(150)
    assert (record.state, record.exit_code, record.reason) == ("FAILED", 7, "NonZeroExitCode")
    assert record.output == f"/home/hpc/slurm-{job.id}.out"


def test_wait_prints_job_output(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """`--wait` prints the job's output, and exits with status 0 if the job completed."""
    path = script(tmp_path, "echo hello from $(hostname)")
    done = slurm_sim_command("submit", "--name", slurm_sim.name, str(path), "--wait", "--", "--nodelist=c2")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello from c2\n", b"")


def test_wait_fails_if_job_fails(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """`--wait` prints the job's output, reports how the job ended, and exits with status 1."""
    path = script(tmp_path, "echo so far", "exit 9")
    done = slurm_sim_command("submit", "--name", slurm_sim.name, "--wait", str(path))
    assert (done.returncode, done.stdout) == (1, b"so far\n")
    assert "ended in state FAILED.\nstatus 9, reason NonZeroExitCode" in done.stderr.decode()


def test_submit_prints_job_id(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """Without `--wait`, only the job id is printed; with `--json`, the job's record."""
    path = str(script(tmp_path, "true"))
    number = int(slurm_sim_command("submit", "--name", slurm_sim.name, path).stdout)
    record = json.loads(slurm_sim_command("submit", "--name", slurm_sim.name, "--json", path).stdout)
    assert record["id"] == number + 1
    assert {"state", "reason", "exit_code", "nodes", "output"} <= set(record)


def test_rejects_missing_script(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A script that does not exist or is a folder is rejected, and the error names its path."""
    for wrong in (tmp_path / "missing.sbatch", tmp_path):
        assert str(wrong) in refused("submit", "--name", slurm_sim.name, str(wrong))
    with pytest.raises(FileNotFoundError):
        slurm_sim.submit(tmp_path / "missing.sbatch")


@pytest.mark.soak
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
def test_reports_rejection_by_slurm(slurm_sim: SlurmSim, tmp_path: Path, line: str, words: str) -> None:
    """If Slurm rejects a script, the error says so at once, in Slurm's words, and nothing is queued."""
    with pytest.raises(JobError, match="sbatch rejected") as no:
        slurm_sim.submit(script(tmp_path, line, "true"))
    assert words.lower() in no.value.seen.lower()
    assert slurm_sim.exec("squeue", "--noheader").stdout == ""


@pytest.mark.parametrize(("wrong", "hint"), [("banana", "use one of general"), ("genreal", "did you mean 'general'?")])
def test_rejects_unknown_partition(slurm_sim: SlurmSim, tmp_path: Path, wrong: str, hint: str) -> None:
    """For an unknown partition, the error suggests the nearest one or lists the existing ones."""
    with pytest.raises(JobError) as no:
        slurm_sim.submit(script(tmp_path, "true"), f"--partition={wrong}")
    assert hint in no.value.todo


def test_rejects_script_without_shebang(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A file without `#!` is rejected, without a traceback."""
    path = tmp_path / "job.txt"
    path.write_text("hostname\n")
    said = refused("submit", "--name", slurm_sim.name, str(path), status=1)
    assert "sbatch rejected" in said
    assert "interpreter" in said


def test_wait_timeout_reports_state_and_output(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """JobTimeoutError has the job's state and its output so far."""
    job = slurm_sim.submit(script(tmp_path, "echo so far", FOR_EVER))
    assert job.wait_until_running(50).state == "RUNNING"
    with pytest.raises(JobTimeoutError, match=f"Job {job.id} did not end within 1 s") as over:
        job.wait(1)
    assert "RUNNING" in over.value.seen
    assert "so far" in over.value.seen


@pytest.mark.soak
def test_start_timeout_reports_reason(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """If a job does not start in time because another one runs, the error gives Slurm's reason."""
    slurm_sim.submit(script(tmp_path, FOR_EVER), "--exclusive", "--nodes=2").wait_until_running(50)
    waiting = slurm_sim.submit(script(tmp_path, "true"))
    with pytest.raises(TimeoutError, match=r"did not start within 5 s") as over:
        waiting.wait_until_running(5)  # Slurm checks its queue every 2 s, and gives the reason then
    assert "PENDING" in str(over.value)
    assert "reason Resources" in str(over.value)


def test_timeout_ends_wait_but_not_job(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """`--timeout` ends the wait, not the job."""
    path = str(script(tmp_path, FOR_EVER))
    said = refused("submit", "--name", slurm_sim.name, path, "--wait", "--timeout=1", status=1)
    assert "did not end within 1 s" in said
    assert slurm_sim.exec("squeue", "--noheader").stdout


def test_cancelled_job_ends_as_cancelled(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A job that is cancelled while running or pending ends as CANCELLED."""
    running = slurm_sim.submit(script(tmp_path, FOR_EVER), "--exclusive", "--nodes=2")
    waiting = slurm_sim.submit(script(tmp_path, FOR_EVER))
    running.wait_until_running(50)
    for job in (waiting, running):
        job.cancel()
        assert job.wait(150).state == "CANCELLED"


def test_record_has_signal_that_ended_job(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """If a script is killed, its job has failed, and the record has the signal."""
    record = slurm_sim.submit(script(tmp_path, "kill -KILL $$")).wait(150)
    assert record.state == "FAILED"
    assert record.signal == 9


def test_unknown_job_raises(slurm_sim: SlurmSim) -> None:
    """Reading the record of an unknown job raises CommandError in Slurm's words."""
    with pytest.raises(CommandError, match="Invalid job id"):
        slurm_sim.job(999999).record()
