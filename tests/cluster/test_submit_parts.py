"""Job arrays, heterogeneous jobs, output files, and jobs that do not start."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from slurm_sim import CommandError, JobError, SlurmSim
from tests.support.command import SLURM_SIM, environment, refused, slurm_sim_command
from tests.support.jobs import FOR_EVER, script
from tests.support.waiting import until, until_in

TASK = "echo task $SLURM_ARRAY_TASK_ID; exit $((SLURM_ARRAY_TASK_ID == 2))"


def submit(sim: SlurmSim, path: Path, *arguments: str) -> tuple[int, str, str]:
    done = slurm_sim_command("submit", "--name", sim.name, str(path), *arguments)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_wait_shows_every_task_of_array(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """`--wait` waits for all tasks, shows the output of each, and fails if one has failed."""
    status, output, errors = submit(slurm_sim, script(tmp_path, TASK), "--wait", "--", "--array=1,2,7-9%2")
    assert status == 1
    tasks = [f"==> task {task}: " for task in (1, 2, 7, 8, 9)]
    assert [line[: len(tasks[0])] for line in output.splitlines() if line.startswith("==>")] == tasks
    assert [line for line in output.splitlines() if line.startswith("task")] == [f"task {n}" for n in (1, 2, 7, 8, 9)]
    assert "ended in state FAILED.\n1 of 5 tasks failed\ntask 2: FAILED, status 1, reason" in errors


def test_record_of_array_has_its_tasks(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """An array's record has one record per running task and one for all pending tasks; cancelling ends all."""
    job = slurm_sim.submit(script(tmp_path, FOR_EVER), "--array=0-3%1")
    assert [task.state for task in job.wait_until_running(100).tasks] == ["RUNNING", "PENDING"]
    assert job.state == "RUNNING"
    job.cancel()
    assert job.wait(100).state == "CANCELLED"
    job.cancel()  # changes nothing


