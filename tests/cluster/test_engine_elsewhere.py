"""If the engine is on another host, or slurm-sim in a container, all files go through the engine's API."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from slurm_sim import SlurmSim, StartError
from slurm_sim._docker import docker
from tests.support.command import SLURM_SIM, environment, left_of
from tests.support.engine_elsewhere import CHECKOUT, PLUGINS, engine_on_tcp, from_client, ssh_to_here
from tests.support.header_sif import sif
from tests.support.waiting import until, until_in

pytestmark = pytest.mark.timeout(300)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("checkout", [True, False], ids=["checkout", "wheel"])
def test_works_from_container(client: str, name: str, checkout: bool) -> None:
    """Slurm's configuration and user files reach the nodes from a container that shares no file with the engine."""
    assert not Path(CHECKOUT).exists()

    def slurm_sim(*words: str) -> str:
        done = from_client(client, words[0], "--name", name, *words[1:], checkout=checkout)
        assert done.returncode == 0, done.stderr
        return done.stdout

    slurm_sim("up", "--nodes=1", "--slurm-conf=KillWait=7")
    assert "KillWait                = 7 sec" in slurm_sim("exec", "--", "scontrol", "show", "config")
    assert slurm_sim("exec", "--", "srun", "hostname") == "c1\n"
    slurm_sim("exec", "--on=slurmctld", "--user=root", "--", "scontrol", "reconfigure")
    slurm_sim("cp", "/etc/passwd", "login:/home/hpc/copy")
    slurm_sim("cp", "c1:/home/hpc/copy", "/tmp/copy")
    same = docker("exec", client, "cmp", "/etc/passwd", "/tmp/copy")
    assert same.returncode == 0, same.stdout + same.stderr
    docker("exec", client, "sh", "-c", "printf '#!/bin/sh\\nhostname\\n' >/tmp/job.sbatch")
    assert slurm_sim("submit", "/tmp/job.sbatch", "--wait") == "c1\n"
    slurm_sim("scale", "2")
    assert slurm_sim("exec", "--", "srun", "-N2", "true") == ""
    slurm_sim("down")


def test_copies_sif_from_container(client: str, name: str, tmp_path: Path) -> None:
    """A SIF that only the client has is complete and read-only on all nodes, including one added later."""
    file = sif(tmp_path, name="my env.sif", size=3_000_000)
    assert docker("cp", str(file), f"{client}:/tmp/my env.sif").returncode == 0
    up = from_client(client, "up", "--name", name, "--nodes=1", "--bare", "--sif", "/tmp/my env.sif")
    assert up.returncode == 0, up.stderr
    sim = SlurmSim.attach(name)
    sim.scale(2)
    for node in ("login", "c1", "c2"):
        told = sim.exec("sha256sum", "/shared/my env.sif", on=node).stdout.split()[0]
        assert told == sha256(file.read_bytes())
        for user in ("hpc", "root"):
            assert sim.exec("touch", "/shared/my env.sif", on=node, user=user, check=False).returncode != 0
    assert sim.exec("ls", "-A", "/shared").stdout == "my env.sif\n"
    sim.down()


def test_works_over_tcp_and_ssh(name: str, tmp_path: Path) -> None:
    """Every command honours DOCKER_HOST; streams, exit status and the queue are as with a local engine."""
    path = f"{ssh_to_here(tmp_path)}:{os.environ['PATH']}"
    with engine_on_tcp() as tcp:
        for host in (tcp, "ssh://user@elsewhere.example"):
            of = environment() | {"DOCKER_HOST": host, "PATH": path, "SLURM_SIM_NAME": name}

            def slurm_sim(*words: str, stdin: bytes = b"", of: dict[str, str] = of) -> bytes:
                run = subprocess.run(
                    [SLURM_SIM, *words], input=stdin, capture_output=True, env=of, timeout=150, check=False
                )
                assert run.returncode == 0, run.stderr.decode()
                return run.stdout

            slurm_sim("up", "--nodes=1")
            assert slurm_sim("exec", "--", "srun", "cat", stdin=b"passed on") == b"passed on"
            assert [node["state"] for node in json.loads(slurm_sim("status", "--json"))["nodes"]] == ["idle"]
            slurm_sim("down")
    assert (tmp_path / "used").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"DOCKER_HOST": "tcp://127.0.0.1:1"}, "check that DOCKER_HOST (tcp://127.0.0.1:1) is right"),
        ({"DOCKER_HOST": "unix:///nowhere/docker.sock"}, "start Docker"),
        ({"DOCKER_HOST": "foo://bar"}, "to unix://…, tcp://… or ssh://…"),
        ({"DOCKER_CONTEXT": "no-such-context"}, "'docker context ls' lists the contexts"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nowhere"}, "DOCKER_CERT_PATH"),
        ({"DOCKER_API_VERSION": "9.9"}, "unset DOCKER_API_VERSION"),
    ],
)
def test_explains_unreachable_engine(given: dict[str, str], said: str) -> None:
    """Every command reports settings that lead to no engine, and says what to do."""
    for command in ("list", "up", "down"):
        done = subprocess.run(
            [SLURM_SIM, *command.split()], capture_output=True, text=True, env=environment() | given, check=False
        )
        assert done.returncode == 1, done.stdout
        assert done.stderr.startswith("Error: No Docker engine answers.\n")
        assert said in done.stderr.splitlines()[-1]


