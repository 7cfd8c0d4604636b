"""A job may use the memory that it requested: shared pages count once, and no process escapes the count."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim
from tests.support.memory import LIMIT, MIB, assert_killed, resident_mib, submit

pytestmark = pytest.mark.timeout(200)

HIDDEN_PROGRAM = (
    "cp $(readlink --canonicalize $(command -v python)) ~/hidden; chmod 0111 ~/hidden; "
    "export PYTHONHOME=$(python -c 'import sys; print(sys.prefix)'); exec ~/hidden ~/memory.py"
)
"""A program that its user may run but not read: the kernel protects its /proc files, as for a setuid program."""


@pytest.mark.parametrize("kind", ["read", "nondumpable", "shm"])
def test_counts_shared_pages_once(slurm_sim: SlurmSim, kind: str) -> None:
    """A program whose three children share its memory runs under a limit that four times its memory would exceed."""
    job = submit(slurm_sim, f"exec PROGRAM {kind} {MIB} 3", LIMIT, "--nodelist=c1")
    assert MIB <= resident_mib(job) < MIB * 1.3
    assert job.record().state == "RUNNING"
    job.cancel()
    slurm_sim.exec("rm", "--force", f"/dev/shm/{job.id}", on="c1")


@pytest.mark.parametrize(
    ("command", "children"),
    [
        pytest.param("exec PROGRAM read", 0, id="alone"),
        pytest.param("exec PROGRAM write", 1, id="child-that-writes"),
        pytest.param("exec PROGRAM shm", 0, id="shm"),
        pytest.param("exec PROGRAM nondumpable", 0, id="nondumpable"),
        pytest.param(f"{HIDDEN_PROGRAM} read", 0, id="unreadable-program"),
    ],
)
def test_kills_job_over_limit(slurm_sim: SlurmSim, command: str, children: int) -> None:
    """A job over its limit is killed, also with a child that writes, and with protected /proc files."""
    size = MIB if children else 2 * MIB
    assert_killed(submit(slurm_sim, f"{command} {size} {children}", LIMIT, "--nodelist=c1"))
    slurm_sim.exec("sh", "-c", "rm -f /dev/shm/[0-9]* ~/hidden", on="c1")


def test_counts_tasks_of_step_together(slurm_sim: SlurmSim) -> None:
    """Two tasks on a node may share memory within their joint limit; two with separate memory exceed it."""
    both = ("--ntasks=2", "--mem-per-cpu=150M")
    job = submit(slurm_sim, f"srun PROGRAM shm {MIB} 0", *both, "--nodelist=c1")
    assert MIB / 2 <= resident_mib(job, "0", tasks=2) < MIB
    assert job.record().state == "RUNNING"
    job.cancel()
    slurm_sim.exec("rm", "--force", f"/dev/shm/{job.id}", on="c1")
    assert_killed(submit(slurm_sim, f"srun PROGRAM read {MIB} 0", *both))
