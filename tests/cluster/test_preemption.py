"""Preemption by the priority of partitions, which needs no accounting; test_accounting.py has preemption by QOS."""

from __future__ import annotations

import pytest

from slurm_sim import Job, SlurmSim
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.waiting import until

TOML = """
[nodes.c]
cpus = 1

[preemption]
by = "partition"
mode = "suspend"

[partitions.high]
priority = 10

[partitions.suspended]
priority = 1
preempt = "suspend"

[partitions.requeued]
priority = 1
preempt = "requeue"

[partitions.cancelled]
priority = 1
preempt = "cancel"
"""


@pytest.fixture(scope="module")
def slurm_sim_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The mini-cluster has one CPU, and a partition for each way to preempt a job."""
    file = tmp_path_factory.mktemp("preemption") / "cluster.toml"
    file.write_text(TOML)
    return {"config": file}


def running(sim: SlurmSim, partition: str) -> Job:
    """Return a job that runs in a partition, and ends only when it is told to."""
    job = sbatch(sim, f"--partition={partition}", f"--wrap={FOR_EVER}")
    job.wait_until_running(60)
    return job


@pytest.mark.parametrize("partition", ["suspended", "requeued", "cancelled"])
def test_higher_partition_takes_the_cpu(slurm_sim: SlurmSim, partition: str) -> None:
    """The job in the lower partition makes room as its partition says; unless cancelled, it runs again afterwards."""
    low = running(slurm_sim, partition)
    high = running(slurm_sim, "high")
    states = {"suspended": "SUSPENDED", "requeued": "PENDING", "cancelled": "PREEMPTED"}
    until(lambda: low.state == states[partition], f"{states[partition]}: job {low.id}")
    assert high.state == "RUNNING"
    high.cancel()
    high.wait(60)
    if partition != "cancelled":
        until(lambda: low.state == "RUNNING", f"the end of job {low.id}'s preemption")
