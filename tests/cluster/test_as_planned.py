"""What was planned is what runs: other people's variables, settings, options and paths on a real Slurm."""

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
    """Run, and return the result and what Slurm says of its job."""
    words = [f"{name}={value}" for name, value in (env or {}).items()]
    done = sim.exec("env", *words, *PI, "--on", on, *JOBS[on], *options)
    result = json.loads(done.stdout)
    assert result["ok"]
    assert re.search(r"dask-hpc-\w+ +hpc +R", done.stderr), "the table of the queue shows the job"
    [job] = result["cluster"]["jobs"]
    shown = sim.exec("scontrol", "--oneliner", "show", "job", job["id"]).stdout
    return result["cluster"]["settings"], dict(re.findall(r"([\w:]+)=(\S*(?: \w+(?!\S*=))*)", shown))


@pytest.fixture(autouse=True)
def nothing_stays(slurm_sim: SlurmSim) -> Iterator[None]:
    """Assert that a test leaves no job."""
    yield
    assert slurm_sim.exec("squeue", "-h").stdout == ""


@pytest.mark.parametrize("on", JOBS)
def test_no_variable_changes_the_plan(slurm_sim: SlurmSim, on: str) -> None:
    """Options in the environment, a job that this is not in, and a user's settings for dask-jobqueue."""
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
def test_what_a_site_has_users_choose_is_planned(slurm_sim: SlurmSim, on: str) -> None:
    """Account, partition and reservation come from the environment, and are shown."""
    create = "scontrol create reservation reservationname=class users=hpc starttime=now duration=60 nodes=c2"
    slurm_sim.exec(*create.split(), on="slurmctld", user="root")
    try:
        names = {"SBATCH_ACCOUNT": "chem", "SBATCH_PARTITION": "general", "SBATCH_RESERVATION": "class"}
        settings, job = run(slurm_sim, on, env=names)
    finally:
        slurm_sim.exec("scontrol", "delete", "reservation", "class", on="slurmctld", user="root")
    assert (settings["account"], settings["partition"], settings["reservation"]) == ("chem", "general", "class")
    assert (job["Account"], job["Partition"], job["Reservation"], job["NodeList"]) == ("chem", "general", "class", "c2")


def test_an_unknown_partition_in_the_environment_is_named(slurm_sim: SlurmSim) -> None:
    """The error says which variable has it."""
    done = slurm_sim.exec("env", "SBATCH_PARTITION=genral", *PI, "--on", "slurm", check=False)
    assert done.returncode == 2
    assert "did you mean $SBATCH_PARTITION general?" in done.stderr


@pytest.mark.parametrize("on", JOBS)
def test_a_users_option_replaces_ours(slurm_sim: SlurmSim, on: str) -> None:
    """Memory per CPU in place of a node's, a time in another form, and a comment of two words."""
    options = ("--mem-per-cpu=500M", "-t 0-1", "--comment=two words", "--requeue")
    settings, job = run(slurm_sim, on, *(f"--sbatch-option={option}" for option in options))
    assert settings["memory"] == "500MiB"
    assert settings["walltime"] == job["TimeLimit"] == "01:00:00"
    assert job["MinMemoryCPU"] == "500M"
    assert job["Comment"] == "two words"
    assert job["Requeue"] == "1"


@pytest.mark.parametrize("on", JOBS)
def test_memory_can_be_left_to_slurm(slurm_sim: SlurmSim, on: str) -> None:
    """`--memory none` asks for none: some sites refuse --mem."""
    settings, job = run(slurm_sim, on, "--memory", "none")
    assert int(settings["memory"].removesuffix("MiB")) > 500, "Dask knows its share all the same"
    assert job.get("MinMemoryNode", "0") == "0"


@pytest.mark.parametrize("option", ["--job-name=mine", "-J mine", "--array=0-3"])
def test_refuses_what_a_run_cannot_do_with(slurm_sim: SlurmSim, option: str) -> None:
    """Jobs are found by their name."""
    done = slurm_sim.exec(*PI, "--on", "slurm", f"--sbatch-option={option}", check=False)
    assert done.returncode == 2
    assert f"--sbatch-option cannot be {option}" in done.stderr


@pytest.mark.parametrize("on", JOBS)
def test_runs_inside_of_a_job_of_any_form(slurm_sim: SlurmSim, on: str) -> None:
    """The job's own size, here memory per CPU, is not that of the job that it submits."""
    command = " ".join([*PI, "--on", on, *JOBS[on], "--memory", "400MiB"])
    words = ("--parsable", "--wait", "--mem-per-cpu=600M", "--ntasks=1", "--output=in.out", f"--wrap={command}")
    slurm_sim.exec("sbatch", *words)
    assert '"ok":true' in slurm_sim.exec("cat", "in.out").stdout


@pytest.mark.parametrize("on", ["slurm", "mpi", "local"])
def test_paths_may_have_blanks_quotes_tildes_variables_and_links(slurm_sim: SlurmSim, on: str) -> None:
    """For logs, spilling and results: nothing is made under a name that was not meant."""
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
    [("--log-directory=$NOWHERE/logs", "NOWHERE, which is not set"), ("--results=~nobody-here", "unknown user")],
)
def test_a_path_that_stands_for_nothing_is_refused(slurm_sim: SlurmSim, option: str, words: str) -> None:
    """Before anything is submitted."""
    done = slurm_sim.exec(*PI, "--on", "slurm", option, check=False)
    assert done.returncode == 2
    assert words in done.stderr


def test_a_variable_that_a_node_lacks_is_named(slurm_sim: SlurmSim) -> None:
    """A node expands its paths by itself."""
    done = slurm_sim.exec(*PI, "--on", "slurm", *JOBS["slurm"], "--local-directory=$NOWHERE/x", check=False)
    assert done.returncode == 1
    assert "NOWHERE: is not set on this node" in done.stderr


PLANNED = """
sbatch -Q --nodelist=c1 --ntasks=1 --mem=100M --time=5 --output=/dev/null --wrap 'sleep infinity'
sbatch -Q --nodes=2 --exclusive --time=5 --output=/dev/null --wrap true
until sinfo -h -N -o %t | grep -q -e 'mix-'; do sleep 0.1; done
"""


def test_nodes_that_are_planned_for_others_are_usable(slurm_sim: SlurmSim) -> None:
    """Slurm's backfill marks them `mix-` and `plnd`; a job that waits for them waits in the queue."""
    slurm_sim.exec("sh", "-c", PLANNED)
    try:
        options = ("--on", "slurm", *JOBS["slurm"], "--memory", "300MiB", "--walltime", "1")
        assert json.loads(slurm_sim.exec(*PI, *options).stdout)["ok"]
        done = slurm_sim.exec(*PI, "--on", "slurm", "--jobs", "2", "--walltime", "30", "--timeout", "3", check=False)
        assert "PENDING" in done.stderr
        assert "no usable node" not in done.stderr
    finally:
        slurm_sim.exec("scancel", "-u", "hpc")
        slurm_sim.exec("sh", "-c", "while squeue -h | grep -q .; do sleep 0.1; done")


def test_a_mistake_in_dasks_settings_is_named(slurm_sim: SlurmSim) -> None:
    """The error lists the user's settings; so does one in a file, and encryption that is both required and left out."""
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
