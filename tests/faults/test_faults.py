"""Injected faults of real clusters: Slurm notices them, and recovers."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import pytest

from slurm_sim import CommandError, Job, NotRunningError, SlurmSim, SpecError
from slurm_sim._docker import docker
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.waiting import until_in

STATE = "/var/lib/slurm/slurmctld/job_state"
AS_ROOT: dict[str, Any] = {"on": "slurmctld", "user": "root", "timeout": 150}

pytestmark = [
    pytest.mark.slurm_sim(scope="module"),  # a node that was cut off has another interface with engines before 28
    pytest.mark.timeout(400),  # a node contacts a lost controller less and less often
]


@pytest.fixture
def sim(slurm_sim: SlurmSim) -> Iterator[SlurmSim]:
    """The module's mini-cluster; after each test, assert that both nodes work."""
    yield slurm_sim
    slurm_sim.cancel_all()
    assert_whole(slurm_sim)


def await_state(sim: SlurmSim, node: str, pattern: str) -> None:
    """Return when a node's state in Slurm matches; on timeout, fail with what Slurm reports.

    Asks scontrol: sinfo may report an old state for minutes, if a node changes twice in one second.
    """
    try:
        until_in(sim, f"scontrol --oneliner show node {node} | grep -Eq ' State=({pattern}) '")
    except TimeoutError:
        seen = sim.exec("sh", "-c", f"scontrol show node {node}; squeue; scontrol show job", timeout=150).stdout
        pytest.fail(f"{node} is not {pattern}\n{seen}\n{sim.logs('slurmctld', lines=30)}\n{sim.logs(node, lines=30)}")


DOWN = r"DOWN\S*"
DOWN_OR_SILENT = rf"{DOWN}|\S*NOT_RESPONDING\S*|\S*\*\S*"
DRAINING = r"(MIXED|ALLOCATED)\+DRAIN\S*"
DRAINED = r"IDLE\+DRAIN\S*"


def assert_whole(sim: SlurmSim) -> None:
    """Assert that both nodes are free and work, and resolve each other's names.

    An exclusive job on both nodes shows this. sinfo may report a node as `mixed` for minutes after its job has ended,
    if that was just as the controller came back: it shows the controller's last record, until a node changes.
    """
    whole = sim.exec("srun", "-N2", "--exclusive", "hostname", timeout=120)
    assert sorted(whole.stdout.split()) == ["c1", "c2"]
    assert sim.exec("srun", "-wc1", "getent", "hosts", "c2", timeout=150).stdout
    assert sim.exec("srun", "-wc2", "getent", "hosts", "slurmctld", timeout=150).stdout


@pytest.mark.parametrize("kind", ["node-lost", "node-hangs", "node-cut-off"])
def test_failed_node_is_marked_down_and_recovers(sim: SlurmSim, kind: str) -> None:
    """Slurm detects by itself that a node has failed, requeues its job, and gets it back after `heal`."""
    job = sbatch(sim, "--nodelist=c2", f"--wrap={FOR_EVER}")
    job.wait_until_running(120)
    sim.fault(kind, "c2")
    await_state(sim, "c2", DOWN_OR_SILENT)
    assert sim.exec("srun", "-wc1", "hostname", timeout=150).stdout == "c1\n"
    await_state(sim, "c2", DOWN)
    assert job.record().state in {"PENDING", "COMPLETING"}
    job.cancel()
    sim.fault("heal", "c2")
    assert_whole(sim)


def test_node_healed_in_time_keeps_its_job(sim: SlurmSim) -> None:
    """A node that hangs briefly is not marked down, and its job keeps running."""
    job = sbatch(sim, "--nodelist=c2", f"--wrap={FOR_EVER}")
    job.wait_until_running(120)
    sim.fault("node-hangs", "c2")
    sim.fault("heal", "c2")
    assert job.record().state == "RUNNING"
    job.cancel()
    job.wait(120)
    assert_whole(sim)


def test_drained_node_finishes_jobs_and_takes_none(sim: SlurmSim) -> None:
    """Running jobs continue on a drained node, no new one starts, and `heal` returns it to service."""
    job = sbatch(sim, "--nodelist=c2", f"--wrap={FOR_EVER}")
    job.wait_until_running(120)
    sim.fault("node-drained", "c2")
    await_state(sim, "c2", DRAINING)
    assert job.record().state == "RUNNING"
    with pytest.raises(CommandError):
        sim.exec("srun", "-wc2", "--immediate=1", "hostname", timeout=150)
    job.cancel()
    await_state(sim, "c2", DRAINED)
    sim.fault("heal", "c2")
    assert_whole(sim)


def test_lost_controller_fails_commands_but_no_job(slurm_sim_factory: Callable[..., SlurmSim]) -> None:
    """Without a controller, Slurm's commands fail, a job keeps running, and `heal` restores the saved state."""
    sim = slurm_sim_factory(nodes=2)
    job = sbatch(sim, "--nodelist=c2", "--wrap=until [ -e ~/go-on ]; do sleep 0.1; done; rm ~/go-on; echo done")
    job.wait_until_running(120)
    save(sim, job)  # otherwise it is forgotten, as on real clusters
    sim.fault("controller-lost")
    with pytest.raises(CommandError, match="Unable to contact slurm controller"):
        sim.exec("sinfo", timeout=150)
    sim.exec("touch", "go-on", on="c1")
    until_in(sim, "[ ! -e go-on ]", on="c1")
    sim.fault("heal")
    assert job.wait(150).state == "COMPLETED"
    assert job.output().startswith("done\n")  # followed by the node's messages about the lost controller
    assert_whole(sim)


