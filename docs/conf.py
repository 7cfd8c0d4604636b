"""Sphinx configuration of the documentation: `make docs` builds the site."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "containers" / "dask-hpc" / "src"), str(ROOT / "slurm-sim" / "src")]

project = "dask-hpc and slurm-sim"
project_copyright = "the dask-hpc and slurm-sim developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
default_role = "code"  # docstrings put code between single backticks
smartquotes = False  # options begin with two hyphens
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
autodoc_typehints = "description"
autodoc_mock_imports = ["mpi4py"]  # the documentation is built where MPI need not be installed
nitpicky = False


def show_examples_as_code(_app: Sphinx, _ctx: click.Context, lines: list[str]) -> None:
    """Turn the examples in a command's help into literal blocks: as prose, `--` would become a dash."""
    shown: list[str] = []
    for line in lines:
        text = line.removeprefix("| ")
        if text.startswith("Examples:"):
            shown += ["Examples::", ""]
        elif text.startswith("Example: "):
            shown += ["Example::", "", f"   {text.removeprefix('Example: ')}"]
        else:
            shown.append(text if text.startswith("  ") else line)
    lines[:] = shown


def setup(app: Sphinx) -> None:
    """Connect the above; Sphinx calls this."""
    app.connect("sphinx-click-process-description", show_examples_as_code)
    app.connect("sphinx-click-process-epilog", show_examples_as_code)
