"""Limits of the engine's host and Slurm's timeouts, by number of nodes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slurm_sim import StartError
from slurm_sim._size import check_room, timeouts
from slurm_sim._slurm_conf import conf_lines
from tests.support.bridge_site import executable

NEIGHBOURS = "net.ipv4.neigh.default.gc_thresh3"
PIDS = "kernel.pid_max"
THREADS = "kernel.threads-max"


def path(key: str) -> str:
    return "/proc/sys/" + key.replace(".", "/")


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a fake engine's answers: its `host`'s limits, and `pools` and `subnet` of networks."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    files = "run) cat host ;; info) cat pools ;; *) cat subnet ;;"
    executable(tmp_path / "docker", f"#!/bin/sh\ncd {tmp_path}\ncase $1 in {files} esac\n")
    (tmp_path / "pools").write_text("null\n")
    return tmp_path


def limits(
    host: Path, *, neighbours: int = 32768, pids: int = 131072, threads: int = 200_000, mib: int = 24_000
) -> None:
    """Write the contents of the host's files."""
    values = {path(NEIGHBOURS): neighbours, path(PIDS): pids, path(THREADS): threads}
    text = "".join(f"={file}\n{value}\n" for file, value in values.items())
    (host / "host").write_text(f"{text}=/proc/meminfo\nMemTotal: 1 kB\nMemAvailable:   {mib * 1024} kB\n")


@pytest.mark.parametrize(("there", "wanted"), [(0, 128), (0, 136), (2, 128), (100, 36), (0, 63), (62, 1)])
def test_accepts_sizes_within_default_limits(host: Path, there: int, wanted: int) -> None:
    """The kernel's default limits are enough for 136 nodes in all mini-clusters."""
    limits(host, neighbours=1024, pids=32768)
    check_room(there, wanted, "image")


@pytest.mark.parametrize(
    ("there", "wanted", "command"), [(0, 137, 2048), (0, 256, 2048), (0, 512, 4096), (256, 256, 4096)]
)
def test_rejects_size_beyond_table_of_neighbours(host: Path, there: int, wanted: int, command: int) -> None:
    """The error has the limit, the number of nodes that it is enough for, and the command that raises it."""
    limits(host, neighbours=1024)
    with pytest.raises(StartError) as caught:
        check_room(there, wanted, "image")
    assert f"{NEIGHBOURS} is 1024, enough for 136 nodes" in caught.value.seen
    assert (f"{there} run already" in caught.value.seen) == bool(there)
    assert f"sysctl -w {NEIGHBOURS}={command}" in caught.value.todo


def test_says_how_many_nodes_would_fit(host: Path) -> None:
    """The error has the number of nodes that still fit; if none fits, it says to end another mini-cluster."""
    limits(host, neighbours=1024)
    with pytest.raises(StartError, match="use at most 36"):
        check_room(100, 37, "image")
    with pytest.raises(StartError, match="end another mini-cluster"):
        check_room(136, 1, "image")


def test_raised_limits_hold_most_nodes(host: Path) -> None:
    """With the limits that containers/engine.sh sets, 512 nodes fit."""
    limits(host)
    check_room(0, 512, "image")


@pytest.mark.parametrize(
    ("few", "said"),
    [
        ({"pids": 20_000}, "kernel.pid_max=32768"),
        ({"threads": 20_000}, "kernel.threads-max=32768"),
        ({"mib": 8000}, "use at most 363"),
    ],
)
def test_rejects_size_beyond_other_limits(host: Path, few: dict[str, int], said: str) -> None:
    """Too few process IDs or threads, or too little memory, are errors with advice."""
    limits(host, **few)
    with pytest.raises(StartError, match=re.escape(said)):
        check_room(0, 512, "image")


def test_ignores_unreadable_limits(host: Path) -> None:
    """Limits that cannot be read, as with a rootless engine, are not checked."""
    (host / "host").write_text("")
    check_room(0, 512, "image")


def test_small_mini_clusters_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """For fewer than 64 nodes in total, no container is started to read the limits."""
    monkeypatch.setenv("PATH", "/nonexistent")
    check_room(0, 63, "image")


@pytest.mark.parametrize(
    "pools",
    [
        '[{"Base":"10.0.0.0/8","Size":24}]',
        '[{"Base":"10.0.0.0/8","Size":26},{"Base":"fd00::/48","Size":64},{"Base":"10.1.0.0/16","Size":24}]',
    ],
)
def test_rejects_more_nodes_than_addresses(host: Path, pools: str) -> None:
    """Networks of 256 addresses hold 251 nodes."""
    limits(host)
    (host / "pools").write_text(pools)
    check_room(0, 251, "image")
    with pytest.raises(StartError, match="256 addresses each"):
        check_room(0, 252, "image")


def test_growing_counts_existing_nodes_of_network(host: Path) -> None:
    """Nodes that are already in the network need addresses, too."""
    limits(host)
    (host / "subnet").write_text("fd00:1::/64 10.0.0.0/24 \n")
    check_room(200, 51, "image", network="one_default", inside=200)
    with pytest.raises(StartError, match="enough addresses for 252 nodes"):
        check_room(200, 52, "image", network="one_default", inside=200)


@pytest.mark.parametrize(("nodes", "seconds"), [(1, 10), (80, 10), (128, 16), (256, 32), (512, 64), (1024, 100)])
def test_timeouts_grow_with_nodes(nodes: int, seconds: int) -> None:
    """MessageTimeout grows up to Slurm's own limit, and SlurmdTimeout stays more than three times as long."""
    values = timeouts(nodes)
    assert int(values["MessageTimeout"]) == seconds
    assert int(values["SlurmdTimeout"]) > 3 * seconds


def test_timeouts_of_few_nodes_are_in_slurm_conf(root: Path) -> None:
    """Up to 80 nodes, the lines are those of slurm.conf, and MessageTimeout is Slurm's default."""
    text = (root / "slurm-sim/etc/slurm.conf").read_text(encoding="utf-8")
    lines = set(conf_lines(timeouts(80)).splitlines())
    assert lines - set(text.splitlines()) == {"MessageTimeout=10"}
