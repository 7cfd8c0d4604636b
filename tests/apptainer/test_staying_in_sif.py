"""A cluster that stays, from the SIF: its scheduler outlives the launcher that started it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support.launcher import COMMAND, install, left
from tests.support.staying import ANSWER, RIGHT, WAITING, begin, cluster, output, program, status, staying
from tests.support.waiting import until, until_in

TOML = """
[nodes.c]
count = 2

[slurm]
KillWait = 30  # as at most sites: on a busy machine, a clean-up takes longer than 5 s

[partitions.general]
default = true

[partitions.closed]
submit_from = ["login"]
"""

pytestmark = [pytest.mark.slurm_sim(scope="module"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def slurm_sim_options(tmp_path_factory: pytest.TempPathFactory, sif: Path) -> dict[str, Any]:
    """Bare nodes; those of one partition may not submit jobs to it."""
    path = tmp_path_factory.mktemp("staying") / "cluster.toml"
    path.write_text(TOML)
    return {"config": path, "bare": True, "sif": sif}


@pytest.mark.parametrize(
    ("partition", "where", "end"),
    [
        ("general", r"job \d+ on c\d", "scancel --name $(squeue -h -o %j | grep scheduler)"),
        ("closed", r"process \d+ on login", "pkill -TERM -f '[c]luster serve'"),
    ],
)
def test_outlives_its_launcher(slurm_sim: SlurmSim, shared: str, partition: str, where: str, end: str) -> None:
    """Programs in the SIF attach to it; at its end, they learn the cause, and nothing is left."""
    install(slurm_sim)
    how = {"command": f"env DASK_HPC_SIF={shared} {COMMAND}"}
    python = f"env DASK_HPC_SIF={shared} {COMMAND} exec python"
    with staying(slurm_sim, "--jobs", "1", "--partition", partition, **how) as started:
        assert re.search(rf"The cluster mine runs: {where}\.", started.stdout)
        assert ("may not submit jobs here" in started.stderr) == (partition == "closed")
        assert program(slurm_sim, ANSWER, python=python).stdout == RIGHT
        cluster(slurm_sim, "scale", "mine", "2", **how)
        until(lambda: status(slurm_sim, **how)["workers"] == 2, "two workers")
        begin(slurm_sim, WAITING, python=python)
        slurm_sim.exec("sh", "-c", end)
        assert re.search(r"ClusterError: The Dask cluster 'mine' ended: its scheduler", text := output(slurm_sim)), text
        until_in(slurm_sim, '[ -z "$(squeue -h)" ]')
    assert left(slurm_sim) == ""
