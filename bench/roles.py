"""Measure the cost of each role that starts only on request, and the speed of accounting."""

from __future__ import annotations

import json
from collections.abc import Iterator
from statistics import median

from bench.report import Measurement, seconds
from slurm_sim import SlurmSim
from slurm_sim._docker import docker
from slurm_sim.spec import Arguments

_ROUNDS = 5
_JOBS = 1000
_KINDS: dict[str, tuple[Arguments, float | None]] = {
    "nothing": ({}, None),
    "accounting": ({"accounting": True}, 3.0),
    "ssh": ({"ssh": True}, None),
    "rest": ({"rest": True}, None),
    "two users": ({"users": ["alice", "bob"]}, None),
    "everything": (
        {
            "accounting": True,
            "ssh": True,
            "rest": True,
            "users": ["alice", "bob"],
            "gpus_per_node": "a100:2",
            "partitions": ["debug:nodes=1,time=10"],
        },
        5.0,
    ),
}


def costs() -> Iterator[Measurement]:
    """Start mini-clusters of 2 nodes, the default, with each role, in turns; then measure accounting."""
    times: dict[str, list[float]] = {kind: [] for kind in _KINDS}
    memory: dict[str, float] = {}
    for _ in range(_ROUNDS):
        for kind, (asked, _most) in _KINDS.items():
            sim = SlurmSim(**asked)
            try:
                times[kind].append(seconds(sim.start))
                memory.setdefault(kind, _memory_mb(sim))
            finally:
                sim.down()
    for kind, (_, most) in _KINDS.items():
        yield Measurement(what=f"up with {kind}", value=median(times[kind]), unit="s", most=most)
    for kind, used in memory.items():
        yield Measurement(what=f"idle memory with {kind}", value=used, unit="MB")
    yield from _accounting()


def _memory_mb(sim: SlurmSim) -> float:
    """Return the memory of all containers, without files in the page cache."""
    containers = [sim.container(service) for service in (*sim.spec.services, *sim.nodes())]
    rows = docker("stats", "--no-stream", "--format={{json .MemUsage}}", *containers).stdout.splitlines()
    units = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "B": 1}
    used = [json.loads(row).split(" / ")[0] for row in rows]
    return sum(_bytes(text, units) for text in used) / 1e6


def _bytes(text: str, units: dict[str, int]) -> float:
    unit = next(unit for unit in units if text.endswith(unit))
    return float(text.removesuffix(unit)) * units[unit]


def _accounting() -> Iterator[Measurement]:
    with SlurmSim(nodes=2, accounting=True) as sim:
        yield Measurement(what="from a job's end to sacct", value=median(_delays(sim)), unit="s", most=1.0)
        # The first job keeps the nodes until the end, so that the others wait: running them would measure this machine.
        sim.exec("sbatch", "--nodes=2", "--exclusive", "--wrap=sleep infinity")
        submit = f"for job in $(seq {_JOBS}); do sbatch --quiet --exclusive --job-name=many --wrap=true; done"
        took = seconds(lambda: sim.exec("sh", "-c", submit))
        yield Measurement(what=f"{_JOBS} sbatch", value=took, unit="s", most=12.0)
        count = "sacct --noheader --allocations --name=many --starttime=now-1hour | wc -l"
        # sacct has no option to wait
        until = f'until [ "$({count})" = {_JOBS} ]; do sleep 0.2; done'
        took = seconds(lambda: sim.exec("sh", "-c", until, timeout=300))
        yield Measurement(what="  until all are in sacct", value=took, unit="s")


def _delays(sim: SlurmSim) -> list[float]:
    """Return the times from jobs' ends, as their last command sees them, to their records in sacct."""
    script = """
      job=$(sbatch --parsable --output=/dev/null --wrap='date +%s.%N >.end && mv .end end')
      until [ -e end ]; do sleep 0.02; done # `sbatch --wait` asks only every few seconds
      until [ "$(sacct --noheader --parsable2 --allocations --format=State --jobs=$job)" = COMPLETED ]; do :; done
      echo "$(date +%s.%N) $(cat end)" && rm end
    """
    found = []
    for _ in range(_ROUNDS):
        seen, ended = map(float, sim.exec("sh", "-c", script).stdout.split())
        found.append(seen - ended)
    return found
