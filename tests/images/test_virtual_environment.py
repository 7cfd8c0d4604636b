"""A user's own packages, in a virtual environment on top of the locked one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from slurm_sim._docker import docker_output
from tests.images.conftest import Run
from tests.support import tiny
from tests.support.mine import MINE

MAKE = f"python -m venv --system-site-packages {MINE}"
PIP = f"{MINE}/bin/pip install --quiet --no-index --find-links /wheels"


@pytest.fixture
def wheels(tmp_path: Path, image: str) -> Iterator[tuple[str, ...]]:
    """Docker options that mount some wheels from a volume, because the engine may be on another host."""
    tiny.wheel(tmp_path, "alpha", requires=("numpy>=2", "dask"))
    tiny.wheel(tmp_path, "beta")
    tiny.wheel(tmp_path, "idna", "1.0")
    tmp_path.chmod(0o755)
    volume = f"dask-hpc-tests-{secrets.token_hex(4)}"
    filler = docker_output("create", f"--volume={volume}:/wheels", image, "true").strip()
    try:
        docker_output("cp", f"{tmp_path}/.", f"{filler}:/wheels")
        yield (f"--volume={volume}:/wheels:ro",)
    finally:
        docker_output("rm", filler)
        docker_output("volume", "rm", volume)


def test_pip_adds_to_locked_packages(in_image: Run, wheels: tuple[str, ...]) -> None:
    """pip treats the locked packages as installed, adds the new one, and both can be imported."""
    code = "import alpha, numpy; print(alpha.__file__, numpy.__file__)"
    done = in_image("sh", "-ec", f"{MAKE}; {PIP} alpha; {MINE}/bin/python -c '{code}'", options=wheels)
    site = "lib/python3.13/site-packages"
    assert done.stdout.split() == [f"{MINE}/{site}/alpha.py", f"/opt/env/{site}/numpy/__init__.py"]
    assert done.stderr == ""


def test_isolated_environment_has_no_locked_packages(in_image: Run, wheels: tuple[str, ...]) -> None:
    """Without --system-site-packages, only pip is there, and it can still install packages."""
    script = f"python -m venv {MINE}; {PIP} beta; {MINE}/bin/python -c 'import beta; import numpy'"
    done = in_image("sh", "-c", script, options=wheels, check=False)
    assert "No module named 'numpy'" in done.stderr
    assert "No module named 'beta'" not in done.stderr


def test_pip_into_locked_environment_says_what_to_do(in_image: Run, wheels: tuple[str, ...]) -> None:
    """pip refuses to change the locked environment, even with --user, and names the alternatives."""
    for command in ("pip install", "python -m pip install", "pip install --user"):
        done = in_image(*command.split(), "--no-index", "--find-links=/wheels", "beta", options=wheels, check=False)
        assert done.returncode != 0
        assert "python -m venv --system-site-packages ~/envs/mine" in done.stderr
        assert "ENV=my-environment.yml make sif" in done.stderr
    assert "dask-hpc" not in in_image("pip", "list").stderr


def test_commands_run_in_active_environment(in_image: Run, wheels: tuple[str, ...]) -> None:
    """After `activate`, the environment's own commands see the added package; otherwise they do not."""
    script = f"""
{MAKE}; {PIP} alpha
mkdir tests && printf 'import alpha\ndef test_alpha(): pass\n' >tests/test_alpha.py
. {MINE}/bin/activate
pytest -q tests | tail -n 1
dask-hpc run monte-carlo-pi --samples 1e5 --no-serial --json 2>/dev/null
deactivate
pytest -q tests >/dev/null; echo $?
python -m venv other; . other/bin/activate
pytest -q tests >/dev/null; echo $?
"""
    done = in_image("bash", "-c", script, options=wheels)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("1 passed")
    assert f'"venv":"{MINE}","added":{{"alpha":"1.0"}},"replaced":{{}}' in lines[1]
    assert lines[2:] == ["2", "2"]


def test_doctor_names_replaced_package(in_image: Run, wheels: tuple[str, ...]) -> None:
    """Another version of a locked package gives a warning that names it; an added package does not."""
    doctor = f"{MINE}/bin/python -m dask_hpc doctor --json"
    added = in_image("sh", "-ec", f"{MAKE}; {PIP} alpha; {doctor}", options=wheels).stdout
    assert '"check":"own packages","status":"ok","seen":"alpha 1.0 from /home/hpc/envs/mine"' in added
    replaced = in_image("sh", "-ec", f"{MAKE}; {PIP} idna==1.0; {doctor}", options=wheels).stdout
    assert '"check":"own packages","status":"warning"' in replaced
    assert "not the locked version, from /home/hpc/envs/mine: idna 1.0" in replaced


def test_users_sitecustomize_is_loaded(in_image: Run) -> None:
    """A user's `sitecustomize` on PYTHONPATH is loaded, and does not hide the environment's packages."""
    script = "echo 'print(\"mine\")' >sitecustomize.py; PYTHONPATH=. python -c 'import numpy; print(numpy.__name__)'"
    assert in_image("sh", "-c", script).stdout == "mine\nnumpy\n"
