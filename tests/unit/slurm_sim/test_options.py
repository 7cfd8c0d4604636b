"""Options, error messages, exit statuses and suggestions of `slurm-sim`."""

from __future__ import annotations

from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

from slurm_sim import EngineError, SpecError
from slurm_sim._options import Commands, size_options


def group(run: Callable[[], None]) -> click.Group:
    """Return a group with one command."""
    commands = Commands("slurm-sim")
    commands.add_command(click.Command("status", callback=run))
    return commands


def fail_with(error: BaseException) -> Result:
    """Run a command that raises."""

    def run() -> None:
        raise error

    return CliRunner().invoke(group(run), ["status"])


@pytest.mark.parametrize(
    ("error", "status"),
    [(EngineError("It broke.", todo="mend it."), 1), (SpecError("No."), 2), (TimeoutError("It is late."), 1)],
)
def test_errors_are_messages(error: Exception, status: int) -> None:
    """An invalid request exits with status 2, any other failure with 1; the message goes to standard error."""
    done = fail_with(error)
    assert (done.exit_code, done.stdout, done.stderr) == (status, "", f"Error: {error}\n")


def test_missing_file_is_error_with_its_name() -> None:
    """The error names the file, without a traceback."""
    done = fail_with(FileNotFoundError(2, "No such file or directory", "job.sh"))
    assert (done.exit_code, done.stderr) == (1, "Error: No such file or directory: job.sh\n")


def test_broken_pipe_is_silent() -> None:
    """`slurm-sim … | head` ends without a message."""
    assert "Error:" not in fail_with(BrokenPipeError()).stderr


@pytest.mark.parametrize(("typed", "suggested"), [("statsu", True), ("banana", False)])
def test_suggests_nearest_command(typed: str, suggested: bool) -> None:
    """A mistyped command gets a suggestion; any other unknown one is rejected without it."""
    done = CliRunner().invoke(group(lambda: None), [typed])
    assert done.exit_code == 2
    assert ("did you mean 'status'" in done.stderr) is suggested


def test_runs_known_command() -> None:
    """A command that exists runs without a suggestion."""
    assert CliRunner().invoke(group(lambda: None), ["status"]).exit_code == 0


def test_size_options_have_defaults() -> None:
    """Without an option, `SlurmSim` chooses the default, or the file does; every option can be set."""
    seen: dict[str, object] = {}

    @click.command()
    @size_options
    def command(**given: object) -> None:
        seen.update(given)

    CliRunner().invoke(command, [])
    assert seen == {
        "nodes": None,
        "cpus_per_node": None,
        "memory_per_node": None,
        "gpus_per_node": None,
        "partitions": (),
        "accounting": False,
        "users": (),
        "ssh": False,
        "rest": False,
        "config": None,
        "image": None,
        "bare": False,
        "sif": None,
        "slurm_conf": {},
        "verbose": False,
    }
    CliRunner().invoke(command, ["--nodes=3", "--cpus-per-node=1", "--bare", "--sif=x", "--verbose", "--image=i"])
    assert (seen["nodes"], seen["cpus_per_node"], seen["image"], seen["sif"]) == (3, 1, "i", "x")
    assert seen["bare"] is seen["verbose"] is True


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (["--slurm-conf=SlurmdTimeout=10", "--slurm-conf=KillWait=2"], {"SlurmdTimeout": "10", "KillWait": "2"}),
        (["--slurm-conf=Epilog=/a=b"], {"Epilog": "/a=b"}),
        (["--slurm-conf=KillWait"], {"KillWait": ""}),
    ],
)
def test_splits_lines_of_slurm_conf(given: list[str], lines: dict[str, str]) -> None:
    """The first "=" separates key and value; a missing value is empty, and rejected later."""
    seen: dict[str, object] = {}

    @click.command()
    @size_options
    def command(**given: object) -> None:
        seen.update(given)

    CliRunner().invoke(command, given)
    assert seen["slurm_conf"] == lines
