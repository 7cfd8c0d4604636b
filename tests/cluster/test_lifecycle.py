"""Mini-clusters start completely or not at all, and leave nothing behind."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from slurm_sim import EngineError, SlurmSim, SpecError, StartError
from slurm_sim._docker import docker
from tests.support.command import SLURM_SIM, environment, left_of, new_name, refused, slurm_sim_command

DOCKERFILE = """FROM {base}
RUN printf '#!/bin/sh\\n%s\\n' '{entrypoint}' >/usr/local/sbin/slurmd-entrypoint
RUN chmod 0755 /usr/local/sbin/slurmd-entrypoint
"""
DIES = "echo this daemon is broken >&2; exit 3"
NEVER_COMES = "exec tail -f /dev/null"


@pytest.fixture
def bad_image(request: pytest.FixtureRequest, versions: dict[str, str]) -> Iterator[str]:
    """Image with a working login node, whose node daemon does what the test says."""
    tag = f"slurm-sim-test:{new_name()}"
    text = DOCKERFILE.format(base=f"slurm-sim/login:{versions['SLURM_VERSION']}", entrypoint=request.param)
    built = docker("build", "--quiet", f"--tag={tag}", "-", stdin=text.encode())
    assert built.returncode == 0, built.stderr
    yield tag
    docker("rmi", "--force", tag)


def test_mini_cluster_starts_is_listed_and_ends(name: str) -> None:
    """A mini-cluster starts, is listed, reports its state as JSON, and is removed by `down`."""
    size = ("--nodes=1", "--cpus-per-node=3", "--memory-per-node=1.5G", "--slurm-conf=slurmdtimeout=17")
    up = slurm_sim_command("up", *size, "--name", name, "--json")
    assert up.returncode == 0, up.stderr
    config = slurm_sim_command("exec", "--name", name, "--", "scontrol", "show", "config").stdout.decode()
    assert re.search(r"^SlurmdTimeout += 17 sec$", config, re.MULTILINE)
    node = {
        "name": "c1",
        "state": "idle",
        "cpus": 3,
        "memory_mb": 1536,
        "gpus": "",
        "partitions": ["general"],
        "reason": "none",
    }
    status = json.loads(slurm_sim_command("status", "--name", name, "--json").stdout)
    assert (
        json.loads(up.stdout)
        == status
        == {
            "name": name,
            "nodes": [node],
            "jobs": [],
            "users": ["hpc"],
            "jupyter": None,
            "rest": None,
        }
    )
    listed = {one["spec"]["name"]: one for one in json.loads(slurm_sim_command("list", "--json").stdout)}
    assert listed[name]["nodes"] == ["c1"]
    assert set(listed[name]["states"]) == {"slurmctld", "login", "c1"}
    assert slurm_sim_command("down", "--name", name).returncode == 0


@pytest.mark.parametrize("command", ["--help", "list", "list --json", "status", "status --json"])
def test_closed_pipe_ends_command_silently(slurm_sim: SlurmSim, command: str) -> None:
    """If the reader, such as `head`, has closed the pipe, the command ends without a message."""
    reading, writing = os.pipe()
    os.close(reading)
    of = environment() | {"SLURM_SIM_NAME": slurm_sim.name}
    done = subprocess.run(
        [SLURM_SIM, *command.split()], stdout=writing, stderr=subprocess.PIPE, env=of, timeout=150, check=False
    )
    os.close(writing)
    assert (done.stderr, done.returncode) == (b"", 1)


def test_rejects_name_in_use(slurm_sim: SlurmSim) -> None:
    """A second mini-cluster with the same name is rejected, and the first is not affected."""
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
def test_rejects_unknown_mini_cluster(slurm_sim: SlurmSim, command: list[str]) -> None:
    """Every command rejects an unknown mini-cluster, and lists the existing ones."""
    first, *rest = command
    said = refused(first, "--name", "no-such-one", *rest, status=1)
    assert "Mini-cluster 'no-such-one' not found" in said
    assert slurm_sim.name in said


def test_down_can_be_repeated(name: str) -> None:
    """The library's `down` can be called before `start`, and more than once."""
    sim = SlurmSim(name=name, nodes=1)
    sim.down()
    with sim:
        pass
    sim.down()


def test_exception_in_with_block_leaves_nothing(name: str) -> None:
    """If the `with` block raises, the mini-cluster ends and the exception propagates."""
    with pytest.raises(ZeroDivisionError), SlurmSim(name=name, nodes=1) as sim:
        fail_on(sim)


def fail_on(sim: SlurmSim) -> None:
    assert left_of(sim.name)
    raise ZeroDivisionError


def test_rejects_missing_image(name: str) -> None:
    """A missing image is named before anything starts."""
    said = refused("up", "--name", name, "--image=no-such-image:0", status=1)
    assert "Image no-such-image:0 not found" in said
    with pytest.raises(EngineError, match="no-such-image:0"):
        SlurmSim(name=name, image="no-such-image:0").start()


@pytest.mark.soak
def test_slurm_conf_line_that_slurm_rejects_is_reported(name: str) -> None:
    """An unknown key fails the start with Slurm's own error; an invalid line is rejected before the start."""
    with pytest.raises(StartError, match="exited") as failed:
        SlurmSim(name=name, nodes=1, slurm_conf={"Banana": 1}).start()
    assert "unrecognized key: Banana" in failed.value.seen
    assert "KillWait= is not a valid line of slurm.conf" in refused("up", "--name", name, "--slurm-conf", "KillWait")


