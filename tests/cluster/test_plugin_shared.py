"""One mini-cluster for all pytest-xdist workers: each test has its own nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from slurm_sim import SlurmSim
from slurm_sim.pytest_plugin import KEPT
from tests.support.command import left_of
from tests.support.waiting import until

SHARED = ("--slurm-sim-shared", "--slurm-sim-nodes=1")

HELPERS = """
import os, pathlib, signal, pytest

def meet(sim, me, other):
    sim.exec("touch", me)
    sim.exec("sh", "-c", f"until [ -e {other} ]; do sleep 0.1; done", timeout=100)

def hosts(sim, *command):
    done = sim.exec(*command, timeout=100)
    return sorted(line for line in done.stdout.split() if line.startswith("c"))

def say(sim, *words):
    print("\\nsaid", sim.name, *sim.nodes(), *words)
"""


def said(done: pytest.RunResult) -> list[list[str]]:
    """Return what tests of an inner session have printed: the mini-cluster's name, then nodes."""
    return [line.split()[1:] for line in done.outlines if line.startswith("said ")]


def session(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run an inner session that shows what its passing tests print; assert that it leaves nothing."""
    done = pytester.runpytest_subprocess(*SHARED, "-rP", *arguments)
    names = {words[0] for words in said(done)}
    assert [left for name in names for left in left_of(name)] == []
    return done


TOGETHER = r"""
DASK = (
    "from dask_jobqueue import SLURMCluster\n"
    "with SLURMCluster(queue='general', cores=1, memory='500MB', walltime='5:00') as cluster:\n"
    "    cluster.scale(1)\n"
    "    print(cluster.get_client().submit(lambda: __import__('socket').gethostname()).result(timeout=90))\n"
)
JOB = '''#!/bin/sh
#SBATCH --partition=general
hostname
env --ignore-environment PATH="$PATH" SLURM_JOB_PARTITION="$SLURM_JOB_PARTITION" \
  sbatch --wait --output=nested-%j.out --wrap=hostname
cat nested-*.out
'''

def test_together(slurm_sim, tmp_path):
    own = slurm_sim.nodes()
    slurm_sim.exec("sbatch", "--wrap", "sleep 1000", f"--job-name={ME}")
    slurm_sim.exec("sh", "-c", "until squeue --noheader --states=running | grep -q .; do sleep 0.1; done", timeout=60)
    meet(slurm_sim, f"{ME}-runs", f"{OTHER}-runs")
    everything = slurm_sim.exec("squeue", "--noheader", "--format=%j %N", f"--partition={slurm_sim.partition},general")
    assert everything.stdout.split() == slurm_sim.exec("squeue", "--noheader", "--format=%j %N").stdout.split()
    assert everything.stdout.split() == [ME, *own]
    running = slurm_sim.exec("sh", "-c", "unset SQUEUE_PARTITION; squeue --noheader --format=%N").stdout.split()
    assert sorted(running) == ["c1", "c2"]
    assert slurm_sim.exec("sinfo", "--noheader", "--Node", "--format=%N %t").stdout.split()[::2] == own
    meet(slurm_sim, f"{ME}-saw", f"{OTHER}-saw")
    slurm_sim.exec("scancel", "--user=hpc")
    folder = slurm_sim.exec("mktemp", "--directory", "--tmpdir=/home/hpc").stdout.strip()
    (script := tmp_path / "job.sh").write_text(JOB)
    job = slurm_sim.submit(script, f"--chdir={folder}", "--overcommit")
    assert job.wait(timeout=100).state == "COMPLETED"
    assert [line for line in job.output().split() if line in ("c1", "c2")] == own * 2
    assert hosts(slurm_sim, "srun", "hostname") == hosts(slurm_sim, "srun", "--partition=general", "hostname") == own
    assert hosts(slurm_sim, "salloc", "--quiet", "srun", "hostname") == own
    assert hosts(slurm_sim, "python", "-c", DASK) == own
    say(slurm_sim)
"""

MEETING = """
def test_meeting(slurm_sim):
    meet(slurm_sim, ME, OTHER)
    assert hosts(slurm_sim, "srun", "hostname") == slurm_sim.nodes()
    say(slurm_sim)
"""


def two_files(pytester: pytest.Pytester, source: str) -> None:
    """Write two test files, for two workers, whose tests know each other's name."""
    for one, two in ("ab", "ba"):
        pytester.makepyfile(**{f"test_{one}": f"{HELPERS}\nME, OTHER = {one!r}, {two!r}\n{source}"})


@pytest.mark.parametrize(
    ("dist", "source"),
    [("load", TOGETHER), ("loadscope", MEETING), ("loadfile", MEETING), ("worksteal", MEETING)],
    ids=["load", "loadscope", "loadfile", "worksteal"],
)
def test_tests_on_disjoint_nodes_run_at_the_same_time(pytester: pytest.Pytester, dist: str, source: str) -> None:
    """Two tests on one mini-cluster wait for each other; all their jobs run on their own nodes."""
    two_files(pytester, source)
    done = session(pytester, "-n2", f"--dist={dist}")
    done.assert_outcomes(passed=2)
    (name, one), (same, two) = sorted(said(done))
    assert name == same
    assert {one, two} == {"c1", "c2"}


def test_tests_wait_for_nodes(pytester: pytest.Pytester) -> None:
    """With enough nodes for only one test, tests take turns; a test that needs more than the maximum is an error."""
    source = """
@pytest.mark.parametrize("number", range(3))
def test_turn(slurm_sim, number):
    slurm_sim.exec("mkdir", "turn")  # fails if another test has it
    assert hosts(slurm_sim, "srun", "hostname") == ["c1"]
    slurm_sim.exec("rmdir", "turn")
    say(slurm_sim)

@pytest.mark.slurm_sim(nodes=2)
def test_too_many(slurm_sim):
    pass
"""
    two_files(pytester, source)
    done = session(pytester, "-n2", "--slurm-sim-max-nodes=1")
    done.assert_outcomes(passed=6, errors=2)
    done.stdout.fnmatch_lines(["*The test needs 2 nodes, but the shared mini-cluster is limited to 1*"])
    assert {nodes for _, *nodes_ in said(done) for nodes in nodes_} == {"c1"}


def test_crashed_worker_returns_its_nodes(pytester: pytest.Pytester) -> None:
    """If a worker is killed, its test's jobs are cancelled and its nodes repaired before another test gets them."""
    source = """
def test_crash(slurm_sim):
    slurm_sim.exec("sbatch", "--array=1-9", "--exclusive", "--wrap", "sleep 1000")
    slurm_sim.exec("sh", "-c", "until squeue --noheader --states=running | grep -q .; do sleep 0.1; done", timeout=60)
    slurm_sim.fault("node-lost", "c1")
    os.kill(os.getpid(), signal.SIGKILL)

def test_next(slurm_sim):
    assert slurm_sim.exec("sh", "-c", "unset SQUEUE_PARTITION; squeue --noheader").stdout == ""
    assert hosts(slurm_sim, "srun", "hostname") == slurm_sim.nodes() == ["c1"]
    assert len(slurm_sim.exec("sh", "-c", "scontrol show partition --oneliner").stdout.splitlines()) == 2
    say(slurm_sim)
"""
    pytester.makepyfile(HELPERS + source)
    done = session(pytester, "-n1", "--slurm-sim-max-nodes=1")
    done.assert_outcomes(passed=1, failed=1)
    assert len(said(done)) == 1


BREAKS = r"""
from slurm_sim import errors
from slurm_sim._docker import docker

def inside(on, command):
    return lambda sim: sim.exec("sh", "-c", command, on=on, user="root", check=False)

BREAKS = {
    "node hangs": lambda sim: sim.fault("node-hangs", "c1"),
    "node cut off": lambda sim: sim.fault("node-cut-off", "c1"),
    "node drained": lambda sim: sim.fault("node-drained", "c1"),
    "node removed": lambda sim: docker("rm", "--force", sim.container("c1")),
    "munged killed": inside("c1", "pkill munged; until ! pgrep munged; do sleep 0.1; done"),
    "controller killed": lambda sim: docker("kill", sim.container("slurmctld")),
    "login node killed": lambda sim: docker("kill", sim.container("login")),
    "slurm.conf changed": inside(
        "slurmctld", "sed --in-place s/KillWait=.*/KillWait=77/ /etc/slurm/slurm.conf && scontrol reconfigure"
    ),
}

@pytest.mark.parametrize("how", [*BREAKS, ""])
def test_break(slurm_sim, how):
    assert hosts(slurm_sim, "srun", "hostname") == slurm_sim.nodes() == ["c1"]
    assert "= 5 sec" in slurm_sim.exec("sh", "-c", "scontrol show config | grep KillWait").stdout
    slurm_sim.exec("sbatch", "--wrap", "sleep 1000")
    say(slurm_sim)
    if how:
        BREAKS[how](slurm_sim)
    if how == "slurm.conf changed":  # the test's partition outlives it
        assert hosts(slurm_sim, "srun", "--overlap", "--oversubscribe", "hostname") == ["c1"]
    if "killed" in how:
        pytest.fail("on purpose", pytrace=False)

@pytest.mark.parametrize(
    ("what", "words"),
    [
        (lambda sim: sim.fault("controller-lost"), "The fault controller-lost would affect all tests"),
        (lambda sim: sim.down(), r"down\(\) would affect all tests"),
        (lambda sim: sim.fault("node-lost", "c2"), "Unknown node 'c2'"),
        (lambda sim: sim.exec("true", on="c2"), "'c2' does not belong to this test"),
    ],
)
def test_refused(slurm_sim, what, words):
    with pytest.raises(errors.SlurmSimError, match=words):
        what(slurm_sim)
"""


def test_next_test_gets_working_nodes(pytester: pytest.Pytester) -> None:
    """Broken nodes and daemons are repaired before the next test; calls that would affect other tests are refused."""
    pytester.makepyfile(HELPERS + BREAKS)
    done = session(pytester, "-p", "no:xdist")
    done.assert_outcomes(passed=7 + 3, failed=3)
    assert done.outlines.count("on purpose") == 3


def test_fixtures_of_wider_scope_have_their_own_nodes(pytester: pytest.Pytester) -> None:
    """Tests use the nodes of their wider fixture, which no other test gets; a marker adds more."""
    source = """
@pytest.fixture(scope="module")
def site(slurm_sim_for, request):
    sim = slurm_sim_for(request)
    sim.exec("sbatch", "--job-name", f"site-{ME}", "--wrap", "sleep 1000")
    yield sim
    assert len(sim.nodes()) <= 2

def test_usual(site, slurm_sim):
    assert slurm_sim is site
    meet(slurm_sim, f"{ME}-1", f"{OTHER}-1")
    assert slurm_sim.exec("squeue", "--noheader", "--format=%j").stdout.split() == [f"site-{ME}"]
    assert len(slurm_sim.nodes()) == 1
    say(slurm_sim)

@pytest.mark.slurm_sim(nodes=2)
def test_more(site, slurm_sim):
    meet(slurm_sim, f"{ME}-2", f"{OTHER}-2")
    assert hosts(slurm_sim, "srun", "--nodes=2", "hostname") == sorted(slurm_sim.nodes())
    say(slurm_sim)

def test_less(site, slurm_sim):
    assert slurm_sim.exec("sinfo", "--noheader", "--Node", "--format=%N").stdout.split() == slurm_sim.nodes()
    assert len(slurm_sim.nodes()) == 1
"""
    two_files(pytester, source)
    done = session(pytester, "-n2", "--dist=loadfile")
    done.assert_outcomes(passed=6)
    more = [set(nodes) for _, *nodes in said(done) if len(nodes) == 2]
    assert not more[0] & more[1]


KEPT_TOGETHER = """
def test_kept(slurm_sim):
    (pathlib.Path(__file__).parent / ME).touch()
    meet(slurm_sim, ME, OTHER)
    assert hosts(slurm_sim, "srun", "hostname") == slurm_sim.nodes()
    say(slurm_sim)
"""


@pytest.fixture
def no_kept() -> Iterator[None]:
    """Remove the shared mini-cluster that --slurm-sim-keep leaves, before and after the test."""
    kept = SlurmSim(name=f"{KEPT}-shared")
    kept.down()
    yield
    kept.down()


def test_two_sessions_share_kept_mini_cluster(pytester: pytest.Pytester, no_kept: None) -> None:
    """Tests of two concurrent sessions have their own nodes; a session that requests another size is an error."""
    two_files(pytester, KEPT_TOGETHER)
    command = (sys.executable, "-m", "pytest", "-rP", "-p", "no:cacheprovider", *SHARED, "--slurm-sim-keep")
    with subprocess.Popen([*command, "test_a.py"], cwd=pytester.path, stdout=subprocess.PIPE, text=True) as first:
        try:
            until((pytester.path / "a").exists, "the first session's test", 120)
            other = pytester.runpytest_subprocess(*command[3:], "--slurm-sim-cpus-per-node=3", "test_b.py")
            second = pytester.runpytest_subprocess(*command[3:], "test_b.py")
            output, _ = first.communicate(timeout=150)
        finally:
            first.kill()
    other.assert_outcomes(errors=1)
    other.stdout.fnmatch_lines(["*nodes.c.cpus was 2, not 3*", "*the other session that uses it*"])
    second.assert_outcomes(passed=1)
    assert first.returncode == 0, output
    (one,) = (line.split()[1:] for line in output.splitlines() if line.startswith("said "))
    assert sorted([one, *said(second)]) == [[f"{KEPT}-shared", "c1"], [f"{KEPT}-shared", "c2"]]
    assert f"'slurm-sim down --name {KEPT}-shared' removes it" in output
