"""MPI in the SIF: ranks on one node, and on several nodes with Slurm's own PMIx."""

from __future__ import annotations

import re
import subprocess

import pytest

from slurm_sim import SlurmSim
from tests.apptainer.conftest import Inside
from tests.support.jobs import sbatch

pytestmark = pytest.mark.timeout(300)

SRUN = ("srun", "--quiet", "--mpi=pmix")  # otherwise srun reports waiting for the last job's nodes
HELLO = ("python", "-m", "mpi4py.bench", "helloworld")
RING = ("python", "-m", "mpi4py.bench", "ringtest", "-n", "1000000")


def hosts_of_world(output: str) -> list[str]:
    """Return the ranks' nodes, sorted; assert that each rank of one world says hello once."""
    found = [
        re.fullmatch(r"Hello, World! I am process (\d+) of (\d+) on (\w+)\.", line) for line in output.splitlines()
    ]
    ranks = sorted((int(hello[1]), int(hello[2])) if hello else (-1, -1) for hello in found)
    assert ranks == [(rank, len(found)) for rank in range(len(found))], output
    return sorted(hello[3] for hello in found if hello)


def test_srun_forms_one_world_over_two_nodes(bare: SlurmSim, shared: str) -> None:
    """Two ranks on each of two nodes form one world of four, with nothing on standard error."""
    done = bare.exec(*SRUN, "-N2", "-n4", "apptainer", "exec", shared, *HELLO, timeout=150)
    assert hosts_of_world(done.stdout) == ["c1", "c1", "c2", "c2"]
    assert done.stderr == ""


def test_messages_pass_between_sifs(bare: SlurmSim, shared: str) -> None:
    """A megabyte passes through all four ranks, within a node and between nodes."""
    done = bare.exec(*SRUN, "-N2", "-n4", "apptainer", "exec", shared, *RING, timeout=150)
    assert "(4 processes, 1000000 bytes)" in done.stdout
    assert done.stderr == ""


def test_sharens_lets_ranks_share_namespaces(bare: SlurmSim, shared: str) -> None:
    """With --sharens, the ranks of a node run in one mount of the SIF, and read each other's memory."""
    verbose = {"OMPI_MCA_smsc_base_verbose": "20"}
    seen = {}
    for options in ((), ("--sharens",)):
        command = ("srun", "--mpi=pmix", "-N1", "-n2", "apptainer", "exec", *options, shared, *RING)
        done = bare.exec(*command, env=verbose, timeout=150)
        assert "(2 processes, 1000000 bytes)" in done.stdout
        seen[options] = "different namespaces" in done.stderr or "difference namespaces" in done.stderr
    assert seen == {(): True, ("--sharens",): False}


def test_batch_job_forms_one_world(bare: SlurmSim, shared: str) -> None:
    """A batch job on two nodes forms the same world with srun's default options."""
    script = f"srun apptainer exec {shared} {' '.join(HELLO)}"
    job = sbatch(bare, "-N2", "-n4", "--wrap", script)
    assert job.wait(150).state == "COMPLETED"
    assert hosts_of_world(job.output()) == ["c1", "c1", "c2", "c2"]


@pytest.mark.parametrize("launch", ["", "srun -n1"])
def test_mpirun_works_in_one_node_job(bare: SlurmSim, shared: str, launch: str) -> None:
    """In a one-node job, mpirun starts its ranks there, although the SIF has no srun."""
    script = f"{launch} apptainer exec {shared} mpirun -n 2 {' '.join(HELLO)}"
    job = sbatch(bare, "-N1", "-c2", "-w", "c2", "--wrap", script)
    assert job.wait(150).state == "COMPLETED"
    assert hosts_of_world(job.output()) == ["c2", "c2"]


def test_mpirun_fails_in_two_node_job(bare: SlurmSim, shared: str) -> None:
    """In a two-node job, mpirun fails instead of silently using only one node."""
    script = f"apptainer exec {shared} mpirun -n 2 {' '.join(HELLO)}"
    job = sbatch(bare, "-N2", "-n2", "--wrap", script)
    assert job.wait(150).state == "FAILED"
    assert "Hello" not in job.output()


def test_mpirun_works_in_one_sif(inside: Inside) -> None:
    """The tutorial's command runs five ranks in one SIF, on fewer cores."""
    done = inside("mpirun", "-n", "5", *HELLO)
    assert hosts_of_world(done.stdout) == ["login"] * 5
    assert done.stderr == ""


def test_mpirun_works_in_image(image: str) -> None:
    """The same command works in the image."""
    command = ["docker", "run", "--rm", "--init", "--hostname", "here", image, "mpirun", "-n", "5", *HELLO]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=True)
    assert hosts_of_world(done.stdout) == ["here"] * 5
    assert done.stderr == ""
