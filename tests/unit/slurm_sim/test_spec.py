"""What a mini-cluster is to be is checked before anything starts; what Slurm says of a job is read right."""

from __future__ import annotations

import pickle
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slurm_sim import CommandError, Fault, JobTimeoutError, SlurmSimError, SpecError
from slurm_sim.job import parse_record
from slurm_sim.spec import MAX_NODES, check_count, check_name, parse_memory

RECORD = """JobId=7 JobName=a JobState=FAILED
   UserId=hpc(1000) GroupId=hpc(1000) MCS_label=N/A
   JobState=RUNNING Reason=None Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode=7:9
   NodeList=c[1-2]
   Command=/tmp/JobState=COMPLETED
   Comment=no JobState=COMPLETED
   StdOut=/home/hpc/a b.out
"""


@pytest.mark.parametrize("name", ["a", "0", "slurm-sim", "my_sim-2", "a" * 41])
def test_a_name_that_compose_takes_is_kept(name: str) -> None:
    """Small letters, digits, dashes and underscores make a name."""
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "-a", "_a", "a b", "a/b", "ä", "a\n", "../a", "a" * 42, "$(id)"])
def test_a_name_that_compose_does_not_take_is_refused(name: str) -> None:
    """Any other name is refused, and the message says what a name is made of."""
    with pytest.raises(SpecError, match="small letters") as refused:
        check_name(name)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("count", [0, -3, 10000])
def test_a_count_that_cannot_be_had_is_refused(count: int) -> None:
    """None, fewer than none and more than fit are refused, and the message says what can be had."""
    with pytest.raises(SpecError, match=f"{count} nodes cannot be had") as refused:
        check_count("nodes", count, MAX_NODES)
    assert f"from 1 to {MAX_NODES}" in refused.value.hint


@given(st.integers(1, MAX_NODES))
def test_a_count_that_can_be_had_is_kept(count: int) -> None:
    """Every count up to the most is taken as it is."""
    assert check_count("nodes", count, MAX_NODES) == count


@pytest.mark.parametrize(
    ("text", "mebibytes"),
    [
        ("4G", 4096),
        ("512M", 512),
        ("1.5G", 1536),
        ("4g", 4096),
        ("4GiB", 4096),
        (" 4 GB ", 4096),
        (64, 64),
        ("1T", 2**20),
    ],
)
def test_memory_is_said_as_slurm_says_it(text: str | int, mebibytes: int) -> None:
    """A number with a unit, or of MiB without one."""
    assert parse_memory(text) == mebibytes


@pytest.mark.parametrize("text", ["banana", "", "G", "-4G", "4X", "63M", "0", "1e3", "nan", "inf", "4G4G", "9" * 400])
def test_memory_that_is_none_is_refused(text: str) -> None:
    """What is no memory, too little or more than a machine has is refused; the message says it and how to say it."""
    with pytest.raises(SpecError, match="as Slurm does") as refused:
        parse_memory(text)
    assert repr(text) in str(refused.value)


@given(st.integers(64, 2**20))
def test_memory_in_any_unit_is_the_same(mebibytes: int) -> None:
    """KiB, MiB and GiB that are equal are read as equal."""
    texts: list[str | int] = [
        mebibytes,
        f"{mebibytes}",
        f"{mebibytes}M",
        f"{mebibytes * 1024}K",
        f"{mebibytes / 1024:.20f}G",
    ]
    assert {parse_memory(text) for text in texts} == {mebibytes}


@given(st.text())
def test_any_text_is_memory_or_refused(text: str) -> None:
    """No text makes anything but a number of MiB or a SpecError."""
    with suppress(SpecError):
        assert parse_memory(text) >= 64


def test_a_record_is_read() -> None:
    """State, reason, status, signal, nodes and output are Slurm's fields, whatever a user wrote into others."""
    record = parse_record(RECORD)
    assert (record.id, record.state, record.reason) == (7, "RUNNING", "None")
    assert (record.exit_code, record.signal, record.nodes) == (7, 9, "c[1-2]")
    assert record.output == "/home/hpc/a b.out"
    assert not record.ended


@pytest.mark.parametrize(("state", "ended"), [("PENDING", False), ("COMPLETING", False), ("OUT_OF_MEMORY", True)])
def test_a_record_says_whether_a_job_has_ended(state: str, ended: bool) -> None:
    """A job that waits or is ending has not ended; any other has."""
    assert parse_record(RECORD.replace("JobState=RUNNING", f"JobState={state}")).ended is ended


def test_a_record_of_a_job_without_nodes_has_none() -> None:
    """Slurm's (null) is no node."""
    assert parse_record(RECORD.replace("c[1-2]", "(null)")).nodes == ""


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


@pytest.mark.parametrize("fault", list(Fault))
def test_every_fault_is_known_by_its_name(fault: Fault) -> None:
    """A fault's name gives the fault, and so does the fault itself."""
    assert Fault.parse(fault.value) is fault
    assert Fault.parse(fault) is fault


def test_a_mistyped_fault_names_the_nearest() -> None:
    """A near miss asks whether that was meant; anything else lists what there is."""
    with pytest.raises(SpecError, match="did you mean 'node-lost'"):
        Fault.parse("nodelost")
    with pytest.raises(SpecError, match="one of node-lost, node-hangs"):
        Fault.parse("banana")
