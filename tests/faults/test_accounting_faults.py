"""Faults of accounting: jobs go on, and nothing is missing afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import CommandError, Job, SlurmSim
from slurm_sim._docker import docker
from slurm_sim._slurm import AWAIT_ACCOUNTING
from tests.support.command import left_of, new_name
from tests.support.jobs import sbatch
from tests.support.waiting import until_in

pytestmark = [
    pytest.mark.slurm_sim(scope="module", accounting=True, nodes=2),
    pytest.mark.timeout(300),  # slurmctld tries to reach slurmdbd every 10 s
]

SAVED = "/var/lib/slurm/slurmctld/job_state"


@pytest.fixture
def sim(slurm_sim: SlurmSim) -> Iterator[SlurmSim]:
    """The module's mini-cluster; whole and without jobs after each test."""
    yield slurm_sim
    slurm_sim.fault("heal")
    slurm_sim.cancel_all()


@pytest.fixture
def name() -> Iterator[str]:
    """Name for another mini-cluster, of which nothing may be left."""
    name = new_name()
    yield name
    assert left_of(name) == []


def ends(sim: SlurmSim, jobs: list[Job]) -> dict[str, str]:
    """Return the state and the exit status of each job in accounting."""
    ids = ",".join(str(job.id) for job in jobs)
    shown = sim.exec("sacct", "-nXP", f"--jobs={ids}", "--format=jobid,state,exitcode").stdout
    return {job: f"{state} {status}" for job, state, status in (line.split("|") for line in shown.splitlines())}


def expected(jobs: list[Job]) -> dict[str, str]:
    return {str(job.id): f"FAILED {status}:0" if status else "COMPLETED 0:0" for status, job in enumerate(jobs)}


@pytest.mark.parametrize("faults", [("database-lost",), ("dbd-lost",), ("dbd-lost", "database-lost")], ids="+".join)
def test_jobs_go_on_and_nothing_is_missing(sim: SlurmSim, faults: tuple[str, ...]) -> None:
    """Without the database or slurmdbd, jobs start and end, a new one too; `heal` completes accounting."""
    before = sbatch(sim, "--wrap=until [ -e go-on ]; do sleep 0.1; done; rm go-on")
    before.wait_until_running()
    for fault in faults:
        sim.fault(fault)
    jobs = [before, *(sbatch(sim, f"--wrap=exit {status}") for status in (1, 2, 3))]
    sim.exec("touch", "go-on")
    for job in jobs:
        job.wait(120)
    sim.fault("heal")
    assert ends(sim, jobs) == expected(jobs)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MB; the database's first content takes 50."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m,uid=64030,gid=64030", "tmpfs", str(tmp_path)]
    if os.getuid() != 0 or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs root, and the right to mount, for a small file system")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_full_database_delays_records(small_disk: Path, name: str) -> None:
    """On a full disk, jobs go on and slurmctld keeps their records; once there is room, accounting has all of them."""
    where = ("--opt=type=none", "--opt=o=bind", f"--opt=device={small_disk}")
    labels = (f"--label=com.docker.compose.project={name}", "--label=com.docker.compose.volume=database")
    docker("volume", "create", "--driver=local", *where, *labels, f"{name}_database")
    with SlurmSim(name=name, nodes=1, cpus_per_node=64, accounting=True) as full:
        fill = small_disk / "fill"
        with contextlib.suppress(OSError), fill.open("wb") as file:  # until no space is left
            while True:
                file.write(bytes(1 << 20))
        rows = "for job in $(seq 100); do sbatch --quiet --mem=1M --output=/dev/null --comment=$1 --wrap=true; done"
        full.exec("sh", "-c", rows, "rows", "x" * 1000)
        until_in(full, '[ -z "$(squeue --noheader)" ]', timeout=200)
        assert "is full" in full.logs("slurmdbd")
        fill.unlink()
        full.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=120)
        states = full.exec("sacct", "-nXP", "--starttime=now-1hour", "--format=state").stdout.split()
        assert states == ["COMPLETED"] * 100


def test_killed_database_loses_nothing(sim: SlurmSim) -> None:
    """Whatever sacct has shown is still there after mariadbd was killed."""
    jobs = [sbatch(sim, f"--wrap=exit {status}") for status in range(3)]
    for job in jobs:
        job.wait(60)
    sim.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=60)
    assert ends(sim, jobs) == expected(jobs)
    sim.fault("database-lost")
    sim.fault("heal")
    assert ends(sim, jobs) == expected(jobs)


def test_all_daemons_are_killed(sim: SlurmSim) -> None:
    """If the controller, slurmdbd and the database are killed at once, what the controller had saved comes back."""
    job = sbatch(sim, "--wrap=until [ -e go-on ]; do sleep 0.1; done; rm go-on")
    job.wait_until_running()
    sim.exec(
        "sh", "-c", f"touch /tmp/before; scontrol update jobid={job.id} comment=saved", on="slurmctld", user="root"
    )
    until_in(sim, f"[ {SAVED} -nt /tmp/before ]", on="slurmctld", user="root")
    for fault in ("controller-lost", "dbd-lost", "database-lost"):
        sim.fault(fault)
    sim.fault("heal")
    assert job.state == "RUNNING"
    sim.exec("touch", "go-on")
    assert job.wait(120).state == "COMPLETED"
    sim.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=60)
    assert ends(sim, [job]) == expected([job])


@pytest.mark.soak(only=True)  # Slurm asks for half a minute for the name of a container that does not run
def test_controller_starts_without_slurmdbd(sim: SlurmSim) -> None:
    """Once the controller has saved the associations, it needs no slurmdbd to start; sacct does."""
    sim.fault("controller-restarted")  # its end saves them
    sim.fault("dbd-lost")
    sim.fault("controller-restarted")
    until_in(sim, "scontrol ping", timeout=90)
    with pytest.raises(CommandError, match="DBD_GET_JOBS_COND failure"):
        sim.exec("sacct", timeout=90)
    job = sbatch(sim, "--wrap=true")
    assert job.wait(60).state == "COMPLETED"
    sim.fault("heal")
    assert ends(sim, [job]) == expected([job])


def test_two_mini_clusters_have_their_own_databases(sim: SlurmSim, slurm_sim_factory: type[SlurmSim]) -> None:
    """Two mini-clusters with accounting run side by side; each knows its own jobs only."""
    other = slurm_sim_factory(nodes=1, accounting=True)
    job = sbatch(other, "--wrap=exit 9")
    job.wait(60)
    other.exec("sh", "-c", AWAIT_ACCOUNTING, on="slurmctld", timeout=60)
    assert ends(other, [job]) == {str(job.id): "FAILED 9:0"}
    assert "9:0" not in sim.exec("sacct", "-nX", "--format=exitcode").stdout
    ports = docker("port", other.container("database")).stdout + docker("port", other.container("slurmdbd")).stdout
    assert ports == ""
