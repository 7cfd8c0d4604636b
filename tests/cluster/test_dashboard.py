"""Dask clusters on nodes that other users share: only the user who started them reaches them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support.programs import PROGRAMS
from tests.support.waiting import until_in

pytestmark = pytest.mark.timeout(900)

OWNER = "1000"
OTHER = "1001"


@contextmanager
def running(sim: SlurmSim, backend: str, options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Run a Dask cluster; yield what its user found and what was printed."""
    sim.put(PROGRAMS / "dashboard_owner.py", "/home/hpc/dashboard_owner.py")
    sim.exec("rm", "-f", "found.json", "stop", "ended")
    command = f"python dashboard_owner.py {backend} '{json.dumps(options)}' >owner.log 2>&1; touch ended"
    sim.exec("sh", "-c", f"({command}) &")
    try:
        until_in(sim, "[ -e found.json ] || [ -e ended ]", timeout=400)  # it draws every page of the dashboard
        printed = sim.exec("cat", "owner.log").stdout
        assert "found.json" in sim.exec("ls").stdout, printed
        found: dict[str, Any] = json.loads(sim.exec("cat", "found.json").stdout)
        yield found | {"printed": printed}
    finally:
        sim.exec("touch", "stop")
        until_in(sim, "[ -e ended ]", timeout=400)


def reached(sim: SlurmSim, found: dict[str, Any], *ports: str, on: str = "login") -> list[str]:
    """Return what another user reaches on a node; the first line gives the number of ports tried."""
    program = (PROGRAMS / "dashboard_stranger.py").read_text(encoding="utf-8")
    words = (OWNER, json.dumps(found["routes"]), found["socket"], *ports)
    done = sim.exec("python", "-", *words, on=on, user=OTHER, workdir="/tmp", stdin=program, timeout=400)
    return done.stdout.splitlines()


def socket_left(sim: SlurmSim, found: dict[str, Any], on: str = "login") -> bool:
    return sim.exec("test", "-e", found["socket"], on=on, check=False).returncode == 0


@pytest.mark.parametrize(
    ("backend", "options"),
    [
        ("local", {"workers": 1}),
        ("local", {"workers": 1, "dashboard": "localhost:9000"}),
        ("slurm", {"jobs": 2}),
        ("slurm", {"jobs": 1, "processes": 2}),
    ],
)
def test_only_its_user_reaches_cluster(slurm_sim: SlurmSim, backend: str, options: dict[str, Any]) -> None:
    """Another user is refused on every port, route and socket; the user sees every page, and its live figures."""
    with running(slurm_sim, backend, options) as found:
        pages = ("/status", "/workers", "/json/counts.json", "/metrics", "/health")
        assert {found["status"][page] for page in pages} == {200}
        assert found["figures"] > 0
        assert found["workers"] == [["PrivateServer", "None"]] * len(found["workers"])
        assert found["scheduler"].startswith("tls://")
        assert socket_left(slurm_sim, found)
        if "dashboard" in options:  # the TCP port answers the user; other users are tried below
            ask = "import urllib.request; print(urllib.request.urlopen('http://localhost:9000/health').status)"
            assert slurm_sim.exec("python", "-c", ask).stdout == "200\n"
        login = reached(slurm_sim, found)
        assert login[1:] == []
        assert login[0] != "ports 0"  # the scheduler's, which requires a certificate
        assert {line for node in ("c1", "c2") for line in reached(slurm_sim, found, on=node)[1:]} == set()
    assert not socket_left(slurm_sim, found)


def test_prints_command_that_leads_to_dashboard(slurm_sim: SlurmSim) -> None:
    """The printed command names a socket with a short path, in a folder that only its user can enter."""
    with running(slurm_sim, "local", {"workers": 1}) as found:
        told = re.search(r"dashboard: (\S+) after ssh -L (\d+):(\S+) hpc@login\n", found["printed"])
        assert told, found["printed"]
        link, port, path = told.groups()
        assert link == found["link"] == f"http://localhost:{port}/status"
        assert path == found["socket"]
        assert len(path.encode()) <= 107
        seen = slurm_sim.exec("stat", "-c", "%a %U %F", path.rpartition("/")[0], path).stdout.splitlines()
        assert seen == ["700 hpc directory", "600 hpc socket"]


def test_scheduler_in_mpi_job_is_private(slurm_sim: SlurmSim) -> None:
    """The dashboard of an MPI job is a socket on its scheduler's node, reached through the login node."""
    with running(slurm_sim, "mpi", {"nodes": 2, "ranks_per_node": 2}) as found:
        node = found["host"]
        port = found["scheduler"].rpartition(":")[2]
        assert f"ssh -L {found['port']}:{found['socket']} -J hpc@login hpc@{node}\n" in found["printed"]
        assert found["workers"] == [["PrivateServer", "None"]] * len(found["workers"])
        assert reached(slurm_sim, found, port, on=node) == ["ports 1"]
    assert not socket_left(slurm_sim, found, on=node)
