"""In a SIF, the launcher runs jobs as planned, with unusual paths and the user's own Slurm variables."""

from __future__ import annotations

import json

import pytest

from slurm_sim import SlurmSim
from tests.support.launcher import COMMAND, install

pytestmark = pytest.mark.timeout(300)

MAKE = "rm -rf paths && mkdir -p 'paths/my images' && ln -s {sif} 'paths/my images/a b.sif'"
VARIABLES = ("SBATCH_JOB_NAME=mine", "SQUEUE_STATES=SUSPENDED", "SLURM_CLUSTERS=nowhere", "SBATCH_TIMELIMIT=1")


@pytest.mark.parametrize("on", ["slurm", "mpi"])
def test_runs_as_planned_with_odd_paths_and_variables(bare: SlurmSim, shared: str, on: str) -> None:
    """Paths may contain spaces, a missing spill folder is created on a node, and Slurm's variables change nothing."""
    install(bare)
    bare.exec("sh", "-c", MAKE.format(sif=shared))
    options = ["--log-directory=~/paths/my logs", "--local-directory=$HOME/paths/sp ill", "--results=~/paths/re sults"]
    run = [
        COMMAND,
        "--sif=~/paths/my images/a b.sif",
        "run",
        "monte-carlo-pi",
        "--samples",
        "1e6",
        "--on",
        on,
        "--json",
    ]
    done = bare.exec("env", *VARIABLES, *run, *options, "--sbatch-option=--comment=two words", timeout=250)
    result = json.loads(done.stdout)
    assert result["ok"]
    assert result["cluster"]["settings"]["walltime"] == "00:10:00"
    job = bare.exec("scontrol", "show", "job", result["cluster"]["jobs"][0]["id"]).stdout
    assert "JobName=dask-hpc-" in job
    assert "TimeLimit=00:10:00" in job
    assert "Comment=two words" in job
    made = bare.exec("ls", "paths").stdout.splitlines()
    assert made == ["my images", "my logs", "re sults", "sp ill"]
    assert bare.exec("squeue", "-h").stdout == ""
