"""A Dask cluster at a site that limits jobs, and where Slurm forgets ended jobs soon."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim
from tests.support.kept import STRICT, right_answers
from tests.support.waiting import until_in

pytestmark = [
    pytest.mark.slurm_sim(accounting=True, nodes=2, scope="module", slurm_conf={"MinJobAge": 2, "KillWait": 2}),
    pytest.mark.timeout(250),
]


def sacctmgr(sim: SlurmSim, *arguments: str) -> None:
    """Change the accounting, and return when the controller knows of it."""
    sim.exec("sacctmgr", "--immediate", *arguments, on="slurmctld", user="root", timeout=60)


def test_limit_on_submitted_jobs_is_waited_out(slurm_sim: SlurmSim) -> None:
    """While sbatch accepts no more jobs, the work goes on with those that there are; it says so once."""
    with right_answers(slurm_sim) as running:
        job = running.jobs()[0]
        sacctmgr(slurm_sim, "modify", "user", "hpc", "set", "MaxSubmitJobs=1")
        slurm_sim.exec("scancel", job)
        running.until_said("^sbatch accepts no job now, trying again: .*")
        sacctmgr(slurm_sim, "modify", "user", "hpc", "set", "MaxSubmitJobs=-1")
        running.until_said(f"^Job {job} on c[12] was cancelled; job [0-9]+ takes its place")
    assert running.log().count("sbatch accepts no job now") == 1


BROKEN = """
mkdir -p broken && rm -f broken/now
real=$(command -v squeue)
printf '#!/bin/sh\\n[ ! -e ~/broken/now ] || exit 1\\nexec %s "$@"\\n' "$real" >broken/squeue
chmod +x broken/squeue
"""


def test_end_of_forgotten_job_is_looked_up(slurm_sim: SlurmSim) -> None:
    """If squeue fails until Slurm has forgotten the job, its end comes from the accounting."""
    slurm_sim.exec("sh", "-c", BROKEN)
    with right_answers(slurm_sim, env=STRICT | {"PATH": "$HOME/broken:$PATH"}) as running:
        job = running.jobs()[0]
        slurm_sim.exec("touch", "broken/now")
        slurm_sim.exec("scancel", job)
        until_in(slurm_sim, f"! scontrol show job {job}")
        slurm_sim.exec("rm", "broken/now")
        running.until_said(f"^Job {job} on c[12] was cancelled; job [0-9]+ takes its place")
