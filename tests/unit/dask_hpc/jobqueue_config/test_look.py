"""Querying Slurm and its nodes for `jobqueue.yaml`, with scripts in place of Slurm's commands.

A mini-cluster has no accounts and accepts --mem; the scripts answer like other sites.
"""

from __future__ import annotations

import os
import sys

import msgspec
import pytest

from dask_hpc.doctor.site import Site, here
from dask_hpc.errors import RequestError
from dask_hpc.identity import venv
from dask_hpc.jobqueue_config.look import Facts, look
from dask_hpc.jobqueue_config.on_node import NodeFacts
from dask_hpc.sif import Sif
from dask_hpc.slurm.accounts import Accounts
from dask_hpc.slurm.rules import Rules
from tests.support.site_commands import Commands
from tests.support.slurm_rules import BY_PARTITION, PARTITIONS

NODES = """\
n1|long|64|250000|idle|0/64/0/64|infinite
n2|short*|16|60000|idle|0/16/0/16|30:00
n3|short*|16|50000|mix|4/12/0/16|30:00
"""
ALLOCATION = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[2-3]"}
REPORT = NodeFacts(node="n2", interface="ib0", disk=None)
PRINTED = msgspec.json.encode(REPORT).decode()


@pytest.fixture
def commands(commands: Commands) -> Commands:
    """Set up a site with Slurm and without accounts."""
    commands.sinfo("long", "short*", "empty", nodes=NODES)
    for name in ("sbatch", "squeue", "scancel", "sacctmgr"):
        commands[name] = "exit 0"
    commands["scontrol"] = "printf 'n2\\nn3\\n'"
    commands["srun"] = "echo srun: error >&2; exit 1"
    return commands


def seen(*, partition: str | None = None, jobs: bool = False, **environ: str) -> Facts:
    """Return the facts about the site."""
    return look(here({**os.environ, **environ}, (), jobs=jobs, partition=partition), "/home/me")


def test_uses_default_partition(commands: Commands) -> None:
    """The default is the partition with the star; all partitions are listed, also those without nodes."""
    facts = seen()
    assert (facts.partition, facts.asked_for) == ("short", False)
    assert {name: [node.name for node in nodes] for name, nodes in facts.partitions.items()} == {
        "long": ["n1"],
        "short": ["n2", "n3"],
        "empty": [],
    }
    assert facts.home == "/home/me"


def test_uses_first_partition_without_default(commands: Commands) -> None:
    """Some sites have no default partition."""
    commands.sinfo("long", "short", nodes=NODES.replace("*", ""))
    assert seen().partition == "long"


def test_uses_requested_partition(commands: Commands) -> None:
    """A requested partition overrides the default."""
    facts = seen(partition="long")
    assert (facts.partition, facts.asked_for, facts.smallest.name) == ("long", True, "n1")


def test_rejects_partition_without_nodes(commands: Commands) -> None:
    """The error names the partition and the existing ones."""
    with pytest.raises(RequestError) as refused:
        seen(partition="empty")
    assert "'empty'" in refused.value.message
    assert "long, short, empty" in refused.value.message


def test_reports_no_refusal_if_sbatch_accepts_jobs(commands: Commands) -> None:
    """Jobs in the partition are only tested, never submitted."""
    facts = seen()
    assert (facts.refusal, facts.memory_refusal) == ("", "")
    words = "--test-only --ntasks=1 --time=1 --partition=short {}--wrap=true"
    assert set(commands.calls("sbatch")) == {words.format(""), words.format("--mem=50000M ")}


def test_distinguishes_refusal_of_memory_from_refusal_of_job(commands: Commands) -> None:
    """--mem counts as rejected only if the same job without it is accepted."""
    commands["sbatch"] = 'case "$*" in *--mem*) echo "sbatch: no memory" >&2; exit 1;; esac'
    facts = seen()
    assert (facts.refusal, facts.memory_refusal) == ("", "sbatch: no memory")
    assert [call for call in commands.calls("sbatch") if "--mem=50000M" in call], "the least that a node has"
    commands["sbatch"] = 'echo "sbatch: closed" >&2; exit 1'
    facts = seen()
    assert (facts.refusal, facts.memory_refusal) == ("sbatch: closed", "")


def test_tests_memory_with_required_account(commands: Commands) -> None:
    """A job that needs an account is not rejected because of its memory."""
    commands["sacctmgr"] = "case \"$*\" in *assoc*) printf 'chemistry\\nphysics\\n';; *) echo physics;; esac"
    commands["sbatch"] = """case "$*" in
      *--account=physics*--mem*) echo "no memory" >&2; exit 1;;
      *--account=physics*) exit 0;;
    esac
    echo "Invalid account" >&2; exit 1"""
    facts = seen()
    assert facts.accounts == Accounts(("physics", "chemistry"))
    assert (facts.refusal, facts.memory_refusal) == ("Invalid account", "no memory")


