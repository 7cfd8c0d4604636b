"""Every command reports a mini-cluster that is stopped, fully or partly, and `up` restarts it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slurm_sim import NotRunningError, SlurmSim, SpecError
from slurm_sim._docker import docker
from tests.support.command import left_of, new_name, refused, slurm_sim_command
from tests.support.jobs import FOR_EVER, script
from tests.support.waiting import until, until_in

pytestmark = pytest.mark.timeout(300)

COMMANDS = (
    "status",
    "status --json",
    "exec true",
    "shell",
    "submit FILE",
    "submit FILE --wait",
    "scale 3",
    "cp FILE login:/home/hpc",
    "cp login:/etc/hostname TARGET",
    "fault node-lost c1",
    "fault node-hangs c1",
    "fault node-cut-off c1",
    "fault node-drained c1",
    "fault controller-lost",
)


@pytest.fixture(scope="module")
def sim() -> Iterator[SlurmSim]:
    """Mini-cluster of these tests; each test finds it running and leaves it running."""
    with SlurmSim(name=new_name(), nodes=2, slurm_conf={"AuthInfo": "cred_expire=5"}) as sim:
        yield sim


def containers(sim: SlurmSim, *services: str) -> list[str]:
    return [sim.container(service) for service in services or ("login", "slurmctld", "c1", "c2")]


def engine(*words: str) -> None:
    done = docker(*words)
    assert done.returncode == 0, done.stderr


def up(sim: SlurmSim) -> None:
    """Restart the mini-cluster with `slurm-sim up`; assert that all its nodes are idle and run a job."""
    done = slurm_sim_command("up", "--name", sim.name, "--json")
    assert done.returncode == 0, done.stderr.decode()
    works(sim)


def works(sim: SlurmSim) -> None:
    assert sorted(sim.exec("srun", "-N2", "hostname").stdout.split()) == ["c1", "c2"]
    until_in(sim, "[ $(sinfo --noheader --Node --format=%t | grep -c idle) = 2 ]")


def test_every_command_reports_stopped_mini_cluster(sim: SlurmSim, tmp_path: Path) -> None:
    """All commands report the state and what to do, `logs` and `list` work, and `up` restarts the mini-cluster."""
    path = script(tmp_path, "hostname")
    engine("stop", *containers(sim))
    for command in COMMANDS:
        words = command.replace("FILE", str(path)).replace("TARGET", str(tmp_path / "copy")).split()
        said = refused(words[0], "--name", sim.name, *words[1:], status=1)
        assert f"Mini-cluster {sim.name!r} is stopped.\nexited: slurmctld, login, c1, c2\n" in said
        assert f"'slurm-sim up --name {sim.name}' brings it back" in said
    for ask in (lambda: sim.exec("true"), lambda: sim.put(path, "/tmp"), lambda: sim.submit(path), sim.jupyter):
        with pytest.raises(NotRunningError, match="is stopped"):
            ask()
    assert slurm_sim_command("logs", "--name", sim.name).stderr
    listed = {one["spec"]["name"]: one for one in json.loads(slurm_sim_command("list", "--json").stdout)}
    assert listed[sim.name]["state"] == "stopped"
    up(sim)


def test_up_restores_files_and_queue(sim: SlurmSim) -> None:
    """A running batch job is requeued, a pending one runs, and /home is unchanged."""
    sim.exec("sh", "-c", "echo kept >file")
    held = sim.exec("sbatch", "--parsable", "--hold", "--wrap=hostname").stdout.strip()
    runs = sim.exec(
        "sbatch", "--parsable", "-N2", "--wrap=[ -e ran ] || { touch ran; exec tail -f /dev/null; }"
    ).stdout.strip()
    until_in(sim, "[ -e ran ]")
    engine("stop", *containers(sim))  # gives Slurm time to save its state, as the engine does when it stops
    done = slurm_sim_command("up", "--name", sim.name, "--json")
    assert done.returncode == 0, done.stderr.decode()
    status = json.loads(done.stdout)
    assert [node["name"] for node in status["nodes"]] == ["c1", "c2"]
    assert "stopped" not in status
    assert sim.exec("cat", "file").stdout == "kept\n"
    sim.exec("scontrol", "release", held)
    assert sim.job(int(held)).wait(timeout=60).state == "COMPLETED"
    assert sim.job(int(runs)).wait(timeout=90).state == "COMPLETED"


@pytest.mark.parametrize(
    ("how", "service", "state"),
    [
        (("pause",), "c1", "paused"),
        (("pause",), "login", "paused"),
        (("stop",), "c2", "exited"),
        (("stop",), "slurmctld", "exited"),
        (("rm", "--force"), "c1", "removed"),
        (("rm", "--force"), "login", "removed"),
        (("rm", "--force"), "slurmctld", "removed"),
    ],
)
def test_up_restarts_single_container(
    sim: SlurmSim, how: tuple[str, ...], service: str, state: str, tmp_path: Path
) -> None:
    """Commands that need that container report its state, all others work, and `up` restarts it."""
    if service == "slurmctld":  # lets it save its state; otherwise it would reuse job numbers
        engine("stop", sim.container(service))
    engine(*how, sim.container(service))
    partly = f"Mini-cluster {sim.name!r} is partly stopped.\n{state}: {service}\n"
    assert partly in refused("exec", "--name", sim.name, "--on", service, "true", status=1)
    assert partly in refused("cp", "--name", sim.name, f"{service}:/etc/hostname", str(tmp_path / "copy"), status=1)
    with pytest.raises(NotRunningError, match="is partly stopped"):
        sim.exec("true", on=service)
    assert sim.exec("true", on="c2" if service == "c1" else "c1").returncode == 0
    if service.startswith("c"):
        status = slurm_sim_command("status", "--name", sim.name, "--json")
        assert json.loads(status.stdout)["stopped"] == {service: state}
        assert f"partly stopped: {state}: {service}" in slurm_sim_command("status", "--name", sim.name).stdout.decode()
    else:
        assert partly in refused("status", "--name", sim.name, status=1)
    up(sim)


def test_up_works_after_prune(sim: SlurmSim) -> None:
    """`up` works after `docker system prune` has removed the network, or everything except the volumes."""
    network = f"{sim.name}_default"
    engine("stop", *containers(sim))
    engine("network", "rm", network)
    up(sim)
    engine("stop", *containers(sim))
    engine("rm", *containers(sim))
    engine("network", "rm", network)
    assert "removed: slurmctld, login, c1, c2" in refused("status", "--name", sim.name, status=1)
    up(sim)


def test_up_restores_last_of_three_nodes(sim: SlurmSim) -> None:
    """`up` restores a removed last node, because Slurm knows how many nodes there were."""
    sim.scale(3)
    engine("rm", "--force", sim.container("c3"))
    engine("stop", sim.container("c1"))
    done = slurm_sim_command("up", "--name", sim.name)
    assert done.returncode == 0, done.stderr.decode()
    assert sorted(sim.exec("srun", "-N3", "hostname").stdout.split()) == ["c1", "c2", "c3"]
    sim.scale(2)


def test_up_frees_node_lost_while_job_ended(sim: SlurmSim) -> None:
    """If Slurm waits for the end of a job on a node that no longer knows the job, `up` makes Slurm forget it."""
    job = sim.exec("sbatch", "--parsable", "--nodelist=c1", f"--wrap={FOR_EVER}").stdout.strip()
    until_in(sim, f"squeue --noheader --states=running --jobs={job} | grep .")
    engine("pause", sim.container("c1"))
    sim.exec("scancel", job)
    until_in(sim, "[ $(sinfo --noheader --Node --format=%t --nodes=c1 | grep -c comp) = 1 ]")
    engine("kill", sim.container("c1"))
    up(sim)


def test_up_keeps_drained_and_reconnects_cut_off_node(sim: SlurmSim) -> None:
    """A drained node stays drained, and a node that was cut off from the network is reconnected."""
    sim.fault("node-drained", "c1")
    sim.fault("node-cut-off", "c2")
    engine("stop", *containers(sim))
    sim.start()
    assert sim.exec("sinfo", "--noheader", "--Node", "--format=%N %t").stdout.split() == ["c1", "drain", "c2", "idle"]
    sim.fault("heal", "c1")
    works(sim)


def test_up_rejects_different_options(sim: SlurmSim) -> None:
    """Different options are rejected by name, and nothing changes; equal ones are accepted."""
    engine("stop", *containers(sim))
    for options, seen in (
        (["--nodes=3"], "nodes.c.count is 2, not 3"),
        (["--memory-per-node=1G"], "nodes.c.memory is 4096, not 1024"),
        (["--cpus-per-node=7"], "nodes.c.cpus is 2, not 7"),
        (["--accounting"], "accounting is False, not True"),
        (["--user=alice"], "users.alice is unset, not given"),
        (["--gpus-per-node=a100:1"], "nodes.c.gpus is unset, not ['a100:1']"),
    ):
        assert seen in refused("up", "--name", sim.name, *options)
    with pytest.raises(SpecError, match=r"nodes\.c\.count is 2, not 1"):
        SlurmSim(name=sim.name, nodes=1, slurm_conf=sim.spec.slurm_conf).start()
    assert slurm_sim_command("up", "--name", sim.name, "--nodes=2", "--memory-per-node=4096M").returncode == 0
    assert "already" in refused("up", "--name", sim.name)


@pytest.mark.parametrize(
    "harm", [lambda sim: docker("stop", *containers(sim)), lambda sim: docker("rm", "--force", *containers(sim))]
)
def test_down_removes_stopped_mini_cluster(harm: Callable[[SlurmSim], object]) -> None:
    """`down` removes a mini-cluster that is stopped, or of which only volumes and the network are left."""
    sim = SlurmSim(name=new_name(), nodes=1)
    sim.start()
    harm(sim)
    assert slurm_sim_command("down", "--name", sim.name).returncode == 0
    assert left_of(sim.name) == []


def test_down_removes_network_with_foreign_container(sim: SlurmSim) -> None:
    """A foreign container on the mini-cluster's network keeps running without it."""
    with SlurmSim(name=new_name(), nodes=1) as other:
        engine("network", "connect", f"{other.name}_default", sim.container("login"))
    assert left_of(other.name) == []
    until(lambda: sim.exec("true").returncode == 0, "an answer of the other mini-cluster")
