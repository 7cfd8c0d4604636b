"""MPI collectives in Dask tasks on two nodes: all ranks enter or none does, and errors never hang."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from slurm_sim import Completed, SlurmSim
from tests.support.jobs import sbatch
from tests.support.programs import PROGRAMS
from tests.support.waiting import until_in

pytestmark = pytest.mark.timeout(300)

PROGRAM = PROGRAMS / "collective.py"
LAUNCH = ("srun", "--mpi=pmix", "-N2", "-n6", "--overcommit", "--mem=3G")  # a scheduler, a client, four workers


def run(sim: SlurmSim, case: str, check: bool = True) -> Completed:
    sim.put(PROGRAM, "/home/hpc/collective.py")
    return sim.exec(*LAUNCH, "python", "collective.py", case, check=check, timeout=150)


@cache
def _several(sim: SlurmSim) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run(sim, "several").stdout.splitlines()[-1])
    return told


@pytest.fixture
def told(slurm_sim: SlurmSim) -> dict[str, Any]:
    """Results of one run with many collectives, good and bad, on the same ranks."""
    return _several(slurm_sim)


def test_communicator_contains_only_workers(told: dict[str, Any]) -> None:
    """The communicator contains the workers in MPI world order, without the scheduler and the client."""
    assert [one["world"] for one in told["whole"]] == [2, 3, 4, 5]
    assert [one["rank"] for one in told["whole"]] == [0, 1, 2, 3]
    assert {one["size"] for one in told["whole"]} == {4}
    assert {host for _, host in told["members"]} == {"c1", "c2"}
    assert told["whole"][0]["hosts"] == [host for _, host in told["members"]]


def test_collective_reads_dask_blocks(told: dict[str, Any]) -> None:
    """Each of the array's 16 blocks is on exactly one rank, and their sum over all ranks is the array's sum."""
    blocks = [tuple(index) for one in told["whole"] for index in one["blocks"]]
    assert sorted(blocks) == [(row, column) for row in range(4) for column in range(4)]
    assert {one["sum"] for one in told["whole"]} == {1600.0}


def test_results_stay_on_workers(told: dict[str, Any]) -> None:
    """Each worker holds its own rank's result."""
    assert told["holders"] == [[address] for address in told["addresses"]]


def test_communicator_calls_match_mpi(told: dict[str, Any]) -> None:
    """Every call that can be interrupted returns on each rank what MPI's own call returns."""
    assert all(all(seen) for seen in told["calls"]), told["calls"]


@pytest.mark.parametrize("number", [0, 1])
def test_failing_rank_fails_collective(told: dict[str, Any], number: int) -> None:
    """A rank that raises, at once or midway, ends the collective with its own error, before any timeout."""
    failed = told["failing"][number]
    assert "rank 3 on" in failed["error"]
    assert failed["cause"] == f"ValueError: no luck in step {(0, 17)[number]}"
    assert "aborted" not in failed["error"]


def test_collective_times_out(told: dict[str, Any]) -> None:
    """A rank that waits for a message that is never sent is interrupted when the timeout expires."""
    assert "longer than 3 s" in told["endless"]["error"]
    assert "aborted" not in told["endless"]["error"]
    assert told["endless"]["seconds"] > 3


def test_names_missing_rank(told: dict[str, Any]) -> None:
    """If a worker is busy with another task, no rank enters, and the error names the missing rank."""
    missing = told["missing"]
    (rank, host) = told["members"][1]
    assert f"rank {rank} on {host} did not join within 4 s" in missing["error"]
    assert missing["seconds"] >= 4


def test_next_collective_works_after_errors(told: dict[str, Any]) -> None:
    """All ranks are available again after errors, and concurrent collectives run one after the other."""
    assert told["after"] == 4
    assert told["two"] == [4, 4]


def test_blocked_rank_aborts_mpi(slurm_sim: SlurmSim) -> None:
    """If ranks block inside MPI, MPI is aborted, the log gives the reason, and the job ends."""
    done = run(slurm_sim, "blocking", check=False)
    assert done.returncode != 0
    assert "MPI is aborted: the job ends" in done.stderr
    assert "rank 3 on" in done.stderr
    nothing_runs(slurm_sim)


def test_killed_rank_does_not_hang(slurm_sim: SlurmSim) -> None:
    """If a rank's process dies, either the client gets an error or the job ends."""
    done = run(slurm_sim, "killed", check=False)
    if done.stdout:
        assert json.loads(done.stdout.splitlines()[-1])["error"]
    else:
        assert done.returncode != 0
    nothing_runs(slurm_sim)


@contextmanager
def dask_mpi(sim: SlurmSim, *options: str) -> Iterator[str]:
    """Run a dask-mpi job of three ranks for clients on the login node; yield its scheduler file."""
    sim.put(PROGRAM, "/home/hpc/collective.py")
    file = f"/home/hpc/{secrets.token_hex(4)}.json"
    words = ("dask-mpi", "--scheduler-file", file, "--no-dashboard", "--memory-limit", "300MB", *options)
    launch = ("srun", "--mpi=pmix", *words, "--local-directory", "/tmp")
    locks = "DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_"
    wrap = f"export {locks}TIMEOUT=3s {locks}VALIDATION_INTERVAL=1s; {' '.join(launch)}"
    job = sbatch(sim, "-N2", "-n3", "--mem=2G", "--wrap", wrap)
    until_in(sim, f"[ -s {file} ]")
    try:
        yield file
    finally:
        job.cancel()
        sim.exec("rm", "-f", file)


def join(sim: SlurmSim, case: str, file: str, check: bool = True) -> Completed:
    """Run a case as a client on the login node."""
    return sim.exec("python", "collective.py", case, file, "2", check=check, timeout=100)


def test_killed_client_leaves_no_rank_waiting(slurm_sim: SlurmSim) -> None:
    """After a client is killed during a collective, the next client gets all ranks, and never loads MPI."""
    with dask_mpi(slurm_sim, "--worker-class", "distributed.Worker") as file:
        assert join(slurm_sim, "abandoned", file, check=False).returncode == 128 + 9
        told = json.loads(join(slurm_sim, "attached", file).stdout)
    assert told["error"] is None
    assert told["mpi"] is False


def test_rejects_nanny_workers(slurm_sim: SlurmSim) -> None:
    """Workers started by nannies, dask-mpi's default, are rejected, and the error says which option to use."""
    with dask_mpi(slurm_sim) as file:
        told = json.loads(join(slurm_sim, "attached", file).stdout)
    assert "not an MPI process" in told["error"]
    assert "--worker-class distributed.Worker" in told["error"]


def nothing_runs(sim: SlurmSim) -> None:
    """Assert that no node has a process of the program."""
    for node in sim.nodes():
        assert sim.exec("pgrep", "-f", "collective", on=node, check=False).stdout == ""
