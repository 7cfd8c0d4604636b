"""Running a command without hanging or raising."""

from __future__ import annotations

from dask_hpc.doctor.commands import run, srun_environment


def test_reports_hanging_or_missing_command() -> None:
    """Neither raises; the answer says what happened."""
    assert "not answered for 0 s" in run("sleep", "9", timeout=0.1).err
    assert "No such file" in run("no-such-command-here").err


def test_srun_environment_drops_step_size() -> None:
    """An srun inside a step does not inherit the step's size; the configuration of Slurm and PMIx stays."""
    environ = {"SLURM_NTASKS": "4", "SLURM_CONF": "/c", "PMIX_RANK": "0", "PMIX_MCA_gds": "hash", "PATH": "/bin"}
    assert set(srun_environment(environ)) == {"SLURM_CONF", "PMIX_MCA_gds", "PATH", "SLURM_PMIX_FENCE"}
