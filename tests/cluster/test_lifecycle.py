"""Mini-clusters come up whole or not at all, and go without a trace."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import EngineError, SlurmSim, SpecError, StartError
from slurm_sim.running import docker
from tests.support.command import SLURM_SIM, environment, left_of, new_name, refused, slurm_sim_command

DOCKERFILE = """FROM {base}
RUN printf '#!/bin/sh\\n%s\\n' '{entrypoint}' >/usr/local/sbin/slurmd-entrypoint
RUN chmod 0755 /usr/local/sbin/slurmd-entrypoint
"""
DIES, NEVER_COMES = "echo this daemon is broken >&2; exit 3", "exec tail -f /dev/null"


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a mini-cluster; whatever a test leaves of it is found, and removed."""
    name = new_name()
    yield name
    left = left_of(name)
    SlurmSim(name=name).down()
    assert left == []


@pytest.fixture
def bad_image(request: pytest.FixtureRequest, versions: dict[str, str]) -> Iterator[str]:
    """An image whose login node is as ours, and whose node's daemon does what the test says."""
    tag = f"slurm-sim-test:{new_name()}"
    text = DOCKERFILE.format(base=f"slurm-sim/login:{versions['SLURM_VERSION']}", entrypoint=request.param)
    built = docker("build", "--quiet", f"--tag={tag}", "-", stdin=text.encode())
    assert built.returncode == 0, built.stderr
    yield tag
    docker("rmi", "--force", tag)


def test_up_list_status_and_down(name: str) -> None:
    """A mini-cluster comes up, is listed, says its state as JSON, and is gone after `down`."""
    up = slurm_sim_command("up", "--nodes=1", "--cpus-per-node=3", "--memory-per-node=1.5G", "--name", name, "--json")
    assert up.returncode == 0, up.stderr
    node = {"name": "c1", "state": "idle", "cpus": 3, "memory_mb": 1536, "reason": "none"}
    status = json.loads(slurm_sim_command("status", "--name", name, "--json").stdout)
    assert json.loads(up.stdout) == status == {"name": name, "nodes": [node], "jobs": [], "jupyter": None}
    listed = {one["spec"]["name"]: one for one in json.loads(slurm_sim_command("list", "--json").stdout)}
    assert listed[name]["nodes"] == ["c1"]
    assert set(listed[name]["states"]) == {"slurmctld", "login", "c1"}
    assert slurm_sim_command("down", "--name", name).returncode == 0


@pytest.mark.parametrize("command", ["--help", "list", "list --json", "status", "status --json"])
def test_a_reader_that_has_gone_is_no_error_to_speak_of(slurm_sim: SlurmSim, command: str) -> None:
    """Where `| head` has read enough, the command ends without a word."""
    reading, writing = os.pipe()
    os.close(reading)
    of = environment() | {"SLURM_SIM_NAME": slurm_sim.name}
    done = subprocess.run(
        [SLURM_SIM, *command.split()], stdout=writing, stderr=subprocess.PIPE, env=of, timeout=50, check=False
    )
    os.close(writing)
    assert (done.stderr, done.returncode) == (b"", 1)


def test_a_name_in_use_is_refused(slurm_sim: SlurmSim) -> None:
    """A second mini-cluster of a name is refused, and the first one is not harmed."""
    before = left_of(slurm_sim.name)
    said = refused("up", "--nodes=1", "--name", slurm_sim.name)
    assert "already" in said
    assert f"slurm-sim down --name {slurm_sim.name}" in said
    with pytest.raises(SpecError, match="already"):
        SlurmSim(name=slurm_sim.name).start()
    assert left_of(slurm_sim.name) == before
    assert slurm_sim.exec("srun", "hostname").returncode == 0


