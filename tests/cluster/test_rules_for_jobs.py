"""doctor and jobqueue-config tell how a site preempts jobs and from where it accepts them, and Slurm does just that."""

from __future__ import annotations

import json
import time

import pytest

from slurm_sim import Job, SlurmSim
from tests.support.jobs import sbatch
from tests.support.waiting import until

TOML = """
[nodes.c]
cpus = 1

[preemption]
by = "partition"
mode = "requeue"

[partitions.high]
priority = 10

[partitions.requeued]
grace_time = 8
submit_from = ["login"]

[partitions.cancelled]
preempt = "cancel"

[partitions.kept]
preempt = "off"
"""
ENDS = "ended with SIGTERM, and SIGKILL 5 s later (KillWait)"
REQUEUED = "partition requeued is preempted by high: a job is put back into the queue after 8 s (GraceTime)"
CANCELLED = "partition cancelled is preempted by high: a job is cancelled"
GRACE, KILL_WAIT = 8, 5
WORKER = """#!/bin/bash
exec python -c "
import pathlib, signal, time
signal.signal(signal.SIGTERM, lambda *_: pathlib.Path('signalled').write_text(str(time.time())))
while True:
    pathlib.Path('beat').write_text(str(time.time()))
    time.sleep(0.1)
"
"""
ADAPT = """
from dask_jobqueue import SLURMCluster
from distributed import Client

if __name__ == "__main__":
    arguments = {"cores": 1, "memory": "500MiB", "walltime": "00:10:00"}
    with SLURMCluster(**arguments) as cluster, Client(cluster) as client:
        cluster.adapt(minimum_jobs=1, maximum_jobs=1)
        client.wait_for_workers(1, timeout=60)
        (lifetime,) = client.run(lambda dask_worker: dask_worker.lifetime).values()
        print(lifetime, flush=True)
        (first,) = client.scheduler_info()["workers"]
        while first in client.scheduler_info()["workers"]:
            time.sleep(0.2)
        client.wait_for_workers(1, timeout=100)
        print(client.submit(sum, [1, 2]).result(), flush=True)
""".replace("from dask_jobqueue", "import time\n\nfrom dask_jobqueue", 1)


@pytest.fixture(scope="module")
def slurm_sim_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The mini-cluster has one CPU, and a partition for each rule."""
    file = tmp_path_factory.mktemp("rules") / "cluster.toml"
    file.write_text(TOML)
    return {"config": file}


def login(sim: SlurmSim) -> str:
    """Return the names of the login node, as Slurm shows them."""
    return f"login,{sim.name}-login-1"


def doctor(sim: SlurmSim, partition: str) -> dict[str, tuple[str, str]]:
    """Return the status and the text of each check."""
    done = sim.exec("dask-hpc", "doctor", "--json", "--no-job", "--partition", partition, timeout=100)
    return {one["check"]: (one["status"], one["seen"]) for one in json.loads(done.stdout)["checks"]}


@pytest.mark.parametrize(
    ("partition", "status", "seen"),
    [
        ("requeued", "warning", f"{REQUEUED}; it is {ENDS}"),
        ("cancelled", "warning", f"{CANCELLED}; it is {ENDS}"),
        ("kept", "ok", f"none in kept; jobs are {ENDS}"),
        ("high", "ok", f"none in high; jobs are {ENDS}"),
    ],
)
def test_doctor_tells_preemption(slurm_sim: SlurmSim, partition: str, status: str, seen: str) -> None:
    """The outcome, the grace time and the time to end are the partition's and the site's."""
    assert doctor(slurm_sim, partition)["preemption"] == (status, seen)


def test_job_ends_as_doctor_tells(slurm_sim: SlurmSim) -> None:
    """A batch job continues without a signal for the grace time; then it has KillWait, and waits in the queue again."""
    low = sbatch(slurm_sim, "--partition=requeued", stdin=WORKER)
    until(lambda: slurm_sim.exec("test", "-e", "beat", check=False).returncode == 0, "the job's first output")
    start = time.time()
    high = preempt(slurm_sim, "sleep 1")
    until(lambda: low.state == "PENDING", f"requeuing of job {low.id}")
    low.cancel()
    high.wait(60)
    signalled, last = (float(slurm_sim.exec("cat", file).stdout) for file in ("signalled", "beat"))
    assert signalled - start > GRACE - 1
    assert KILL_WAIT - 1.5 < last - signalled < KILL_WAIT + 5
    slurm_sim.exec("rm", "signalled", "beat")


def preempt(sim: SlurmSim, command: str) -> Job:
    """Return a job that takes the CPU."""
    return sbatch(sim, "--partition=high", f"--wrap={command}")


def test_nodes_may_submit_as_doctor_tells(slurm_sim: SlurmSim) -> None:
    """doctor warns about the partition that accepts no jobs from its nodes; sbatch in a job has the same answers."""
    answers = {name: doctor(slurm_sim, name)["sbatch on nodes"] for name in ("requeued", "cancelled")}
    assert answers["requeued"] == ("warning", f"requeued accepts jobs only from {login(slurm_sim)} (AllocNodes)")
    assert answers["cancelled"] == ("ok", "allowed in cancelled")
    for name, (status, _) in answers.items():
        nested = ("srun", "--partition=high", "sbatch", "--test-only", f"--partition={name}", "--wrap=true")
        done = slurm_sim.exec(*nested, check=False, timeout=60)
        assert (done.returncode == 0) == (status == "ok"), done.stderr


def test_slurmcluster_replaces_preempted_job(slurm_sim: SlurmSim) -> None:
    """With jobqueue-config's file, the worker ends before its wall time, and adapt() replaces a preempted job."""
    output = slurm_sim.exec("dask-hpc", "jobqueue-config", "--output", "-", "--no-job", timeout=150).stdout
    for line in (
        REQUEUED,
        CANCELLED,
        f"jobs are {ENDS}",
        f"partition requeued accepts jobs only from {login(slurm_sim)} (AllocNodes)",
    ):
        assert f"#   {line}\n" in output
    slurm_sim.exec("dask-hpc", "jobqueue-config", "--no-job", "--partition", "cancelled", timeout=150)
    slurm_sim.exec("sh", "-c", "cat >adapt.py", stdin=ADAPT)
    slurm_sim.exec("sh", "-c", "python adapt.py >adapt.txt 2>&1 &")
    until(lambda: "." in slurm_sim.exec("cat", "adapt.txt").stdout, "the first worker")
    preempt(slurm_sim, "sleep 1")
    until(lambda: len(slurm_sim.exec("cat", "adapt.txt").stdout.split()) == 2, "the second worker")
    lifetime, total = slurm_sim.exec("cat", "adapt.txt").stdout.split()
    assert 500 < float(lifetime) < 600
    assert total == "3"
