"""Errors: their message, their place among Python's, and pickling."""

from __future__ import annotations

import pickle

from slurm_sim import CommandError, JobTimeoutError, SlurmSimError, SpecError


def test_an_error_says_what_was_seen_and_what_to_do() -> None:
    """An error reads: what failed, what was seen, what to do; lines of what was seen stay under each other."""
    error = SlurmSimError("it broke", seen="one\ntwo\n", hint="mend it")
    assert str(error) == "it broke\n  seen:  one\n         two\n  to do: mend it"
    assert str(SlurmSimError("it broke")) == "it broke"


def test_errors_are_also_pythons_own() -> None:
    """Code that knows only Python's errors can handle ours."""
    assert issubclass(SpecError, ValueError)
    assert issubclass(JobTimeoutError, TimeoutError)


def test_errors_survive_pickling() -> None:
    """An error that a test process hands to another, as pytest-xdist does, arrives whole."""
    for error in (SlurmSimError("w", seen="s", hint="h"), CommandError("false", 1, "", "oops")):
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_a_command_error_shows_what_the_command_said() -> None:
    """Its message has the command, the status and the errors, or the output where there are none."""
    assert "'false' ended with status 7\n  seen:  oops" in str(CommandError("false", 7, "out", "oops"))
    assert "seen:  out" in str(CommandError("false", 7, "out", ""))
