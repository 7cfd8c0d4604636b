"""The settings in jobqueue.yaml."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path
from time import time
from typing import Any

import yaml
from msgspec.structs import replace

from dask_hpc.jobqueue_config.look import Facts, Reports
from dask_hpc.jobqueue_config.on_node import Disk, NodeFacts
from dask_hpc.jobqueue_config.settings import render, settings
from dask_hpc.network import Interface
from dask_hpc.sif import Sif
from dask_hpc.slurm.accounts import Accounts
from dask_hpc.slurm.nodes import Node
from dask_hpc.slurm.rules import Rules, parse_configuration, parse_partitions, parse_qos
from tests.support.slurm_rules import BY_PARTITION, BY_QOS, CONFIG, PARTITIONS, QOS

DISK = Disk(folder="/local", type="xfs", gib=900)
N1 = NodeFacts(node="n1", interface="ib0", disk=DISK)
N2 = NodeFacts(node="n2", interface="ib0", disk=DISK)


def node(name: str, cpus: int, memory: int, *, partition: str = "short", limit: int | None = 1800) -> Node:
    """Return a node without any job."""
    return Node(
        name=name,
        partition=partition,
        default=partition == "short",
        cpus=cpus,
        memory=memory,
        state="idle",
        idle_cpus=cpus,
        limit=limit,
    )


FACTS = Facts(
    partitions={
        "short": [node("n1", 64, 250_000), node("n2", 16, 60_000)],
        "long": [node("n3", 64, 250_000, partition="long", limit=None)],
    },
    partition="short",
    asked_for=False,
    accounts=Accounts(("physics", "chemistry")),
    refusal="",
    memory_refusal="",
    interface=Interface("ib0", "login is 10.0.0.1"),
    home="/home/me",
    reports=Reports((N1, N2)),
)


def loaded(**changes: Any) -> dict[str, Any]:
    """Return the settings for FACTS with some changes."""
    text = render(dataclasses.replace(FACTS, **changes))
    return dict(yaml.safe_load(text)["jobqueue"]["slurm"])


def test_job_fits_every_node() -> None:
    """Cores and memory are the smallest usable node's, and the wall time is within the partition's limit."""
    seen = loaded()
    assert (seen["queue"], seen["cores"], seen["memory"]) == ("short", 16, "58GiB")
    assert "job-mem" not in seen, "it would override the memory argument of SLURMCluster"
    assert seen["walltime"] == "00:30:00", "a string: YAML reads a bare 00:30:00 as a number"
    assert loaded(partition="long")["walltime"] == "01:00:00"


def test_every_setting_has_reason() -> None:
    """A non-empty comment stands above every setting."""
    lines = render(FACTS).partition("  slurm:\n")[2].splitlines()
    assert len(lines) == 2 * len(settings(FACTS))
    for reason, setting in zip(lines[::2], lines[1::2], strict=True):
        assert reason.startswith("    # ")
        assert len(reason) > len("    # why")
        assert setting.split(":")[0].strip() in {one.key for one in settings(FACTS)}


def test_dask_jobqueue_knows_every_setting() -> None:
    """All keys are in dask-jobqueue's own defaults."""
    import dask_jobqueue

    own = yaml.safe_load((Path(dask_jobqueue.__file__).parent / "jobqueue.yaml").read_text(encoding="utf-8"))
    assert set(loaded()) <= set(own["jobqueue"]["slurm"])


def test_sets_account_only_if_required() -> None:
    """An account is set if sbatch requires one, and only mentioned otherwise."""
    assert loaded()["account"] is None
    assert "your accounts: physics chemistry" in render(FACTS)
    assert loaded(refusal="Invalid account")["account"] == "physics"
    unknown = dataclasses.replace(FACTS, accounts=Accounts(why_none="sacctmgr not found"), refusal="Invalid account")
    assert "sbatch requires one (Invalid account); sacctmgr not found" in render(unknown)


def test_leaves_out_rejected_mem_option() -> None:
    """If sbatch rejects --mem, dask-jobqueue does not use it."""
    seen = loaded(memory_refusal="Memory specification can not be satisfied")
    assert seen["job-directives-skip"] == ["--mem="]
    assert "job-mem" not in seen
    assert seen["memory"] == "60000MiB", "Dask still needs it"


