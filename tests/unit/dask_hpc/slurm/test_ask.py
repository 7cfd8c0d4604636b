"""Asking Slurm about its nodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dask_hpc.errors import ClusterError, RequestError
from dask_hpc.slurm import ask
from dask_hpc.slurm.ask import Node, QueuedJob, parse_nodes
from tests.support.requests import SLURM_SINFO
from tests.support.site_commands import Commands


def test_names_launcher_in_sif_without_bridge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A SIF that was started by hand has no sbatch; the error names the launcher."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    with pytest.raises(ClusterError, match=r"\./dask-hpc run"):
        ask.require()


def test_parses_nodes() -> None:
    """Every field of sinfo's line is read, and a partition's star means the default."""
    first = parse_nodes(SLURM_SINFO)[0]
    assert first == Node("c1", "batch", True, 4, 4000, "idle", 4, 3600)
    assert parse_nodes("c1|debug|2+|900+|idle|0/2/0/2|infinite")[0].limit is None


@pytest.mark.parametrize("line", ["banana", "c1|batch|x|1|idle|0/1/0/1|1", "c1|batch|1|1|idle|n/a|1"])
def test_rejects_unexpected_sinfo_line(line: str) -> None:
    """A line of another form is an error that quotes it."""
    with pytest.raises(ClusterError, match=line.split("|", maxsplit=1)[0]):
        parse_nodes(line)


OTHERS = SLURM_SINFO + "c9|gpu|32|64000|idle|0/32/0/32|infinite\n"


@pytest.mark.parametrize(
    ("partition", "names"),
    [(None, ["c1", "c2", "c3", "c4"]), ("gpu", ["c9"]), ("gpu,batch", ["c1", "c2", "c3", "c4", "c9"])],
)
def test_nodes_are_those_of_one_partition(commands: Commands, partition: str | None, names: list[str]) -> None:
    """Slurm's default, or those that were asked for."""
    commands.sinfo("batch*", "gpu", nodes=OTHERS)
    assert [node.name for node in ask.nodes(partition)] == names
    assert commands.calls("sinfo") == ["-h -a -N -o %N|%P|%c|%m|%t|%C|%l"]


def test_without_a_default_partition_it_is_the_first(commands: Commands) -> None:
    """sinfo lists them in the order of slurm.conf."""
    commands.sinfo("batch", "gpu", nodes=OTHERS.replace("*|", "|", 4).replace("down*", "down"))
    assert {node.partition for node in ask.nodes()} == {"batch"}


def test_a_partition_without_nodes_has_none(commands: Commands) -> None:
    """It exists, so it is no mistake."""
    commands.sinfo("batch*", "empty", nodes=SLURM_SINFO)
    assert ask.nodes("empty") == []
    commands.sinfo("batch*", nodes="")
    assert ask.nodes() == []


@pytest.mark.parametrize(("typed", "hint"), [("bacth", "did you mean --partition batch?"), ("x", "one of these")])
def test_an_unknown_partition_is_refused(commands: Commands, typed: str, hint: str) -> None:
    """The error lists what there is, and recognises a near miss."""
    commands.sinfo("batch*", "gpu", nodes=OTHERS)
    with pytest.raises(RequestError) as refused:
        ask.nodes(typed)
    assert "There are: batch, gpu" in refused.value.message
    assert hint in refused.value.message


def test_a_command_that_fails_is_quoted(commands: Commands) -> None:
    """The error quotes standard error, or standard output if that is empty; with `check=False` there is no error."""
    commands["squeue"] = "echo out; echo err >&2; exit 1"
    with pytest.raises(ClusterError, match=r"(?s)squeue -x.*err"):
        ask.ask("squeue", "-x")
    assert ask.ask("squeue", check=False) == "out\n"
    commands["squeue"] = "echo out; exit 1"
    with pytest.raises(ClusterError, match="out"):
        ask.ask("squeue")


def test_commands_speak_english_and_plain_times(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's locale and time format do not change what is read."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    monkeypatch.setenv("KEPT", "1")
    commands["sinfo"] = 'echo "$LC_ALL $SLURM_TIME_FORMAT $KEPT"'
    assert ask.ask("sinfo") == "C standard 1\n"


def test_jobs_are_the_users_own_of_that_name(commands: Commands) -> None:
    """Each has its number, state, reason and node; a reason may have blanks."""
    commands["squeue"] = "printf '7|RUNNING|None|c1\\n\\n8|PENDING|Nodes are DOWN|\\n'"
    assert ask.jobs("one") == [
        QueuedJob("7", "RUNNING", "None", "c1"),
        QueuedJob("8", "PENDING", "Nodes are DOWN", ""),
    ]
    (call,) = commands.calls("squeue")
    assert call == f"-h -t all -u {os.getuid()} --name one -o %i|%T|%r|%N"


@pytest.mark.parametrize("state", ["PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "REQUEUED"])
def test_a_job_that_lives_has_not_ended(commands: Commands, state: str) -> None:
    """It may still start, or start again."""
    commands["squeue"] = f"echo {state}"
    assert ask.ended("7") == ""
    assert commands.calls("squeue") == ["-h -t all -j 7 -o %T"]


@pytest.mark.parametrize("state", ["COMPLETED", "COMPLETING", "FAILED", "TIMEOUT"])
def test_a_job_that_has_ended_is_in_its_state(commands: Commands, state: str) -> None:
    """One that is completing runs no more."""
    commands["squeue"] = f"echo {state}"
    assert ask.ended("7") == state


def test_a_job_that_slurm_has_forgotten_has_ended(commands: Commands) -> None:
    """squeue rejects the number of a job that ended minutes ago; without squeue, the job counts as running."""
    commands["squeue"] = "echo 'slurm_load_jobs error: Invalid job id' >&2; exit 1"
    assert "forgotten" in ask.ended("7")
    (commands.folder / "squeue").unlink()
    assert ask.ended("7") == ""


def test_jobs_are_cancelled_by_their_name(commands: Commands) -> None:
    """Jobs that have ended are no error."""
    commands["scancel"] = "exit 1"
    ask.cancel("one")
    assert commands.calls("scancel") == ["--name one"]


def test_waits_until_the_queue_is_empty(commands: Commands) -> None:
    """It asks again as long as there is a job."""
    left = commands.folder / "left"
    left.write_text("xx")
    commands["squeue"] = f'[ -s {left} ] || exit 0; echo "7 COMPLETING"; truncate -s -1 {left}'
    ask.wait_until_gone("one")
    assert commands.calls("squeue") == [f"-h -u {os.getuid()} --name one -o %i %T"] * 3


def test_jobs_that_stay_are_an_error(commands: Commands) -> None:
    """The error shows what is left."""
    commands["squeue"] = 'echo "7 COMPLETING"'
    with pytest.raises(ClusterError, match="7 COMPLETING"):
        ask.wait_until_gone("one", timeout=0)


@pytest.mark.parametrize("missing", ["sbatch", "squeue", "scancel", "sinfo"])
def test_every_command_is_needed(commands: Commands, missing: str) -> None:
    """The error names the one that is missing, and no other."""
    names = {"sbatch", "squeue", "scancel", "sinfo"}
    for name in names - {missing}:
        commands[name] = ""
    with pytest.raises(ClusterError) as caught:
        ask.require()
    assert f": {missing}\n" in caught.value.message
    commands[missing] = ""
    ask.require()
