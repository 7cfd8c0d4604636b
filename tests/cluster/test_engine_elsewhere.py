"""The engine is on another host, or slurm-sim runs in a container: all files go through the engine's API."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim import SlurmSim
from slurm_sim.running import docker
from tests.support.command import SLURM_SIM, environment, left_of, new_name
from tests.support.engine_elsewhere import CHECKOUT, client_container, engine_on_tcp, from_client, ssh_to_here
from tests.support.header_sif import sif

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def client(
    root: Path, versions: dict[str, str], wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a container in which slurm-sim can be run, and that shares no file with the engine's host."""
    name, folder = new_name(), tmp_path_factory.mktemp("client")
    try:
        client_container(name, f"slurm-sim/node:{versions['VERSION']}", root, wheel, folder)
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.fixture
def name() -> Iterator[str]:
    """A name for a mini-cluster, of which nothing is left."""
    name = new_name()
    yield name
    left = left_of(name)
    SlurmSim(name=name).down()
    assert left == []


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("checkout", [True, False], ids=["checkout", "wheel"])
def test_mini_cluster_from_a_container(client: str, name: str, checkout: bool) -> None:
    """Slurm's configuration and a user's files reach the nodes from a container that the engine cannot look into."""
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


def test_sif_from_a_container(client: str, name: str, tmp_path: Path) -> None:
    """A SIF that only the client has is on all nodes, whole and read-only, also on one that comes later."""
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


def test_mini_cluster_by_tcp_and_ssh(name: str, tmp_path: Path) -> None:
    """DOCKER_HOST is honoured by every step; streams, exit status and a queue are as with a local engine."""
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
