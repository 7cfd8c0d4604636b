"""MPI in the SIF: ranks of one node, and of several under Slurm's own PMIx."""

from __future__ import annotations

import re
import subprocess

import pytest

from slurm_sim import SlurmSim
from tests.apptainer.conftest import Inside

pytestmark = pytest.mark.timeout(300)

HELLO = ("python", "-m", "mpi4py.bench", "helloworld")
RING = ("python", "-m", "mpi4py.bench", "ringtest", "-n", "1000000")


def hosts_of_a_whole_world(output: str) -> list[str]:
    """Where the ranks ran, sorted, if all of them say hello, each once and of the same world."""
    found = [
        re.fullmatch(r"Hello, World! I am process (\d+) of (\d+) on (\w+)\.", line) for line in output.splitlines()
    ]
    ranks = sorted((int(hello[1]), int(hello[2])) if hello else (-1, -1) for hello in found)
    assert ranks == [(rank, len(found)) for rank in range(len(found))], output
    return sorted(hello[3] for hello in found if hello)


def test_srun_over_two_nodes(bare: SlurmSim, shared: str) -> None:
    """Two ranks on each of two nodes are one world of four, without a word of noise."""
    done = bare.exec("srun", "--mpi=pmix", "-N2", "-n4", "apptainer", "exec", shared, *HELLO, timeout=60)
    assert hosts_of_a_whole_world(done.stdout) == ["c1", "c1", "c2", "c2"]
    assert done.stderr == ""


def test_messages_pass_between_sifs(bare: SlurmSim, shared: str) -> None:
    """A megabyte goes round over all four ranks, within a node and between two."""
    done = bare.exec("srun", "--mpi=pmix", "-N2", "-n4", "apptainer", "exec", shared, *RING, timeout=60)
    assert "(4 processes, 1000000 bytes)" in done.stdout
    assert done.stderr == ""


def test_ranks_of_a_node_may_share_their_namespaces(bare: SlurmSim, shared: str) -> None:
    """With --sharens the ranks of a node run in one mount of the SIF, and read each other's memory."""
    verbose = {"OMPI_MCA_smsc_base_verbose": "20"}
    seen = {}
    for options in ((), ("--sharens",)):
        command = ("srun", "--mpi=pmix", "-N1", "-n2", "apptainer", "exec", *options, shared, *RING)
        done = bare.exec(*command, env=verbose, timeout=60)
        assert "(2 processes, 1000000 bytes)" in done.stdout
        seen[options] = "different namespaces" in done.stderr or "difference namespaces" in done.stderr
    assert seen == {(): True, ("--sharens",): False}


def test_a_batch_script(bare: SlurmSim, shared: str) -> None:
    """The same out of a job: sbatch, two nodes, srun without options of its own."""
    script = f"srun apptainer exec {shared} {' '.join(HELLO)}"
    job = bare.job(int(bare.exec("sbatch", "--parsable", "-N2", "-n4", "--wrap", script).stdout))
    assert job.wait(60).state == "COMPLETED"
    assert hosts_of_a_whole_world(job.output()) == ["c1", "c1", "c2", "c2"]


@pytest.mark.parametrize("launch", ["", "srun -n1"])
def test_mpirun_in_a_job(bare: SlurmSim, shared: str, launch: str) -> None:
    """In a job of one node, mpirun starts its ranks there, although the SIF has no srun."""
    script = f"{launch} apptainer exec {shared} mpirun -n 2 {' '.join(HELLO)}"
    job = bare.job(int(bare.exec("sbatch", "--parsable", "-N1", "-c2", "-w", "c2", "--wrap", script).stdout))
    assert job.wait(60).state == "COMPLETED"
    assert hosts_of_a_whole_world(job.output()) == ["c2", "c2"]


def test_mpirun_over_nodes_fails(bare: SlurmSim, shared: str) -> None:
    """In a job of two nodes it does not run on one of them in silence."""
    script = f"apptainer exec {shared} mpirun -n 2 {' '.join(HELLO)}"
    job = bare.job(int(bare.exec("sbatch", "--parsable", "-N2", "-n2", "--wrap", script).stdout))
    assert job.wait(60).state == "FAILED"
    assert "Hello" not in job.output()


def test_mpirun_in_one_sif(inside: Inside) -> None:
    """The tutorial's line: five ranks in one SIF, on fewer cores."""
    done = inside("mpirun", "-n", "5", *HELLO)
    assert hosts_of_a_whole_world(done.stdout) == ["login"] * 5
    assert done.stderr == ""


def test_mpirun_in_the_image(image: str) -> None:
    """The same line in the image."""
    command = ["docker", "run", "--rm", "--init", "--hostname", "here", image, "mpirun", "-n", "5", *HELLO]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert hosts_of_a_whole_world(done.stdout) == ["here"] * 5
    assert done.stderr == ""
