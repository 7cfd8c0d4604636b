"""Detecting the launcher of a process."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dask_hpc.mpi import launch as mpi_launch
from dask_hpc.mpi.check import explain
from dask_hpc.mpi.launch import launch

SRUN = {"SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2", "SLURM_NTASKS": "8"}
MPIRUN = {"OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_RANK": "0"}


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prevent tests from asking Slurm about steps."""
    monkeypatch.setattr(mpi_launch, "tasks_of_step", lambda _step: 0)


def process(proc: Path, pid: int, parent: int, name: str, environ: str = "") -> None:
    """Write a process's files below a simulated /proc."""
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} (a (b) c) S {parent} 0 0")
    (folder / "cmdline").write_text(name)
    (folder / "environ").write_text(environ)


def test_counts_tasks_of_srun_step(tmp_path: Path) -> None:
    """The number of tasks is the step's, not the job's, and only one task is the first."""
    found = launch(SRUN, tmp_path)
    assert found
    assert (found.by, found.tasks, found.first) == ("srun", 4, False)


def test_prefers_mpirun_inside_srun(tmp_path: Path) -> None:
    """Ranks of mpirun are recognized, although they inherit the variables of the step around it."""
    found = launch({**SRUN, **MPIRUN, "PMIX_NAMESPACE": "prterun-c1-1@1"}, tmp_path)
    assert found
    assert (found.by, found.tasks, found.first) == ("mpirun", 3, True)


def test_prefers_srun_inside_mpirun(tmp_path: Path) -> None:
    """Tasks of srun are recognized, although they inherit the variables of an mpirun around it."""
    found = launch({**SRUN, **MPIRUN, "PMIX_NAMESPACE": "slurm.pmix.1.0"}, tmp_path)
    assert found
    assert found.by == "srun"


@pytest.mark.parametrize("environ", [{}, {"SLURM_NTASKS": "8", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}])
def test_detects_missing_launcher(tmp_path: Path, environ: dict[str, str]) -> None:
    """A program that was started directly, even in a batch script with several tasks, was not launched as ranks."""
    assert launch(environ, tmp_path) is None


@pytest.mark.parametrize(("first", "step", "tasks"), [(True, "7.0", 2), (False, "7.0", 2), (True, "7.batch", None)])
def test_finds_tasks_in_proc_if_environment_was_cleaned(
    tmp_path: Path, first: bool, step: str, tasks: int | None
) -> None:
    """If the environment was cleaned, a step's tasks are found in /proc; a batch script is not a step."""
    pid = os.getpid()
    process(tmp_path, 90, 1, f"slurmstepd: [{step}]")
    process(tmp_path, 91, 90, "slurmstepd: ...")
    process(tmp_path, pid, 90, "python")
    process(tmp_path, pid + 1 if first else pid - 1, 90, "python")
    found = launch({}, tmp_path)
    assert (found and found.tasks) == tasks
    if found:
        assert found.cleaned
        assert found.first == first


def test_single_task_on_node_proves_no_world_size(tmp_path: Path) -> None:
    """One task on this node proves nothing about the others."""
    process(tmp_path, 90, 1, "slurmstepd: [7.0]")
    process(tmp_path, os.getpid(), 90, "python")
    found = launch({}, tmp_path)
    assert found
    assert (found.tasks, found.first, found.cleaned) == (0, True, True)
    assert "launched an unknown number of tasks" in explain(1, found, environ={}, pmix="5.0.11")


def test_reads_task_count_from_parent_process(tmp_path: Path) -> None:
    """With one task per node, a parent process's variables give the number of tasks."""
    process(tmp_path, 90, 1, "bash", "A=1\0SLURM_STEP_NUM_TASKS=2\0SLURM_PROCID=1\0")
    process(tmp_path, os.getpid(), 90, "python")
    found = launch({}, tmp_path)
    assert found
    assert (found.tasks, found.first, found.cleaned) == (2, False, True)
