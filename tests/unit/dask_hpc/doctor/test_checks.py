"""Verdicts of doctor's checks; tests/cluster/test_doctor.py runs them on a mini-cluster."""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import pytest

from dask_hpc.doctor.checks import clocks, environment, limits, machine, mpi, preemption, shared
from dask_hpc.doctor.site import Site
from dask_hpc.doctor.survey import NodeReport, Survey
from dask_hpc.doctor.verdict import Verdict, failure, ok
from dask_hpc.slurm.rules import Rules, parse_configuration, parse_partitions, parse_qos
from tests.support.site_commands import Commands
from tests.support.slurm_rules import BY_PARTITION, BY_QOS, CONFIG, PARTITIONS, QOS

HOME = Path("/home/hpc")


def node(name: str, state: str = "shared", reached: bool = True, mark: str = "abc", apptainer: str = "") -> NodeReport:
    """Return the answer of a healthy node, with some fields changed."""
    return NodeReport(
        node=name,
        reached=reached,
        folders={str(HOME): state},
        mark=mark,
        shm=1 << 30,
        files=4096,
        apptainer=apptainer,
        namespaces=True,
    )


class Asked(Site):
    """A login node with answers of nodes."""

    reports: tuple[NodeReport, ...] = ()

    @property
    def survey(self) -> Survey:
        return Survey(nodes=list(self.reports))


def asked(*reports: NodeReport, **environ: str) -> Asked:
    site = Asked("login node", environ=environ)
    object.__setattr__(site, "reports", reports)
    return site


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("absent", "does not exist on c2"),
        ("elsewhere", "is another folder on c2"),
        ("unwritable", "is not writable on c2"),
    ],
)
def test_names_node_without_shared_folder(state: str, words: str) -> None:
    """The verdict names the node on which the folder is not shared."""
    verdict = shared.judge([HOME], [node("c1"), node("c2", state)])
    assert verdict.status == "failure"
    assert f"{HOME} {words}" in verdict.seen
    assert "c1" not in verdict.seen


def test_accepts_shared_folder() -> None:
    """A folder that all nodes can write to passes; without nodes, the verdict says that none was checked."""
    assert shared.judge([HOME], [node("c1"), node("c2")]) == ok("/home/hpc on c1 c2")
    assert "nodes were not checked" in shared.judge([HOME], []).seen


def test_rejects_unwritable_folder(tmp_path: Path) -> None:
    """An unwritable folder is found on the login node. Not even root can create a file in /sys."""
    verdict = shared.folders(Site("machine without Slurm", folders=(tmp_path, Path("/sys"))))
    assert verdict.status == "failure"
    assert verdict.seen in {"/sys: Permission denied", "/sys: Read-only file system"}


def test_rejects_missing_folder(tmp_path: Path) -> None:
    """A missing folder is a failure."""
    verdict = shared.folders(Site("machine without Slurm", folders=(tmp_path / "none",)))
    assert "no such folder" in verdict.seen


@pytest.mark.parametrize(("seconds", "status"), [(0.02, "ok"), (-5.0, "warning"), (400.0, "failure")])
def test_judges_clock_offset(seconds: float, status: str) -> None:
    """An offset of seconds is a warning, an offset of minutes a failure; the node is named."""
    verdict = clocks.judge({"c1": 0.001, "c2": seconds})
    assert verdict.status == status
    assert status == "ok" or verdict.seen.startswith("c2 is")


def test_finds_pmix_versions() -> None:
    """PMIx is found in old and new output of srun --mpi=list."""
    new = "MPI plugin types are...\n\tnone\n\tpmix\n\tpmi2\nspecific pmix plugin versions available: pmix_v5"
    assert mpi.pmix_versions(new) == ["pmix", "pmix_v5"]
    assert mpi.pmix_versions("srun: MPI types are...\nsrun: none\nsrun: pmi2\nsrun: pmix_v3") == ["pmix_v3"]
    assert mpi.pmix_versions("\tnone\n\tpmi2\n") == []


