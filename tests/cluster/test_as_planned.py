"""Jobs on a real Slurm run as planned, regardless of the user's variables, settings, options and paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from slurm_sim import SlurmSim

PI = ("dask-hpc", "run", "monte-carlo-pi", "--samples", "1e6", "--json")
JOBS = {"slurm": ["--jobs", "1", "--cores", "1"], "mpi": ["--nodes", "1", "--ranks-per-node", "2"]}
VARIABLES = {
    "SBATCH_JOB_NAME": "mine",
    "SBATCH_TIMELIMIT": "1",
    "SBATCH_ARRAY_INX": "0-3",
    "SBATCH_MEM_PER_CPU": "10",
    "SBATCH_OUTPUT": "/dev/null",
    "SBATCH_EXPORT": "NONE",
    "SBATCH_WAIT": "1",
    "SBATCH_NO_REQUEUE": "1",
    "SQUEUE_STATES": "SUSPENDED",
    "SQUEUE_FORMAT": "%i",
    "SQUEUE_USERS": "root",
    "SINFO_FORMAT": "%n",
    "SCANCEL_INTERACTIVE": "1",
    "SCANCEL_STATE": "PENDING",
    "SLURM_CLUSTERS": "nowhere",
    "SLURM_JOB_ID": "7",
    "SLURM_MEM_PER_CPU": "5",
    "SLURM_NTASKS": "9",
    "SLURM_DEBUG": "7",
    "SLURM_TIME_FORMAT": "%s",
    "DASK_JOBQUEUE__SLURM__NAME": "mine",
    "DASK_JOBQUEUE__SLURM__JOB_MEM": "1M",
    "DASK_JOBQUEUE__SLURM__JOB_EXTRA_DIRECTIVES": "['--hold']",
    "DASK_JOBQUEUE__SLURM__SHEBANG": "#!/bin/false",
    "DASK_JOBQUEUE__SLURM__JOB_DIRECTIVES_SKIP": "['--mem', '-J']",
    "DASK_JOBQUEUE__SLURM__PYTHON": "no-such-python",
    "DASK_JOBQUEUE__SLURM__WORKER_COMMAND": "no.such.module",
    "DASK_JOBQUEUE__SLURM__JOB_CPU": "64",
    "DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT": "1ms",
    "DASK_SCHEDULER_ADDRESS": "tcp://192.0.2.1:1",
    "DASK_SCHEDULER": "threads",
}


def run(
    sim: SlurmSim, on: str, *options: str, env: dict[str, str] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Run a workload; return its cluster's settings, and Slurm's record of its job."""
    words = [f"{name}={value}" for name, value in (env or {}).items()]
    done = sim.exec("env", *words, *PI, "--on", on, *JOBS[on], *options)
    result = json.loads(done.stdout)
    assert result["ok"]
    assert re.search(r"dask-hpc-\w+ +hpc +R", done.stderr), "the table of the queue shows the job"
    [job] = result["cluster"]["jobs"]
    shown = sim.exec("scontrol", "--oneliner", "show", "job", job["id"]).stdout
    return result["cluster"]["settings"], dict(re.findall(r"([\w:]+)=(\S*(?: \w+(?!\S*=))*)", shown))


@pytest.fixture(autouse=True)
def no_job_left(slurm_sim: SlurmSim) -> Iterator[None]:
    """Assert that a test leaves no job."""
    yield
    assert slurm_sim.exec("squeue", "-h").stdout == ""


@pytest.mark.parametrize("on", JOBS)
def test_variables_do_not_change_plan(slurm_sim: SlurmSim, on: str) -> None:
    """Slurm's variables, those of an unrelated job, and the user's dask-jobqueue settings change nothing."""
    settings, job = run(slurm_sim, on, env=VARIABLES)
    assert job["JobName"].startswith("dask-hpc-")
    assert job["TimeLimit"] == settings["walltime"]
    ranks = settings.get("ranks_per_node", 1)
    assert job["MinMemoryNode"] in {
        f"{int(settings['memory'].removesuffix('MiB')) * ranks >> 10}G",
        f"{int(settings['memory'].removesuffix('MiB')) * ranks}M",
    }
    assert job["StdOut"] != "/dev/null"
    assert job["Requeue"] == ("1" if on == "slurm" else "0")


