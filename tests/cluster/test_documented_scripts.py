"""The scripts of the documentation's pages about jobs that end work as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slurm_sim import SlurmSim

TOML = """
[nodes.c]
count = 2

[preemption]
by = "partition"

[partitions.general]
default = true
priority = 10

[partitions.low]
priority = 1
preempt = "cancel"
"""

pytestmark = [pytest.mark.slurm_sim(scope="module"), pytest.mark.timeout(250)]


@pytest.fixture(scope="module")
def slurm_sim_options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The mini-cluster has a preemptible partition."""
    file = tmp_path_factory.mktemp("documented") / "cluster.toml"
    file.write_text(TOML)
    return {"config": file}


def script(root: Path, page: str, name: str) -> str:
    """Return a page's script."""
    text = (root / "docs" / page).read_text(encoding="utf-8")
    found = re.search(rf"```python\n(# {name}\n.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def test_long_jobs(slurm_sim: SlurmSim, root: Path) -> None:
    """The sum is right, although the work is longer than the wall time."""
    done = slurm_sim.exec("python", "-", stdin=script(root, "long-jobs.md", "long.py"), timeout=200)
    assert done.stdout.splitlines()[-1] == str(sum(n**2 for n in range(150)))
    assert "retires before its wall time ends; job" in done.stderr


def test_preemptible_partitions(slurm_sim: SlurmSim, root: Path) -> None:
    """The sum is right, although another job displaces the workers' jobs meanwhile."""
    preempt = (
        "until squeue -h -p low -t running | grep -q .; do sleep 0.1; done; srun -p general -N 2 --exclusive hostname"
    )
    run = f"python - <preemptible.py >log 2>&1 & p=$!; {preempt} >/dev/null; wait $p; cat log"
    slurm_sim.exec("sh", "-c", "cat >preemptible.py", stdin=script(root, "preemption.md", "preemptible.py"))
    done = slurm_sim.exec("bash", "-c", run, timeout=200)
    assert done.stdout.splitlines()[-1] == str(sum(n**2 for n in range(300))), done.stdout
    assert "was preempted; job" in done.stdout


def test_staying_cluster(slurm_sim: SlurmSim, root: Path) -> None:
    """The commands succeed as written, one after the other; before the last one, so does the script."""
    page = (root / "docs" / "staying-cluster.md").read_text(encoding="utf-8")
    found = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert found
    *commands, stop = found[1].splitlines()
    for command in commands:
        slurm_sim.exec(*command.split(), timeout=120)
    done = slurm_sim.exec("python", "-", stdin=script(root, "staying-cluster.md", "attached.py"))
    assert done.stdout == f"{sum(n**2 for n in range(100))}\n"
    slurm_sim.exec(*stop.split())
    assert slurm_sim.exec("squeue", "-h").stdout == ""
