"""MPI collectives in Dask tasks, on two nodes: all ranks enter or none does, and an error is no hang."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

from slurm_sim import Completed, SlurmSim
from tests.support.programs import PROGRAMS

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
    """What a run with many collectives, good and bad, on the same ranks came to; done once."""
    return _several(slurm_sim)


def test_all_ranks_and_no_others(told: dict[str, Any]) -> None:
    """The communicator has the workers, in the order of MPI's world, without scheduler and client."""
    assert [one["world"] for one in told["whole"]] == [2, 3, 4, 5]
    assert [one["rank"] for one in told["whole"]] == [0, 1, 2, 3]
    assert {one["size"] for one in told["whole"]} == {4}
    assert {host for _, host in told["members"]} == {"c1", "c2"}
    assert told["whole"][0]["hosts"] == [host for _, host in told["members"]]


def test_data_of_dask_go_in(told: dict[str, Any]) -> None:
    """Each of the array's 16 blocks is on one rank, and their sum over all ranks is the array's."""
    blocks = [tuple(index) for one in told["whole"] for index in one["blocks"]]
    assert sorted(blocks) == [(row, column) for row in range(4) for column in range(4)]
    assert {one["sum"] for one in told["whole"]} == {1600.0}


def test_results_stay_on_the_workers(told: dict[str, Any]) -> None:
    """Each rank's result is held by its own worker."""
    assert told["holders"] == [[address] for address in told["addresses"]]


def test_the_communicators_calls(told: dict[str, Any]) -> None:
    """Every call that can be ended gives what MPI's own gives, on every rank."""
    assert all(all(seen) for seen in told["calls"]), told["calls"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_failing_rank_is_an_error(told: dict[str, Any], number: int) -> None:
    """A rank that raises, at once or in the middle, ends it for all, with its own error and before any time is over."""
    failed = told["failing"][number]
    assert "rank 3 on" in failed["error"]
    assert failed["cause"] == f"ValueError: no luck in step {(0, 17)[number]}"
    assert "aborted" not in failed["error"]


def test_one_that_takes_too_long_is_an_error(told: dict[str, Any]) -> None:
    """A rank that waits for what nobody sends is sent away when the time is over."""
    assert "longer than 3 s" in told["endless"]["error"]
    assert "aborted" not in told["endless"]["error"]
    assert told["endless"]["seconds"] > 3


def test_a_missing_rank_is_named(told: dict[str, Any]) -> None:
    """A worker that does something else does not come: nobody enters, and the error says who."""
    missing = told["missing"]
    (rank, host) = told["members"][1]
    assert f"rank {rank} on {host} did not come within 4 s" in missing["error"]
    assert missing["seconds"] >= 4


def test_after_errors_the_next_one_works(told: dict[str, Any]) -> None:
    """All ranks are there again; two that are asked for at once come one after the other."""
    assert told["after"] == 4
    assert told["two"] == [4, 4]


def test_a_rank_that_cannot_leave_does_not_hang(slurm_sim: SlurmSim) -> None:
    """Ranks in a call that blocks in MPI: MPI is aborted, the log says why, and the job ends."""
    done = run(slurm_sim, "blocking", check=False)
    assert done.returncode != 0
    assert "MPI is aborted: the job ends" in done.stderr
    assert "rank 3 on" in done.stderr
    nothing_runs(slurm_sim)


def test_a_killed_rank_does_not_hang(slurm_sim: SlurmSim) -> None:
    """The process of a rank dies: the client gets an error, or the job ends; nobody waits."""
    done = run(slurm_sim, "killed", check=False)
    if done.stdout:
        assert json.loads(done.stdout.splitlines()[-1])["error"]
    else:
        assert done.returncode != 0
    nothing_runs(slurm_sim)


@contextmanager
def dask_mpi(sim: SlurmSim, *options: str) -> Iterator[str]:
    """A dask-mpi job of three ranks, to which clients come from the login node; its scheduler file."""
    sim.put(PROGRAM, "/home/hpc/collective.py")
    file = f"/home/hpc/{secrets.token_hex(4)}.json"
    words = ("dask-mpi", "--scheduler-file", file, "--no-dashboard", "--memory-limit", "300MB", *options)
    launch = ("srun", "--mpi=pmix", *words, "--local-directory", "/tmp")
    locks = "DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_"
    wrap = f"export {locks}TIMEOUT=3s {locks}VALIDATION_INTERVAL=1s; {' '.join(launch)}"
    job = sim.job(int(sim.exec("sbatch", "--parsable", "-N2", "-n3", "--mem=2G", "--wrap", wrap).stdout))
    sim.exec("sh", "-c", 'until [ -s "$1" ]; do sleep 0.1; done', "wait", file, timeout=60)
    try:
        yield file
    finally:
        job.cancel()
        sim.exec("rm", "-f", file)


def join(sim: SlurmSim, case: str, file: str, check: bool = True) -> Completed:
    """Run a case as a client on the login node."""
    return sim.exec("python", "collective.py", case, file, "2", check=check, timeout=100)


def test_a_client_that_is_killed_leaves_no_rank_waiting(slurm_sim: SlurmSim) -> None:
    """The client of a collective in progress is killed; the next one has all ranks, and never touches MPI itself."""
    with dask_mpi(slurm_sim, "--worker-class", "distributed.Worker") as file:
        assert join(slurm_sim, "abandoned", file, check=False).returncode == 128 + 9
        told = json.loads(join(slurm_sim, "attached", file).stdout)
    assert told["error"] is None
    assert told["mpi"] is False


def test_workers_of_a_nanny_are_refused(slurm_sim: SlurmSim) -> None:
    """dask-mpi's default puts workers into children of the ranks: the error says so, and what to type."""
    with dask_mpi(slurm_sim) as file:
        told = json.loads(join(slurm_sim, "attached", file).stdout)
    assert "no MPI process" in told["error"]
    assert "--worker-class distributed.Worker" in told["error"]


def nothing_runs(sim: SlurmSim) -> None:
    """Assert that no node has a process of the program."""
    for node in sim.nodes():
        assert sim.exec("pgrep", "-f", "collective", on=node, check=False).stdout == ""
