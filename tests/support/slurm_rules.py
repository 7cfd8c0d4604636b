"""Output of Slurm 24.11 about preemption and submission, shortened."""

from __future__ import annotations


def config(**changes: str) -> str:
    """Return the output of `scontrol show config` with some changes."""
    values = {
        "JobRequeue": "1",
        "KillWait": "30 sec",
        "PreemptMode": "OFF",
        "PreemptParameters": "(null)",
        "PreemptType": "preempt/none",
        "PreemptExemptTime": "00:00:00",
        "PMIxCollFence": "ring",
    }
    lines = [f"{key:<23} = {value}" for key, value in (values | changes).items()]
    return "\n".join(["Configuration data as of 2026-03-02T09:12:44", *lines, "", "Slurmctld(primary) at ctl is UP"])


CONFIG = config()
BY_PARTITION = config(PreemptType="preempt/partition_prio", PreemptMode="REQUEUE")
BY_QOS = config(PreemptType="preempt/qos", PreemptMode="REQUEUE")


def partition(
    name: str,
    *,
    tier: int = 1,
    mode: str = "OFF",
    grace: int = 0,
    submitters: str = "ALL",
    nodes: str = "c[1-2]",
    default: bool = False,
    hidden: bool = False,
) -> str:
    """Return a line of `scontrol --all --oneliner show partition`."""
    yes = {True: "YES", False: "NO"}
    return (
        f"PartitionName={name} AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL AllocNodes={submitters} "
        f"Default={yes[default]} QoS=N/A DefaultTime=NONE DisableRootJobs=NO ExclusiveUser=NO GraceTime={grace} "
        f"Hidden={yes[hidden]} MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 Nodes={nodes} PriorityJobFactor=1 "
        f"PriorityTier={tier} RootOnly={yes[hidden]} ReqResv=NO OverSubscribe=NO OverTimeLimit=NONE "
        f"PreemptMode={mode} State=UP TotalCPUs=4 TotalNodes=2 JobDefaults=(null) TRES=cpu=4,mem=8G,node=2,billing=4"
    )


PARTITIONS = "\n".join(
    [
        partition("short", default=True),
        partition("high", tier=10, mode="REQUEUE"),
        partition("low", mode="REQUEUE", grace=20, submitters="login[1-2]"),
        partition("gpu", tier=20, mode="REQUEUE", nodes="gpu[01-02]"),
        partition("gate", hidden=True),
    ]
)
QOS = "normal|scavenger|cluster|00:00:00\nscavenger||cancel|00:01:30\nurgent|scavenger,normal|cluster|00:00:00\n"
