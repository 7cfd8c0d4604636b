"""The tutorial's notebook without Jupyter: its text source is a script, which the SIF contains."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim
from tests.support.launcher import install, launch, left

SCRIPT = "/opt/env/share/dask-hpc/workloads/tutorial.py"


@pytest.mark.timeout(600)  # may build the SIF
def test_notebook_runs_as_script(bare: SlurmSim, shared: str) -> None:
    """The script runs from start to end on bare nodes, in Slurm jobs, and leaves nothing behind."""
    install(bare)
    done = launch(bare, shared, "exec", "python", SCRIPT, timeout=200)
    assert "762.94 MiB in all, 106.81 MiB in this block" in done.stdout
    assert "the eigenvalues of A² are the squares of A's" in done.stdout
    assert done.stderr.count("Sending large graph") == 1
    assert "#SBATCH" in done.stdout
    assert left(bare) == ""
