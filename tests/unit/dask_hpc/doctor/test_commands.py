"""Running a command without hanging or raising."""

from __future__ import annotations

from dask_hpc.doctor.commands import run, srun_environment


def test_a_command_that_hangs_or_is_missing() -> None:
    """Neither raises; the answer says what it was."""
    assert "not answered for 0 s" in run("sleep", "9", timeout=0.1).err
    assert "No such file" in run("no-such-command-here").err


def test_sruns_own_environment() -> None:
    """An srun inside of a step does not take on the step's size; Slurm's and PMIx's configuration stay."""
    environ = {"SLURM_NTASKS": "4", "SLURM_CONF": "/c", "PMIX_RANK": "0", "PMIX_MCA_gds": "hash", "PATH": "/bin"}
    assert set(srun_environment(environ)) == {"SLURM_CONF", "PMIX_MCA_gds", "PATH", "SLURM_PMIX_FENCE"}