@pytest.mark.parametrize("on", JOBS)
def test_plan_uses_account_partition_and_reservation(slurm_sim: SlurmSim, on: str) -> None:
    """Account, partition and reservation come from the environment, and appear in the settings."""
    create = "scontrol create reservation reservationname=class users=hpc starttime=now duration=60 nodes=c2"
    slurm_sim.exec(*create.split(), on="slurmctld", user="root")
    try:
        names = {"SBATCH_ACCOUNT": "chem", "SBATCH_PARTITION": "general", "SBATCH_RESERVATION": "class"}
        settings, job = run(slurm_sim, on, env=names)
    finally:
        slurm_sim.exec("scontrol", "delete", "reservation", "class", on="slurmctld", user="root")
    assert (settings["account"], settings["partition"], settings["reservation"]) == ("chem", "general", "class")
    assert (job["Account"], job["Partition"], job["Reservation"], job["NodeList"]) == ("chem", "general", "class", "c2")


def test_names_variable_with_unknown_partition(slurm_sim: SlurmSim) -> None:
    """The error names the environment variable with the unknown partition."""
    done = slurm_sim.exec("env", "SBATCH_PARTITION=genral", *PI, "--on", "slurm", check=False)
    assert done.returncode == 2
    assert "did you mean $SBATCH_PARTITION general?" in done.stderr


@pytest.mark.parametrize("on", JOBS)
def test_sbatch_option_replaces_planned_one(slurm_sim: SlurmSim, on: str) -> None:
    """--sbatch-option replaces the planned memory and time limit, and accepts values with spaces."""
    options = ("--mem-per-cpu=500M", "-t 0-1", "--comment=two words", "--requeue")
    settings, job = run(slurm_sim, on, *(f"--sbatch-option={option}" for option in options))
    assert settings["memory"] == "500MiB"
    assert settings["walltime"] == job["TimeLimit"] == "01:00:00"
    assert job["MinMemoryCPU"] == "500M"
    assert job["Comment"] == "two words"
    assert job["Requeue"] == "1"


@pytest.mark.parametrize("on", JOBS)
def test_memory_can_be_left_to_slurm(slurm_sim: SlurmSim, on: str) -> None:
    """`--memory none` requests no memory, because some sites reject --mem."""
    settings, job = run(slurm_sim, on, "--memory", "none")
    assert int(settings["memory"].removesuffix("MiB")) > 500, "Dask still knows its share"
    assert job.get("MinMemoryNode", "0") == "0"


@pytest.mark.parametrize("option", ["--job-name=mine", "-J mine", "--array=0-3"])
def test_rejects_options_that_break_a_run(slurm_sim: SlurmSim, option: str) -> None:
    """A run finds its jobs by name, so options that change the name or the number of jobs are rejected."""
    done = slurm_sim.exec(*PI, "--on", "slurm", f"--sbatch-option={option}", check=False)
    assert done.returncode == 2
    assert f"--sbatch-option cannot be {option}" in done.stderr


@pytest.mark.parametrize("on", JOBS)
def test_runs_inside_another_job(slurm_sim: SlurmSim, on: str) -> None:
    """A run inside a job does not pass that job's resources, here memory per CPU, to the job it submits."""
    command = " ".join([*PI, "--on", on, *JOBS[on], "--memory", "400MiB"])
    words = ("--parsable", "--wait", "--mem-per-cpu=600M", "--ntasks=1", "--output=in.out", f"--wrap={command}")
    slurm_sim.exec("sbatch", *words)
    assert '"ok":true' in slurm_sim.exec("cat", "in.out").stdout


