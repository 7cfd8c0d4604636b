"""environment.yml: its form, and its specs in the terms of PyPI."""

import re
from pathlib import Path

from containers.channel.environment import FILE, conda_specs, pypi_requirements
from containers.channel.sources import read_lock
from tests.support import tiny

CHANNEL = tiny.ROOT / "containers/channel"


def test_environment_is_condas() -> None:
    """environment.yml has conda's form: a name, conda-forge, and specs without another tool's section."""
    text = FILE.read_text()
    assert re.search(r"^name: \S+\nchannels:\n  - conda-forge\ndependencies:\n", text, re.MULTILINE)
    assert "python=3.13" in conda_specs(FILE)


def test_versions_agree(versions: dict[str, str]) -> None:
    """versions.env, environment.yml and the lock mean the same Python."""
    assert f"python={versions['PYTHON_VERSION']}" in conda_specs(FILE)
    upstream = {deb.version.partition("-")[0] for deb in read_lock(CHANNEL / "debs.lock")}
    assert {v.rpartition(".")[0] for v in upstream} == {versions["PYTHON_VERSION"]}
    lock = (tiny.ROOT / "containers/dask-hpc/locks/local-linux-64.lock").read_text()
    assert f"/python-{upstream.pop()}-deb_" in lock


def test_specs_by_pypis_rules(tmp_path: Path) -> None:
    """conda's names and `=` become PyPI's; Python is no wheel."""
    file = tmp_path / "environment.yml"
    file.write_text("name: x\ndependencies:\n  - python=3.13\n  # why\n  - dask-core=2026.8\n  - numpy >=2,<3  # why\n")
    assert pypi_requirements(file) == ["dask==2026.8.*", "numpy>=2,<3"]