@pytest.mark.parametrize("bad_image", [DIES], indirect=True)
def test_failed_daemon_is_reported_and_leaves_nothing(name: str, bad_image: str) -> None:
    """If a daemon dies, starting fails without waiting for the timeout, and the error has its name and output."""
    with pytest.raises(StartError, match="exited") as failed:  # and not "not ready within …"
        SlurmSim(name=name, nodes=2, image=bad_image).start()
    assert f"{name}-" in failed.value.what
    assert "this daemon is broken" in failed.value.seen


@pytest.mark.parametrize("bad_image", [NEVER_COMES], indirect=True)
def test_start_times_out_if_nodes_never_register(name: str, bad_image: str) -> None:
    """If nodes do not register, `start` fails when its timeout expires, and leaves nothing behind."""
    with pytest.raises(StartError, match="not ready within 3 s"):
        SlurmSim(name=name, nodes=1, image=bad_image).start(timeout=3)


@pytest.mark.soak
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["network", "container", "gate"])
def test_signal_while_starting_leaves_nothing(
    name: str, interrupted: list[str], how: signal.Signals, after: str
) -> None:
    """Ctrl-C or SIGTERM ends `up` at any stage, and leaves nothing behind."""
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
    """Return when a starting mini-cluster has reached that stage."""
    seen = {"network": "network", "container": f"container {name}-c", "gate": f"container {name}-c4-1"}[what]
    end = time.monotonic() + 90
    while not any(line.startswith(seen) for line in left_of(name)):
        assert time.monotonic() < end


@pytest.fixture(scope="module")
def interrupted() -> Iterator[list[str]]:
    """Names of mini-clusters that tests interrupted; at the end, assert that the engine created nothing late."""
    names: list[str] = []
    yield names
    assert [left for name in names for left in left_of(name)] == []


@pytest.mark.soak
def test_repeated_signals_do_not_stop_cleanup(name: str, interrupted: list[str]) -> None:
    """Pressing Ctrl-C again does not interrupt the cleanup."""
    up = subprocess.Popen([SLURM_SIM, "up", "--nodes=4", "--name", name], stderr=subprocess.PIPE, process_group=0)
    until("container", name)
    while up.poll() is None:  # for as long as it cleans up
        up.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            up.wait(0.05)  # as often as a person presses Ctrl-C; a flood would starve the process
    up.communicate()
    interrupted.append(name)
    assert left_of(name) == []


@pytest.mark.soak(only=True)
@pytest.mark.parametrize("number", range(10))
def test_signal_at_any_moment_leaves_nothing(name: str, interrupted: list[str], number: int) -> None:
    """Ctrl-C at a random moment of `up`, different in each round, leaves nothing behind."""
    up = subprocess.Popen([SLURM_SIM, "up", "--nodes=2", "--name", name], stderr=subprocess.PIPE, process_group=0)
    time.sleep(random.uniform(0, 4))  # the moment is what is tested
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=90)
    interrupted.append(name)
    assert b"Traceback" not in said
    if up.returncode == 0:  # it had already started
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
def test_rejects_invalid_options(name: str, wrong: list[str]) -> None:
    """An invalid option fails with status 2 and a message that names its value, and starts nothing."""
    said = refused("up", "--name", name, *wrong)
    option, _, value = wrong[0].partition("=")
    assert (value or option) in said
    assert left_of(name) == []


@pytest.mark.parametrize("wrong", ["UPPER", "a b", "-a", "a/b", "", "x" * 60])
def test_rejects_invalid_name(wrong: str) -> None:
    """Every command with a name option rejects names that Compose would not accept."""
    for command in (["up"], ["status"], ["down"], ["exec", "true"]):
        first, *rest = command
        assert "Invalid mini-cluster name" in refused(first, f"--name={wrong}", *rest)


@pytest.mark.parametrize(("typed", "meant"), [("dwon", "down"), ("stats", "status"), ("exce", "exec"), ("lst", "list")])
def test_suggests_nearest_command(typed: str, meant: str) -> None:
    """For an unknown command, the error suggests the nearest one."""
    assert f"did you mean {meant!r}?" in refused(typed)


def test_suggests_nearest_fault(slurm_sim: SlurmSim) -> None:
    """For an unknown fault, the error suggests the nearest one."""
    assert "did you mean 'node-lost'?" in refused("fault", "--name", slurm_sim.name, "node-lots", "c1")


def test_logs_shows_daemon_output(slurm_sim: SlurmSim) -> None:
    """`logs` shows a daemon's output, by default the controller's."""
    done = slurm_sim_command("logs", "--name", slurm_sim.name)
    assert b"slurmctld: " in done.stdout + done.stderr
    done = slurm_sim_command("logs", "--name", slurm_sim.name, "c1", "--lines=3")
    assert 0 < len((done.stdout + done.stderr).splitlines()) <= 3


def test_prints_no_progress_to_pipe(slurm_sim: SlurmSim) -> None:
    """In a pipe, `status` prints no control characters, and nothing on standard error."""
    done = slurm_sim_command("status", "--name", slurm_sim.name)
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr == b""


def test_mini_clusters_are_isolated(name: str, slurm_sim: SlurmSim, tmp_path: Path) -> None:
    """A second mini-cluster has its own nodes and files, and ending it does not affect the first."""
    with SlurmSim(name=name, nodes=1) as other:
        other.exec("touch", "other")
        other.exec("sbatch", "--job-name=other", "--wrap=exec tail -f /dev/null")
        assert other.exec("squeue", "--noheader", "--format=%j").stdout == "other\n"
        assert slurm_sim.exec("squeue", "--noheader").stdout == ""
        assert slurm_sim.exec("ls").stdout.split().count("other") == 0
        assert other.nodes() == ["c1"]
        assert "c2" in slurm_sim.nodes()
    assert slurm_sim.exec("srun", "hostname").returncode == 0
