"""Rules of the design: which parts may import or mention which."""

from __future__ import annotations

import ast
import graphlib
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

DASK = {"dask", "distributed", "dask_jobqueue", "dask_mpi", "mpi4py"}

ALLOWED = {
    "slurm-sim/src/slurm_sim": {"slurm_sim", "click", "msgspec", "pytest", "rich", "testcontainers"},
    "containers/dask-hpc/src/dask_hpc": DASK
    | {"dask_hpc", "dask_hpc_startup", "bokeh", "click", "cryptography", "jinja2", "msgspec", "numpy", "psutil", "rich"}
    | {"docstring_parser", "threadpoolctl"},
    "workloads/checks": DASK | {"dask_hpc", "click", "numpy", "workloads"},
    "containers/channel": {"containers", "conda_package_streaming", "packaging", "rattler", "rich", "yaml"},
}
"""Packages that each part may import, besides the standard library."""


def imports(file: Path) -> set[str]:
    """Return the top-level names of all modules that a file imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("part", ALLOWED)
def test_part_imports_only_allowed_packages(root: Path, part: str) -> None:
    """No module imports a package that its part may not import."""
    files = sorted((root / part).rglob("*.py"))
    assert files
    strangers = {f"{file.relative_to(root)}: {name}" for file in files for name in imports(file) - ALLOWED[part]}
    assert not strangers


def test_workloads_import_dask_numpy_and_mpi_only(root: Path) -> None:
    """A workload is a script for any environment; only the tutorial uses dask_hpc, if it is installed."""
    files = sorted((root / "workloads").glob("*.py"))
    assert files
    found = {file.name: imports(file) - DASK - {"numpy"} for file in files}
    assert {name: strangers for name, strangers in found.items() if strangers} == {"tutorial.py": {"dask_hpc"}}


def test_checks_import_harness_only(root: Path) -> None:
    """Checks of workloads import the harness, and from other rooms only modules for MPI and Slurm."""
    others = {"dask_hpc.collective", "dask_hpc.mpi.launch", "dask_hpc.slurm.allocation"}
    found = {
        node.module
        for file in (root / "workloads" / "checks").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and re.match(r"dask_hpc\b", node.module or "")
    }
    assert found - others == {"dask_hpc.tutorial"}


def test_modules_of_slurm_sim_have_no_import_cycle(root: Path) -> None:
    """No modules import each other, not even for types only or inside a function."""
    package = root / "slurm-sim/src/slurm_sim"
    names = {file.stem for file in package.glob("*.py")}
    imported: dict[str, set[str]] = {}
    for file in package.glob("*.py"):
        found = imported.setdefault(file.stem, set())
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "slurm_sim":
                found |= {alias.name for alias in node.names} & names
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module.removeprefix("slurm_sim.")} & names
    assert len(list(graphlib.TopologicalSorter(imported).static_order())) == len(names)


ROOMS = {
    "slurm": {"errors", "processes", "sif", "units"},
    "mpi": {"credentials", "errors", "network", "paths", "slurm", "stop", "units"},
    "clusters": {"credentials", "dask_settings", "errors", "mpi", "network", "paths", "screen", "sif", "slurm", "stop"}
    | {"units"},
    "doctor": {"errors", "identity", "mpi", "network", "paths", "processes", "screen", "sif", "slurm", "stop"},
    "jobqueue_config": {"doctor", "errors", "network", "paths", "screen", "sif", "slurm", "units"},
    "bridge": set(),
}
"""Rooms that each room of dask_hpc may import; `tutorial` may import all of them, and none imports it."""


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_only_allowed_rooms(root: Path, room: str) -> None:
    """No module of a room imports from a room above it."""
    package = root / "containers/dask-hpc/src/dask_hpc"
    found = {}
    for file in sorted((package / room).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and re.match(r"dask_hpc\b", node.module or ""):
                names = [node.module] if node.module != "dask_hpc" else [f"dask_hpc.{one.name}" for one in node.names]
                for name in names:
                    found[f"{file.relative_to(package)}: {name}"] = str(name).split(".")[1]
    assert found or not ROOMS[room]
    assert [place for place, other in found.items() if other not in ROOMS[room] | {room}] == []


def text_of(folder: Path) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*")) if file.is_file())


def test_environment_has_dependencies_of_dask_hpc(root: Path) -> None:
    """Every dependency of dask_hpc is in environment.yml, and therefore in the locks."""
    project = tomllib.loads((root / "containers/dask-hpc/pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = yaml.safe_load((root / "containers/dask-hpc/environment.yml").read_text(encoding="utf-8"))["dependencies"]
    names = {re.split(r"[<>=]", name)[0].replace("dask-core", "dask") for name in asked}
    assert {re.split(r"[<>=]", name)[0] for name in project["dependencies"]} - names == set()


def test_slurm_images_do_not_mention_dask(root: Path) -> None:
    """Neither the Slurm images nor the base of bare nodes mention Dask."""
    assert not re.search("dask", text_of(root / "containers/slurm"), re.IGNORECASE)
    assert not re.search("dask|slurm", text_of(root / "containers/apptainer"), re.IGNORECASE)


def test_slurm_configuration_does_not_mention_dask(root: Path) -> None:
    """Neither Slurm's configuration nor the Compose files mention Dask."""
    assert not re.search("dask", text_of(root / "slurm-sim/etc") + text_of(root / "compose"), re.IGNORECASE)


def test_environment_image_does_not_mention_slurm(root: Path) -> None:
    """The environment's Dockerfile has no Slurm daemon or command, no munge and no slurm_sim."""
    dockerfile = (root / "containers/dask-hpc/Dockerfile").read_text(encoding="utf-8")
    live = "\n".join(line for line in dockerfile.splitlines() if not line.startswith("#"))
    runtime = (root / "containers/dask-hpc/runtime.txt").read_text(encoding="utf-8")
    assert not re.search(r"slurm|sackd|munge", live + runtime, re.IGNORECASE)


def test_versions_are_written_once(root: Path) -> None:
    """The Debian suite and the base's digest are in versions.env, and in no other file that builds."""
    patterns = ("*/*.hcl", "*/*.sh", "containers/*/Dockerfile", "apptainer/*.def", "compose/*.yaml")
    files = [file for pattern in patterns for file in sorted(root.glob(pattern))]
    assert len(files) >= 12
    for file in files:
        assert not re.search(r"trixie|sha256:[0-9a-f]{64}", file.read_text(encoding="utf-8")), file


def test_sif_is_built_from_image_only(root: Path) -> None:
    """Nothing is installed, copied or downloaded into the SIF."""
    definition = (root / "apptainer/dask-hpc.def").read_text(encoding="utf-8")
    assert "Bootstrap: docker-archive\n" in definition
    assert not re.search(r"^%(post|files|setup|pre)\b", definition, re.MULTILINE)
