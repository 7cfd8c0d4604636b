"""Options for sbatch: every accepted form, precedence over ours, and quoting in a job script."""

from __future__ import annotations

from pathlib import Path

import pytest

from dask_hpc.errors import RequestError
from dask_hpc.slurm.sbatch import SbatchOption, combine, log_options, parse


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("--qos=debug", ["--qos=debug"]),
        ("--qos debug", ["--qos=debug"]),
        ("-q debug", ["--qos=debug"]),
        ("-qdebug", ["--qos=debug"]),
        ("--exclusive", ["--exclusive"]),
        ("--part=a,b", ["--partition=a,b"]),
        ("--tasks-per-node=2", ["--ntasks-per-node=2"]),
        ("--comment=two words", ["--comment=two words"]),
        ("--comment=two  words", ["--comment=two  words"]),
        ("--comment='two words'", ["--comment=two words"]),
        ('--comment "two words" -H', ["--comment=two words", "--hold"]),
        ("--comment=it's", ["--comment=it's"]),
        ("--gres=gpu:1 --exclusive", ["--gres=gpu:1", "--exclusive"]),
        ("--begin now+1hour", ["--begin=now+1hour"]),
        ("--nice=-5", ["--nice=-5"]),
        ("--comment=", ["--comment="]),
        ("--from-tomorrows-slurm=1", ["--from-tomorrows-slurm=1"]),
    ],
)
def test_accepts_every_form(text: str, options: list[str]) -> None:
    """Options may be long, short or abbreviated, with = or a space before the value; a text may have several."""
    assert [str(option) for option in parse([text])] == options


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("--job-name=mine", "by their name"),
        ("-J mine", "by their name"),
        ("--job=mine", "by their name"),
        ("--array=0-3", "--jobs"),
        ("-M other", "this cluster"),
        ("--test-only", "sbatch"),
        ("qos=debug", "with the dashes"),
        ("--qos=a\n#SBATCH --uid=0", "one line"),
        ("-Hx", "not take a value"),
        ("", "not an option"),
    ],
)
def test_rejects_unusable_option(text: str, word: str) -> None:
    """The error has the reason."""
    with pytest.raises(RequestError, match=word):
        parse([text])


def test_user_option_replaces_ours() -> None:
    """It also replaces an option that excludes it, such as --mem and --mem-per-cpu."""
    ours = [SbatchOption("mem", "1M"), SbatchOption("time", "1"), SbatchOption("no-requeue")]
    assert combine(ours, parse(["--mem-per-cpu=2M"])) == [*ours[1:], SbatchOption("mem-per-cpu", "2M")]
    assert combine(ours, parse(["--requeue"])) == [*ours[:2], SbatchOption("requeue")]
    assert combine(ours, parse(["-t 2"])) == [ours[0], ours[2], SbatchOption("time", "2")]


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("debug", "#SBATCH --comment=debug"),
        ("two words", '#SBATCH "--comment=two words"'),
        ("it's", '#SBATCH "--comment=it\'s"'),
        ('a"b\\c', '#SBATCH "--comment=a\\"b\\\\c"'),
        ("a#b", '#SBATCH "--comment=a#b"'),
    ],
)
def test_quotes_as_sbatch_reads(value: str, line: str) -> None:
    """Values with a space, a quote, a backslash or a # are quoted."""
    assert SbatchOption("comment", value).directive == line


def test_log_folder_may_have_any_name_but_backslash() -> None:
    """A percent sign is escaped; a backslash is rejected."""
    output, error = log_options(Path("/100% mine"), "one")
    assert (output.value, error.value) == ("/100%% mine/one-%j.out", "/100%% mine/one-%j.err")
    with pytest.raises(RequestError, match="--log-directory"):
        log_options(Path("/a\\b"), "one")
