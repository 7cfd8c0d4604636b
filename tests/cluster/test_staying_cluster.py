"""A cluster that stays: started, used, scaled and ended as users do."""

from __future__ import annotations

import json
import re
import shlex
import subprocess

import pytest

from slurm_sim import SlurmSim
from tests.support.browser import Browser
from tests.support.staying import ANSWER, LEFT, RIGHT, SMALL, WAITING, begin, cluster, output, program, status, staying
from tests.support.waiting import left_after_a_minute, until, until_in

pytestmark = [
    pytest.mark.slurm_sim(scope="module", nodes=3, ssh=True, users=["other"], slurm_conf={"KillWait": "5"}),
    pytest.mark.timeout(300),
]


def test_outlives_what_started_it(slurm_sim: SlurmSim) -> None:
    """The scheduler is a job; programs attach by the name, one after the other; at the end, nothing is left."""
    with staying(slurm_sim, "--jobs", "2") as started:
        assert re.search(r"The cluster mine runs: job \d+ on c\d\.", started.stdout)
        assert program(slurm_sim, ANSWER).stdout == RIGHT
        assert program(slurm_sim, ANSWER, on="c2").stdout == RIGHT
        found = status(slurm_sim)
        assert (found["state"], found["target"], found["clients"]) == ("running", [2, 2], 0)
        listed = json.loads(cluster(slurm_sim, "list", "--json").stdout)
        assert [(one["name"], one["state"]) for one in listed] == [("mine", "running")]
        assert slurm_sim.exec("stat", "-c", "%a", ".dask-hpc/clusters/mine").stdout == "700\n"
        assert "The scheduler listens at tls://" in cluster(slurm_sim, "logs", "mine").stdout
    assert "You have no clusters" in cluster(slurm_sim, "list").stdout


def test_second_of_that_name_is_refused(slurm_sim: SlurmSim) -> None:
    """The error says where the first one runs."""
    with staying(slurm_sim, "--jobs", "1"):
        second = cluster(slurm_sim, "start", "mine", *SMALL, check=False)
        assert second.returncode == 2
        assert "A Dask cluster 'mine' is already running." in second.stderr
        assert program(slurm_sim, ANSWER).stdout == RIGHT


def test_scales_and_runs_workloads(slurm_sim: SlurmSim) -> None:
    """`scale` changes the number of jobs, a range follows the work, and `--on` runs a workload."""
    with staying(slurm_sim, "--jobs", "1"):
        cluster(slurm_sim, "scale", "mine", "3")
        until(lambda: status(slurm_sim)["workers"] == 3, "three workers")
        run = ("dask-hpc", "run", "monte-carlo-pi", "--on", "mine", "--samples", "1e6", "--json")
        result = json.loads(slurm_sim.exec(*run).stdout)
        assert (result["cluster"]["kind"], result["cluster"]["workers"]) == ("mine", 3)
        cluster(slurm_sim, "scale", "mine", "0-2")
        until(lambda: status(slurm_sim)["workers"] == 0, "no worker", timeout=120)
        assert program(slurm_sim, ANSWER).stdout == RIGHT
        assert status(slurm_sim)["state"] == "running"


def test_python_scales_it(slurm_sim: SlurmSim) -> None:
    """`cluster(on="mine")` gives a cluster that can be scaled, and goes on."""
    text = """
from dask_hpc import cluster
with cluster(on="mine") as dask_cluster:
    dask_cluster.scale(jobs=2)
    dask_cluster.client.wait_for_workers(2)
    print(dask_cluster.client.submit(sum, [1, 2]).result())
"""
    with staying(slurm_sim, "--jobs", "1"):
        assert program(slurm_sim, text).stdout.splitlines()[-1] == "3"
        assert status(slurm_sim)["workers"] == 2


def test_client_that_dies(slurm_sim: SlurmSim) -> None:
    """Its published results are kept, the rest is dropped, and the cluster goes on."""
    text = """
import os, signal, time
from pathlib import Path
import dask_hpc
client = dask_hpc.attach("mine")
kept = client.submit(sum, [1, 2, 3], pure=False)
client.publish_dataset(kept=kept)
dropped = client.map(time.sleep, [0.01] * 50, pure=False)
client.gather([kept, *dropped])
Path("at-work").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""
    again = """
import dask_hpc
with dask_hpc.attach("mine") as client:
    print(client.list_datasets(), client.get_dataset("kept").result())
