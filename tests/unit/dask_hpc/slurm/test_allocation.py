"""Reading the allocation of this process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dask_hpc.slurm.allocation import Allocation, mebibytes
from tests.support.hpc_command import PACKAGE

IN_BATCH_SCRIPT = {
    "SLURM_JOB_ID": "17",
    "SLURM_JOB_NODELIST": "c[1-3]",
    "SLURM_SUBMIT_HOST": "login",
    "SLURMD_NODENAME": "c1",
    "SLURM_NODEID": "0",
    "SLURM_PROCID": "0",
    "SLURM_CPUS_ON_NODE": "8",
    "SLURM_MEM_PER_NODE": "4096",
    "SLURM_NTASKS": "11",
    "SLURM_TASKS_PER_NODE": "4(x2),3",
}
IN_STEP = IN_BATCH_SCRIPT | {
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_TASKS": "11",
    "SLURM_STEP_TASKS_PER_NODE": "4(x2),3",
    "SLURMD_NODENAME": "c3",
    "SLURM_NODEID": "2",
    "SLURM_PROCID": "9",
    "SLURM_CPUS_PER_TASK": "2",
    "SLURM_MPI_TYPE": "pmix",
    "PMIX_NAMESPACE": "slurm.pmix.17.0",
}


def test_batch_script_has_no_task() -> None:
    """A batch script has the job's first node, and no step."""
    assert Allocation.from_environment(IN_BATCH_SCRIPT) == Allocation(
        job="17", nodes="c[1-3]", submit_host="login", node="c1", rank=0, cpus=8, memory_per_node=4096
    )


def test_reads_tasks_of_step() -> None:
    """The number of tasks is known, on all nodes and on this one, and the rank of this task."""
    found = Allocation.from_environment(IN_STEP)
    assert (found.step, found.node, found.rank) == ("0", "c3", 9)
    assert (found.tasks, found.tasks_on_node, found.cpus_per_task) == (11, 3, 2)
    assert (found.mpi, found.by_srun, found.overcommit) == ("pmix", True, False)


def test_is_empty_without_slurm() -> None:
    """Every number is None, and every text empty."""
    assert Allocation.from_environment({"PATH": "/bin"}) == Allocation()


def test_ranks_of_mpirun_are_not_started_by_srun() -> None:
    """They inherit the variables of the step that mpirun runs in, except PMIx's."""
    assert not Allocation.from_environment(IN_STEP | {"PMIX_NAMESPACE": "prterun-c1-12@1"}).by_srun


@pytest.mark.parametrize(
    ("environ", "mib"),
    [
        ({"SLURM_MEM_PER_NODE": "2048"}, 2048),
        ({"SLURM_MEM_PER_NODE": "1G"}, 1024),
        ({"SLURM_MEM_PER_CPU": "512", "SLURM_CPUS_ON_NODE": "4"}, 2048),
        ({"SLURM_MEM_PER_CPU": "512M", "SLURM_CPUS_ON_NODE": "4"}, 2048),
        ({"SLURM_MEM_PER_CPU": "1G", "SLURM_CPUS_ON_NODE": "2"}, 2048),
        ({"SLURM_MEM_PER_NODE": "2048", "SLURM_MEM_PER_CPU": "1", "SLURM_CPUS_ON_NODE": "2"}, 2048),
        ({"SLURM_MEM_PER_NODE": "0"}, None),
        ({"SLURM_MEM_PER_NODE": "0", "SLURM_MEM_PER_CPU": "1G", "SLURM_CPUS_ON_NODE": "2"}, 2048),
        ({"SLURM_MEM_PER_CPU": "512"}, None),
        ({"SLURM_MEM_PER_NODE": "much"}, None),
        ({}, None),
    ],
)
def test_memory_is_per_node_or_per_cpu_times_cpus(environ: dict[str, str], mib: int | None) -> None:
    """Slurm writes MiB; a user's value, which srun accepts too, may have a unit; 0 means all memory of the node."""
    assert Allocation.from_environment(environ).memory == mib


@pytest.mark.parametrize(
    ("text", "cpus"), [("8", 8), ("8(x2)", 8), ("8(x2),4", 8), ("0", None), ("many", None), ("", None)]
)
def test_reads_cpus_of_first_node(text: str, cpus: int | None) -> None:
    """In a list for all nodes, the first number is that of the node that runs the script."""
    assert Allocation.from_environment({"SLURM_CPUS_ON_NODE": text}).cpus == cpus


@pytest.mark.parametrize(
    ("text", "node", "tasks"),
    [("5", "0", 5), ("2(x2),8", "1", 2), ("2(x2),8", "2", 8), ("2", "5", None), ("2", "", None), ("none", "0", None)],
)
def test_reads_tasks_of_this_node(text: str, node: str, tasks: int | None) -> None:
    """A number may stand for several nodes; without a node number the result is None."""
    environ = {"SLURM_STEP_TASKS_PER_NODE": text, "SLURM_NODEID": node}
    assert Allocation.from_environment(environ).tasks_on_node == tasks


def test_reads_overcommit() -> None:
    """srun's `--overcommit` sets the variable."""
    assert Allocation.from_environment({"SLURM_OVERCOMMIT": "1"}).overcommit


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("500", 500),
        ("500M", 500),
        ("2G", 2048),
        ("2GB", 2048),
        ("1t", 1 << 20),
        ("1025K", 2),
        ("1.50G", 1536),
        ("0", 0),
        ("2 G", None),
        ("", None),
        ("x", None),
        (None, None),
    ],
)
def test_parses_memory_with_slurm_units(text: str | None, mib: int | None) -> None:
    """A bare number is MiB, and kibibytes are rounded up."""
    assert mebibytes(text) == mib


def test_import_is_cheap() -> None:
    """Every rank of an MPI program imports the module, which imports neither click nor Dask."""
    code = "import sys, dask_hpc.slurm.allocation; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(PACKAGE)}, capture_output=True, text=True, check=True
    )
    assert not {"click", "dask", "distributed", "msgspec", "psutil", "rich", "subprocess"} & set(done.stdout.split())
