"""`dask-hpc doctor` on a real Slurm: all checks pass on a healthy mini-cluster, and each problem is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.waiting import until_in

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
    """Return the status of each check that is not ok."""
    return {name: one["status"] for name, one in found.items() if one["status"] != "ok"}


def test_healthy_mini_cluster_passes_all_checks(slurm_sim: SlurmSim) -> None:
    """On the login node every check is ok, both nodes answer, and nothing is left behind."""
    status, found = examined(slurm_sim)
    assert troubles(found) == {}, found
    assert status == 0
    assert found["nodes"]["seen"] == "c1 c2 answered"
    assert found["sbatch"]["seen"] == "directly, /usr/bin/sbatch"
    assert found["MPI ranks"]["seen"].startswith("srun --mpi=pmix on c1 c2: 2 ranks")
    assert "reached from c1 c2" in found["interface"]["seen"]
    assert "pmix_v5" in found["PMIx"]["seen"]
    assert found["PMIx fences"]["seen"] == "ring"
    ends = "jobs are ended with SIGTERM, and SIGKILL 5 s later (KillWait)"
    assert found["preemption"]["seen"] == f"none in general; {ends}"
    assert found["sbatch on nodes"]["seen"] == "allowed in general"
    assert found["shared folders"]["seen"] == "/home/hpc on c1 c2"
    assert "dask-hpc-doctor" not in slurm_sim.exec("ls", "-a").stdout
    assert slurm_sim.exec("squeue", "-h").stdout == ""


def test_table_fits_one_screen(slurm_sim: SlurmSim) -> None:
    """The table has one line per check and ends with the counts; it fits one screen, without colours in a pipe."""
    done = slurm_sim.exec("dask-hpc", "doctor", timeout=150)
    lines = done.stdout.splitlines()
    assert lines[0] == "dask-hpc doctor on a login node"
    assert lines[-1].startswith("0 failures, 0 warnings, ")
    assert len(lines) <= 24
    assert "\x1b" not in done.stdout
    assert done.stderr == ""


def test_warns_about_unsafe_pmix_fences(slurm_sim: SlurmSim) -> None:
    """Fences that may crash MPI_Init give a warning that says what to type."""
    _, found = examined(slurm_sim, env={"SLURM_PMIX_FENCE": "tree"})
    assert troubles(found) == {"PMIx fences": "warning"}
    assert "SLURM_PMIX_FENCE=ring" in found["PMIx fences"]["todo"]


def test_checks_nodes_of_its_allocation(slurm_sim: SlurmSim) -> None:
    """In a two-node job, a step checks both nodes; one CPU where Dask would use two gives a warning."""
    script = f"#!/bin/bash\n{' '.join(DOCTOR)} >doctor.json"
    slurm_sim.exec("sbatch", "-N2", "--ntasks-per-node=1", "--wait", stdin=script, timeout=100)
    found = {one["check"]: one for one in json.loads(slurm_sim.exec("cat", "doctor.json").stdout)["checks"]}
    slurm_sim.exec("rm", "doctor.json")
    assert found["nodes"]["seen"] == "c1 c2 answered"
    assert "2 ranks" in found["MPI ranks"]["seen"]
    assert found["CPUs"]["seen"] == "Slurm allocated 1, Dask would use 2"
    assert set(troubles(found).values()) <= {"warning"}


@pytest.mark.parametrize(("mpi", "status"), [("none", "failure"), ("pmix", "ok")])
def test_compares_mpi_ranks_with_srun_tasks(slurm_sim: SlurmSim, mpi: str, status: str) -> None:
    """Under srun, doctor is a rank itself: one rank reports, and says whether all four see each other."""
    _, found = examined(slurm_sim, "srun", f"--mpi={mpi}", "-n4", *DOCTOR, "--no-job")
    assert found["MPI ranks"]["status"] == status
    assert ("4 ranks" if status == "ok" else "srun --mpi=none") in found["MPI ranks"]["seen"]
    assert troubles(found).get("MPI ranks", "ok") == status


def test_reports_unshared_folder(slurm_sim: SlurmSim) -> None:
    """/tmp is reported as not shared with either node, and a folder missing on the nodes is named."""
    status, found = examined(slurm_sim, *DOCTOR, "--folder", "/tmp")
    assert status == 1
    assert found["shared folders"]["seen"] == "not shared: /tmp is another folder on c1 c2"
    slurm_sim.exec("mkdir", "-p", "/tmp/only-here")
    _, found = examined(slurm_sim, *DOCTOR, "--folder", "/tmp/only-here", workdir="/tmp")
    assert "/tmp/only-here does not exist on c1 c2" in found["shared folders"]["seen"]


def test_reports_unwritable_folder(slurm_sim: SlurmSim) -> None:
    """A working directory without write permission is a failure, and the message names it."""
    slurm_sim.exec("sh", "-c", "mkdir -p locked && chmod 500 locked")
    status, found = examined(slurm_sim, workdir="/home/hpc/locked")
    slurm_sim.exec("rmdir", "locked")
    assert status == 1
    assert "/home/hpc/locked: Permission denied" in found["shared folders"]["seen"]


def test_warns_without_slurm(slurm_sim: SlurmSim) -> None:
    """Without Slurm's commands, doctor gives a warning and runs the remaining checks."""
    status, found = examined(slurm_sim, "env", "PATH=/opt/env/bin", *DOCTOR)
    assert status == 0
    assert troubles(found) == {"Slurm": "warning"}
    assert "Slurm not found" in found["Slurm"]["seen"]
    assert "nodes" not in found


