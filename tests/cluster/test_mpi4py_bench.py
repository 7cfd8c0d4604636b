"""mpi4py's benchmark programs on two nodes: all ranks are in one world, and messages pass between them."""

from __future__ import annotations

import re

import pytest

from slurm_sim import SlurmSim

BENCH = ("python", "-m", "mpi4py.bench")
# --quiet: otherwise srun reports waiting for the last job's nodes
LAUNCHERS = [
    ("srun", "--quiet", "--mpi=pmix", "-N2", "-n4"),
    ("salloc", "--quiet", "-N2", "-n4", "mpirun", "-n", "4"),
]


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["srun", "mpirun"])
def test_every_rank_says_hello(slurm_sim: SlurmSim, launcher: tuple[str, ...]) -> None:
    """Four ranks, two per node, say hello once each, with nothing on standard error."""
    done = slurm_sim.exec(*launcher, *BENCH, "helloworld", timeout=150)
    said = re.findall(r"^Hello, World! I am process (\d+) of (\d+) on (\w+)\.$", done.stdout, re.MULTILINE)
    assert sorted((int(rank), int(size)) for rank, size, _ in said) == [(rank, 4) for rank in range(4)], done.stdout
    assert sorted(host for _, _, host in said) == ["c1", "c1", "c2", "c2"]
    assert done.stderr == ""


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["srun", "mpirun"])
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_ringtest_passes_messages_over_both_nodes(slurm_sim: SlurmSim, launcher: tuple[str, ...], size: int) -> None:
    """A message goes ten times round both nodes, and returns unchanged."""
    done = slurm_sim.exec(*launcher, *BENCH, "ringtest", "-n", str(size), "-l", "10", timeout=150)
    assert re.search(rf"^time for 10 loops = \S+ seconds \(4 processes, {size} bytes\)$", done.stdout, re.MULTILINE)
    assert "does not match" not in done.stderr


def test_pingpong_passes_messages_of_every_size(slurm_sim: SlurmSim) -> None:
    """Messages of every size up to 1 MiB pass between two nodes (bench measures their speed)."""
    launcher = ("srun", "--mpi=pmix", "-N2", "-n2")
    done = slurm_sim.exec(*launcher, *BENCH, "pingpong", f"-n{1 << 20}", "-l100", timeout=150)
    rows = [line.split() for line in done.stdout.splitlines() if not line.startswith("#")]
    assert [int(row[0]) for row in rows] == [1 << power for power in range(21)]


YIELDS = "import os; from mpi4py import MPI; print(os.environ.get('OMPI_MCA_mpi_yield_when_idle', 'spins'))"


@pytest.mark.parametrize(
    ("ranks", "own", "seen"),
    [(8, {}, "1"), (2, {}, "spins"), (8, {"OMPI_MCA_mpi_yield_when_idle": "0"}, "0")],
    ids=["crowded", "one core per rank", "own value"],
)
def test_oversubscribed_ranks_yield(slurm_sim: SlurmSim, ranks: int, own: dict[str, str], seen: str) -> None:
    """Ranks that outnumber their node's CPUs are set to yield, others are not, and a user's own value wins."""
    launcher = ("srun", "--mpi=pmix", "-N1", f"-n{ranks}", *["--overcommit"] * (ranks > 2))
    done = slurm_sim.exec(*launcher, "python", "-c", YIELDS, env=own, timeout=100)
    assert done.stdout.split() == [seen] * ranks


def test_passes_messages_with_more_ranks_than_cores(slurm_sim: SlurmSim) -> None:
    """Eight ranks on a two-core node pass messages (bench measures the time per hop)."""
    launcher = ("srun", "--mpi=pmix", "-N1", "-n8", "--overcommit")
    done = slurm_sim.exec(*launcher, *BENCH, "ringtest", "-n1", "-s5", "-l20", timeout=100)
    assert "(8 processes, 1 bytes)" in done.stdout