def test_warns_if_dask_would_exceed_allocation() -> None:
    """The warning has both numbers, and the option to set."""
    site = Site("allocation", environ={"SLURM_MEM_PER_NODE": "64", "SLURM_CPUS_PER_TASK": "99"})
    memory, cpus = limits.memory(site), limits.cpus(site)
    assert (memory.status, cpus.status) == ("warning", "warning")
    assert "Slurm allocated 64 MiB" in memory.seen
    assert "--memory-limit 64MiB" in memory.todo
    assert "--nthreads 99" in cpus.todo


def test_reads_default_memory_from_controller(commands: Commands) -> None:
    """No variable has a site's default memory."""
    commands["scontrol"] = "echo JobId=7 MinMemoryNode=65M"
    assert "Slurm allocated 65 MiB" in limits.memory(Site("allocation", environ={"SLURM_JOB_ID": "7"})).seen
    commands["scontrol"] = "exit 1"
    assert limits.memory(Site("allocation", environ={"SLURM_JOB_ID": "7"})).status == "ok"


def test_names_node_with_other_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node without the environment, or with another one, is a failure that names the node."""
    file = tmp_path / "share" / "dask-hpc" / "env.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    ours = environment.fingerprint(file)
    same = environment.on_nodes(asked(node("c1", mark=ours)))
    other = environment.on_nodes(asked(node("c1", mark=ours), node("c2", mark="other")))
    absent = environment.on_nodes(asked(node("c1", mark=""), node("c2", mark=ours)))
    assert same == ok("the same on 1 node")
    assert other
    assert other.seen.startswith("different on c2")
    assert absent
    assert absent.seen.startswith("this environment not found on c1")


def test_compares_nodes_if_sif_is_not_visible(tmp_path: Path) -> None:
    """If the SIF's folder is not bound inside it, nodes are compared with each other."""
    sif = str(tmp_path / "not-seen.sif")
    same = environment.on_nodes(asked(node("c1"), node("c2"), APPTAINER_CONTAINER=sif))
    other = environment.on_nodes(asked(node("c1"), node("c2", mark="other"), APPTAINER_CONTAINER=sif))
    assert same == ok("the same on 2 nodes")
    assert other
    assert other.status == "failure"


def test_fingerprint_of_large_file_is_its_size(tmp_path: Path) -> None:
    """A large file is not read on every node."""
    (tmp_path / "a.sif").write_bytes(bytes(2_000_000))
    assert environment.fingerprint(tmp_path / "a.sif") == "2000000"
    assert environment.fingerprint(tmp_path / "none") == ""


def test_names_node_without_apptainer() -> None:
    """In a SIF, a node without Apptainer is named."""
    site = asked(node("c1", apptainer="/usr/bin/apptainer"), node("c2"), APPTAINER_CONTAINER="/home/hpc/a.sif")
    assert machine.namespaces(site) == failure(
        "apptainer not found on c2", "have it installed there: workers run in the SIF too"
    )


def test_warns_about_drifted_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The warning names the package that differs from the lock."""
    file = tmp_path / "share" / "dask-hpc" / "env.json"
    file.parent.mkdir(parents=True)
    drift = [{"package": "python", "locked": "3.13.5-1", "installed": "3.13.5-2"}]
    file.write_text(json.dumps({"lock_sha256": "f" * 64, "channel": "x", "drifted": True, "drift": drift}))
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    verdict = environment.lock(Site("login node"))
    assert verdict.status == "warning"
    assert "python 3.13.5-1 -> 3.13.5-2" in verdict.seen


def test_rejects_low_limit_of_open_files() -> None:
    """Fewer than 1024 open files are a failure."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        verdict = machine.open_files(Site("machine without Slurm"))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (verdict.status, verdict.seen) == ("failure", "256 on this machine")


class Ruled(Site):
    """A login node of a site with rules."""

    known: Rules

    @property
    def rules(self) -> Rules:
        return self.known


def ruled(config: str, partition: str | None = None, *, qos: str = QOS, unknown: str = "", **environ: str) -> Ruled:
    site = Ruled("login node", partition=partition, environ=environ)
    known = Rules(
        partitions=parse_partitions(PARTITIONS),
        config=parse_configuration(config),
        qos=parse_qos(qos),
        unknown=unknown,
    )
    object.__setattr__(site, "known", known)
    return site


def warned(verdict: Verdict | None) -> Verdict:
    """Return a verdict that is a warning with advice."""
    assert verdict
    assert verdict.status == "warning"
    assert verdict.todo
    return verdict


