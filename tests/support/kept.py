"""A program with a known answer on a Dask cluster of Slurm jobs, and what happens to the jobs meanwhile."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from slurm_sim import SlurmSim
from tests.support.waiting import left_after_a_minute, until_in

PROGRAM = """
import json, sys, time
from pathlib import Path
from dask_hpc import cluster

def square(number):
    time.sleep(0.1)
    return number * number

with cluster(on="slurm", **json.loads(sys.argv[1])) as dask_cluster:
    client = dask_cluster.client
    kept = client.submit(sum, [1, 2], pure=False)
    Path("at-work").touch()
    batches = 0
    while not Path("enough").exists():
        found = client.gather(client.map(square, range(40), pure=False))
        assert found == [number * number for number in range(40)], found
        batches += 1
    assert kept.result() == 3
    print("right:", batches)
"""

STRICT = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
"""With this setting, a single loss that counts against a task ends the task, and with it the program."""


@dataclass(frozen=True)
class Running:
    """A program that runs on the login node."""

    sim: SlurmSim
    status: Future[Any]

    def until_said(self, pattern: str, times: int = 1, timeout: float = 150) -> None:
        """Wait until that many lines of its output match a pattern of grep."""
        quoted = pattern.replace("'", "'\\''")
        with suppress(TimeoutError):
            until_in(self.sim, f"[ $(grep -Ec '{quoted}' log) -ge {times} ] || [ -e ended ]", timeout=timeout)
        assert len(re.findall(pattern, self.log(), re.MULTILINE)) >= times, self.log()

    def log(self) -> str:
        """Return its output, without the tables."""
        lines = self.sim.exec("cat", "log").stdout.splitlines()
        return "\n".join(line for line in lines if not line.startswith(tuple("│┃├└┏┡┌")))

    def jobs(self) -> list[str]:
        """Return the numbers of its running jobs."""
        return self.sim.exec("squeue", "-h", "-t", "running", "-o", "%A").stdout.split()

    def until_running(self, jobs: int) -> None:
        """Wait until that many of its jobs run."""
        until_in(self.sim, f"[ $(squeue -h -t running -o %A | wc -l) -ge {jobs} ]")

    def node(self, job: str) -> str:
        """Return a job's node."""
        return self.sim.exec("squeue", "-h", "-j", job, "-o", "%N").stdout.strip()


@contextmanager
def program(
    sim: SlurmSim,
    text: str = PROGRAM,
    *,
    env: Mapping[str, str] = {},
    python: str = "python",
    longest: float = 280,
    **options: Any,
) -> Iterator[Running]:
    """Run a program on the login node during the block.

    Its output is in `log`. It should end when `enough` exists; before, it creates `at-work`, which this waits for.

    Args:
        sim: the mini-cluster.
        text: the program.
        env: its environment variables, quoted for a shell.
        python: the command that runs it.
        longest: seconds after which it is ended, and the test fails.
        options: arguments of `dask_hpc.cluster`, which it gets as JSON.
    """
    arguments = {"jobs": 2, "cores": 1, "memory": "600MiB", "walltime": "00:10:00", **options}
    sim.exec("sh", "-c", "rm -rf log at-work enough ended; cat >program.py", stdin=text)
    variables = " ".join(f"{name}={value}" for name, value in env.items())
    command = f"{variables} {python} -u program.py '{json.dumps(arguments)}' >log 2>&1; echo $? >ended; cat ended"
    with ThreadPoolExecutor(1) as pool:
        running = Running(sim, pool.submit(sim.exec, "sh", "-c", command, timeout=longest))
        try:
            until_in(sim, "[ -e at-work ] || [ -e ended ]")
            yield running
        finally:
            sim.exec("touch", "enough")
            running.status.result()


@contextmanager
def right_answers(sim: SlurmSim, *, env: Mapping[str, str] = STRICT, **how: Any) -> Iterator[Running]:
    """Run `PROGRAM` during the block; assert that its answers are right, and that nothing is left.

    Args:
        sim: the mini-cluster.
        env: the program's environment variables.
        how: further arguments of `program`.
    """
    with program(sim, env=env, **how) as running:
        assert not sim.exec("sh", "-c", "cat ended 2>/dev/null", check=False).stdout, running.log()
        yield running
    log = running.log()
    assert sim.exec("cat", "ended").stdout == "0\n", log
    assert re.search(r"^right: [1-9]", log, re.MULTILINE), log
    assert "Traceback" not in log
    left = left_after_a_minute(sim, "pgrep -af '[d]istributed.cli'; ls -d ~/.dask-hpc/*.tls 2>/dev/null")
    assert left == ""
