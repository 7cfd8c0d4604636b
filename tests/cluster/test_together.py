"""All roles in one mini-cluster, over bare nodes and beside JupyterLab."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from slurm_sim import SlurmSim
from slurm_sim._slurm import AWAIT_ACCOUNTING

EVERYTHING = {
    "nodes": 2,
    "accounting": True,
    "users": ["alice"],
    "ssh": True,
    "rest": True,
    "gpus_per_node": "a100:2",
    "partitions": ["debug:nodes=1,time=10"],
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["bare", "jupyter"])
def test_all_roles_work_together(slurm_sim_factory: Callable[..., SlurmSim], kind: str) -> None:
    """A user logs in by ssh and runs a job with a GPU, which accounting has; it works on after faults and `scale`."""
    sim = slurm_sim_factory(**{kind: True}, **EVERYTHING)
    sim.scale(3)
    for fault in ("dbd-lost", "controller-lost"):
        sim.fault(fault)
    sim.fault("heal")
    sim.fault("node-lost", "c3")
    sim.fault("heal", "c3")
    job = "srun --nodes=3 --gpus-per-node=a100:1 sh -c 'echo $CUDA_VISIBLE_DEVICES'"
    ssh = ["ssh", "-F", str(sim.ssh_config()), "alice@login", job]
    said = subprocess.run(ssh, capture_output=True, text=True, timeout=60, check=False)
    assert said.stdout.split() == ["0", "0", "0"], said.stderr
    sim.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=60)
    shown = sim.exec("sacct", "-nXP", "--format=user,state,alloctres", user="alice").stdout
    assert shown.startswith("alice|COMPLETED|")
    assert "gres/gpu:a100=3" in shown
    assert sim.rest().versions
    assert len(sim.token("alice").split(".")) == 3
    if kind == "jupyter":
        assert sim.jupyter().address.startswith("http://127.0.0.1:")
