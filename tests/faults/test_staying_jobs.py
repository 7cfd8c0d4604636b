"""Worker jobs of a cluster that stays end while they are needed; the scheduler's job reaches its wall time."""

from __future__ import annotations

import re

import pytest

from slurm_sim import SlurmSim
from tests.support.kept import STRICT
from tests.support.staying import ATTACHED, begin, output, staying
from tests.support.waiting import until_in

pytestmark = [pytest.mark.slurm_sim(scope="module", nodes=3, slurm_conf={"KillWait": "2"}), pytest.mark.timeout(300)]

LOG = ".dask-hpc/clusters/mine/scheduler.log"


@pytest.mark.parametrize(
    ("options", "event", "said"),
    [
        (("--jobs", "2"), "scancel $(squeue -h -o '%A %j' | grep -v scheduler | cut -d' ' -f1)", "was cancelled"),
        (("--jobs", "1-2"), "scancel $(squeue -h -o '%A %j' | grep -v scheduler | cut -d' ' -f1)", "was cancelled"),
        (("--jobs", "1", "--walltime", "1"), "true", "retires before its wall time ends"),
    ],
    ids=["cancelled", "cancelled-adaptive", "wall-time"],
)
def test_worker_jobs_are_replaced(slurm_sim: SlurmSim, options: tuple[str, ...], event: str, said: str) -> None:
    """The answers of a program that is attached are right, no task is blamed, and nothing is left."""
    with staying(slurm_sim, *options, env=STRICT):
        slurm_sim.exec("rm", "-f", "enough")
        begin(slurm_sim, ATTACHED)
        slurm_sim.exec("sh", "-c", event)
        until_in(slurm_sim, f"grep -q '{said}; job [0-9]* takes its place' {LOG} || [ -e ended ]")
        slurm_sim.exec("touch", "enough")
        text = output(slurm_sim)
        assert re.search(r"^right: [1-9]", text, re.MULTILINE), text


@pytest.mark.soak(only=True)  # a wall time of a minute
def test_scheduler_reaches_its_wall_time(slurm_sim: SlurmSim) -> None:
    """The program that is attached learns it, and all jobs end."""
    with staying(slurm_sim, "--jobs", "1", "--scheduler-walltime", "1"):
        slurm_sim.exec("rm", "-f", "enough")
        begin(slurm_sim, ATTACHED)
        text = output(slurm_sim)
        assert re.search(r"'mine' ended: its scheduler, job \d+, reached its wall time\.$", text, re.MULTILINE), text
        until_in(slurm_sim, '[ -z "$(squeue -h)" ]')
