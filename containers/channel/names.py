"""Translate names between PyPI and conda-forge."""

from __future__ import annotations

from packaging.utils import canonicalize_name

CONDA_NAMES = {
    # conda-forge's `dask` is a metapackage with pandas and pyarrow; the library alone is `dask-core`
    "dask": "dask-core",
    "docstring-parser": "docstring_parser",
    "msgpack": "msgpack-python",
}
PYPI_NAMES = {conda: pypi for pypi, conda in CONDA_NAMES.items()}


def conda_name(pypi: str) -> str:
    """Return the conda-forge name of a PyPI package."""
    name = canonicalize_name(pypi)
    return CONDA_NAMES.get(name, name)


def pypi_name(conda: str) -> str:
    """Return the PyPI name of a conda-forge package."""
    return PYPI_NAMES.get(conda, conda)