def test_reports_low_open_files_limit(slurm_sim: SlurmSim) -> None:
    """A limit of 256 open files is a failure, and the message gives the command that raises it."""
    status, found = examined(slurm_sim, "bash", "-c", f"ulimit -n 256; {' '.join(DOCTOR)} --no-job")
    assert status == 1
    assert found["open files"]["seen"] == "256 on this machine"
    assert "ulimit -n 1024" in found["open files"]["todo"]


def test_reports_environment_mismatch(slurm_sim: SlurmSim) -> None:
    """A drifted environment is a warning on this machine, and a failure because the nodes' environment differs."""
    keep = f'cp {ENV} /tmp/env.json && sed -i \'s/"drifted": false/"drifted": true/\' {ENV}'
    slurm_sim.exec("sh", "-c", keep, user="root")
    try:
        status, found = examined(slurm_sim)
    finally:
        slurm_sim.exec("cp", "/tmp/env.json", ENV, user="root")
    assert status == 1
    assert troubles(found) == {"environment": "warning", "environment on nodes": "failure"}
    assert "drifted" in found["environment"]["seen"]
    assert "different on c1 c2" in found["environment on nodes"]["seen"]


def test_warns_if_no_node_is_idle(slurm_sim: SlurmSim) -> None:
    """If no node is idle, doctor gives a warning instead of queueing a job."""
    sbatch(slurm_sim, "--exclusive", "-N2", f"--wrap={FOR_EVER}").wait_until_running(150)
    status, found = examined(slurm_sim)
    assert status == 0
    assert troubles(found) == {"nodes": "warning"}
    assert "no node is idle" in found["nodes"]["seen"]


def test_reports_lost_controller(slurm_sim_factory: Callable[..., SlurmSim]) -> None:
    """If the controller is lost, doctor still finishes, and reports it as a failure."""
    sim = slurm_sim_factory(nodes=1)
    sim.fault("controller-lost")
    _, found = examined(sim)
    assert found["Slurm"]["status"] == "failure"
    assert "the controller does not answer" in found["Slurm"]["seen"]
    assert found["shared folders"]["status"] == "ok"


@pytest.mark.parametrize(("signum", "status"), [("INT", 130), ("TERM", 143)])
def test_signal_leaves_nothing_behind(slurm_sim: SlurmSim, signum: str, status: int) -> None:
    """A signal while nodes are checked ends doctor with the shell's status, and leaves no job or file behind."""
    asking = "until ls .dask-hpc-doctor* >/dev/null 2>&1; do sleep 0.01; done"
    job_control = "set -m"  # otherwise the shell makes its child ignore Ctrl-C
    script = f"{job_control}; dask-hpc doctor & p=$!; {asking}; kill -{signum} $p; wait $p"
    done = slurm_sim.exec("bash", "-c", script, check=False, timeout=150)
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert "dask-hpc-doctor" not in slurm_sim.exec("ls", "-a").stdout
    until_in(slurm_sim, '[ -z "$(squeue --noheader)" ]')
