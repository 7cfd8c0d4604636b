"""The tutorial's notebook and its text source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import pytest


@pytest.fixture
def notebook(root: Path) -> nbformat.NotebookNode:
    """Read the committed notebook."""
    read: Callable[..., nbformat.NotebookNode] = nbformat.read
    return read(root / "workloads/tutorial.ipynb", as_version=4)


def test_notebook_matches_source(root: Path, notebook: nbformat.NotebookNode) -> None:
    """The notebook equals its source, cell by cell; CONTRIBUTING.md has the command that generates it."""
    source = jupytext.read(root / "workloads/tutorial.py")
    cells, expected = ([(cell.cell_type, cell.source) for cell in one.cells] for one in (notebook, source))
    assert cells == expected
    assert notebook.metadata.kernelspec == source.metadata.kernelspec


def test_notebook_has_no_outputs(notebook: nbformat.NotebookNode) -> None:
    """The committed notebook is valid and has not been run."""
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    assert all(not cell.outputs and cell.execution_count is None for cell in code)


def test_notebook_names_existing_workloads(root: Path, notebook: nbformat.NotebookNode) -> None:
    """Every `*Workload: name*` in the notebook has a file."""
    heads = [cell.source for cell in notebook.cells if "*Workload" in cell.source]
    names = {name for head in heads for name in head.partition("*Workload")[2].partition(".*")[0].split("`")[1::2]}
    assert len(names) >= 8
    assert not {name for name in names if not (root / "workloads" / f"{name.replace('-', '_')}.py").exists()}
