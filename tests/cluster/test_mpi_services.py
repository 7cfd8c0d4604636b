"""MPI calls that Slurm's PMIx does not support fail with an error that names the cause, instead of hanging."""

from __future__ import annotations

import pytest

from slurm_sim import SlurmSim

pytestmark = pytest.mark.timeout(300)

POOL = """
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor(2) as pool:
        print(list(pool.map(abs, [-1, -2])))
"""
CALLS = {
    "Spawn": "MPI.COMM_SELF.Spawn('true')",
    "Spawn_multiple": "MPI.COMM_SELF.Spawn_multiple(['true'], None, [1])",
    "Publish_name": "MPI.Publish_name('x', MPI.Open_port())",
    "Lookup_name": "MPI.Lookup_name('x')",
    "Connect": "MPI.COMM_SELF.Connect(MPI.Open_port())",
    "Create_from_group": "MPI.Intracomm.Create_from_group(MPI.Session.Init().Create_group('mpi://WORLD'))",
}
SRUN = ("timeout", "60", "srun", "--quiet", "--mpi=pmix", "-N1")


def test_pool_under_srun_names_remedies(slurm_sim: SlurmSim) -> None:
    """A pool whose workers srun would have to start fails at once, and both suggested remedies work."""
    slurm_sim.exec("sh", "-c", "cat >pool.py", stdin=POOL)
    refused = slurm_sim.exec(*SRUN, "-n1", "python", "pool.py", check=False, timeout=150)
    assert refused.returncode not in (0, 124)
    assert "python -m mpi4py.futures" in refused.stderr
    assert "mpirun inside the allocation" in refused.stderr
    done = slurm_sim.exec(*SRUN, "-n2", "python", "-m", "mpi4py.futures", "pool.py", timeout=150)
    assert done.stdout == "[1, 2]\n"
    inside = ("salloc", "--quiet", "-N1", "-n2", "mpirun", "-n", "1", "python", "pool.py")
    assert slurm_sim.exec(*inside, timeout=150).stdout == "[1, 2]\n"


@pytest.mark.parametrize("call", CALLS)
def test_unsupported_call_names_cause(slurm_sim: SlurmSim, call: str) -> None:
    """All ranks end, and the error names the call and the cause."""
    code = f"from mpi4py import MPI; {CALLS[call]}"
    done = slurm_sim.exec(*SRUN, "-n2", "python", "-c", code, check=False, timeout=150)
    assert done.returncode not in (0, 124)
    assert f"{call} does not work in ranks that srun has started" in done.stderr