"""
    with staying(slurm_sim, "--jobs", "1"):
        begin(slurm_sim, text)
        output(slurm_sim)
        until(lambda: status(slurm_sim)["tasks"] == {"memory": 1}, "only the published result")
        assert status(slurm_sim)["published"] == ["kept"]
        assert program(slurm_sim, again).stdout == "('kept',) 6\n"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("scancel --name $(squeue -h -o %j | grep scheduler)", r"ended: its scheduler, job \d+, was cancelled"),
        ("dask-hpc cluster stop mine", "was stopped"),
        ("rm -rf .dask-hpc/clusters/mine", "was stopped: its folder was removed"),
        ("python -c 'import dask_hpc; dask_hpc.attach(\"mine\").shutdown()'", "was shut down by a client"),
    ],
    ids=["scancel", "stop", "folder", "shutdown"],
)
def test_end_is_an_error_with_its_cause(slurm_sim: SlurmSim, end: str, said: str) -> None:
    """A program that waits for a result learns why the cluster ended, and no job is left."""
    with staying(slurm_sim, "--jobs", "1"):
        begin(slurm_sim, WAITING)
        slurm_sim.exec("sh", "-c", end)
        text = output(slurm_sim)
        assert re.search(rf"ClusterError: The Dask cluster 'mine' {said}\.$", text, re.MULTILINE), text
        until_in(slurm_sim, '[ -z "$(squeue -h)" ]')


def test_node_of_the_scheduler_is_lost(slurm_sim: SlurmSim) -> None:
    """The clients learn it, the worker jobs end, and what is left is named as such and can be replaced."""
    with staying(slurm_sim, "--jobs", "1"):
        begin(slurm_sim, WAITING)
        node = slurm_sim.exec("sh", "-c", "squeue -h -o '%N %j' | awk '/scheduler/ {print $1}'").stdout.strip()
        slurm_sim.fault("node-lost", node)
        text = output(slurm_sim)
        assert re.search(r"ClusterError: The Dask cluster 'mine' (ended: its scheduler|does not answer)", text), text
        until(lambda: status(slurm_sim)["state"] == "ended", "its end", timeout=150)
        slurm_sim.fault("heal", node)
        lost = program(slurm_sim, ANSWER, check=False)
        assert re.search(r"ClusterError: The Dask cluster 'mine' ended: its scheduler, job \d+, ", lost.stderr)
        again = cluster(slurm_sim, "start", "mine", "--jobs", "1", *SMALL)
        assert "The earlier cluster mine ended: its scheduler, job " in again.stdout
        assert program(slurm_sim, ANSWER).stdout == RIGHT


def test_ends_when_it_is_idle(slurm_sim: SlurmSim) -> None:
    """Without work, it ends by itself, with its jobs and its folder."""
    cluster(slurm_sim, "start", "mine", "--jobs", "1", "--idle-timeout", "1", *SMALL)
    assert program(slurm_sim, ANSWER).stdout == RIGHT
    until_in(slurm_sim, "[ ! -e .dask-hpc/clusters/mine ]")
    assert left_after_a_minute(slurm_sim, LEFT) == ""
    gone = program(slurm_sim, ANSWER, check=False)
    assert "There is no Dask cluster 'mine'." in gone.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("start", "a b"), "A Dask cluster cannot be called 'a b'."),
        (("start", "slurm"), "A Dask cluster cannot be called 'slurm'."),
        (("start", "mine", "--scheduler-walltime", "9-0"), "The scheduler cannot run for 9-00:00:00."),
        (("start", "mine", "--jobs", "1", "--scheduler-sbatch-option=--constraint=none"), "sbatch rejected the job."),
        (("status", "mien"), "There is no Dask cluster 'mien'."),
        (("scale", "mine", "x"), "'x' is not a number"),
        (("start", "mine", "--no-tls"), "No such option"),
    ],
)
def test_mistakes(slurm_sim: SlurmSim, words: tuple[str, ...], said: str) -> None:
    """The error says what to do, and nothing is left."""
    done = cluster(slurm_sim, *words, check=False)
    assert done.returncode in {1, 2}
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert left_after_a_minute(slurm_sim, LEFT) == ""


def test_dashboard_by_way_of_the_login_node(slurm_sim: SlurmSim, browser: Browser) -> None:
    """The printed ssh line opens the dashboard on this machine, and no other user can reach it on the way."""
    with staying(slurm_sim, "--jobs", "1"):
        printed = cluster(slurm_sim, "dashboard", "mine", "--port", "18787").stdout
        line = next(text for text in printed.splitlines() if text.startswith("  ssh -t "))
        words = shlex.split(line.replace("hpc@login", "login").replace("-t ", f"-F {slurm_sim.ssh_config()} ", 1))
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as ssh:
            try:
                assert ssh.stdout
                assert "is forwarded" in ssh.stdout.readline()
                browser.open("http://localhost:18787/status")
                browser.wait_for("return document.querySelectorAll('.bk-Figure').length > 0 || Bokeh.documents.length")
                browser.wait_for("return Bokeh.documents.length > 0 && Bokeh.documents.every((one) => one.is_idle)")
                assert len(browser.canvases()) > 3
                path = re.search(r"18787:(\S+) ", line)
                assert path
                reach = f"curl -s --unix-socket {path[1]} http://x/status"
                assert slurm_sim.exec("sh", "-c", reach, user="other", check=False).returncode != 0
                node = status(slurm_sim)["where"].rpartition(" ")[2]
                found = json.loads(slurm_sim.exec("cat", ".dask-hpc/clusters/mine/address.json").stdout)
                port = found["dashboard"][1]
                nothing = slurm_sim.exec("curl", "-sk", f"https://{node}:{port}/status", user="other", check=False)
                assert nothing.stdout == ""
            finally:
                ssh.terminate()
