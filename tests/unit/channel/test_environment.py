"""environment.yml: its form, and its specs in the terms of PyPI."""

import re
from pathlib import Path

from containers.channel.environment import FILE, conda_specs, pypi_requirements
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