def test_explains_missing_access(client: str) -> None:
    """A user who is not in the socket's group is told to join it."""
    told = from_client(client, "list", user="hpc")
    assert told.returncode == 1
    assert "What to do: join the group 'docker'" in told.stderr


def test_reports_missing_compose(client: str, name: str) -> None:
    """Without Docker's Compose plugin, `up` says what to install, and leaves nothing behind."""
    plugin = f"{PLUGINS}/docker-compose"
    docker("exec", client, "mv", plugin, "/tmp/docker-compose")
    try:
        done = from_client(client, "up", "--name", name, "--nodes=1")
    finally:
        docker("exec", client, "mv", "/tmp/docker-compose", plugin)
    assert done.returncode == 1
    assert "did not start" in done.stderr
    assert "What to do: install Docker's Compose plugin" in done.stderr


def test_names_conflicting_container(name: str, versions: dict[str, str]) -> None:
    """If another project's container has a name that `start` needs, the error names it, and the container stays."""
    taken = f"{name}-login-1"
    docker("create", "--name", taken, f"slurm-sim/login:{versions['SLURM_VERSION']}")
    try:
        with pytest.raises(StartError, match="did not start") as failed:
            SlurmSim(name=name, nodes=1).start()
        assert taken in failed.value.seen
        assert "docker rm --force" in failed.value.todo
        assert docker("inspect", taken).returncode == 0
    finally:
        docker("rm", taken)


def test_recovers_from_engine_lost_during_start(name: str) -> None:
    """If the engine is lost during `up`, the error says so, and `up` with the same name completes the mini-cluster."""
    with engine_on_tcp() as tcp:
        of = environment() | {"DOCKER_HOST": tcp, "SLURM_SIM_NAME": name}
        words = [SLURM_SIM, "up", "--nodes=1"]
        starting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=of, text=True)
        until(lambda: f"container {name}-login-1" in left_of(name), "the login node")
    _, said = starting.communicate(timeout=100)
    assert starting.returncode == 1
    assert "No Docker engine answers" in said
    assert "Traceback" not in said
    again = subprocess.run(words, capture_output=True, text=True, env=of | {"DOCKER_HOST": ""}, check=False)
    assert again.returncode == 0 or "already" in again.stderr  # it was already complete
    sim = SlurmSim.attach(name)
    until_in(sim, "[ $(sinfo --noheader --Node --format=%t) = idle ]")
    assert sim.exec("srun", "hostname").stdout == "c1\n"
    sim.down()


def test_ignores_compose_settings_of_other_projects(name: str, tmp_path: Path) -> None:
    """COMPOSE_… variables and an .env file in the working directory are another project's, and have no effect."""
    (tmp_path / ".env").write_text("COMPOSE_PROJECT_NAME=theirs\nSLURM_SIM_CPUS=7\nCOMPOSE_PROFILES=pattern\n")
    (tmp_path / "compose.yaml").write_text("services: {theirs: {image: theirs}}\n")
    own = {"COMPOSE_PROJECT_NAME": "theirs", "COMPOSE_FILE": "compose.yaml", "COMPOSE_PROFILES": "pattern,*"}
    of = environment() | own | {"COMPOSE_ENV_FILES": ".env", "COMPOSE_PATH_SEPARATOR": ",", "SLURM_SIM_CPUS": "7"}
    words = [SLURM_SIM, "up", "--nodes=1", "--name", name, "--json"]
    up = subprocess.run(words, capture_output=True, text=True, env=of, cwd=tmp_path, check=False)
    assert up.returncode == 0, up.stderr
    assert [(node["name"], node["cpus"]) for node in json.loads(up.stdout)["nodes"]] == [("c1", 2)]
    SlurmSim(name=name).down()