def test_tells_what_happens_to_preempted_job() -> None:
    """The warning has the outcome, both times, and what replaces such a job."""
    found = warned(preemption.preemption(ruled(BY_PARTITION, "low")))
    assert found.seen == (
        "partition low is preempted by high: a job is put back into the queue after 20 s (GraceTime); "
        "it is ended with SIGTERM, and SIGKILL 30 s later (KillWait)"
    )
    assert "cluster.adapt(minimum_jobs=N, maximum_jobs=N)" in found.todo


def test_tells_that_jobs_are_suspended() -> None:
    """A suspended job is not replaced; its tasks wait."""
    site = ruled(BY_PARTITION, "low")
    text = PARTITIONS.replace("REQUEUE", "SUSPEND")
    rules = Rules(partitions=parse_partitions(text), config=parse_configuration(BY_PARTITION))
    object.__setattr__(site, "known", rules)
    found = warned(preemption.preemption(site))
    assert found.seen == "partition low is preempted by high: a job is suspended, and continues later"
    assert "its tasks wait" in found.todo


def test_no_preemption_is_ok() -> None:
    """Without preemption, the verdict has the time at the end of the wall time."""
    ends = "jobs are ended with SIGTERM, and SIGKILL 30 s later (KillWait)"
    assert preemption.preemption(ruled(CONFIG)) == ok(f"none in short; {ends}")
    assert preemption.preemption(ruled(CONFIG, "low,gpu")) == ok(f"none in low gpu; {ends}")
    assert preemption.preemption(ruled(BY_PARTITION, "high")) == ok(f"none in high; {ends}")


def test_qos_of_user_decides_about_preemption() -> None:
    """The QOS is $SBATCH_QOS, or the usual one; others that are preempted are named."""
    assert "QOS normal is preempted by urgent" in warned(preemption.preemption(ruled(BY_QOS))).seen
    chosen = warned(preemption.preemption(ruled(BY_QOS, SBATCH_QOS="scavenger")))
    assert "a job is cancelled after 90 s (GraceTime)" in chosen.seen
    assert "QOS normal" not in chosen.seen
    urgent = preemption.preemption(ruled(BY_QOS, SBATCH_QOS="urgent"))
    assert urgent
    assert urgent.status == "ok"
    assert urgent.seen.startswith("none in QOS urgent, but in QOS normal, QOS scavenger; jobs are ended")


def test_warns_if_qos_cannot_be_listed() -> None:
    """The warning has sacctmgr's words."""
    found = warned(preemption.preemption(ruled(BY_QOS, qos="", unknown="sacctmgr: no permission")))
    assert found.seen == "depends on the QOS, which cannot be listed: sacctmgr: no permission"


def test_warns_if_nodes_may_not_submit_jobs() -> None:
    """The warning has the machines that may, and the visible partitions that accept jobs from all."""
    assert preemption.submission_from_nodes(ruled(CONFIG)) == ok("allowed in short")
    found = warned(preemption.submission_from_nodes(ruled(CONFIG, "low")))
    assert found.seen == "low accepts jobs only from login[1-2] (AllocNodes)"
    assert found.todo == "start Dask clusters on those machines, not in jobs; or submit workers to short high gpu"


def test_no_verdict_without_rules() -> None:
    """Without Slurm, or if the controller does not answer, other checks say so."""
    for site in (Site("machine without Slurm"), Site("login node", missing=("scontrol",))):
        assert preemption.preemption(site) is None
        assert preemption.submission_from_nodes(site) is None


def test_checks_share_queries(commands: Commands) -> None:
    """All checks together ask for the configuration once, and for the partitions once."""
    of_config = f"*config) cat <<'END'\n{BY_PARTITION}\nEND\n;;"
    commands["scontrol"] = f"case \"$*\" in {of_config} *) cat <<'END'\n{PARTITIONS}\nEND\nesac"
    site = Site("login node", partition="low", environ={})
    warned(preemption.preemption(site))
    warned(preemption.submission_from_nodes(site))
    assert mpi.fences(site) == ok("ring")
    assert commands.calls("scontrol") == ["show config", "--all --oneliner show partition"]
    commands["scontrol"] = "exit 1"
    assert preemption.preemption(Site("login node", environ={})) is None
