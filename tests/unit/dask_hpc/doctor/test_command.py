"""The command `dask-hpc doctor`."""

from __future__ import annotations

from click.testing import CliRunner

from dask_hpc.cli import main


def test_help_has_examples_and_suggestions() -> None:
    """The help explains the exit status and has examples; a mistyped name gets a suggestion."""
    text = " ".join(CliRunner().invoke(main, ["doctor", "--help"]).output.split())
    assert all(word in text for word in ("number of failed checks", "Examples:", "srun -n 4 dask-hpc doctor"))
    assert "Did you mean 'doctor'?" in CliRunner().invoke(main, ["doctr"]).output
