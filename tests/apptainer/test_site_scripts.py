"""The scripts that users copy to a cluster, submitted as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim
from tests.support.jobs import sbatch
from tests.support.launcher import install, left
from tests.support.waiting import until_in

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def folder(bare: SlurmSim, shared: str, root: Path) -> Iterator[str]:
    """A shared folder with the SIF, the launcher and the scripts."""
    install(bare)
    name = "/home/hpc/project one"
    bare.exec("mkdir", "-p", name)
    for script in sorted((root / "apptainer/site").glob("*.sbatch")):
        bare.put(script, f"{name}/{script.name}")
    bare.exec("sh", "-c", f'ln -sf {shared} "$1/dask-hpc.sif" && cp dask-hpc "$1"', "-", name)
    yield name
    bare.exec("rm", "-r", name)


def output(bare: SlurmSim, folder: str, script: str, timeout: float = 120) -> tuple[str, str]:
    """Submit a script in that folder; return its job's state and output."""
    job = sbatch(bare, script, workdir=folder)
    state = job.wait(timeout).state
    return state, job.output()


def test_every_site_script_is_tested(root: Path) -> None:
    """Every script that users copy is submitted by a test in this folder."""
    tests = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    scripts = [script.name for script in (root / "apptainer/site").glob("*.sbatch")]
    assert scripts
    assert [script for script in scripts if f'"{script}"' not in tests] == []


def test_driver_runs_as_job(bare: SlurmSim, folder: str) -> None:
    """The driver and its worker are jobs on nodes; they compute π, and leave nothing behind."""
    state, text = output(bare, folder, "slurmcluster-driver.sbatch")
    assert state == "COMPLETED", text
    assert "ok     serial and parallel count the same" in text
    assert "Traceback" not in text
    assert left(bare) == ""


@pytest.mark.parametrize(
    ("how", "state"),
    [(["--batch", "--signal=TERM"], "FAILED"), ([], "CANCELLED")],
    ids=["signal", "scancel"],
)
def test_ending_driver_early_ends_its_workers(bare: SlurmSim, folder: str, how: list[str], state: str) -> None:
    """The script's signal, which Slurm also sends before the time limit, ends the workers' jobs.

    So does a plain scancel, which kills the SIF's file system under the driver.
    """
    bare.exec(
        "sed", "-i", "s/ --jobs 1$/ --jobs 1 --samples 1e12 --no-serial/", "slurmcluster-driver.sbatch", workdir=folder
    )
    driver = bare.exec("sbatch", "--parsable", "slurmcluster-driver.sbatch", workdir=folder).stdout.strip()
    until_in(bare, f"grep -q ^dashboard: dask-driver-{driver}.log", workdir=folder)
    bare.exec("scancel", *how, driver)
    assert bare.job(int(driver)).wait(150).state == state
    assert left(bare) == ""


def test_mpi_program_runs_in_one_world(bare: SlurmSim, folder: str) -> None:
    """Four ranks on two nodes form one world, and the preceding check passes."""
    state, text = output(bare, folder, "mpi-program.sbatch")
    assert state == "COMPLETED", text
    greetings = re.findall(r"Hello, World! I am process (\d) of 4 on (c[12])\.", text)
    assert sorted(rank for rank, _ in greetings) == ["0", "1", "2", "3"]
    assert sorted(node for _, node in greetings) == ["c1", "c1", "c2", "c2"]
