"""A site's rules for jobs, from the output of Slurm 24.11 on several kinds of sites."""

from __future__ import annotations

import pytest

from dask_hpc.slurm.rules import (
    PartitionRules,
    Rules,
    configuration,
    expand,
    parse_configuration,
    parse_partitions,
    parse_qos,
    rules,
)
from tests.support.site_commands import Commands
from tests.support.slurm_rules import BY_PARTITION, BY_QOS, CONFIG, PARTITIONS, QOS, config, partition


def site(conf: str = BY_PARTITION, *lines: str) -> Rules:
    """Return the rules of a site with these partitions."""
    text = "\n".join(lines) if lines else PARTITIONS
    return Rules(partitions=parse_partitions(text), config=parse_configuration(conf))


def sentences(of: Rules, *names: str) -> list[str]:
    """Return how jobs in these partitions are preempted."""
    return [one.sentence for one in of.preemptions(one for one in of.partitions if one.name in names)]


def test_reads_partitions() -> None:
    """Every partition is read, also a hidden one; other lines are ignored."""
    found = parse_partitions(f"Welcome to site=X\n{PARTITIONS}\n")
    assert [one.name for one in found] == ["short", "high", "low", "gpu", "gate"]
    assert found[2] == PartitionRules(
        name="low",
        nodes=frozenset({"c1", "c2"}),
        submitters="login[1-2]",
        mode="REQUEUE",
        grace=20,
    )
    assert [one.name for one in found if one.default] == ["short"]
    assert [one.name for one in found if one.hidden] == ["gate"]
    assert parse_partitions("slurm_load_partitions: Unable to contact slurm controller") == ()


def test_higher_partition_preempts() -> None:
    """A job is preempted by those of a higher PriorityTier, in the way that its own partition has."""
    assert sentences(site(), "low") == [
        "partition low is preempted by high: a job is put back into the queue after 20 s (GraceTime)"
    ]
    assert sentences(site(), "high") == []


def test_partition_on_other_nodes_does_not_preempt() -> None:
    """`gpu` is higher than `low`, but has other nodes; nodes whose names cannot be read may be the same."""
    assert "gpu" not in sentences(site(), "low")[0]
    unread = PARTITIONS.replace("Nodes=gpu[01-02]", "Nodes=gpu[1-(2)]")
    assert "preempted by high gpu" in sentences(site(BY_PARTITION, unread), "low")[0]


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("REQUEUE", "a job is put back into the queue"),
        ("CANCEL", "a job is cancelled"),
        ("SUSPEND", "a job is suspended, and continues later"),
        ("GANG,SUSPEND", "a job is suspended, and continues later"),
    ],
)
def test_mode_of_partition_decides(mode: str, words: str) -> None:
    """The mode is the lower partition's; without a grace time, none is named."""
    lines = [partition("low", tier=1, mode=mode), partition("high", tier=2, mode="OFF")]
    assert sentences(site(BY_PARTITION, *lines), "low") == [f"partition low is preempted by high: {words}"]


@pytest.mark.parametrize("mode", ["OFF", "GANG"])
def test_partition_without_preemption(mode: str) -> None:
    """A partition can protect its jobs; time-slicing alone ends none."""
    lines = [partition("low", tier=1, mode=mode), partition("high", tier=2, mode="REQUEUE")]
    assert sentences(site(BY_PARTITION, *lines), "low") == []


def test_requeue_without_requeuing_is_cancel() -> None:
    """At a site whose jobs are not requeued by default, preempted ones are cancelled."""
    conf = BY_PARTITION.replace("JobRequeue              = 1", "JobRequeue              = 0")
    assert "a job is cancelled after 20 s" in sentences(site(conf), "low")[0]


def test_no_grace_time_with_gang_scheduling() -> None:
    """Where jobs may also be suspended, Slurm 24.11.5 grants no grace time to cancelled ones."""
    conf = config(PreemptType="preempt/partition_prio", PreemptMode="GANG,SUSPEND")
    assert "GraceTime" not in sentences(site(conf), "low")[0]


