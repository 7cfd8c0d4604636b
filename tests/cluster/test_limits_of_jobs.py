"""A Dask cluster at a site that limits jobs, and where Slurm forgets ended jobs soon."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim
from slurm_sim._slurm import AWAIT_ACCOUNTING
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.kept import right_answers

pytestmark = [
    pytest.mark.slurm_sim(accounting=True, nodes=2, scope="module", slurm_conf={"MinJobAge": 2, "KillWait": 2}),
    pytest.mark.timeout(250),
]


def sacctmgr(sim: SlurmSim, *arguments: str) -> None:
    """Change the accounting, and return when the controller knows of it."""
    sim.exec("sacctmgr", "--immediate", *arguments, on="slurmctld", user="root", timeout=60)


def test_limit_on_submitted_jobs_is_waited_out(slurm_sim: SlurmSim) -> None:
    """While sbatch accepts no more jobs, the work goes on with those that there are; it says so once."""
    assert AWAIT_ACCOUNTING
    sacctmgr(slurm_sim, "modify", "user", "hpc", "set", "MaxSubmitJobs=2")
    with right_answers(slurm_sim) as running:
        job = running.jobs()[0]
        blocking = None
        slurm_sim.exec("scancel", job)
        while blocking is None:
            blocking = sbatch(slurm_sim, "--partition=general", f"--wrap={FOR_EVER}", "--hold")
        running.until_said("^sbatch accepts no job now, trying again: .*")
        blocking.cancel()
        running.until_said(f"^Job {job} on c[12] was cancelled; job [0-9]+ takes its place")
    sacctmgr(slurm_sim, "modify", "user", "hpc", "set", "MaxSubmitJobs=-1")
    assert running.log().count("sbatch accepts no job now") == 1
