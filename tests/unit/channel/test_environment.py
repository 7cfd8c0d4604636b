"""environment.yml: its form, and its specs in the terms of PyPI."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from containers.channel.environment import FILE, conda_specs, pypi_requirements
from containers.channel.errors import ChannelError
from containers.channel.sources import read_lock
from tests.support import tiny

CHANNEL = tiny.ROOT / "containers/channel"


def test_environment_yml_has_conda_form() -> None:
    """environment.yml has conda's form: a name, the channel conda-forge, and specs."""
    text = FILE.read_text()
    assert re.search(r"^name: \S+\nchannels:\n  - conda-forge\ndependencies:\n", text, re.MULTILINE)
    assert "python=3.13" in conda_specs(FILE)


def test_python_version_is_consistent(versions: dict[str, str]) -> None:
    """versions.env, environment.yml, debs.lock and the lock name the same Python."""
    assert f"python={versions['PYTHON_VERSION']}" in conda_specs(FILE)
    upstream = {deb.version.partition("-")[0] for deb in read_lock(CHANNEL / "debs.lock")}
    assert {v.rpartition(".")[0] for v in upstream} == {versions["PYTHON_VERSION"]}
    lock = (tiny.ROOT / "containers/dask-hpc/locks/local-linux-64.lock").read_text()
    assert f"/python-{upstream.pop()}-deb_" in lock


def test_translates_specs_to_pypi(tmp_path: Path) -> None:
    """Conda's names and `=` become PyPI's; Python is left out."""
    file = tmp_path / "environment.yml"
    file.write_text("name: x\ndependencies:\n  - python=3.13\n  # why\n  - dask-core=2026.8\n  - numpy >=2,<3  # why\n")
    assert pypi_requirements(file) == ["dask==2026.8.*", "numpy>=2,<3"]


def written(tmp_path: Path, dependencies: str) -> Path:
    """Write an environment.yml with these dependencies."""
    file = tmp_path / "environment.yml"
    file.write_text(f"name: x\nchannels:\n  - conda-forge\n{dependencies}")
    return file


def test_reads_specs_as_written(tmp_path: Path) -> None:
    """Comments and blank lines are skipped, on lines of their own and after a spec."""
    text = "\ndependencies:\n  - python=3.13  # why\n\n  # a comment\n# another\n  - numpy >=2,<3\n"
    assert conda_specs(written(tmp_path, text)) == ["python=3.13", "numpy >=2,<3"]


@pytest.mark.parametrize("text", ["", "dependencies:\n", "dependencies:\n  # nothing\n", "depends:\n  - python\n"])
def test_refuses_an_environment_without_dependencies(tmp_path: Path, text: str) -> None:
    """An empty environment is a mistake, not a wish."""
    with pytest.raises(ChannelError, match="nothing below 'dependencies:'"):
        conda_specs(written(tmp_path, text))


@pytest.mark.parametrize("line", ["  - pip:", "    - x", "- python", "  - a b", "variables:"])
def test_refuses_what_it_cannot_read(tmp_path: Path, line: str) -> None:
    """YAML beyond a list of specs is refused by the line."""
    with pytest.raises(ChannelError, match=line.strip()):
        conda_specs(written(tmp_path, f"dependencies:\n  - python=3.13\n{line}\n"))