@pytest.mark.parametrize("again", ["heal", "up"])
def test_controller_lost_at_once_gets_new_nodes_back(slurm_sim_factory: Callable[..., SlurmSim], again: str) -> None:
    """Slurm saves new nodes seconds late; nodes that it forgot come back, also one that hung or stopped meanwhile."""
    sim = slurm_sim_factory(nodes=1)
    sim.scale(4)
    sim.fault("controller-lost")
    sim.fault("node-hangs", "c3")
    sim.fault("node-lost", "c4")
    if again == "heal":
        sim.fault("heal")
        sim.fault("heal", "c3", "c4")
    else:
        sim.start()
    whole = sim.exec("srun", "-N4", "hostname", timeout=120)
    assert sorted(whole.stdout.split()) == ["c1", "c2", "c3", "c4"]


def test_node_cannot_be_healed_without_controller(slurm_sim_factory: Callable[..., SlurmSim]) -> None:
    """While the controller is lost, `heal` of a running, a hanging or a lost node says so at once."""
    sim = slurm_sim_factory(nodes=3)
    sim.fault("node-hangs", "c2")
    sim.fault("node-lost", "c3")
    sim.fault("controller-lost")
    for node in sim.nodes():
        with pytest.raises(NotRunningError, match="partly stopped") as error:
            sim.fault("heal", node)
        assert "slurmctld" in error.value.seen
    sim.fault("heal")
    sim.fault("heal", *sim.nodes())
    whole = sim.exec("srun", "-N3", "hostname", timeout=120)
    assert sorted(whole.stdout.split()) == ["c1", "c2", "c3"]


def save(sim: SlurmSim, job: Job) -> None:
    """Return when the controller has saved the state of a running job."""
    sim.exec("sh", "-c", f"touch /tmp/before; scontrol update jobid={job.id} comment=saved", **AS_ROOT)
    until_in(sim, f"[ {STATE} -nt /tmp/before ]", **AS_ROOT)


def test_controller_learns_of_job_that_ended_unsaved(slurm_sim_factory: Callable[..., SlurmSim]) -> None:
    """A job whose end was not saved does not block its node: Slurm notices, and other jobs keep running."""
    sim = slurm_sim_factory(nodes=2)
    other = sbatch(sim, "--nodelist=c1", f"--wrap={FOR_EVER}")
    job = sbatch(sim, "--nodelist=c2", "--no-requeue", "--wrap=until [ -e ~/go-on ]; do sleep 0.1; done")
    for one in (other, job):
        one.wait_until_running(120)
    save(sim, job)
    inside = PurePosixPath(f"{sim.container('slurmctld')}:{STATE}")
    saved = subprocess.run(["docker", "cp", inside, "-"], stdout=subprocess.PIPE, check=True).stdout
    sim.exec("touch", "go-on")
    assert job.wait(120).state == "COMPLETED"
    sim.fault("controller-lost")
    subprocess.run(["docker", "cp", "-", inside.parent], input=saved, check=True)  # the last state that it saved
    sim.fault("heal")
    assert job.wait(1).state == "NODE_FAIL"  # Slurm assumes that the node failed
    assert other.record().state == "RUNNING"
    other.cancel()
    assert_whole(sim)


def test_heal_without_fault_changes_nothing(sim: SlurmSim) -> None:
    """`heal` can be repeated, for nodes and for the controller."""
    idle = r"IDLE\+DYNAMIC_NORM"
    for node in sim.nodes():  # the job of the last test may still be completing there
        await_state(sim, node, idle)
    before = state(sim)
    sim.fault("heal", "c1", "c2")
    sim.fault("heal")
    assert state(sim) == before
    assert_whole(sim)


def state(sim: SlurmSim) -> list[str]:
    """Return each container's start time and address, and each node's state, reason, boot and daemon start times."""
    services = [sim.container(service) for service in ("slurmctld", "login", *sim.nodes())]
    form = "{{.Name}} {{.State.StartedAt}} {{.State.Status}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    containers = docker("inspect", f"--format={form}", *services).stdout.splitlines()
    shown = sim.exec("scontrol", "--oneliner", "show", "node").stdout
    return [*containers, *re.findall(r"NodeName=\S+|State=\S+|BootTime=\S+|SlurmdStartTime=\S+|Reason=\S+", shown)]


def test_rejects_invalid_fault(sim: SlurmSim) -> None:
    """Unknown faults, and unknown, missing or superfluous nodes, are rejected before anything is broken."""
    with pytest.raises(SpecError, match="did you mean 'node-lost'"):
        sim.fault("node-lsot", "c1")
    with pytest.raises(SpecError, match="Unknown node 'c99'") as unknown:
        sim.fault("node-lost", "c1", "c99")
    assert "c1, c2" in unknown.value.seen
    with pytest.raises(SpecError, match="The name of a node is missing"):
        sim.fault("node-lost")
    with pytest.raises(SpecError, match="controller-lost takes no nodes"):
        sim.fault("controller-lost", "c1")
    assert_whole(sim)
