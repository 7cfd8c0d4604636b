"""A job's memory limit applies inside a SIF, whose processes are in their own user namespace."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim
from tests.support.memory import LIMIT, MIB, assert_killed, resident_mib, submit

pytestmark = pytest.mark.timeout(200)


def test_counts_shared_pages_once(bare: SlurmSim, shared: str) -> None:
    """A program in a SIF whose children share its memory runs under a limit that four times its memory would exceed."""
    job = submit(bare, f"exec apptainer exec {shared} PROGRAM read {MIB} 3", LIMIT)
    assert MIB <= resident_mib(job) < MIB * 1.45  # with Apptainer's own processes
    assert job.record().state == "RUNNING"
    job.cancel()


@pytest.mark.parametrize("kind", ["read", "nondumpable"])
@pytest.mark.parametrize("options", ["--userns", "--fakeroot", "--sharens"])
def test_kills_job_over_limit(bare: SlurmSim, shared: str, kind: str, options: str) -> None:
    """A job over its limit is killed in a SIF, even if the program's /proc files are protected."""
    assert_killed(submit(bare, f"exec apptainer exec {options} {shared} PROGRAM {kind} {2 * MIB} 0", LIMIT))
