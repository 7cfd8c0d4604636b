"""Large mini-clusters: complete when ready, or rejected before anything starts."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import msgspec
import pytest

from slurm_sim import SlurmSim, StartError, _lifecycle, _scaling, _size
from slurm_sim._docker import docker
from tests.support.command import left_of

NODES = 150
"""More nodes than the kernel's default neighbour table holds."""

TABLE = "net.ipv4.neigh.default.gc_thresh3"


def on_this_host() -> bool:
    """Return whether the engine runs on this host's kernel."""
    return docker("info", "--format={{.Name}}").stdout.strip() == socket.gethostname()


def answers(sim: SlurmSim, *command: str) -> list[str]:
    """Return the lines that one step on all nodes writes."""
    nodes = len(sim.nodes())
    return sim.exec("srun", f"--nodes={nodes}", *command, timeout=120).stdout.split()


@pytest.mark.alone
@pytest.mark.timeout(400)
def test_every_node_of_large_mini_cluster_answers(name: str) -> None:
    """Each of 150 nodes answers the first srun after the start, with its own host name and address."""
    with SlurmSim(name=name, nodes=NODES) as sim:
        assert sorted(answers(sim, "hostname")) == sorted(sim.nodes())
        assert len(set(answers(sim, "hostname", "--ip-address"))) == NODES
        assert "MessageTimeout          = 18 sec" in sim.exec("scontrol", "show", "config").stdout


@pytest.fixture
def tiny_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a node need more neighbours than any host's table holds."""
    huge = msgspec.structs.replace(_size._LIMITS[0], per_node=2**40)
    monkeypatch.setattr(_size, "_LIMITS", (huge,))


@pytest.mark.usefixtures("tiny_table")
def test_rejects_size_beyond_neighbour_table(name: str) -> None:
    """A mini-cluster too large for the host's table is rejected with the limit and the command that raises it."""
    with pytest.raises(StartError) as caught:
        SlurmSim(name=name, nodes=100).start()
    has = int(re.search(rf"{TABLE} is (\d+), enough for 0 nodes", caught.value.seen)[1])  # type: ignore[index]
    if on_this_host():
        assert has == int(Path(f"/proc/sys/{TABLE.replace('.', '/')}").read_text(encoding="ascii"))
    assert f"sysctl -w {TABLE}=" in caught.value.todo
    assert left_of(name) == []


@pytest.mark.usefixtures("tiny_table")
def test_rejects_growth_beyond_neighbour_table(slurm_sim: SlurmSim) -> None:
    """Scaling beyond the host's table is rejected, and changes nothing."""
    before = left_of(slurm_sim.name)
    with pytest.raises(StartError, match=f"sysctl -w {TABLE}="):
        slurm_sim.scale(100)
    assert left_of(slurm_sim.name) == before


def test_rejects_size_beyond_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mini-cluster is rejected if the engine's networks have fewer addresses than it has nodes."""
    monkeypatch.setattr(_size, "_addresses", lambda _network: 256)
    with pytest.raises(StartError, match=r"256 addresses each[^\0]*use at most 251"):
        SlurmSim(name=name, nodes=252).start()


def test_counts_addresses_of_network(slurm_sim: SlurmSim) -> None:
    """The number of addresses of an existing network is the engine's own figure."""
    prefix = docker(
        "network", "inspect", "--format={{(index .IPAM.Config 0).Subnet}}", f"{slurm_sim.name}_default"
    ).stdout.rpartition("/")[2]
    assert _size._addresses(f"{slurm_sim.name}_default") == 2 ** (32 - int(prefix))


SAME_NAME = """FROM {base}
RUN printf '#!/bin/sh\\necho same\\n' >/usr/bin/hostname
"""


def test_is_not_ready_unless_every_node_answers(name: str, versions: dict[str, str]) -> None:
    """If fewer nodes than requested answer the gate's job, the start fails and says how many did."""
    image = f"slurm-sim-test:{name}"
    text = SAME_NAME.format(base=f"slurm-sim/bare:{versions['SLURM_VERSION']}")
    assert docker("build", "--quiet", f"--tag={image}", "-", stdin=text.encode()).returncode == 0
    try:
        with pytest.raises(StartError, match="1 of 2 nodes answered"):
            SlurmSim(name=name, image=image).start()
    finally:
        docker("rmi", "--force", image)


@pytest.mark.slurm_sim(scope="module")
def test_timeouts_follow_size(slurm_sim: SlurmSim) -> None:
    """Longer timeouts reach the controller, the login node and the nodes, and outlast a restart of the controller."""
    _scaling.set_timeouts(slurm_sim.engine, 200)
    try:
        slurm_sim.fault("controller-restarted")
        slurm_sim.exec("sh", "-c", "until scontrol ping; do sleep 0.1; done", timeout=60)  # it takes a moment to listen
        for on in ("slurmctld", "login", "c1"):
            seen = slurm_sim.exec("scontrol", "show", "config", on=on).stdout
            values = dict(re.findall(r"^(\w+) += (\S+)", seen, re.MULTILINE))
            assert {key: values[key] for key in _size.timeouts(200)} == _size.timeouts(200)
        _lifecycle.pass_gate(slurm_sim.engine, slurm_sim.spec, len(slurm_sim.nodes()), 60)
    finally:
        _scaling.set_timeouts(slurm_sim.engine, 2)
