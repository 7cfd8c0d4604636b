"""What docs/upstream.md says of dask-jobqueue and distributed still happens, without our corrections."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from slurm_sim import SlurmSim

pytestmark = [pytest.mark.slurm_sim(scope="module", cpus_per_node=2), pytest.mark.timeout(100)]

PLAIN = """
cd "$(mktemp -d -p .)" && cat >program.py
[ -d ~/plain ] || python -m venv --without-pip ~/plain
packages=$(python -c 'import distributed; print(distributed.__path__[0] + "/..")')
echo "$packages" >"$(echo ~/plain/lib/python3*/site-packages)/all.pth"
timeout 50 ~/plain/bin/python -u program.py 2>&1
"""
"""Run a program in a virtual environment that has all packages, but not the file that corrects them at the start."""

HAPPENS = {
    "grouped.py": r"\A0 workers in \['SLURMCluster-0'\]\n\Z",
    "scaled.py": r"\Awanted: \['SLURMCluster-0'\] there: \[\]\n\Z",
    "lifetime.py": r"\A100 results\n0 results\n",
    "requeued.py": r"^CANCELLED$",
    "restarted.py": r"^1/1 nanny worker\(s\) did not shut down within 5s(.|\n)*^jobs: \[\]$",
    "restart.py": r"^1/2 nanny worker\(s\) did not shut down within 5s",
    "heartbeat.py": r"ERROR - Failed to communicate with scheduler during heartbeat\.$",
    "quoted.py": r"^0 workers$(.|\n)*Invalid value for '--tls-ca-file': Path '/\S+/my' does not exist",
    "rejected.py": r"partition specified: nowhere(.|\n)*^timed out after 2 s(.|\n)*^AssertionError: Status\.created$",
}
"""Output of each program, as a pattern."""


def programs(root: Path) -> dict[str, str]:
    """Return the programs of the page, by name."""
    text = (root / "docs" / "upstream.md").read_text(encoding="utf-8")
    return {name: code for code, name in re.findall(r"```python\n(# (\S+)\n.*?)```", text, re.DOTALL)}


def test_every_program_is_tested(root: Path) -> None:
    """There is an output to expect for each program of the page."""
    assert list(programs(root)) == list(HAPPENS)


@pytest.mark.parametrize("name", HAPPENS)
def test_still_happens(slurm_sim: SlurmSim, root: Path, name: str) -> None:
    """A program's output is what the page says. If this fails, upstream has changed: can we drop a workaround?"""
    done = slurm_sim.exec("bash", "-c", PLAIN, stdin=programs(root)[name], check=False, timeout=60)
    assert re.search(HAPPENS[name], done.stdout, re.MULTILINE), done.stdout