def test_scheduler_and_workers_have_own_interface() -> None:
    """Scheduler and workers have one interface each; nodes that differ use the route to the scheduler."""
    seen = loaded(interface=Interface("eno1", "why"))
    assert (seen["interface"], seen["scheduler-options"]["interface"]) == ("ib0", "eno1")
    mixed = Reports((replace(N1, interface="eth0"), N2))
    assert loaded(reports=mixed)["interface"] is None
    assert "nodes have several: eth0 ib0" in render(dataclasses.replace(FACTS, reports=mixed))


def test_workers_run_in_same_sif() -> None:
    """Python is the SIF's, and the job script reports what a node lacks; otherwise it is the running Python."""
    seen = loaded(sif=Sif("/home/me/my env.sif", "apptainer"))
    assert seen["python"].startswith("apptainer exec ")
    assert seen["python"].endswith(" '/home/me/my env.sif' python")
    assert any("apptainer not found" in line for line in seen["job-script-prologue"])
    assert loaded()["python"] == sys.executable


def test_marks_guesses_without_nodes() -> None:
    """If no node could be queried, a setting is marked as a guess, with the reason."""
    text = render(dataclasses.replace(FACTS, reports=Reports(why_none="no node was idle")))
    assert "a guess, no node was idle" in text
    assert loaded(reports=Reports(why_none="x"))["local-directory"] == "/tmp"


def test_marks_local_directory_in_memory() -> None:
    """A /tmp in memory is used if there is no disk, and marked as such."""
    reports = Reports((replace(N1, disk=Disk(folder="/tmp", type="tmpfs", gib=60)),))
    assert "in the node's memory, without a local disk (tmpfs, 60 GiB free)" in render(
        dataclasses.replace(FACTS, reports=reports)
    )


def test_dashboards_are_closed_to_network() -> None:
    """Dashboards of scheduler and workers are off or on loopback."""
    seen = loaded()
    assert seen["scheduler-options"] == {
        "interface": "ib0",
        "dashboard_address": "127.0.0.1:0",
    }
    words = " ".join(seen["worker-extra-args"])
    assert "--no-dashboard --dashboard-address 127.0.0.1:0" in words


def test_job_is_one_process_that_ends_without_scheduler() -> None:
    """A job is one process, which ends after a minute without a scheduler."""
    seen = loaded()
    assert (seen["name"], seen["processes"], seen["death-timeout"]) == ("dask-worker", 1, 60)


def test_files_are_in_shared_home() -> None:
    """Credentials and logs are in the shared home; workers spill to a local disk, whose least size is shown."""
    seen = loaded()
    assert (seen["shared-temp-directory"], seen["log-directory"]) == ("/home/me", "/home/me/.dask-hpc/logs")
    assert seen["local-directory"] == "/local"
    smaller = replace(N2, disk=replace(DISK, gib=9))
    assert "(xfs, 9 GiB free)" in render(dataclasses.replace(FACTS, reports=Reports((N1, smaller))))


def test_uses_tmp_if_local_disks_differ() -> None:
    """A folder that one node lacks would end every worker there."""
    reports = Reports((N1, replace(N2, disk=Disk(folder="/scratch/local", type="ext4", gib=950))))
    assert loaded(reports=reports)["local-directory"] == "/tmp"
    assert "differ: /local /scratch/local" in render(dataclasses.replace(FACTS, reports=reports))


def test_ignores_nodes_without_disk() -> None:
    """Incomplete reports of one node do not discard those of others."""
    without = replace(N1, disk=None)
    assert loaded(reports=Reports((without, N2)))["local-directory"] == "/local"
    assert "a guess, no common folder is" in render(dataclasses.replace(FACTS, reports=Reports((without,))))
    assert loaded(reports=Reports((replace(N1, interface=""), N2)))["interface"] == "ib0"


