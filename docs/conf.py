"""Sphinx configuration of the documentation: `make docs` builds the site."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "containers" / "dask-hpc" / "src"), str(ROOT / "slurm-sim" / "src")]

project = "dask-hpc and slurm-sim"
project_copyright = "the dask-hpc and slurm-sim developers"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_click", "sphinx_copybutton"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = project
default_role = "code"  # docstrings put code between single backticks
myst_heading_anchors = 3
copybutton_prompt_text = "$ "
autodoc_typehints = "description"
autodoc_mock_imports = ["mpi4py"]  # the documentation is built where MPI need not be installed
nitpicky = False
