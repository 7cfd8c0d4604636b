"""PSI/J: jobs through its portable interface: states, ranks on two nodes, cancelling, and attaching to jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.clients import Client

# Its own mini-cluster: it asks for all jobs of the user, and fails its own ones when another ended with a reason that
# it does not know, such as RaisedSignal.
OWN = pytest.mark.slurm_sim(nodes=2, cpus_per_node=4, gpus_per_node="a100:2", accounting=True, scope="module")
pytestmark = [OWN, pytest.mark.timeout(900)]

DRIVER = """
import json
from datetime import timedelta
from pathlib import Path

from psij import Job, JobAttributes, JobExecutor, JobSpec, JobState, ResourceSpecV1
from psij.executors.batch.slurm import SlurmExecutorConfig

# by default, it asks for states every 30 s
executor = JobExecutor.get_instance("slurm", config=SlurmExecutorConfig(queue_polling_interval=1))
HERE = Path.cwd()

def submit(name, *command, **how):
    ranks = how.pop("resources", ResourceSpecV1(process_count=1, memory=200 << 20))
    spec = JobSpec(command[0], list(command[1:]), resources=ranks, stdout_path=HERE / f"{name}.out", **how)
    spec.attributes = JobAttributes(queue_name="general", account="hpc", duration=timedelta(minutes=5))
    job = Job(spec)
    job.set_job_status_callback(lambda job, status: seen.setdefault(job.native_id, []).append(status.state.name))
    executor.submit(job)
    return job

seen = {}
two = ResourceSpecV1(node_count=2, processes_per_node=2, gpu_cores_per_process=1)
hello = submit("hello", "printenv", "GREETING", environment={"GREETING": "hello"})
ranks = submit("ranks", "sh", "-c", "echo $(hostname) $CUDA_VISIBLE_DEVICES", resources=two, launcher="srun")
fails = submit("fails", "sh", "-c", "exit 3")
endless = submit("endless", "tail", "-f", "/dev/null")
endless.wait(target_states=[JobState.ACTIVE])
attached = Job()
other = JobExecutor.get_instance("slurm", config=SlurmExecutorConfig(queue_polling_interval=1))
other.attach(attached, endless.native_id)
active = attached.wait(target_states=[JobState.ACTIVE])
listed = endless.native_id in executor.list()
endless.cancel()

ends = {}
for name, job in (("hello", hello), ("ranks", ranks), ("fails", fails), ("endless", endless), ("attached", attached)):
    status = job.wait()
    ends[name] = status.state.name, status.exit_code
print(json.dumps({
    "ends": ends,
    "hello": Path("hello.out").read_text(),
    "ranks": sorted(Path("ranks.out").read_text().splitlines()),
    "attached": active.state.name,
    "listed": listed,
    "states": seen[endless.native_id],
}))
"""


@pytest.fixture(scope="module")
def found(client: Client) -> dict[str, Any]:
    """Output and end of each job."""
    ends: dict[str, Any] = json.loads(client.python(DRIVER))
    return ends


def test_psij_runs_jobs(found: dict[str, Any]) -> None:
    """Jobs end with their exit status, and have their environment, account and partition."""
    assert found["hello"] == "hello\n"
    assert found["ends"]["hello"] == ["COMPLETED", 0]
    assert found["ends"]["fails"] == ["FAILED", 3]


def test_psij_runs_ranks_with_gpus(found: dict[str, Any]) -> None:
    """Two ranks run on each of two nodes, each with a GPU."""
    assert found["ends"]["ranks"] == ["COMPLETED", 0]
    assert [line.split()[0] for line in found["ranks"]] == ["c1", "c1", "c2", "c2"]
    assert {line.split()[1] for line in found["ranks"]} == {"0", "1"}


def test_psij_attaches_to_job_and_cancels_it(found: dict[str, Any]) -> None:
    """A second executor follows a job by its ID; a cancelled job ends as such in both."""
    assert (found["listed"], found["attached"]) == (True, "ACTIVE")
    assert found["states"] == ["QUEUED", "ACTIVE", "CANCELED"]
    assert found["ends"]["endless"] == found["ends"]["attached"] == ["CANCELED", None]
