"""Options of Dask clusters: their sections, defaults and values."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from dask_hpc.clusters import BACKENDS
from dask_hpc.clusters.options import CLUSTER_OPTIONS, SectionedCommand


def command(seen: dict[str, Any]) -> SectionedCommand:
    """Return a command with one more option."""
    own = click.Option(["--size"], help="Of the workload.")
    return SectionedCommand("run", params=[own, *CLUSTER_OPTIONS], callback=lambda **given: seen.update(given))


def test_every_option_is_some_backends_and_every_backends_is_one() -> None:
    """An option that no backend reads would be silently ignored."""
    names = {option.name for option in CLUSTER_OPTIONS}
    assert names == set().union(*(backend.options for backend in BACKENDS.values()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_sections_say_which_backend_an_option_is_for(backend: str) -> None:
    """A section names exactly the backends that read its options."""
    for option in CLUSTER_OPTIONS:
        reads = option.name in BACKENDS[backend].options
        if option.section.startswith("With --on "):
            assert (backend in option.section.removeprefix("With --on ").split(" or ")) is reads, option.name


def test_help_lists_options_under_their_sections() -> None:
    """The workload's own come first."""
    text = CliRunner().invoke(command({}), ["--help"]).output
    headings = [line.rstrip(":") for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[0] == "Workload"
    assert set(headings) - {"Workload"} >= {option.section for option in CLUSTER_OPTIONS}
    assert text.index("--size") < text.index("With --on slurm") < text.index("--jobs")


def test_only_four_options_have_defaults() -> None:
    """The backend chooses all other values later."""
    seen: dict[str, Any] = {}
    CliRunner().invoke(command(seen), [])
    given = {name: value for name, value in seen.items() if value is not None}
    assert given == {"dashboard": "127.0.0.1:0", "timeout": 300, "tls": True, "sbatch_option": ()}


def test_values_are_read() -> None:
    """Memory in MiB, times in seconds, and one option of sbatch after another."""
    seen: dict[str, Any] = {}
    words = "--memory 2GiB --walltime 1:30 --jobs 3 --no-tls --sbatch-option=--qos=a --sbatch-option=-x"
    CliRunner().invoke(command(seen), words.split())
    assert (seen["memory"], seen["walltime"], seen["jobs"], seen["tls"]) == (2048, 120, 3, False)
    assert seen["sbatch_option"] == ("--qos=a", "-x")


@pytest.mark.parametrize("words", ["--jobs 0", "--jobs 100001", "--cores x", "--walltime 0", "--memory 1"])
def test_values_that_make_no_sense_are_refused(words: str) -> None:
    """Before anything is asked of Slurm."""
    done = CliRunner().invoke(command({}), words.split())
    assert done.exit_code == 2