def test_charges_no_account_unless_required(commands: Commands) -> None:
    """If sbatch accepts jobs without an account, none is given."""
    commands["sacctmgr"] = "echo physics"
    seen()
    assert not [call for call in commands.calls("sbatch") if "--account" in call]


def test_queries_nodes_in_short_job(commands: Commands) -> None:
    """The idle nodes of the partition run the report, one task each; other output is ignored."""
    commands["srun"] = f"echo a banner; echo '{PRINTED}'"
    facts = seen(jobs=True)
    assert facts.reports.nodes == (REPORT,)
    assert facts.reports.why_none == ""
    (call,) = commands.calls("srun")
    for word in ("--partition=short", "--nodelist=n2", "--nodes=1", "--ntasks=1", "--ntasks-per-node=1", "--mpi=none"):
        assert word in call.split()
    assert call.endswith("-m dask_hpc.jobqueue_config.on_node")


def test_queries_nodes_of_requested_partition(commands: Commands) -> None:
    """The job runs in the requested partition."""
    seen(jobs=True, partition="long")
    assert {"--partition=long", "--nodelist=n1"} <= set(commands.calls("srun")[0].split())


def test_queries_nodes_of_allocation(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the current job overlaps with other steps, and does not inherit the job's size."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    commands["srun"] = f"env >{commands.folder}/env; echo '{PRINTED}'"
    assert seen(jobs=True, **ALLOCATION).reports.nodes == (REPORT,)
    (call,) = commands.calls("srun")
    assert {"--jobid=7", "--overlap", "--nodelist=n2,n3", "--ntasks=2"} <= set(call.split())
    assert "SLURM_JOB_ID" not in (commands.folder / "env").read_text()


def test_nodes_run_same_sif(commands: Commands) -> None:
    """The report comes from the environment that workers will run in."""
    commands["srun"] = f"echo '{PRINTED}'"
    facts = seen(jobs=True, APPTAINER_CONTAINER="/x.sif")
    assert facts.sif == Sif("/x.sif", "apptainer", (), venv())
    assert f"apptainer exec /x.sif {sys.executable} -m" in commands.calls("srun")[0]


def test_reports_reason_without_reports(commands: Commands) -> None:
    """--no-job, no answer and no idle node have different reasons."""
    assert "--no-job" in seen(jobs=False).reports.why_none
    assert commands.calls("srun") == []
    assert "srun: error" in seen(jobs=True).reports.why_none
    commands.sinfo("short*", nodes=NODES.replace("idle", "alloc"))
    assert "no node was idle" in seen(jobs=True).reports.why_none


def test_continues_if_nodes_cannot_be_listed(commands: Commands) -> None:
    """Slurm's error is the reason for having no reports."""
    commands["scontrol"] = "echo 'slurm_load: down' >&2; exit 1"
    facts = seen(jobs=True, **ALLOCATION)
    assert facts.reports.nodes == ()
    assert "slurm_load: down" in facts.reports.why_none


def test_smallest_node_is_up(commands: Commands) -> None:
    """The smallest node has the fewest CPUs, then the least memory; without a node that is up, all count."""
    assert seen().smallest.name == "n3"
    commands.sinfo("short*", nodes=NODES.replace("mix", "down"))
    assert seen().smallest.name == "n2"
    commands.sinfo("short*", nodes=NODES.replace("mix", "down").replace("idle", "drain"))
    assert seen().smallest.name == "n3"


def test_scheduler_uses_interface_of_this_host(commands: Commands) -> None:
    """Name and reason are those of this host."""
    site = Site("login node", jobs=False, environ={})
    facts = look(site, "/home/me")
    assert facts.interface == site.interface


def test_queries_rules_for_jobs(commands: Commands) -> None:
    """The rules about preemption and submission are those of the site; without an answer, there are none."""
    of_config = f"*config) cat <<'END'\n{BY_PARTITION}\nEND\n;;"
    of_partitions = f"*partition) cat <<'END'\n{PARTITIONS}\nEND\n;;"
    commands["scontrol"] = f'case "$*" in {of_config} {of_partitions} esac'
    assert [one.whose for one in seen().rules.preemptions(seen().rules.chosen("low"))] == ["partition low"]
    commands["scontrol"] = "exit 1"
    assert seen().rules == Rules()
