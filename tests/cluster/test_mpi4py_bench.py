"""mpi4py's own programs over two nodes: all ranks in one world, and messages that pass between them."""

from __future__ import annotations

import re

import pytest

from slurm_sim import SlurmSim

BENCH = ("python", "-m", "mpi4py.bench")
LAUNCHERS = [
    ("srun", "--mpi=pmix", "-N2", "-n4"),
    ("salloc", "--quiet", "-N2", "-n4", "mpirun", "-n", "4"),
]


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["srun", "mpirun"])
def test_helloworld(slurm_sim: SlurmSim, launcher: tuple[str, ...]) -> None:
    """Each of four ranks says hello once, two on each node, without a word of noise."""
    done = slurm_sim.exec(*launcher, *BENCH, "helloworld", timeout=60)
    said = re.findall(r"^Hello, World! I am process (\d+) of (\d+) on (\w+)\.$", done.stdout, re.MULTILINE)
    assert sorted((int(rank), int(size)) for rank, size, _ in said) == [(rank, 4) for rank in range(4)], done.stdout
    assert sorted(host for _, _, host in said) == ["c1", "c1", "c2", "c2"]
    assert done.stderr == ""


@pytest.mark.parametrize("launcher", LAUNCHERS, ids=["srun", "mpirun"])
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_ringtest(slurm_sim: SlurmSim, launcher: tuple[str, ...], size: int) -> None:
    """A message goes ten times round over both nodes, and comes back as it was sent."""
    done = slurm_sim.exec(*launcher, *BENCH, "ringtest", "-n", str(size), "-l", "10", timeout=60)
    assert re.search(rf"^time for 10 loops = \S+ seconds \(4 processes, {size} bytes\)$", done.stdout, re.MULTILINE)
    assert "does not match" not in done.stderr


def test_pingpong(slurm_sim: SlurmSim) -> None:
    """Messages of every size up to 1 MiB pass between two nodes, and the large ones at more than 100 MB/s."""
    launcher = ("srun", "--mpi=pmix", "-N2", "-n2")
    done = slurm_sim.exec(*launcher, *BENCH, "pingpong", f"-n{1 << 20}", "-l100", timeout=60)
    rows = [line.split() for line in done.stdout.splitlines() if not line.startswith("#")]
    assert [int(row[0]) for row in rows] == [1 << power for power in range(21)]
    assert float(rows[-1][1]) > 100


def test_more_ranks_than_cores(slurm_sim: SlurmSim) -> None:
    """Eight ranks on a node of two cores, told to yield: a hop does not wait for the time slice of one that spins."""
    launcher = ("srun", "--mpi=pmix", "-N1", "-n8", "--overcommit")
    times = {}
    for how in ("0", "1"):
        env = {"OMPI_MCA_mpi_yield_when_idle": how}
        done = slurm_sim.exec(*launcher, *BENCH, "ringtest", "-n1", "-s5", "-l20", env=env, timeout=100)
        found = re.search(r"^time for 20 loops = (\S+) seconds", done.stdout, re.MULTILINE)
        assert found, done.stdout
        times[how] = float(found[1]) / 20 / 8
    assert times["1"] < times["0"] / 3
