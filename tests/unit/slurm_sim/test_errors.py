"""Errors: their messages, their built-in base classes, and pickling."""

from __future__ import annotations

import pickle

from slurm_sim import CommandError, JobTimeoutError, SlurmSimError, SpecError


def command_error(stdout: str, stderr: str) -> CommandError:
    return CommandError("false", returncode=7, stdout=stdout, stderr=stderr)


def test_message_has_failure_observation_and_advice() -> None:
    """The message says what failed, what was seen and what to do."""
    error = SlurmSimError("It broke.", "one\ntwo\n", "mend it.")
    assert str(error) == "It broke.\none\ntwo\nWhat to do: mend it."
    assert str(SlurmSimError("It broke.")) == "It broke."


def test_errors_extend_builtin_errors() -> None:
    """Code that knows only Python's errors can handle ours."""
    assert issubclass(SpecError, ValueError)
    assert issubclass(JobTimeoutError, TimeoutError)


def test_errors_survive_pickling() -> None:
    """An error that is passed to another process, as pytest-xdist does, keeps all its attributes."""
    for error in (SlurmSimError("w", "s", "t"), command_error("", "oops")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_command_error_shows_output() -> None:
    """The message has the command, its status and its errors, or its output if there are none."""
    assert str(command_error("out", "oops")) == "'false' exited with status 7.\noops"
    assert str(command_error("out", "")) == "'false' exited with status 7.\nout"