@pytest.mark.parametrize(
    "command", [["down"], ["status"], ["exec", "true"], ["scale", "2"], ["logs"], ["fault", "heal"]]
)
def test_a_mini_cluster_that_is_not_there_is_said(slurm_sim: SlurmSim, command: list[str]) -> None:
    """Every command says that there is none of that name, and names those that there are."""
    first, *rest = command
    said = refused(first, "--name", "no-such-one", *rest, status=1)
    assert "there is no mini-cluster 'no-such-one'" in said
    assert slurm_sim.name in said


def test_ending_what_has_ended_is_no_error(name: str) -> None:
    """The library's `down` can be called again; also before `start`."""
    sim = SlurmSim(name=name, nodes=1)
    sim.down()
    with sim:
        pass
    sim.down()


def test_an_exception_inside_leaves_nothing(name: str) -> None:
    """`with` ends the mini-cluster however its block ends, and lets the exception through."""
    with pytest.raises(ZeroDivisionError), SlurmSim(name=name, nodes=1) as sim:
        fail_on(sim)


def fail_on(sim: SlurmSim) -> None:
    assert left_of(sim.name)
    raise ZeroDivisionError


def test_an_image_that_does_not_exist_starts_nothing(name: str) -> None:
    """An image that nobody has is named before anything starts."""
    said = refused("up", "--name", name, "--image=no-such-image:0", status=1)
    assert "no image no-such-image:0" in said
    with pytest.raises(EngineError, match="no-such-image:0"):
        SlurmSim(name=name, image="no-such-image:0").start()


@pytest.mark.parametrize("bad_image", [DIES], indirect=True)
def test_a_daemon_that_dies_is_shown_and_leaves_nothing(name: str, bad_image: str) -> None:
    """Where a daemon ends at once, `up` fails soon, with which one it was and what it wrote."""
    with pytest.raises(StartError, match="ended") as failed:  # and not "not ready within …"
        SlurmSim(name=name, nodes=2, image=bad_image).start()
    assert f"{name}-" in failed.value.what
    assert "this daemon is broken" in failed.value.seen


@pytest.mark.parametrize("bad_image", [NEVER_COMES], indirect=True)
def test_nodes_that_never_register_are_shown_and_leave_nothing(name: str, bad_image: str) -> None:
    """Where nodes do not come, `start` fails when its time is over, with what Slurm knows."""
    with pytest.raises(StartError, match="not ready within 3 s"):
        SlurmSim(name=name, nodes=1, image=bad_image).start(timeout=3)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["network", "container", "gate"])
def test_a_signal_while_starting_leaves_nothing(
    name: str, interrupted: list[str], how: signal.Signals, after: str
) -> None:
    """Ctrl-C and SIGTERM end `up` soon, at whatever moment they come, and nothing is left."""
    up = subprocess.Popen(
        [SLURM_SIM, "up", "--nodes=4", "--name", name], stderr=subprocess.PIPE, env=environment(), process_group=0
    )
    until(after, name)
    up.send_signal(how)
    _, said = up.communicate(timeout=90)
    interrupted.append(name)
    assert up.returncode != 0
    assert b"Traceback" not in said
    assert left_of(name) == []


def until(what: str, name: str) -> None:
    """Returns when a mini-cluster that is starting has got that far."""
    seen = {"network": "network", "container": f"container {name}-c", "gate": f"container {name}-c4-1"}[what]
    end = time.monotonic() + 90
    while not any(line.startswith(seen) for line in left_of(name)):
        assert time.monotonic() < end


@pytest.fixture(scope="module")
def interrupted() -> Iterator[list[str]]:
    """The mini-clusters that tests have interrupted: what the engine was still making of them has not come since."""
    names: list[str] = []
    yield names
    assert [left for name in names for left in left_of(name)] == []


def test_a_signal_after_which_another_comes_leaves_nothing(name: str, interrupted: list[str]) -> None:
    """A second Ctrl-C does not end the cleaning up."""
    up = subprocess.Popen([SLURM_SIM, "up", "--nodes=4", "--name", name], stderr=subprocess.PIPE, process_group=0)
    until("container", name)
    while up.poll() is None:  # for as long as it cleans up
        up.send_signal(signal.SIGINT)
        time.sleep(0.05)
    up.communicate()
    interrupted.append(name)
    assert left_of(name) == []


