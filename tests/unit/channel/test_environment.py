"""environment.yml, ours and a user's own: its format, and its specs in PyPI's terms."""

from __future__ import annotations

from pathlib import Path

import pytest

from containers.channel.environment import FILE, Environment, own, read, write
from containers.channel.errors import ChannelError
from containers.channel.sources import read_lock
from tests.support import tiny

CHANNEL = tiny.ROOT / "containers/channel"


def test_environment_yml_has_conda_format() -> None:
    """environment.yml has conda's format: a name, the channel conda-forge, and specs."""
    found = read(FILE)
    assert found.name == "dask-hpc"
    assert "python=3.13" in found.conda_specs()
    assert "\nchannels:\n  - conda-forge\n" in FILE.read_text()


def test_python_version_is_consistent(versions: dict[str, str]) -> None:
    """versions.env, environment.yml, debs.lock and the lock name the same Python."""
    assert read(FILE).specs["python"] == f"python={versions['PYTHON_VERSION']}"
    upstream = {deb.version.partition("-")[0] for deb in read_lock(CHANNEL / "debs.lock")}
    assert {v.rpartition(".")[0] for v in upstream} == {versions["PYTHON_VERSION"]}
    lock = (tiny.ROOT / "containers/dask-hpc/locks/local-linux-64.lock").read_text()
    assert f"/python-{upstream.pop()}-deb_" in lock


def written(tmp_path: Path, dependencies: str, head: str = "name: mine\nchannels:\n  - conda-forge\n") -> Path:
    """Write an environment.yml with these dependencies."""
    file = tmp_path / "environment.yml"
    file.write_text(f"{head}{dependencies}")
    return file


def test_translates_specs_to_pypi(tmp_path: Path) -> None:
    """Conda's names and `=` become PyPI's; Python is left out."""
    listed = "dependencies:\n  - python=3.13\n  # why\n  - dask-core=2026.8\n  - numpy >=2,<3  # why\n"
    assert read(written(tmp_path, listed)).requirements() == ["dask==2026.8.*", "numpy>=2,<3"]


def test_reads_yaml_as_conda_writes_it(tmp_path: Path) -> None:
    """Lists without indentation, channels before a name, and quotes are read."""
    listed = "dependencies:\n- python=3.13\n- conda-forge::xarray>=2024\n- 'numpy >=2,<3'\nprefix: /opt/x\n"
    assert read(written(tmp_path, listed)).conda_specs() == ["python=3.13", "xarray>=2024", "numpy >=2,<3"]


def test_reads_requirements_below_pip(tmp_path: Path) -> None:
    """Requirements below `pip:`, with or without extras, join the other requirements."""
    found = read(written(tmp_path, "dependencies:\n  - numpy\n  - pip:\n    - alpha[more]==1.2\n    - msgpack\n"))
    assert found.requirements() == ["numpy", "alpha[more]==1.2", "msgpack"]
    assert found.conda_specs() == ["numpy", "alpha", "msgpack-python"]


@pytest.mark.parametrize("text", ["", "dependencies:\n", "dependencies:\n  # nothing\n"])
def test_rejects_environment_without_dependencies(tmp_path: Path, text: str) -> None:
    """An environment without dependencies is rejected."""
    with pytest.raises(ChannelError, match="nothing below 'dependencies:'"):
        read(written(tmp_path, text))


@pytest.mark.parametrize(
    ("listed", "seen"),
    [
        ("dependencies:\n  - a b\n", "'a b'"),
        ("dependencies:\n  - numpy=2.1=py313_0\n", "'numpy=2.1=py313_0'"),
        ("dependencies:\n  - conda: [x]\n", "'{'conda': ['x']}'"),
        ("dependencies:\n  - 3\n", "'3'"),
        ("dependencies:\n  - pip:\n    - ./here\n", "'./here' below 'pip:'"),
        ("dependencies:\n  - pip:\n    - x @ https://example.org/x.whl\n", "below 'pip:'"),
        ("dependencies:\n  - x\nvariables:\n  A: 1\n", "unknown key 'variables'"),
        ("dependencies: [\n", "while parsing"),
    ],
)
def test_rejects_specs_that_cannot_be_locked(tmp_path: Path, listed: str, seen: str) -> None:
    """The error quotes the spec and says what to write."""
    with pytest.raises(ChannelError) as caught:
        read(written(tmp_path, listed))
    assert seen in str(caught.value)
    assert "to do" in str(caught.value)


@pytest.mark.parametrize("head", ["", "name:\n", "name: My Env\n", "name: a/b\n", "name: 3\n"])
def test_rejects_invalid_image_name(tmp_path: Path, head: str) -> None:
    """A missing name, or one that an image cannot have, is rejected."""
    with pytest.raises(ChannelError, match="add a line 'name: my-environment'"):
        read(written(tmp_path, "dependencies:\n  - numpy\n", head))


def test_own_environment_extends_ours(tmp_path: Path) -> None:
    """A user's file adds packages to ours, and overrides versions."""
    found = own(written(tmp_path, "dependencies:\n  - python\n  - numpy<2.5\n  - xarray\n  - pip:\n    - click==8.1\n"))
    ours = read(FILE)
    assert found.name == "mine"
    assert set(found.specs) == set(ours.specs) - {"click"} | {"xarray"}
    assert (found.specs["numpy"], found.specs["python"], found.pypi) == (
        "numpy<2.5",
        "python=3.13",
        {"click": "click==8.1"},
    )
    assert own(FILE) == ours


@pytest.mark.parametrize(
    ("head", "listed", "seen"),
    [
        ("name: dask-hpc\n", "dependencies:\n  - xarray\n", "its name is 'dask-hpc'"),
        ("name: mine\n", "dependencies:\n  - python=3.12\n", "it asks for 'python=3.12'"),
    ],
)
def test_own_environment_cannot_use_our_name_or_other_python(tmp_path: Path, head: str, listed: str, seen: str) -> None:
    """A user's file cannot use our environment's name, nor another version of Python."""
    with pytest.raises(ChannelError, match=seen):
        own(written(tmp_path, listed, head))


def test_missing_file_is_an_error(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(ChannelError, match=r"none\.yml"):
        own(tmp_path / "none.yml")


def test_written_environment_is_read_back(tmp_path: Path) -> None:
    """An environment that is written beside the locks is read back unchanged, and is in conda's format."""
    environment = Environment("mine", {"python": "python=3.13", "numpy": "numpy >=2,<3"}, {"alpha": "alpha[x]==1"})
    write(environment, tmp_path / "locks/environment.yml")
    assert read(tmp_path / "locks/environment.yml") == environment
    assert "\nname: mine\n" in (tmp_path / "locks/environment.yml").read_text()
