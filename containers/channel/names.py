"""Translate PyPI's names into conda-forge's: the one table of names that differ."""

from __future__ import annotations

from packaging.utils import canonicalize_name

CONDA_NAMES = {
    # conda-forge's `dask` is a metapackage that brings pandas and pyarrow; the library alone is `dask-core`
    "dask": "dask-core",
    "docstring-parser": "docstring_parser",
    "msgpack": "msgpack-python",
}
PYPI_NAMES = {conda: pypi for pypi, conda in CONDA_NAMES.items()}


def conda_name(pypi: str) -> str:
    """Conda-forge's name of a package of PyPI."""
    name = canonicalize_name(pypi)
    return CONDA_NAMES.get(name, name)


def pypi_name(conda: str) -> str:
    """PyPI's name of a package of conda-forge."""
    return PYPI_NAMES.get(conda, conda)
