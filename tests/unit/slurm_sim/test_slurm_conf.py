"""Lines of slurm.conf and gres.conf that follow from a spec."""

from __future__ import annotations

from slurm_sim._slurm_conf import conf_lines, gres_conf, node_environment, own_lines
from slurm_sim.config import NodeGroup, Partition, Preemption, Scripts
from tests.support.specs import spec

GROUPS = {
    "c": NodeGroup(count=2, memory=64),
    "gpu": NodeGroup(cpus=8, sockets=2, cores=2, threads=2, memory="1G", gpus=["a:2", "b:1"], features=["x"], weight=5),
}


def test_plain_mini_cluster_needs_no_line() -> None:
    """Without anything special, slurm.conf stays as it is, and there is no gres.conf."""
    assert own_lines(spec()) == ""
    assert gres_conf(spec()) == ""


def test_node_has_feature_of_each_partition() -> None:
    """A node's line has its size, its GPUs and a feature per partition that holds it, also for nodes added later."""
    partitions = {"one": Partition(nodes=1), "gpus": Partition(nodes="gpu"), "all": Partition()}
    some = spec(groups=GROUPS, partitions=partitions)
    assert node_environment(some, "c1") == {"SLURM_SIM_NODE": "CPUs=2 RealMemory=64 Feature=compute,c,partition-one"}
    assert node_environment(some, "c7") == {"SLURM_SIM_NODE": "CPUs=2 RealMemory=64 Feature=compute,c"}
    assert node_environment(some, "gpu9") == {
        "SLURM_SIM_NODE": "CPUs=8 Sockets=2 CoresPerSocket=2 ThreadsPerCore=2 RealMemory=1024 "
        "Feature=compute,gpu,x,partition-gpus Gres=gpu:a:2,gpu:b:1 Weight=5",
        "SLURM_SIM_GPUS": "3",
    }
    assert own_lines(some).splitlines() == [
        "GresTypes=gpu",
        "NodeSet=partition-one Feature=partition-one",
        "PartitionName=one Nodes=partition-one MaxTime=1-0",
        "NodeSet=partition-gpus Feature=partition-gpus",
        "PartitionName=gpus Nodes=partition-gpus MaxTime=1-0",
        "PartitionName=all Nodes=all MaxTime=1-0",
    ]


def test_gpus_of_a_node_have_numbers_one_after_the_other() -> None:
    """No two GPUs of a node share a device; nodes that do not exist yet are covered."""
    assert gres_conf(spec(groups=GROUPS)).splitlines() == [
        "NodeName=gpu[1-512] Name=gpu Type=a File=/run/slurm-sim/gpu[0-1]",
        "NodeName=gpu[1-512] Name=gpu Type=b File=/run/slurm-sim/gpu2",
    ]
    untyped = spec(groups={"c": NodeGroup(gpus=4)})
    assert gres_conf(untyped) == "NodeName=c[1-512] Name=gpu File=/run/slurm-sim/gpu[0-3]\n"
    assert "Gres=gpu:4" in node_environment(untyped, "c1")["SLURM_SIM_NODE"]


def test_another_default_partition_replaces_general() -> None:
    """`general` is no longer the default, and the gate uses a hidden partition that only root can use."""
    lines = own_lines(spec(partitions={"debug": Partition(nodes=1, default=True, time=5)})).splitlines()
    assert lines == [
        "PartitionName=general Nodes=all MaxTime=1-0 DefaultTime=1:0:0",
        "NodeSet=partition-debug Feature=partition-debug",
        "PartitionName=debug Nodes=partition-debug Default=YES MaxTime=5",
        "PartitionName=slurm-sim Nodes=all Hidden=YES RootOnly=YES",
    ]
    general = own_lines(spec(partitions={"general": Partition(max_nodes=1)})).splitlines()
    assert general[0] == "PartitionName=general Nodes=all Default=YES MaxTime=1-0 MaxNodes=1"


def test_partition_has_every_option() -> None:
    """Every key of a partition becomes an option of its line."""
    partition = Partition(
        time="1:00:00",
        default_time=5,
        priority=0,
        preempt="suspend",
        grace_time=30,
        users=["hpc"],
        submit_from=["login"],
        accounts=["a", "b"],
        allow_qos=["q"],
        qos="p",
        min_nodes=1,
        max_nodes=2,
        options={"OverSubscribe": "FORCE:2"},
    )
    preemption = Preemption(by="partition", mode="suspend")
    lines = own_lines(spec(partitions={"x": partition}, preemption=preemption, nodes=2)).splitlines()
    assert lines == [
        "PreemptType=preempt/partition_prio",
        "PreemptMode=SUSPEND,GANG",
        "PartitionName=x Nodes=all MaxTime=1:00:00 DefaultTime=5 PriorityTier=0 PreemptMode=SUSPEND GraceTime=30 "
        "AllowGroups=hpc AllocNodes=login,s-login-1 AllowAccounts=a,b AllowQos=q QOS=p MinNodes=1 MaxNodes=2 "
        "OverSubscribe=FORCE:2",
    ]


def test_partition_accepts_jobs_from_named_machines() -> None:
    """Every machine has two names in Slurm; a group stands for its nodes, also those that are added later."""
    partition = Partition(submit_from=["login", "gpu", "c2"])
    line = own_lines(spec(groups=GROUPS, partitions={"x": partition})).splitlines()[-1]
    names = line.partition("AllocNodes=")[2].split(",")
    assert names == ["login", "gpu[1-512]", "c2", "s-login-1", "s-gpu[1-512]-1", "s-c2-1"]


def test_own_lines_and_scripts_come_last() -> None:
    """The user's lines replace all others; scripts have names without a folder, so that Slurm sends them to nodes."""
    scripts = Scripts(prolog="#!/bin/sh\n", job_submit="x = 1")
    own = spec(scripts=scripts, slurm_conf={"KillWait": "2", "NodeSet": ["a X", "b Y"]})
    assert own_lines(own).splitlines() == [
        *("Prolog=site-prolog", "JobSubmitPlugins=lua"),
        *("KillWait=2", "NodeSet=a X", "NodeSet=b Y"),
    ]
    assert conf_lines({}) == ""
