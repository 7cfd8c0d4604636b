"""Running Slurm's commands."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dask_hpc.errors import ClusterError
from dask_hpc.slurm.commands import COMMANDS, ask, missing, require, run, submit, would_take
from tests.support.site_commands import Commands


def test_names_launcher_in_sif_without_bridge(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A SIF started without its launcher has no sbatch; the error names the launcher."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("APPTAINER_CONTAINER", "/x.sif")
    with pytest.raises(ClusterError, match=r"\./dask-hpc run"):
        require()


@pytest.mark.parametrize("absent", ["sbatch", "squeue", "scancel", "sinfo"])
def test_requires_every_command(commands: Commands, absent: str) -> None:
    """The error names the missing command, and no other."""
    names = {"sbatch", "squeue", "scancel", "sinfo"}
    for name in names - {absent}:
        commands[name] = ""
    with pytest.raises(ClusterError) as caught:
        require()
    assert f": {absent}\n" in caught.value.message
    commands[absent] = ""
    require()


def test_reports_failed_command(commands: Commands) -> None:
    """The error quotes standard error, or standard output if that is empty; with `check=False` there is no error."""
    commands["squeue"] = "echo out; echo err >&2; exit 1"
    with pytest.raises(ClusterError, match=r"(?s)squeue -x.*err"):
        ask("squeue", "-x")
    assert ask("squeue", check=False) == "out\n"
    commands["squeue"] = "echo out; exit 1"
    with pytest.raises(ClusterError, match="out"):
        ask("squeue")


def test_commands_print_english_and_standard_times(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's locale and time format do not change the output."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    monkeypatch.setenv("KEPT", "1")
    commands["sinfo"] = 'echo "$LC_ALL $SLURM_TIME_FORMAT $KEPT"'
    assert ask("sinfo") == "C standard 1\n"


def test_reports_missing_or_hanging_command(commands: Commands) -> None:
    """A missing command raises even with `check=False`; one that hangs has no status."""
    with pytest.raises(ClusterError, match=r"(?s)^squeue: No such file or directory\..*scontrol ping"):
        ask("squeue", check=False)
    commands["squeue"] = "exec sleep 9"  # hangs longer than the timeout
    assert run("squeue", timeout=0.1).status is None


def test_commands_do_not_see_outer_job(commands: Commands) -> None:
    """Variables with the user's options or of a job are removed; the site's are kept."""
    commands["sinfo"] = "env"
    environ = {"SLURM_JOB_ID": "7", "SINFO_FORMAT": "x", "SLURM_CONF": "/c"}
    out = run("sinfo", environ={**os.environ, **environ}).out
    assert "SLURM_CONF=/c" in out
    assert "SLURM_JOB_ID" not in out
    assert "SINFO_FORMAT" not in out


def test_submits_script_with_user_environment(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job inherits the user's language, but no variable that describes a job."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("SLURM_NTASKS", "9")
    commands["sbatch"] = f"cat >{commands.folder}/script; env >{commands.folder}/env; echo 7"
    answer = submit("#!/bin/bash\ntrue\n")
    assert (answer.status, answer.out) == (0, "7\n")
    assert (commands.folder / "script").read_text() == "#!/bin/bash\ntrue\n"
    environment = (commands.folder / "env").read_text()
    assert "LC_ALL=de_DE.UTF-8" in environment
    assert "SLURM_NTASKS" not in environment
    assert commands.calls("sbatch") == ["--parsable"]


def test_asks_sbatch_without_submitting(commands: Commands) -> None:
    """The options are added to those of a tiny job."""
    commands["sbatch"] = "echo refused >&2; exit 1"
    assert would_take("--mem=1M").said == "refused"
    assert commands.calls("sbatch") == ["--test-only --ntasks=1 --time=1 --mem=1M --wrap=true"]


def test_lists_missing_commands_in_order(commands: Commands) -> None:
    """Without Slurm all commands are missing."""
    assert missing() == COMMANDS
    commands["squeue"] = ""
    assert missing(("sinfo", "squeue", "srun")) == ("sinfo", "srun")