@pytest.mark.parametrize("on", ["slurm", "mpi", "local"])
def test_accepts_paths_with_odd_characters(slurm_sim: SlurmSim, on: str) -> None:
    """Paths for logs, spilling and results may contain spaces, quotes, `~`, variables and links."""
    slurm_sim.exec("sh", "-c", "rm -rf paths && mkdir -p 'paths/my disk' && ln -s 'my disk' paths/link")
    options = [*JOBS.get(on, []), "--results=~/paths/re sults", "--local-directory=$HOME/paths/link/it's"]
    options += [] if on == "local" else ["--log-directory=$HOME/paths/100% logs"]
    slurm_sim.exec("mkdir", "paths/my disk/it's")
    done = slurm_sim.exec(*PI, "--on", on, *options)
    assert json.loads(done.stdout)["ok"]
    made = slurm_sim.exec("sh", "-c", "cd paths && ls -d ./* 'my disk'/*").stdout.splitlines()
    logs = [] if on == "local" else ["./100% logs"]
    assert made == [*logs, "./link", "./my disk", "./re sults", "my disk/it's"]
    assert slurm_sim.exec("sh", "-c", "ls -d ~/\\~ ~/\\$*", check=False).stdout == ""
    if logs:
        assert ".err" in slurm_sim.exec("ls", "paths/100% logs").stdout


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--log-directory=$NOWHERE/logs", "contains the unset variable NOWHERE"),
        ("--results=~no-such-user", "unknown user"),
    ],
)
def test_rejects_path_that_cannot_be_expanded(slurm_sim: SlurmSim, option: str, words: str) -> None:
    """A path with an unset variable or an unknown user is rejected before anything is submitted."""
    done = slurm_sim.exec(*PI, "--on", "slurm", option, check=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_names_variable_missing_on_node(slurm_sim: SlurmSim) -> None:
    """A node expands paths itself, and the error names a variable that is not set there."""
    done = slurm_sim.exec(*PI, "--on", "slurm", *JOBS["slurm"], "--local-directory=$NOWHERE/x", check=False)
    assert done.returncode == 1
    assert "NOWHERE: is not set on this node" in done.stderr


PLANNED = """
sbatch -Q --nodelist=c1 --ntasks=1 --mem=100M --time=5 --output=/dev/null --wrap 'sleep infinity'
sbatch -Q --nodes=2 --exclusive --time=5 --output=/dev/null --wrap true
until sinfo -h -N -o %t | grep -q -e 'mix-'; do sleep 0.1; done
"""


def test_uses_nodes_planned_for_other_jobs(slurm_sim: SlurmSim) -> None:
    """Nodes that Slurm's backfill marks `mix-` or `plnd` count as usable; a job for them waits in the queue."""
    slurm_sim.exec("sh", "-c", PLANNED)
    try:
        options = ("--on", "slurm", *JOBS["slurm"], "--memory", "300MiB", "--walltime", "1")
        assert json.loads(slurm_sim.exec(*PI, *options).stdout)["ok"]
        done = slurm_sim.exec(*PI, "--on", "slurm", "--jobs", "2", "--walltime", "30", "--timeout", "3", check=False)
        assert "PENDING" in done.stderr
        assert "No usable node" not in done.stderr
    finally:
        slurm_sim.exec("scancel", "-u", "hpc")
        slurm_sim.exec("sh", "-c", "while squeue -h | grep -q .; do sleep 0.1; done")


def test_names_mistake_in_dask_settings(slurm_sim: SlurmSim) -> None:
    """The error names an invalid variable, an invalid file, or encryption that is required but turned off."""
    words = {
        "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=abc": (["Invalid time unit: abc", "TIMEOUTS__CONNECT=abc"], ()),
        "DASK_CONFIG=bad.yaml": (["bad.yaml"], ()),
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=true": (["require-encryption"], ("--no-tls",)),
    }
    slurm_sim.exec("sh", "-c", "echo 'distributed: [' > bad.yaml")
    for variable, (said, options) in words.items():
        done = slurm_sim.exec("env", variable, *PI, "--on", "slurm", *options, check=False)
        assert done.returncode == 2, variable
        assert all(word in done.stderr for word in said), done.stderr
        assert "Traceback" not in done.stderr
