"""A stream of workloads while jobs end in every way, at random: each answer stays right, and nothing grows."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from slurm_sim import SlurmSim
from tests.support.jobs import FOR_EVER, sbatch
from tests.support.kept import Running, right_answers
from tests.support.waiting import until_in

TOML = """
[nodes.c]
count = 4

[slurm]
KillWait = 2

[preemption]
by = "partition"

[partitions.requeued]
default = true
priority = 1
preempt = "requeue"

[partitions.cancelled]
priority = 1
preempt = "cancel"

[partitions.high]
priority = 10
"""
STREAM = """
import json, random, resource, sys, time
from pathlib import Path
import psutil
from dask_hpc import cluster

def square(number):
    time.sleep(0.1)
    return number * number

def slow(number):
    time.sleep(3)
    return number

def add(left, right):
    return left + right

def squares(client):
    assert client.gather(client.map(square, range(40), pure=False)) == [number * number for number in range(40)]

def slow_ones(client):
    assert client.gather(client.map(slow, range(6), pure=False)) == list(range(6))

def tree(client):
    level = client.map(square, range(32), pure=False)
    while len(level) > 1:
        level = client.map(add, level[::2], level[1::2], pure=False)
    assert level[0].result() == sum(number * number for number in range(32))

def blocks(client):
    grown = client.map(bytes, [4 << 20] * 8, pure=False)
    assert sum(client.gather(client.map(len, grown, pure=False))) == 8 * (4 << 20)

chance = random.Random(int(sys.argv[2]))
with cluster(on="slurm", **json.loads(sys.argv[1])) as dask_cluster:
    client = dask_cluster.client
    kept = client.submit(sum, [1, 2], pure=False)
    Path("at-work").touch()
    batches, memory, program = 0, [], psutil.Process()
    while not Path("enough").exists():
        chance.choice([squares, slow_ones, tree, blocks])(client)
        batches += 1
        Path("batches").write_text(f"{batches}\\n")
        memory.append(program.memory_info().rss >> 20)
    assert kept.result() == 3
    early, late = memory[: len(memory) // 3], memory[-len(memory) // 3 :]
    print("memory:", sorted(early)[len(early) // 2], sorted(late)[len(late) // 2], "files:", program.num_fds())
    print("right:", batches)
"""

pytestmark = [pytest.mark.slurm_sim(scope="module")]


@pytest.fixture(scope="module")
def slurm_sim_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The mini-cluster has two partitions whose jobs are preempted."""
    path = tmp_path_factory.mktemp("stream") / "cluster.toml"
    path.write_text(TOML)
    return {"config": path}


class Events:
    """What happens to the jobs of a program.

    Args:
        running: the program.
        seed: decides what is hit.
    """

    def __init__(self, running: Running, seed: int) -> None:
        self._running = running
        self._sim = running.sim
        self._chance = random.Random(seed)
        self.names: list[str] = []

    def one(self, among: dict[str, Callable[[Events], None]]) -> None:
        """Let one of these happen, and wait until the program has computed something since."""
        name = self._chance.choice(sorted(among))
        self.names.append(name)
        among[name](self)
        before = self.batches()
        until_in(self._sim, f"[ $(cat batches) -gt {before + 1} ] || [ -e ended ]", timeout=280)
        assert not self._sim.exec("sh", "-c", "cat ended 2>/dev/null", check=False).stdout, self._running.log()

    def batches(self) -> int:
        """Return the number of workloads that are done."""
        return int(self._sim.exec("sh", "-c", "cat batches 2>/dev/null || echo 0").stdout)

    def _job(self) -> str:
        jobs = self._running.jobs()
        return self._chance.choice(jobs) if jobs else ""

    def scancel(self) -> None:
        """Cancel a job."""
        self._sim.exec("scancel", self._job(), check=False)

    def scancel_all(self) -> None:
        """Cancel all running jobs at once."""
        self._sim.exec("scancel", *self._running.jobs(), check=False)

    def preemption(self) -> None:
        """Give a job's node to a job of a higher partition, for a moment."""
        job = self._job()
        node = self._running.node(job) if job else ""
        if node:
            high = sbatch(self._sim, "--partition=high", "--exclusive", f"--nodelist={node}", f"--wrap={FOR_EVER}")
            high.wait_until_running(60)
            high.cancel()

    def node_lost(self) -> None:
        """Stop a node, and bring it back."""
        self._fault("node-lost")

    def node_hangs(self) -> None:
        """Let a node hang until its job is replaced, and bring it back."""
        self._fault("node-hangs")

    def controller_lost(self) -> None:
        """Stop the controller, and bring it back."""
        self._sim.fault("controller-lost")
        self._sim.fault("heal")

    def _fault(self, kind: str) -> None:
        job = self._job()
        node = self._running.node(job) if job else ""
        if node:
            self._sim.fault(kind, node)
            before = self.batches()  # a hanging node holds up what it computes until it is given up
            until_in(self._sim, f"[ $(cat batches) -gt {before} ] || [ -e ended ]", timeout=280)
            self._sim.fault("heal", node)


SHORT: dict[str, Callable[[Events], None]] = {
    "scancel": Events.scancel,
    "scancel of all": Events.scancel_all,
    "preemption": Events.preemption,
    "node-lost": Events.node_lost,
}
ALL = {**SHORT, "node-hangs": Events.node_hangs, "controller-lost": Events.controller_lost}

SOAK = pytest.mark.soak(only=True)


@pytest.mark.timeout(2700)
@pytest.mark.parametrize(
    ("seconds", "options", "events"),
    [
        pytest.param(90, {"jobs": 3, "partition": "requeued"}, SHORT, id="short"),
        pytest.param(1800, {"jobs": 3, "partition": "requeued"}, ALL, marks=SOAK, id="fixed"),
        pytest.param(1800, {"jobs": (1, 3), "partition": "cancelled"}, ALL, marks=SOAK, id="adaptive"),
    ],
)
def test_stream_of_random_events(
    slurm_sim: SlurmSim, seconds: float, options: dict[str, Any], events: dict[str, Callable[[Events], None]]
) -> None:
    """With jobs of one minute and something every few seconds, all answers are right, and nothing grows."""
    seed = 14
    text = STREAM.replace("int(sys.argv[2])", str(seed))
    slurm_sim.exec("rm", "-f", "batches")
    end = time.monotonic() + seconds
    with right_answers(slurm_sim, text=text, walltime="00:01:00", longest=seconds + 600, **options) as running:
        happening = Events(running, seed)
        while time.monotonic() < end:
            happening.one(events)
    log = running.log()
    found = re.search(r"^memory: (\d+) (\d+) files: (\d+)$", log, re.MULTILINE)
    assert found, log
    early, late, files = map(int, found.groups())
    assert late < 1.1 * early + 10
    assert files < 200
    assert len(set(happening.names)) >= 3
    assert log.count("takes its place") >= 2