def test_array_may_be_large(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """An array can have ten thousand tasks, which Slurm rejects by default."""
    job = slurm_sim.submit(script(tmp_path, "true"), "--array=0-9999", "--hold")
    assert [task.task for task in job.record().tasks] == ["0-9999"]
    job.cancel()
    assert job.wait(100).state == "CANCELLED"


def test_all_components_count(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A heterogeneous job has a record for each component, and one output."""
    lines = ("#SBATCH --nodes=1", "#SBATCH hetjob", "#SBATCH --nodes=1", "srun --het-group=0,1 hostname", "exit 3")
    status, output, errors = submit(slurm_sim, script(tmp_path, *lines), "--wait")
    assert (status, sorted(output.split())) == (1, ["c1", "c2"])
    assert "2 of 2 components failed\ncomponent +0: FAILED, status 3" in errors


def test_error_file_is_shown(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A separate error file is shown as errors, even from a node's own file system."""
    path = script(tmp_path, "echo fine; echo not fine >&2; exit 4")
    where = ("--nodelist=c2", "--output=/tmp/%j-%N-%x-%u-%n-%t.out", "--error=errors-%J-%3n-%s.txt")
    status, output, errors = submit(slurm_sim, path, "--wait", "--", *where)
    assert (status, output) == (1, "fine\n")
    assert errors.startswith("not fine\nError: Job ")
    job = slurm_sim.submit(path, *where)
    record = job.wait(100)
    assert record.output == f"/tmp/{job.id}-c2-job.sbatch-hpc-0-0.out"
    assert record.errors == f"/home/hpc/errors-{job.id}-000-batch.txt"
    assert (job.output(), job.errors()) == ("fine\n", "not fine\n")


def test_output_is_shown_unchanged(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """Large binary output passes through `--wait` unchanged."""
    path = script(tmp_path, r"for n in {1..40}; do head -c 200000 /dev/zero | tr '\0' '\377'; done")
    done = slurm_sim_command("submit", "--name", slurm_sim.name, str(path), "--wait", "--", "--output=/tmp/large")
    assert done.stdout == b"\xff" * 8_000_000


@pytest.mark.parametrize("where", ["/dev/null", "none"])
def test_output_to_nowhere_is_empty(slurm_sim: SlurmSim, tmp_path: Path, where: str) -> None:
    """A job that writes to /dev/null shows nothing."""
    assert submit(slurm_sim, script(tmp_path, "echo x"), "--wait", "--", f"--output={where}") == (0, "", "")


def test_tasks_may_share_a_file(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A file that all tasks append to is shown once."""
    options = ("--array=0-1%1", "--open-mode=append", "--output=shared-%A.txt")
    status, output, _ = submit(slurm_sim, script(tmp_path, "echo $SLURM_ARRAY_TASK_ID"), "--wait", "--", *options)
    assert (status, output.splitlines()[0][:15], output.splitlines()[1:]) == (0, "==> tasks 0,1: ", ["0", "1"])


def test_names_missing_output_folder(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """If a job could not write its output, `--wait` says where it should have been."""
    status, output, errors = submit(slurm_sim, script(tmp_path, "true"), "--wait", "--", "--output=/no/such/file")
    assert (status, output) == (1, "")
    assert "nothing was written to /no/such/file on c" in errors
    assert "no such folder" in errors


def test_names_output_on_stopped_node(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """If a node is not running, the error says where on it the output is."""
    job = slurm_sim.submit(script(tmp_path, "echo here"), "--nodelist=c2", "--output=/tmp/there")
    job.wait(100)
    slurm_sim.fault("node-hangs", "c2")
    try:
        with pytest.raises(
            JobError, match=r" in /tmp/there cannot be read\.\n.*\npaused: c2\nWhat to do: 'slurm-sim up"
        ):
            job.output()
    finally:
        slurm_sim.fault("heal", "c2")
    assert job.output() == "here\n"


@pytest.mark.parametrize(
    ("option", "words"), [("--test-only", "to start at"), ("--version", "slurm"), ("--usage", "Usage: sbatch")]
)
def test_passes_on_sbatch_output(slurm_sim: SlurmSim, tmp_path: Path, option: str, words: str) -> None:
    """If sbatch's options submit no job, its output is shown, and the library raises."""
    path = script(tmp_path, "true")
    status, output, errors = submit(slurm_sim, path, "--", option)
    assert status == 0
    assert words in output + errors
    with pytest.raises(JobError, match="sbatch did not submit"):
        slurm_sim.submit(path, option)
    assert "not available" in refused(
        "submit", "--name", slurm_sim.name, str(path), "--", "--test-only", "-N9", status=1
    )


@pytest.mark.parametrize("options", [("--parsable",), ("--quiet",), ("-Q", "--array=1-2")])
def test_finds_job_id_in_any_sbatch_output(slurm_sim: SlurmSim, tmp_path: Path, options: tuple[str, ...]) -> None:
    """The job's id is found, even if sbatch is told to print nothing."""
    status, output, errors = submit(slurm_sim, script(tmp_path, "true"), "--", *options)
    assert (status, errors) == (0, "")
    assert slurm_sim.job(int(output)).wait(100).state == "COMPLETED"


def test_sbatch_wait_passes_exit_status(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """With sbatch's own `--wait`, the exit status is the job's."""
    status, output, _ = submit(slurm_sim, script(tmp_path, "exit 9"), "--", "--wait")
    assert status == 9
    assert slurm_sim.job(int(output)).record().exit_code == 9


def test_wait_reports_job_that_never_starts(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """If a job's dependency has failed, waiting ends with an error."""
    failed = slurm_sim.submit(script(tmp_path, "exit 1"))
    failed.wait(100)
    said = slurm_sim_command(
        *("submit", "--name", slurm_sim.name, str(script(tmp_path, "true")), "--wait"),
        *("--", f"--dependency=afterok:{failed.id}"),
    )
    assert said.returncode == 1
    assert b"will never start: DependencyNeverSatisfied" in said.stderr


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_wait_leaves_job(slurm_sim: SlurmSim, tmp_path: Path, signum: signal.Signals, status: int) -> None:
    """`submit --wait` reports a held job; Ctrl-C ends the wait but not the job, and says how to cancel it."""
    command = [SLURM_SIM, "submit", "--name", slurm_sim.name, str(script(tmp_path, FOR_EVER)), "--wait", "--", "--hold"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment()) as waiting:
        assert waiting.stderr is not None
        held = waiting.stderr.readline().decode()
        assert "is held (JobHeldUser)" in held
        job = slurm_sim.job(int(held.split("job ")[1].split()[0]))
        slurm_sim.exec("scontrol", "release", str(job.id))
        job.wait_until_running(100)
        waiting.send_signal(signum)
        _, said = waiting.communicate(timeout=100)
    assert waiting.returncode == status
    assert (
        f"job {job.id} continues; `slurm-sim exec --name {slurm_sim.name} -- scancel {job.id}` cancels it"
        in said.decode()
    )
    assert job.state == "RUNNING"
    job.cancel()


@pytest.mark.soak
def test_wait_survives_restart_of_controller(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """`--wait` keeps waiting while the controller restarts."""
    path = str(script(tmp_path, "until [ -e /home/hpc/go-on ]; do read -t 0.1 <> <(:); done; echo gone on"))
    command = [SLURM_SIM, "submit", "--name", slurm_sim.name, path, "--wait", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as waiting:
        until_in(slurm_sim, '[ -n "$(squeue --noheader --states=running)" ]')
        slurm_sim.fault("controller-restarted")
        slurm_sim.exec("touch", "go-on")
        assert waiting.stdout is not None
        assert json.loads(waiting.stdout.read())["state"] == "COMPLETED"
    slurm_sim.exec("rm", "go-on")


@pytest.mark.soak(only=True)
@pytest.mark.slurm_sim(nodes=1, slurm_conf={"MinJobAge": 2}, scope="function")
def test_forgotten_job_is_remembered(slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A job's end stays known after Slurm forgets it, even for tasks that are forgotten before the others end."""
    job = slurm_sim.submit(script(tmp_path, TASK, "true"))
    array = slurm_sim.submit(script(tmp_path, "[ $SLURM_ARRAY_TASK_ID = 2 ] || sleep 90", TASK), "--array=2,3")
    assert job.wait(100).state == "COMPLETED"
    until(lambda: any(task.state == "FAILED" for task in array.record().tasks), "the end of task 2")

    def forgotten() -> bool:
        return "Invalid job id" in slurm_sim.exec("scontrol", "show", "job", str(job.id), check=False).stderr

    until(forgotten, "the end of MinJobAge", 250)
    assert job.wait(5).state == "COMPLETED"
    assert [task.state for task in array.wait(200).tasks] == ["FAILED", "COMPLETED"]
    with pytest.raises(CommandError, match="Invalid job id"):
        slurm_sim.job(job.id).wait(5)
