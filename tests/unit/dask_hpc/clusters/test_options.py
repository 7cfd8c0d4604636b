"""Options of Dask clusters: their sections, defaults and values."""

from __future__ import annotations

from typing import Any

import click
import pytest
from click.testing import CliRunner

from dask_hpc.clusters import BACKENDS
from dask_hpc.clusters.options import CLUSTER_OPTIONS, ClusterOptions, SectionedCommand


def command(seen: dict[str, Any]) -> SectionedCommand:
    """Return a command with one further option."""
    own = click.Option(["--size"], help="Of the workload.")
    return SectionedCommand("run", params=[own, *CLUSTER_OPTIONS], callback=lambda **given: seen.update(given))


def test_options_match_backends() -> None:
    """Every option is accepted by some backend, and every backend's option exists."""
    names = {option.name for option in CLUSTER_OPTIONS}
    assert names == set().union(*(backend.options for backend in BACKENDS.values()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_sections_name_backends(backend: str) -> None:
    """A section's title names exactly the backends that accept its options."""
    for option in CLUSTER_OPTIONS:
        reads = option.name in BACKENDS[backend].options
        if option.section.startswith("With --on "):
            assert (backend in option.section.removeprefix("With --on ").split(" or ")) is reads, option.name


def test_help_lists_options_by_section() -> None:
    """`--help` lists the workload's own options first, then each section."""
    text = CliRunner().invoke(command({}), ["--help"]).output
    headings = [line.rstrip(":") for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[0] == "Workload"
    assert set(headings) - {"Workload"} >= {option.section for option in CLUSTER_OPTIONS}
    assert text.index("--size") < text.index("With --on slurm") < text.index("--jobs")


def test_few_options_have_defaults() -> None:
    """All other values are chosen later by the backend."""
    seen: dict[str, Any] = {}
    CliRunner().invoke(command(seen), [])
    given = {name: value for name, value in seen.items() if value is not None}
    numbers = {"timeout": 300, "max_failures": 3}
    assert given == {"dashboard": "127.0.0.1:0", **numbers, "tls": True, "verbose": False, "sbatch_option": ()}


def test_default_is_not_given() -> None:
    """An option counts as given if its value differs from its default, whether or not that is None."""
    assert ClusterOptions().given() == []
    assert ClusterOptions(max_failures=4, jobs=1, sbatch_option=("-x",)).given() == [
        "jobs",
        "max_failures",
        "sbatch_option",
    ]


def test_parses_values() -> None:
    """Memory is parsed to MiB and time to seconds, and sbatch options are collected in order."""
    seen: dict[str, Any] = {}
    words = "--memory 2GiB --walltime 1:30 --jobs 3 --no-tls --sbatch-option=--qos=a --sbatch-option=-x"
    CliRunner().invoke(command(seen), words.split())
    assert (seen["memory"], seen["walltime"], seen["jobs"], seen["tls"]) == (2048, 120, 3, False)
    assert seen["sbatch_option"] == ("--qos=a", "-x")


@pytest.mark.parametrize("words", ["--jobs 0", "--jobs 100001", "--cores x", "--walltime 0", "--memory 1"])
def test_rejects_invalid_values(words: str) -> None:
    """An invalid value is a usage error."""
    done = CliRunner().invoke(command({}), words.split())
    assert done.exit_code == 2
