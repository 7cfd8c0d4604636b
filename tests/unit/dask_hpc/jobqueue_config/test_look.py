"""What Slurm and its nodes are asked for `jobqueue.yaml`, at a site whose commands answer as scripts say.

A mini-cluster has no accounts and refuses no memory: these answers are those of other sites.
"""

from __future__ import annotations

import getpass
import json
import os
import sys

import pytest

from dask_hpc.doctor.site import Site, here
from dask_hpc.errors import RequestError
from dask_hpc.identity import venv
from dask_hpc.jobqueue_config.look import Facts, accounts, look
from dask_hpc.sif import Sif
from tests.support.site_commands import Commands

NODES = """\
n1|long|64|250000|idle|0/64/0/64|infinite
n2|short*|16|60000|idle|0/16/0/16|30:00
n3|short*|16|50000|mix|4/12/0/16|30:00
"""
ALLOCATION = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n[2-3]"}
REPORT = {"node": "n2", "interface": "ib0", "disk": None}


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
    """Look at the site."""
    return look(here({**os.environ, **environ}, (), jobs=jobs, partition=partition), "/home/me")


def test_the_default_partition_is_slurms(commands: Commands) -> None:
    """Without a wish it is the partition with the star; all partitions are listed, those without nodes as well."""
    facts = seen()
    assert (facts.partition, facts.asked_for) == ("short", False)
    assert {name: [node.name for node in nodes] for name, nodes in facts.partitions.items()} == {
        "long": ["n1"],
        "short": ["n2", "n3"],
        "empty": [],
    }
    assert facts.home == "/home/me"


def test_without_a_default_it_is_the_first_partition(commands: Commands) -> None:
    """Some sites have no default partition."""
    commands.sinfo("long", "short", nodes=NODES.replace("*", ""))
    assert seen().partition == "long"


def test_a_partition_that_was_asked_for_is_taken(commands: Commands) -> None:
    """A wish goes before the default."""
    facts = seen(partition="long")
    assert (facts.partition, facts.asked_for, facts.smallest.name) == ("long", True, "n1")


def test_rejects_a_partition_without_nodes(commands: Commands) -> None:
    """The error names the partition and those that there are."""
    with pytest.raises(RequestError) as refused:
        seen(partition="empty")
    assert "'empty'" in refused.value.message
    assert "long, short, empty" in refused.value.message


def test_a_site_whose_sbatch_takes_everything_refuses_nothing(commands: Commands) -> None:
    """Jobs are only tested, never submitted, in the partition of the file."""
    facts = seen()
    assert (facts.refusal, facts.memory_refusal) == ("", "")
    words = "--test-only --partition=short --ntasks=1 --time=1 {}--wrap=true"
    assert set(commands.calls("sbatch")) == {words.format(""), words.format("--mem=50000M ")}


def test_a_refusal_of_memory_is_told_from_a_refusal_of_all(commands: Commands) -> None:
    """--mem is what is refused only if the same job without it is taken."""
    commands["sbatch"] = 'case "$*" in *--mem*) echo "sbatch: no memory" >&2; exit 1;; esac'
    facts = seen()
    assert (facts.refusal, facts.memory_refusal) == ("", "sbatch: no memory")
    assert [call for call in commands.calls("sbatch") if "--mem=50000M" in call], "the least that a node has"
    commands["sbatch"] = 'echo "sbatch: closed" >&2; exit 1'
    facts = seen()
    assert (facts.refusal, facts.memory_refusal) == ("sbatch: closed", "")


def test_memory_is_tested_with_the_account_that_sbatch_wants(commands: Commands) -> None:
    """Where a job needs an account, that is no refusal of its memory."""
    commands["sacctmgr"] = "case \"$*\" in *assoc*) printf 'chemistry\\nphysics\\n';; *) echo physics;; esac"
    commands["sbatch"] = """case "$*" in
      *--account=physics*--mem*) echo "no memory" >&2; exit 1;;
      *--account=physics*) exit 0;;
    esac
    echo "Invalid account" >&2; exit 1"""
    facts = seen()
    assert facts.accounts == (["physics", "chemistry"], "")
    assert (facts.refusal, facts.memory_refusal) == ("Invalid account", "no memory")


def test_an_account_is_not_charged_unasked(commands: Commands) -> None:
    """Where sbatch takes jobs without an account, none is named."""
    commands["sacctmgr"] = "echo physics"
    seen()
    assert not [call for call in commands.calls("sbatch") if "--account" in call]