@pytest.mark.soak(only=True)
@pytest.mark.parametrize("number", range(10))
def test_signal_at_any_moment_leaves_nothing(name: str, interrupted: list[str], number: int) -> None:
    """Wherever `up` is when Ctrl-C comes, nothing is left: the moments are drawn, and differ from round to round."""
    up = subprocess.Popen([SLURM_SIM, "up", "--nodes=2", "--name", name], stderr=subprocess.PIPE, process_group=0)
    time.sleep(random.uniform(0, 4))  # the moment is what is tested
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=90)
    interrupted.append(name)
    assert b"Traceback" not in said
    if up.returncode == 0:  # it was up already
        slurm_sim_command("down", "--name", name)
    assert left_of(name) == []


@pytest.mark.parametrize(
    "wrong",
    [
        ["--nodes=0"],
        ["--nodes=-3"],
        ["--nodes=10000"],
        ["--nodes=banana"],
        ["--cpus-per-node=0"],
        ["--memory-per-node=banana"],
        ["--memory-per-node=1M"],
        ["--no-such-option"],
    ],
)
def test_a_size_that_makes_no_sense_starts_nothing(name: str, wrong: list[str]) -> None:
    """Status 2, a message that names the value, no traceback, and nothing started."""
    said = refused("up", "--name", name, *wrong)
    assert wrong[0].partition("=")[2] in said
    assert left_of(name) == []


@pytest.mark.parametrize("wrong", ["UPPER", "a b", "-a", "a/b", "", "x" * 60])
def test_a_name_that_makes_no_sense_starts_nothing(wrong: str) -> None:
    """A name that Compose would not take is refused by every command that takes one."""
    for command in (["up"], ["status"], ["down"], ["exec", "true"]):
        first, *rest = command
        assert "cannot name a mini-cluster" in refused(first, f"--name={wrong}", *rest)


@pytest.mark.parametrize(("typed", "meant"), [("dwon", "down"), ("stats", "status"), ("exce", "exec"), ("lst", "list")])
def test_a_mistyped_command_names_the_nearest(typed: str, meant: str) -> None:
    """A command that is not there asks whether its neighbour was meant."""
    assert f"did you mean {meant!r}?" in refused(typed)


def test_a_mistyped_fault_names_the_nearest(slurm_sim: SlurmSim) -> None:
    """So does a fault."""
    assert "did you mean 'node-lost'?" in refused("fault", "--name", slurm_sim.name, "node-lots", "c1")


def test_logs_are_a_daemons(slurm_sim: SlurmSim) -> None:
    """`logs` shows what a daemon wrote, the controller's without an argument."""
    done = slurm_sim_command("logs", "--name", slurm_sim.name)
    assert b"slurmctld: Running as primary controller" in done.stdout + done.stderr
    done = slurm_sim_command("logs", "--name", slurm_sim.name, "c1", "--lines=3")
    assert 0 < len((done.stdout + done.stderr).splitlines()) <= 3


def test_a_pipe_sees_no_progress(slurm_sim: SlurmSim) -> None:
    """Where nobody looks, nothing moves: no control characters on either stream."""
    done = slurm_sim_command("status", "--name", slurm_sim.name)
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr == b""


def test_two_mini_clusters_do_not_see_each_other(name: str, slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A second one has nodes, jobs and files of its own, and its end does not harm the first."""
    with SlurmSim(name=name, nodes=1) as other:
        other.exec("touch", "other")
        assert slurm_sim.exec("ls").stdout.split().count("other") == 0
        assert other.nodes() == ["c1"]
        assert "c2" in slurm_sim.nodes()
    assert slurm_sim.exec("srun", "hostname").returncode == 0
