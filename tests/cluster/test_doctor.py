"""`dask-hpc doctor` on a real Slurm: silent about what is well, and right about what is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from slurm_sim import SlurmSim

DOCTOR = ("dask-hpc", "doctor", "--json")
ENV = "/opt/env/share/dask-hpc/env.json"


def examined(sim: SlurmSim, *command: str, **options: Any) -> tuple[int, dict[str, dict[str, str]]]:
    """Run doctor, and return its status and its findings by check."""
    done = sim.exec(*(command or DOCTOR), check=False, timeout=100, **options)
    assert "Traceback" not in done.stderr, done.stderr
    answer = json.loads(done.stdout)
    found = {one["check"]: one for one in answer["checks"]}
    failures = [one for one in found.values() if one["status"] == "failure"]
    assert answer["failures"] == len(failures) == done.returncode, done.stdout
    return done.returncode, found


def troubles(found: dict[str, dict[str, str]]) -> dict[str, str]:
    """The checks that are not ok, and how they are."""
    return {name: one["status"] for name, one in found.items() if one["status"] != "ok"}


def test_a_healthy_mini_cluster(slurm_sim: SlurmSim) -> None:
    """On the login node all is ok, both nodes have answered, and nothing is left behind."""
    status, found = examined(slurm_sim)
    assert troubles(found) == {}, found
    assert status == 0
    assert found["nodes"]["seen"] == "c1 c2 answered"
    assert found["sbatch"]["seen"] == "directly, /usr/bin/sbatch"
    assert found["MPI ranks"]["seen"].startswith("srun --mpi=pmix on c1 c2: 2 ranks")
    assert "reached from c1 c2" in found["interface"]["seen"]
    assert "pmix_v5" in found["PMIx"]["seen"]
    assert found["PMIx fences"]["seen"] == "ring"
    assert found["shared folders"]["seen"] == "/home/hpc on c1 c2"
    assert "dask-hpc-doctor" not in slurm_sim.exec("ls", "-a").stdout
    assert slurm_sim.exec("squeue", "-h").stdout == ""


def test_one_screen_for_people(slurm_sim: SlurmSim) -> None:
    """The table has a line a check and ends in the counts; it fits a screen, and has no colours in a pipe."""
    done = slurm_sim.exec("dask-hpc", "doctor", timeout=60)
    lines = done.stdout.splitlines()
    assert lines[0] == "dask-hpc doctor on a login node"
    assert lines[-1].startswith("0 failures, 0 warnings, ")
    assert len(lines) <= 24
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_fences_that_do_not_hold(slurm_sim: SlurmSim) -> None:
    """Fences with which MPI_Init may crash are a warning, which says what to type."""
    _, found = examined(slurm_sim, env={"SLURM_PMIX_FENCE": "tree"})
    assert troubles(found) == {"PMIx fences": "warning"}
    assert "SLURM_PMIX_FENCE=ring" in found["PMIx fences"]["todo"]


def test_in_an_allocation(slurm_sim: SlurmSim) -> None:
    """In a job of two nodes a step looks at them; one CPU of two is a warning, since Dask would take both."""
    script = f"#!/bin/bash\n{' '.join(DOCTOR)} >doctor.json"
    slurm_sim.exec("sbatch", "-N2", "--ntasks-per-node=1", "--wait", stdin=script, timeout=100)
    found = {one["check"]: one for one in json.loads(slurm_sim.exec("cat", "doctor.json").stdout)["checks"]}
    slurm_sim.exec("rm", "doctor.json")
    assert found["nodes"]["seen"] == "c1 c2 answered"
    assert "2 ranks" in found["MPI ranks"]["seen"]
    assert found["CPUs"]["seen"] == "Slurm gave 1, Dask would take 2"
    assert set(troubles(found).values()) <= {"warning"}


@pytest.mark.parametrize(("mpi", "status"), [("none", "failure"), ("pmix", "ok")])
def test_ranks_against_tasks(slurm_sim: SlurmSim, mpi: str, status: str) -> None:
    """Under srun doctor is a rank itself: one of them speaks, and says whether all four are there."""
    _, found = examined(slurm_sim, "srun", f"--mpi={mpi}", "-n4", *DOCTOR, "--no-job")
    assert found["MPI ranks"]["status"] == status
    assert ("4 ranks" if status == "ok" else "srun --mpi=none") in found["MPI ranks"]["seen"]
    assert troubles(found).get("MPI ranks", "ok") == status


def test_a_folder_that_only_the_login_node_has(slurm_sim: SlurmSim) -> None:
    """/tmp is every node's own: not shared, on both nodes; a missing folder is named as well."""
    status, found = examined(slurm_sim, *DOCTOR, "--folder", "/tmp")
    assert status == 1
    assert found["shared folders"]["seen"] == "not shared: /tmp is another folder on c1 c2"
    slurm_sim.exec("mkdir", "-p", "/tmp/only-here")
    _, found = examined(slurm_sim, *DOCTOR, "--folder", "/tmp/only-here", workdir="/tmp")
    assert "/tmp/only-here is not on c1 c2" in found["shared folders"]["seen"]