def test_accounts_are_the_users_own_and_the_default_comes_first(commands: Commands) -> None:
    """One account with several associations is listed once."""
    commands["sacctmgr"] = "case \"$*\" in *assoc*) printf 'b\\n a \\n\\nb\\nc\\n';; *) echo ' a ';; esac"
    assert accounts() == (["a", "b", "c"], "")
    associations, default = commands.calls("sacctmgr")
    assert associations == f"-nP show assoc user={getpass.getuser()} format=account"
    assert default == f"-nP show user {getpass.getuser()} format=defaultaccount"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 0", "none of yours"),
        ("echo 'You are not running a supported accounting_storage plugin' >&2; exit 1", "keeps no accounts"),
        ("echo 'sacctmgr: error: down' >&2; exit 1", "sacctmgr: error: down"),
    ],
)
def test_without_accounts_the_reason_is_known(commands: Commands, script: str, why: str) -> None:
    """No accounting, an error, and a user without any account are told apart."""
    commands["sacctmgr"] = script
    found, reason = accounts()
    assert found == []
    assert why in reason


def test_without_sacctmgr_nothing_is_asked(commands: Commands) -> None:
    """A login node may lack the command."""
    (commands.folder / "sacctmgr").unlink()
    found, reason = accounts()
    assert found == []
    assert "sacctmgr is not here" in reason


def test_nodes_tell_of_themselves_in_a_short_job(commands: Commands) -> None:
    """The idle nodes of the partition run this package's report, one task each; other lines are ignored."""
    commands["srun"] = f"echo a banner; echo '{json.dumps(REPORT)}'"
    facts = seen(jobs=True)
    assert facts.nodes == [REPORT]
    assert facts.silent == ""
    (call,) = commands.calls("srun")
    for word in ("--partition=short", "--nodelist=n2", "--nodes=1", "--ntasks=1", "--ntasks-per-node=1", "--mpi=none"):
        assert word in call.split()
    assert call.endswith("-m dask_hpc.jobqueue_config.on_node")


def test_nodes_are_those_of_the_partition_that_was_asked_for(commands: Commands) -> None:
    """The file is for that one."""
    seen(jobs=True, partition="long")
    assert {"--partition=long", "--nodelist=n1"} <= set(commands.calls("srun")[0].split())


def test_in_an_allocation_its_nodes_are_asked(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step of the job that this runs in disturbs nobody else, and does not take on the job's size."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    commands["srun"] = f"env >{commands.folder}/env; echo '{json.dumps(REPORT)}'"
    assert seen(jobs=True, **ALLOCATION).nodes == [REPORT]
    (call,) = commands.calls("srun")
    assert {"--jobid=7", "--overlap", "--nodelist=n2,n3", "--ntasks=2"} <= set(call.split())
    assert "SLURM_JOB_ID" not in (commands.folder / "env").read_text()


def test_in_a_sif_nodes_run_the_same_one(commands: Commands) -> None:
    """The report comes from the environment that workers will run in."""
    commands["srun"] = f"echo '{json.dumps(REPORT)}'"
    facts = seen(jobs=True, APPTAINER_CONTAINER="/x.sif")
    assert facts.sif == Sif("/x.sif", "apptainer", (), venv())
    assert f"apptainer exec /x.sif {sys.executable} -m" in commands.calls("srun")[0]


def test_silent_nodes_have_a_reason(commands: Commands) -> None:
    """No wish, no idle node and no answer are told apart."""
    assert "--no-job" in seen(jobs=False).silent
    assert commands.calls("srun") == []
    assert "srun: error" in seen(jobs=True).silent
    commands.sinfo("short*", nodes=NODES.replace("idle", "alloc"))
    assert "no node was idle" in seen(jobs=True).silent


def test_nodes_that_cannot_be_listed_are_silent(commands: Commands) -> None:
    """Slurm's own error is the reason, and the file can be written all the same."""
    commands["scontrol"] = "echo 'slurm_load: down' >&2; exit 1"
    facts = seen(jobs=True, **ALLOCATION)
    assert facts.nodes == []
    assert "slurm_load: down" in facts.silent


def test_the_smallest_node_is_one_that_is_up(commands: Commands) -> None:
    """A job has to fit on every node that can run it: fewest CPUs first, then least memory."""
    assert seen().smallest.name == "n3"
    commands.sinfo("short*", nodes=NODES.replace("mix", "down"))
    assert seen().smallest.name == "n2"
    commands.sinfo("short*", nodes=NODES.replace("mix", "down").replace("idle", "drain"))
    assert seen().smallest.name == "n3"


def test_the_schedulers_interface_is_this_hosts(commands: Commands) -> None:
    """Name and reason come from where this runs."""
    site = Site("login node", jobs=False, environ={})
    facts = look(site, "/home/me")
    assert facts.interface == site.interface[:2]
