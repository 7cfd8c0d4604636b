"""Adding and removing nodes while the mini-cluster runs."""

from __future__ import annotations

import msgspec
import pytest

from slurm_sim import SlurmSim, SpecError, StartError
from slurm_sim._docker import docker
from tests.support.command import left_of, refused, slurm_sim_command
from tests.support.jobs import FOR_EVER, sbatch

pytestmark = pytest.mark.slurm_sim(scope="module")  # its nodes come and go


@pytest.fixture
def sim(slurm_sim: SlurmSim) -> SlurmSim:
    """Mini-cluster that has two nodes when a test begins."""
    return slurm_sim


def slurm_nodes(sim: SlurmSim) -> list[str]:
    return sorted(sim.exec("sinfo", "--noheader", "--Node", "--format=%N").stdout.split())


def containers(sim: SlurmSim) -> set[str]:
    return {line.split()[1] for line in left_of(sim.name) if line.startswith("container")}


def address(sim: SlurmSim, node: str) -> str:
    return sim.exec("getent", "hosts", node).stdout.split()[0]


def hosts_of_step(sim: SlurmSim, nodes: int) -> list[str]:
    return sorted(sim.exec("srun", f"-N{nodes}", "--immediate=60", "hostname", timeout=150).stdout.split())


def test_adds_nodes(sim: SlurmSim) -> None:
    """After scaling up, the new nodes are in Slurm and DNS, and a step runs on all nodes."""
    sim.scale(4)
    assert sim.nodes() == slurm_nodes(sim) == hosts_of_step(sim, 4) == ["c1", "c2", "c3", "c4"]


def test_removes_nodes(sim: SlurmSim) -> None:
    """After scaling down, Slurm, DNS and the engine no longer have the removed nodes."""
    sim.scale(4)
    sim.scale(1)
    assert sim.nodes() == slurm_nodes(sim) == hosts_of_step(sim, 1) == ["c1"]
    assert containers(sim) == {sim.container(service) for service in ("slurmctld", "login", "c1")}
    assert sim.exec("getent", "hosts", "c2", check=False).returncode != 0


def test_removed_node_can_come_back(sim: SlurmSim) -> None:
    """A node that was removed and added again works under its new address."""
    before = address(sim, "c2")
    sim.scale(1)
    between = docker(
        "run",
        "--detach",
        "--network",
        f"{sim.name}_default",
        "--entrypoint=tail",
        sim.spec.login_image,
        "-f",
        "/dev/null",
    )
    try:
        sim.scale(2)
        assert address(sim, "c2") != before
        assert hosts_of_step(sim, 2) == ["c1", "c2"]
        assert sim.exec("srun", "-wc2", "getent", "hosts", "login", timeout=150).stdout
    finally:
        docker("rm", "--force", between.stdout.strip())


def test_requeues_job_of_removed_node(sim: SlurmSim) -> None:
    """A batch job whose node is removed is requeued, runs on another node, and completes."""
    first = sbatch(sim, "--exclusive", "--nodelist=c1", f"--wrap={FOR_EVER}")
    assert first.wait_until_running(120).nodes == "c1"
    job = sbatch(sim, "--exclusive", f"--wrap=hostname; [ ${{SLURM_RESTART_COUNT:-0}} -gt 0 ] || {FOR_EVER}")
    assert job.wait_until_running(120).nodes == "c2"
    sim.scale(1)
    assert job.record().state == "PENDING"
    first.cancel()
    sim.exec("scontrol", "update", f"jobid={job.id}", "starttime=now")  # Slurm would wait for cred_expire
    assert job.wait(150).state == "COMPLETED"
    assert job.output().split()[-1] == "c1"


def test_removes_busy_and_idle_nodes_together(sim: SlurmSim) -> None:
    """Busy and idle nodes are removed together, even if Slurm forgets the idle ones first."""
    sim.scale(4)
    assert sbatch(sim, "--nodelist=c3", f"--wrap={FOR_EVER}").wait_until_running(120).nodes == "c3"
    sim.scale(1)
    assert sim.nodes() == slurm_nodes(sim) == ["c1"]


@pytest.mark.soak
def test_sends_no_job_to_node_being_removed(sim: SlurmSim) -> None:
    """With a full queue, a node is removed in time, and every job completes on the remaining node."""
    jobs = [sbatch(sim, "--exclusive", "--wrap=sleep 0.3") for _ in range(6)]
    sim.scale(1)
    for job in jobs:  # the one that ran there would wait, as above
        sim.exec("scontrol", "update", f"jobid={job.id}", "starttime=now", check=False)
    assert {job.wait(150).state for job in jobs} == {"COMPLETED"}
    assert jobs[-1].record().nodes == "c1"


def test_jobs_on_remaining_nodes_keep_running(sim: SlurmSim) -> None:
    """Scaling up or down does not disturb jobs on the remaining nodes."""
    job = sbatch(sim, "--nodelist=c1", f"--wrap={FOR_EVER}")
    job.wait_until_running(120)
    sim.scale(3)
    sim.scale(1)
    assert job.record().state == "RUNNING"
    job.cancel()
    job.wait(120)


def test_scale_command_shows_nodes(sim: SlurmSim) -> None:
    """`slurm-sim scale` returns once Slurm knows the nodes, and shows them."""
    done = slurm_sim_command("scale", "--name", sim.name, "3")
    assert done.returncode == 0
    assert all(node in done.stdout.decode() for node in ("c1", "c2", "c3"))
    assert slurm_nodes(sim) == ["c1", "c2", "c3"]


def test_scaling_to_same_number_changes_nothing(sim: SlurmSim) -> None:
    """Scaling to the current number of nodes leaves every container as it is."""
    before = containers(sim)
    sim.scale(len(sim.nodes()))
    assert containers(sim) == before


@pytest.mark.parametrize("count", [0, -3, 10000])
def test_rejects_invalid_node_count(sim: SlurmSim, count: int) -> None:
    """Zero, negative or too many nodes are rejected, by the command with status 2, and nothing changes."""
    before = sim.nodes()
    with pytest.raises(SpecError, match="must be between"):
        sim.scale(count)
    assert "must be between" in refused("scale", "--name", sim.name, "--", str(count))
    assert sim.nodes() == before


def test_rejects_non_numeric_node_count(sim: SlurmSim) -> None:
    """The command rejects a node count that is not a number."""
    assert "banana" in refused("scale", "--name", sim.name, "banana")


def test_removes_new_node_that_fails_to_start(sim: SlurmSim) -> None:
    """If a new node fails to start, it is removed, and the existing nodes stay."""
    sim.scale(1)
    broken = SlurmSim.attach(sim.name)
    broken.spec = msgspec.structs.replace(sim.spec, node_image="slurm-sim/no-such-image:0")
    with pytest.raises(StartError, match="Could not add c2"):
        broken.scale(2)
    assert sim.nodes() == slurm_nodes(sim) == ["c1"]