def test_a_folder_that_cannot_be_written(slurm_sim: SlurmSim) -> None:
    """A working directory without the right to write is a failure, and says which."""
    slurm_sim.exec("sh", "-c", "mkdir -p locked && chmod 500 locked")
    status, found = examined(slurm_sim, workdir="/home/hpc/locked")
    slurm_sim.exec("rmdir", "locked")
    assert status == 1
    assert "/home/hpc/locked: Permission denied" in found["shared folders"]["seen"]


def test_no_slurm(slurm_sim: SlurmSim) -> None:
    """Without Slurm's commands it says so, as a warning, and checks the rest."""
    status, found = examined(slurm_sim, "env", "PATH=/opt/env/bin", *DOCTOR)
    assert status == 0
    assert troubles(found) == {"Slurm": "warning"}
    assert "no Slurm here" in found["Slurm"]["seen"]
    assert "nodes" not in found


def test_few_open_files(slurm_sim: SlurmSim) -> None:
    """A limit of 256 open files is a failure, with the command that lifts it."""
    status, found = examined(slurm_sim, "bash", "-c", f"ulimit -n 256; {' '.join(DOCTOR)} --no-job")
    assert status == 1
    assert found["open files"]["seen"] == "256 on this machine"
    assert "ulimit -n 1024" in found["open files"]["todo"]


def test_another_environment(slurm_sim: SlurmSim) -> None:
    """An environment that drifted is a warning here, and a failure since the nodes' is another one."""
    keep = f'cp {ENV} /tmp/env.json && sed -i \'s/"drifted": false/"drifted": true/\' {ENV}'
    slurm_sim.exec("sh", "-c", keep, user="root")
    try:
        status, found = examined(slurm_sim)
    finally:
        slurm_sim.exec("cp", "/tmp/env.json", ENV, user="root")
    assert status == 1
    assert troubles(found) == {"environment": "warning", "environment on nodes": "failure"}
    assert "drifted" in found["environment"]["seen"]
    assert "another one on c1 c2" in found["environment on nodes"]["seen"]


def test_a_busy_cluster(slurm_sim: SlurmSim) -> None:
    """Where no node is idle, none is asked: a warning, in no time, and nothing is queued."""
    slurm_sim.exec("sbatch", "--exclusive", "-N2", "--wrap", "tail -f /dev/null")
    slurm_sim.exec("sh", "-c", 'until [ "$(squeue -h -t R)" ]; do sleep 0.05; done', timeout=30)
    status, found = examined(slurm_sim)
    assert status == 0
    assert troubles(found) == {"nodes": "warning"}
    assert "no node is idle" in found["nodes"]["seen"]


def test_a_controller_that_is_gone(slurm_sim_factory: Callable[..., SlurmSim]) -> None:
    """Without the controller doctor ends in a minute and says so."""
    sim = slurm_sim_factory(nodes=1)
    sim.fault("controller-lost")
    _, found = examined(sim)
    assert found["Slurm"]["status"] == "failure"
    assert "the controller does not answer" in found["Slurm"]["seen"]
    assert found["shared folders"]["status"] == "ok"


def test_ctrl_c_leaves_nothing(slurm_sim: SlurmSim) -> None:
    """Interrupted while nodes are asked, it ends at once, with the shell's status, without a job or a file left."""
    asking = "until ls .dask-hpc-doctor* >/dev/null 2>&1; do sleep 0.01; done"
    script = f"dask-hpc doctor & p=$!; {asking}; kill -TERM $p; wait $p"
    done = slurm_sim.exec("bash", "-c", script, check=False, timeout=60)
    assert done.returncode == 143
    assert "Traceback" not in done.stderr
    assert "dask-hpc-doctor" not in slurm_sim.exec("ls", "-a").stdout
    slurm_sim.exec("sh", "-c", 'until [ -z "$(squeue -h)" ]; do sleep 0.05; done', timeout=30)
