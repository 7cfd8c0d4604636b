"""Running a command without hanging or raising."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from dask_hpc.doctor import commands
from dask_hpc.doctor.commands import run, srun_environment
from tests.support.waiting import until


def test_reports_hanging_or_missing_command() -> None:
    """Neither raises; the answer says what happened."""
    assert "not answered for 0 s" in run("sleep", "9", timeout=0.1).err
    assert "No such file" in run("no-such-command-here").err


def test_srun_environment_drops_step_size() -> None:
    """An srun inside a step does not inherit the step's size; the configuration of Slurm and PMIx stays."""
    environ = {"SLURM_NTASKS": "4", "SLURM_CONF": "/c", "PMIX_RANK": "0", "PMIX_MCA_gds": "hash", "PATH": "/bin"}
    assert set(srun_environment(environ)) == {"SLURM_CONF", "PMIX_MCA_gds", "PATH", "SLURM_PMIX_FENCE"}


def test_stop_waits_for_commands_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes its time to end, as srun does, has ended when `stop` returns; no other one starts."""
    running = commands._Running()
    monkeypatch.setattr(commands, "_RUNNING", running)
    script = f"trap 'sleep 0.5; touch {tmp_path}/ended; exit' TERM; touch {tmp_path}/runs; while :; do sleep 0.05; done"
    thread = threading.Thread(target=run, args=("sh", "-c", script), kwargs={"timeout": 60})
    thread.start()
    until((tmp_path / "runs").exists, "the command")
    running.stop()
    assert (tmp_path / "ended").exists()
    assert "interrupted" in run("true").err
    thread.join()
