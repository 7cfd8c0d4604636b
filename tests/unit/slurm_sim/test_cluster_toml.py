"""Reading a `cluster.toml`, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm_sim import SlurmSim, SpecError
from slurm_sim._cluster_toml import ClusterToml, line_of
from slurm_sim.config import Account, Config, NodeGroup, Partition, Preemption, Qos, Scripts, User

WHOLE = """
accounting = true
ssh = true
rest = true

[nodes.c]
count = 3
memory = "2G"

[nodes.gpu]
cpus = 8
sockets = 2
cores = 2
threads = 2
gpus = ["a100:2", "v100:1"]
features = ["fast"]
weight = 10

[partitions]
debug = { nodes = 1, time = 10, default = true, preempt = "requeue", options = { OverSubscribe = "NO" } }

[partitions.gpu]
nodes = ["gpu", "c[1-2]"]
users = ["alice", "hpc"]
accounts = ["physics"]
qos = "high"

[users]
bob = {}

[users.alice]
account = "physics"
accounts = ["science"]
qos = ["high"]
limits = { MaxJobs = 2 }

[accounts.science]
[accounts.physics]
parent = "science"
fairshare = 3

[qos.high]
priority = 100
preempts = ["low"]
limits = { MaxTRESPerUser = "cpu=4" }
[qos.low]

[preemption]
by = "qos"

[slurm]
KillWait = 2
DisableRootJobs = false
NodeSet = ["a Feature=x", "b Feature=y"]

