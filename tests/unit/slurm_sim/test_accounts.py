"""The commands of sacctmgr that make a configuration's accounts, users and QOS."""

from __future__ import annotations

from slurm_sim._accounts import commands
from slurm_sim.config import Account, Config, Qos, User


def test_hpc_has_its_own_account() -> None:
    """By default, `hpc` has an account of that name, and the last line has no end: sacctmgr rejects an empty line."""
    assert commands(Config(accounting=True)) == "add account Name=hpc\nadd user Name=hpc Account=hpc"


def test_nothing_is_used_before_it_exists() -> None:
    """Accounts follow the ones above them; QOS exist before one preempts another, and before users may choose them."""
    config = Config(
        accounting=True,
        accounts={"team": Account(parent="lab", limits={"GrpTRES": "cpu=8"}), "lab": Account(fairshare=3)},
        qos={
            "high": Qos(priority=5, preempts=["low"]),
            "low": Qos(preempt="requeue", flags=["DenyOnLimit", "NoDecay"]),
        },
        users={
            "hpc": User(account="team", accounts=["lab"], admin=True, fairshare=0, qos=["high"], limits={"MaxJobs": 2})
        },
    )
    assert commands(config).splitlines() == [
        "add qos Name=high Priority=5",
        "add qos Name=low PreemptMode=requeue Flags=DenyOnLimit,NoDecay",
        "modify qos high set Preempt=low",
        "modify account root set QOS=normal,high,low",
        "add account Name=lab Fairshare=3",
        "add account Name=team Parent=lab GrpTRES=cpu=8",
        "add user Name=hpc Account=team AdminLevel=Administrator QOS=high Fairshare=0 MaxJobs=2",
        "add user Name=hpc Account=lab AdminLevel=Administrator QOS=high MaxJobs=2",
    ]


def test_normal_qos_is_modified() -> None:
    """slurmdbd makes the QOS `normal` itself; a table of that name sets its limits."""
    limited = Config(accounting=True, qos={"normal": Qos(limits={"MaxJobsPerUser": 2})})
    lines = commands(limited).splitlines()
    assert lines[:2] == ["modify qos normal set MaxJobsPerUser=2", "modify account root set QOS=normal"]
    assert (
        commands(Config(accounting=True, qos={"normal": Qos()})).splitlines()[0] == "modify account root set QOS=normal"
    )


def test_quotes_descriptions() -> None:
    """A value with spaces is quoted; quotes and ends of lines in it, which sacctmgr cannot read, are replaced."""
    text = commands(Config(accounts={"lab": Account(description='the "big"\nlab')}))
    assert "Description=\"the 'big' lab\"" in text
