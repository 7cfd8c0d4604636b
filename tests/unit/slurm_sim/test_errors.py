"""Errors: their message, their place among Python's, and pickling."""

from __future__ import annotations

import pickle

from slurm_sim import CommandError, JobTimeoutError, SlurmSimError, SpecError


def test_message_has_failure_observation_and_hint() -> None:
    """An error reads: what failed, what was seen, what to do."""
    error = SlurmSimError("it broke", seen="one\ntwo\n", hint="mend it")
    assert str(error) == "it broke\n  seen:  one\n         two\n  to do: mend it"
    assert str(SlurmSimError("it broke")) == "it broke"


def test_errors_extend_builtin_errors() -> None:
    """Code that knows only Python's errors can handle ours."""
    assert issubclass(SpecError, ValueError)
    assert issubclass(JobTimeoutError, TimeoutError)


def test_errors_survive_pickling() -> None:
    """An error that one test process hands to another, as pytest-xdist does, arrives whole."""
    for error in (SlurmSimError("w", seen="s", hint="h"), CommandError("false", 1, "", "oops")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_command_error_shows_output() -> None:
    """The message has the command, its status and its errors, or its output if there are none."""
    assert "'false' ended with status 7\n  seen:  oops" in str(CommandError("false", 7, "out", "oops"))
    assert "seen:  out" in str(CommandError("false", 7, "out", ""))
