"""tests/unit mirrors the source: the path of a test is the path of its module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCES = ("slurm-sim/src", "containers/dask-hpc/src", "containers", ".")
"""Folders that tests/unit mirrors: `tests/unit/slurm_sim/test_spec.py` is for `slurm-sim/src/slurm_sim/spec.py`."""

CROSS_CUTTING = {"test_arrows.py", "test_docs.py", "test_layout.py", "workloads/test_alone.py"}
"""Files that test the repository as a whole."""


def plain(name: str) -> str:
    """Return a name without suffix and outer underscores, and with underscores for dashes."""
    return name.split(".")[0].strip("_").replace("-", "_")


def mirrored(root: Path, parts: tuple[str, ...]) -> list[Path]:
    """Return the files and folders below `root` with these plain names."""
    found = [root]
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        entries = [entry for folder in found for entry in folder.iterdir()]
        found = [entry for entry in entries if plain(entry.name) == part and (last or entry.is_dir())]
    return found


def without_source(root: Path, test: Path) -> str:
    """Return an error message for a misplaced test file, or an empty string."""
    parts = (*test.parts[:-1], plain(test.name.removeprefix("test_")))
    if any(mirrored(root / source, parts) for source in SOURCES):
        return ""
    places = ", ".join(f"{source}/{'/'.join(parts)}".removeprefix("./") for source in SOURCES)
    return (
        f"tests/unit/{test} has no source: looked for {places}. Move it, or add it to CROSS_CUTTING in test_layout.py."
    )


def test_every_test_file_mirrors_a_source_module(root: Path) -> None:
    """Each test file has a module, script or package of the same path."""
    unit = root / "tests" / "unit"
    tests = [file.relative_to(unit) for file in sorted(unit.rglob("test_*.py"))]
    assert [
        problem for test in tests if str(test) not in CROSS_CUTTING and (problem := without_source(root, test))
    ] == []


def test_cross_cutting_files_exist(root: Path) -> None:
    """Every file in the list of exceptions exists."""
    assert [name for name in sorted(CROSS_CUTTING) if not (root / "tests" / "unit" / name).is_file()] == []


def test_helpers_live_in_support(root: Path) -> None:
    """tests/unit holds tests and fixtures; modules that tests import are in tests/support."""
    files = {file for file in (root / "tests" / "unit").rglob("*.py") if file.name != "conftest.py"}
    assert sorted(file.relative_to(root).as_posix() for file in files if not file.name.startswith("test_")) == []


def test_contributing_names_existing_files(root: Path) -> None:
    """Every path in the table "Where things are" of CONTRIBUTING exists."""
    table = (
        (root / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Where things are")[2].partition("\n## ")[0]
    )
    paths = re.findall(r"`([\w.-]+(?:/[\w.-]+)+)`", table)
    assert len(paths) >= 12
    assert [path for path in paths if not (root / path).exists()] == []


@pytest.mark.parametrize(
    ("test", "placed"),
    [
        ("slurm_sim/test_spec.py", True),
        ("slurm_sim/test_compose.py", True),
        ("dask_hpc/clusters/test_mpi.py", True),
        ("apptainer/site/test_dask_hpc.py", True),
        ("test_spec.py", False),
        ("slurm_sim/test_spec_more.py", False),
        ("dask_hpc/clusters/spec/test_plan.py", False),
    ],
)
def test_finds_misplaced_test_files(root: Path, test: str, placed: bool) -> None:
    """A module, a private module, a package and a script are found; a file elsewhere is named."""
    problem = without_source(root, Path(test))
    assert (problem == "") is placed
    assert placed or problem.startswith(f"tests/unit/{test} has no source")