[scripts]
prolog = "begin.sh"
"""


def file(folder: Path, text: str) -> Path:
    """Write a cluster.toml."""
    path = folder / "cluster.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_everything(tmp_path: Path) -> None:
    """Every table and key of the file reaches the configuration; a script is read from beside the file."""
    (tmp_path / "begin.sh").write_text("#!/bin/sh\ntrue\n")
    assert ClusterToml(file(tmp_path, WHOLE)).config == Config(
        accounting=True,
        ssh=True,
        rest=True,
        groups={
            "c": NodeGroup(count=3, memory="2G"),
            "gpu": NodeGroup(
                cpus=8, sockets=2, cores=2, threads=2, gpus=["a100:2", "v100:1"], features=["fast"], weight=10
            ),
        },
        partitions={
            "debug": Partition(nodes=1, time=10, default=True, preempt="requeue", options={"OverSubscribe": "NO"}),
            "gpu": Partition(nodes=["gpu", "c[1-2]"], users=["alice", "hpc"], accounts=["physics"], qos="high"),
        },
        users={
            "bob": User(),
            "alice": User(account="physics", accounts=["science"], qos=["high"], limits={"MaxJobs": 2}),
        },
        accounts={"science": Account(), "physics": Account(parent="science", fairshare=3)},
        qos={"high": Qos(priority=100, preempts=["low"], limits={"MaxTRESPerUser": "cpu=4"}), "low": Qos()},
        preemption=Preemption(by="qos"),
        slurm_conf={"KillWait": "2", "DisableRootJobs": "NO", "NodeSet": ["a Feature=x", "b Feature=y"]},
        scripts=Scripts(prolog="#!/bin/sh\ntrue\n"),
    )


BAD = {
    "unknown key": ("[nodes.c]\ncpu = 2\n", "line 2: Unknown key 'cpu' in [nodes.c].", "did you mean 'cpus'?"),
    "unknown table": ("\n[partition.debug]\n", "line 2: Unknown key 'partition'.", "did you mean 'partitions'?"),
    "unknown key without a near one": (
        "zzz = 1",
        "line 1: Unknown key 'zzz'.",
        "use one of accounting, ssh, rest, nodes",
    ),
    "text for a number": (
        '[nodes.c]\n\n# cpus = 1\ncpus = "4"',
        "line 4: Invalid value of nodes.c.cpus.\n'4'",
        "a whole number",
    ),
    "number for a truth value": ("accounting = 1", "line 1: Invalid value of accounting.\n1", "give true or false."),
    "too small": ("[nodes.c]\ncpus = 0", "line 2: Invalid value of nodes.c.cpus.\n0", "a whole number >= 1"),
    "number for a table": ("nodes = 4", "line 1: nodes is not a table.\n4", "write [nodes.NAME]"),
    "number for a group": ("[nodes]\nc = 4", "line 2: nodes.c is not a table.\n4", "write [nodes.c"),
    "unknown choice": (
        '[partitions.x]\npreempt = "kill"',
        "line 2: Invalid value of partitions.x.preempt.\n'kill'",
        "give one of requeue, cancel, suspend, off.",
    ),
    "missing key": ("[preemption]\nmode = 'cancel'", "line 1: Object missing required field `by`", "a value for 'by'"),
    "nodes that are not there": (
        "[nodes.c]\ncount = 2\n[partitions.x]\nnodes = 3",
        "line 4: Partition 'x' has nodes that are not there.\n3 of 2 nodes",
        "use 1 to 2.",
    ),
    "a node that is not there": (
        '[nodes.c]\ncount = 2\n[partitions.x]\nnodes = ["c[2-3]"]',
        "line 4: Partition 'x' has nodes that are not there.\nc3; existing groups: c (2 nodes)",
        "did you mean",
    ),
    "two defaults": (
        "[nodes.c]\n[partitions.a]\ndefault = true\n[partitions.b]\ndefault = true",
        "line 4: Several partitions are the default one.\na, b",
        "leave `default = true` in one of them.",
    ),
    "root": ("[users.root]", "line 1: 'root' is a user or a group of the system.", "choose another name."),
    "a group of the system": ("[users.staff]", "line 1: 'staff' is a user or a group of the system.", "another name"),
    "the gate's partition": (
        "[nodes.c]\n[partitions.slurm-sim]",
        "line 2: slurm-sim itself uses the partition",
        "another",
    ),
    "account root": ("accounting = true\n[accounts.root]", "line 2: Slurm has the account 'root' already.", "another"),
    "table in slurm.conf": (
        "[slurm]\nKillWait = { a = 1 }",
        "line 2: KillWait={'a': 1} is not a valid line",
        "KEY=VALUE",
    ),
    "blank": ('[users."a b"]', "line 1: Invalid name of a user: 'a b'.", "lowercase letters"),
    "no GPUs": ('[nodes.c]\ngpus = "a100:0"', "line 2: Invalid GPUs 'a100:0'.", "TYPE:NUMBER"),
    "GPU type twice": ('[nodes.c]\ngpus = ["a:1", "a:2"]', "line 2: GPUs of type 'a' are given twice.", ""),
    "memory": ('[nodes.c]\nmemory = "lots"', "line 2: Invalid memory size 'lots'.", "512M or 4G"),
    "cores": ("[nodes.c]\ncpus = 4\nsockets = 2\ncores = 3", "line 3: The CPUs of a node do not match", "use cpus = 6"),
    "group with a number": ("[nodes.c1]", "line 1: Invalid name of a group of nodes: 'c1'.", "numbers at the end"),
    "no node": ("[nodes.c]\ncount = 0", "line 1: No group has a node.", "a count of 1"),
    "accounts without accounting": ("[accounts.x]", "line 1: 'accounts' needs accounting.", "`accounting = true`"),
    "QOS without accounting": ("[qos.x]", "line 1: 'qos' needs accounting.", "`accounting = true`"),
    "user's account without accounting": (
        '[users.a]\naccount = "b"',
        "line 1: 'account' needs accounting.",
        "--accounting",
    ),
    "QOS that refers to nothing": (
        'accounting = true\n[preemption]\nby = "qos"\n[qos.high]\npreempts = ["lwo"]\n[qos.low]',
        "line 5: Unknown QOS 'lwo'.",
        "did you mean 'low'?",
    ),
    "machine that is not there": (
        "[partitions.low]\nsubmit_from = ['logn']\n",
        "line 2: Unknown machine 'logn'.",
        "did you mean 'login'?",
    ),
    "account that is not there": (
        'accounting = true\n[users.a]\naccount = "phys"\n[accounts.physics]',
        "line 3: Unknown account 'phys'.",
        "did you mean 'physics'?",
    ),
    "account above itself": (
        'accounting = true\n[accounts.a]\nparent = "b"\n[accounts.b]\nparent = "a"',
        "line 3: Account 'a' is above itself.",
        "",
    ),
    "unknown limit": (
        "accounting = true\n[qos.x.limits]\nMaxJobPerUser = 2",
        "line 3: Unknown limit 'MaxJobPerUser'.",
        "did you mean 'MaxJobsPerUser'?",
    ),
    "preempt without preemption": (
        '[nodes.c]\n[partitions.x]\npreempt = "requeue"',
        "line 3: 'preempt' has no effect.\nthere is no preemption",
        'add [preemption] with by = "partition".',
    ),
    "QOS that preempts without preemption": (
        'accounting = true\n[preemption]\nby = "partition"\n[qos.a]\npreempts = ["normal"]',
        "line 5: 'preempts' has no effect.\npreemption is by partition",
        'by = "qos"',
    ),
    "suspend by QOS": (
        'accounting = true\n[preemption]\nby = "qos"\nmode = "suspend"',
        "line 4: Preemption by QOS cannot suspend jobs here.",
        "requeue",
    ),
    "partition suspends alone": (
        '[nodes.c]\n[preemption]\nby = "partition"\n[partitions.x]\npreempt = "suspend"',
        "line 5: Partition 'x' can suspend jobs only if the mini-cluster can.",
        'mode = "suspend"',
    ),
    "line of slurm.conf": (
        '[slurm]\n"Kill Wait" = 2',
        "line 2: Kill Wait=2 is not a valid line of slurm.conf.",
        "KEY=VALUE",
    ),
    "missing script": ('[scripts]\nprolog = "no.sh"', "line 2: Cannot read the prolog", ""),
    "not TOML": ("accounting = yes", " is not valid TOML.\nInvalid value (at line 1", "https://toml.io"),
}


@pytest.mark.parametrize(("text", "says", "todo"), BAD.values(), ids=BAD.keys())
def test_error_names_line_and_remedy(text: str, says: str, todo: str, tmp_path: Path) -> None:
    """The error names the file, the line, the key, its value and the valid ones."""
    path = file(tmp_path, text)
    with pytest.raises(SpecError) as caught:
        SlurmSim(config=path, bare=True)
    assert f"{path}{says if says.startswith(' ') else ', ' + says}" in str(caught.value)
    assert todo in caught.value.todo


@pytest.mark.parametrize(("name", "seen"), [("no.toml", "No such file or directory"), (".", "Is a directory")])
def test_rejects_unreadable_file(name: str, seen: str, tmp_path: Path) -> None:
    """A missing file, or a folder, is an error, not a traceback."""
    with pytest.raises(SpecError, match="Cannot read") as caught:
        ClusterToml(tmp_path / name)
    assert caught.value.seen == seen


def test_rejects_file_that_is_not_text(tmp_path: Path) -> None:
    """A file that is not UTF-8 is rejected; so is a script that is none."""
    (tmp_path / "cluster.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="it is not UTF-8 text"):
        ClusterToml(tmp_path / "cluster.toml")
    (tmp_path / "x").write_text("true\n")
    with pytest.raises(SpecError, match="is no script"):
        ClusterToml(file(tmp_path, '[scripts]\nepilog = "x"'))


@pytest.mark.parametrize(
    ("at", "line"),
    [
        (("a", "b", "c"), 4),
        (("a", "b", "x"), 3),
        (("a", "x"), None),
        (("d",), 1),
        (("e", "f", "g"), 6),
        (("e", "h i"), 7),
        ((), None),
    ],
)
def test_finds_line_of_key_or_of_table_around_it(at: tuple[str, ...], line: int | None) -> None:
    """The line is that of the key, else that of its table."""
    text = 'd = 1\n\n[a.b] # table\nc = 2\n[e]\nf.g = 1\n"h i" = [\n 1,\n]\n'
    assert line_of(text, at) == line


def test_options_and_file_add_up(tmp_path: Path) -> None:
    """Options add to the file; what both say about the nodes is an error."""
    path = file(tmp_path, "[partitions.x]\n[users.bob]\n[slurm]\nKillWait = 2\n")
    spec = SlurmSim(
        nodes=3,
        config=path,
        users=["alice"],
        partitions=["y:nodes=1,time=10"],
        slurm_conf={"KillWait": 3},
        gpus_per_node="a100:2",
        bare=True,
    ).spec
    assert spec.groups == {"c": NodeGroup(count=3, memory=4096, gpus=["a100:2"])}
    assert spec.partitions == {"x": Partition(), "y": Partition(nodes=1, time="10")}
    assert [*spec.users] == ["alice", "bob"]
    assert spec.slurm_conf == {"KillWait": "3"}
    groups = file(tmp_path, "[nodes.gpu]\ncount = 2\n")
    assert SlurmSim(config=groups, bare=True).spec.counts == {"gpu": 2}
    with pytest.raises(SpecError, match=r"'nodes' and the nodes of .* exclude each other"):
        SlurmSim(nodes=2, config=groups, bare=True)
    twice = file(tmp_path, "[nodes.gpu]\n[partitions.x]\n")
    with pytest.raises(SpecError, match="Partition 'x' is given twice"):
        SlurmSim(config=twice, partitions=["x"], bare=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("debug:nodes=9", "Partition 'debug' has nodes that are not there."),
        ("debug:node=1", "did you mean 'nodes'?"),
        ("debug:priority=high", "write NAME:KEY=VALUE"),
        ("a b:nodes=1", "Invalid name of a partition: 'a b'"),
        ("", "Invalid name of a partition: ''"),
        ("DEFAULT", "Slurm does not accept 'DEFAULT'"),
        ("x:users=carol", "Unknown user 'carol'"),
        ("x:accounts=hpc", "'accounts' needs accounting"),
    ],
)
def test_rejects_invalid_partition(text: str, says: str) -> None:
    """The error of an option names the partition and the remedy."""
    with pytest.raises(SpecError) as caught:
        SlurmSim(partitions=[text], bare=True)
    assert says in str(caught.value)


def test_option_parses_lists_of_nodes() -> None:
    """A partition's option has groups and nodes with "+" between; ranges may have commas."""
    spec = SlurmSim(4, partitions=["x:nodes=c[1-2,4]+c3,time=1:00:00,default,priority=5"], bare=True).spec
    assert spec.partition_nodes("x") == ["c1", "c2", "c4", "c3"]
    assert spec.partitions["x"] == Partition(nodes=["c[1-2,4]", "c3"], time="1:00:00", default=True, priority=5)