def test_reasons_contain_facts() -> None:
    """Other partitions, the partition's limit and the user's accounts are in the comments."""
    text = render(FACTS)
    assert "others: long" in text
    assert "ends jobs after 00:30:00" in text
    only = render(dataclasses.replace(FACTS, partitions={"short": FACTS.partitions["short"]}, asked_for=True))
    assert "requested, and the only one" in only
    assert "no limit" in render(dataclasses.replace(FACTS, partition="long"))
    assert "your accounts: physics chemistry" in render(dataclasses.replace(FACTS, refusal="Invalid account"))


def test_header_lists_every_partition() -> None:
    """Size and limit are the least in each partition; a partition without nodes is listed too."""
    partitions = {**FACTS.partitions, "empty": []}
    head = render(dataclasses.replace(FACTS, partitions=partitions)).partition("jobqueue:")[0].splitlines()
    assert "#   short: 2 nodes of 16 cores, 60000 MiB or more, 00:30:00" in head
    assert "#   long: 1 nodes of 64 cores, 250000 MiB or more, no limit" in head
    assert "#   empty: 0 nodes of - or more, no limit" in head
    assert head[0].startswith("# dask-jobqueue's settings for this site")


def test_keeps_non_ascii_text() -> None:
    """A path with an umlaut is written unescaped."""
    assert "/home/jürgen/.dask-hpc/logs" in render(dataclasses.replace(FACTS, home="/home/jürgen"))


def header(config: str, partition: str = "short") -> list[str]:
    """Return the lines about ends and submission of jobs, and the reason for the partition."""
    rules = Rules(partitions=parse_partitions(PARTITIONS), config=parse_configuration(config), qos=parse_qos(QOS))
    text = render(dataclasses.replace(FACTS, rules=rules, partition=partition, partitions=PLACES))
    lines = text.splitlines()
    first = lines.index("# Preemption, ends and submission of jobs:") + 1
    (queue,) = [lines[number - 1] for number, line in enumerate(lines) if line.startswith("    queue:")]
    return [*lines[first : lines.index("", first)], queue.strip()]


PLACES = {**FACTS.partitions, "low": FACTS.partitions["long"]}
ENDS = "#   jobs are ended with SIGTERM, and SIGKILL 30 s later (KillWait)"
CLOSED = "#   partition low accepts jobs only from login[1-2] (AllocNodes)"


def test_tells_preemption_of_partitions() -> None:
    """The header has each partition whose jobs are preempted; the chosen one's reason says what replaces them."""
    low = "#   partition low is preempted by high: a job is put back into the queue after 20 s (GraceTime)"
    lines = header(BY_PARTITION, "low")
    assert lines[:-1] == [low, ENDS, CLOSED]
    assert lines[-1].endswith("; its jobs may be preempted: use adapt(), see above")
    lines = header(CONFIG, "low")
    assert lines[:-1] == [ENDS, CLOSED]
    assert "preempted" not in lines[-1]


def test_tells_preemption_of_qos() -> None:
    """With preemption by QOS, the header has each QOS whose jobs are preempted."""
    lines = header(BY_QOS)
    assert lines[0] == "#   QOS normal is preempted by urgent: a job is put back into the queue"
    assert "QOS scavenger is preempted by normal urgent: a job is cancelled after 90 s (GraceTime)" in lines[1]
    assert "may be preempted" in lines[-1]
    unknown = Rules(config=parse_configuration(BY_QOS), unknown="no permission")
    assert "cannot be listed: no permission" in render(dataclasses.replace(FACTS, rules=unknown))


def test_workers_end_before_their_job() -> None:
    """The job's script calculates 55 minutes, give or take 4, of an hour; an older Slurm has no such variable."""
    words = " ".join(loaded()["worker-extra-args"])

    def arguments(**environ: str) -> list[str]:
        command = ["bash", "-c", f"echo {words}"]
        return subprocess.run(
            command, env={"PATH": os.environ["PATH"], **environ}, capture_output=True, check=True, text=True
        ).stdout.split()

    *quiet, lifetime, seconds, stagger, spread = arguments(SLURM_JOB_END_TIME=str(int(time()) + 3600))
    assert quiet == arguments() == ["--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
    assert (lifetime, stagger) == ("--lifetime", "--lifetime-stagger")
    assert 3290 <= int(seconds.removesuffix("s")) <= 3300
    assert 238 <= int(spread.removesuffix("s")) <= 240
