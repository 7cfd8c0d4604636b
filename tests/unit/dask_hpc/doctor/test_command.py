"""The command `dask-hpc doctor`."""

from __future__ import annotations

from click.testing import CliRunner

from dask_hpc.cli import main


def test_help_has_examples_and_suggestions() -> None:
    """The help explains the exit status and has commands to copy; a near miss is recognised."""
    text = CliRunner().invoke(main, ["doctor", "--help"]).output
    assert all(word in text for word in ("number of failures", "Examples:", "srun -n 4 dask-hpc doctor"))
    assert "Did you mean 'doctor'?" in CliRunner().invoke(main, ["docter"]).output