def test_no_preemption() -> None:
    """Without preemption, PreemptMode and PriorityTier of partitions have no effect."""
    assert sentences(site(CONFIG), "low", "short") == []
    assert site(CONFIG).end == "ended with SIGTERM, and SIGKILL 30 s later (KillWait)"


def test_qos_decides() -> None:
    """With preemption by QOS, each QOS has its own mode and grace time, or the cluster's mode."""
    found = Rules(config=parse_configuration(BY_QOS), qos=parse_qos(QOS)).preemptions(())
    assert [one.sentence for one in found] == [
        "QOS normal is preempted by urgent: a job is put back into the queue",
        "QOS scavenger is preempted by normal urgent: a job is cancelled after 90 s (GraceTime)",
    ]


def test_queries_qos_only_if_it_decides(commands: Commands) -> None:
    """One query for the partitions, one for the configuration, and one for the QOS if they decide."""
    commands["scontrol"] = (
        f"case \"$*\" in *config) cat <<'END'\n{BY_PARTITION}\nEND\n;; *) cat <<'END'\n{PARTITIONS}\nEND\nesac"
    )
    commands["sacctmgr"] = f"cat <<'END'\n{QOS}\nEND"
    assert rules(configuration()) == site()
    assert commands.calls("scontrol") == ["show config", "--all --oneliner show partition"]
    assert commands.calls("sacctmgr") == []
    assert [one.name for one in rules(parse_configuration(BY_QOS)).qos] == ["normal", "scavenger", "urgent"]
    commands["sacctmgr"] = "echo 'sacctmgr: error: no permission' >&2; exit 1"
    assert rules(parse_configuration(BY_QOS)).unknown == "sacctmgr: error: no permission"


def test_controller_that_does_not_answer(commands: Commands) -> None:
    """Without an answer, there are no rules."""
    commands["scontrol"] = "echo 'Unable to contact slurm controller' >&2; exit 1"
    assert rules(configuration()) == Rules()
    assert Rules().chosen(None) == []


def test_chosen_partitions() -> None:
    """The chosen ones may be several; the default is Slurm's, or the first."""
    found = site()
    assert [one.name for one in found.chosen("low,gpu")] == ["low", "gpu"]
    assert [one.name for one in found.chosen(None)] == ["short"]
    without = site(BY_PARTITION, PARTITIONS.replace("Default=YES", "Default=NO").replace("short", "first"))
    assert [one.name for one in without.chosen(None)] == ["first"]


def test_partition_is_open_to_its_nodes() -> None:
    """AllocNodes may be ALL, name all of the nodes, or leave out some."""
    nodes = frozenset({"c1", "c2"})
    assert PartitionRules(name="x", nodes=nodes).open_to_its_nodes
    assert PartitionRules(name="x", nodes=nodes, submitters="login,c[1-9]").open_to_its_nodes
    assert PartitionRules(name="x", submitters="login").open_to_its_nodes, "its nodes are unknown"
    assert not PartitionRules(name="x", nodes=nodes, submitters="login,c1").open_to_its_nodes
    assert site().open_to_all() == ["short", "high", "gpu"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("c1", {"c1"}),
        ("c[1-3,7],login", {"c1", "c2", "c3", "c7", "login"}),
        ("n[008-011]", {"n008", "n009", "n010", "n011"}),
        ("r[1-2]n[1-2]-ib", {"r1n1-ib", "r1n2-ib", "r2n1-ib", "r2n2-ib"}),
        ("(null)", set()),
    ],
)
def test_expands_names(text: str, names: set[str]) -> None:
    """Slurm's notation has lists, ranges, zeros in front, and several brackets."""
    assert expand(text) == frozenset(names)


def test_unknown_notation_is_not_guessed() -> None:
    """Any other form is unknown."""
    assert expand("c[1-2") is None
    assert expand("c[a-b]") is None
