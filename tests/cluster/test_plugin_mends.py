"""The pytest plugin gives each test a working mini-cluster, regardless of what earlier tests did."""

from __future__ import annotations

import pytest

BREAKS = """
import pytest
from slurm_sim._docker import docker

@pytest.fixture(scope="module")
def site(slurm_sim_for, request):
    sim = slurm_sim_for(request)
    sim.exec("touch", "prepared")
    return sim

def engine(*command):
    def run(sim):
        *rest, service = command
        docker(*(word.format(sim.name) for word in rest), sim.container(service))
    return run

def fault(kind, *nodes):
    return lambda sim: sim.fault(kind, *nodes)

def inside(on, command):
    return lambda sim: sim.exec("sh", "-c", command, on=on, user="root", check=False)

def job_on_lost_node(sim):
    sim.exec("sbatch", "--nodelist=c1", "--wrap=sleep 1000")
    sim.exec("sh", "-c", "until squeue --noheader --states=running | grep -q .; do sleep 0.1; done", timeout=60)
    sim.fault("node-lost", "c1")

MENDED = {
    "node lost": job_on_lost_node,
    "node hangs": fault("node-hangs", "c1"),
    "node cut off": fault("node-cut-off", "c2"),
    "nodes drained": fault("node-drained", "c1", "c2"),
    "node removed": engine("rm", "--force", "c1"),
    "slurmd killed": inside("c2", "pkill slurmd"),
    "munged of a node killed": inside("c2", "pkill munged; until ! pgrep munged; do sleep 0.1; done"),
    "controller lost": fault("controller-lost"),
    "controller hangs": engine("pause", "slurmctld"),
    "login node cut off": engine("network", "disconnect", "{}_default", "login"),
    "login node lost": engine("kill", "login"),
}
REPLACED = {
    "slurm.conf changed": inside(
        "slurmctld", "sed --in-place s/KillWait=.*/KillWait=77/ /etc/slurm/slurm.conf && scontrol reconfigure"
    ),
    "partition down": inside("slurmctld", "scontrol update partition=general state=down"),
    "nodes reserved": inside(
        "slurmctld", "scontrol create reservation=x starttime=now duration=60 users=root nodes=ALL"
    ),
    "login node removed": engine("rm", "--force", "login"),
    "controller removed": engine("rm", "--force", "slurmctld"),
}
"""

MENDS = """
def works(sim):
    assert sim.exec("squeue", "--noheader").stdout == ""
    assert sorted(sim.exec("srun", "--nodes=2", "hostname", timeout=60).stdout.split()) == sim.nodes() == ["c1", "c2"]
    assert "= 5 sec" in sim.exec("sh", "-c", "scontrol show config | grep KillWait").stdout

@pytest.mark.parametrize("how", MENDED)
def test_break(site, slurm_sim, how):
    works(slurm_sim)
    assert "prepared" in slurm_sim.exec("ls").stdout
    MENDED[how](slurm_sim)
    if how not in PASS:
        pytest.fail("on purpose", pytrace=False)

@pytest.mark.parametrize("how", REPLACED)
def test_change(slurm_sim, how):
    works(slurm_sim)
    REPLACED[how](slurm_sim)
    if how not in PASS:
        pytest.fail("on purpose", pytrace=False)

def test_last(slurm_sim):
    works(slurm_sim)
"""


def test_next_test_gets_working_mini_cluster(pytester: pytest.Pytester) -> None:
    """Regardless of what a test breaks, the next one finds nodes that run jobs, and its fixture's files."""
    passing = ["node lost", "nodes drained", "controller lost", "slurm.conf changed"]
    pytester.makepyfile(BREAKS + f"\nPASS = {passing}\n" + MENDS)
    done = pytester.runpytest_subprocess("-p", "no:xdist")
    done.assert_outcomes(passed=len(passing) + 1, failed=16 - len(passing))
    assert done.outlines.count("on purpose") == 16 - len(passing)
    replaced = [line for line in done.outlines if "was replaced:" in line]
    assert len(replaced) == 5, replaced
