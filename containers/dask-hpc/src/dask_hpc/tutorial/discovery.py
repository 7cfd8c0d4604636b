"""Workloads are files: which there are, what each is about, and loading one."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Mapping
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from dask_hpc.dask_settings import blamed
from dask_hpc.errors import WorkloadError
from dask_hpc.identity import share_folder
from dask_hpc.tutorial.workload import Workload


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the workloads' folder: $DASK_HPC_WORKLOADS, the checkout's, or the environment's."""
    if given := environ.get("DASK_HPC_WORKLOADS"):
        return Path(given)
    for parent in Path(__file__).resolve().parents:
        if (parent / "containers" / "dask-hpc").is_dir() and (parent / "workloads").is_dir():
            return parent / "workloads"
    return share_folder() / "workloads"


def available(where: Path | None = None) -> dict[str, Path]:
    """Return the file of every workload by its name, sorted; files that start with _ are helpers."""
    files = sorted((where or folder()).glob("[!_]*.py"))
    return {file.stem.replace("_", "-"): file for file in files}


def summary(file: Path) -> str:
    """Return the first line of a workload's docstring without running the file: that would import Dask."""
    try:
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError) as error:
        return f"(cannot be read: {error})"
    return (text or "").split("\n", 1)[0]


def load(file: Path) -> Workload:
    """Return the workload in a file; raises `WorkloadError` if it cannot be run or declares none.

    The module is not left in `sys.modules`: functions of a module that cannot be imported are sent to workers
    by value, so that a worker needs neither the file nor its folder.
    """
    spec = spec_from_file_location(f"dask_hpc_workload_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise WorkloadError(f"{file} is not a Python file.")
    module = module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        with blamed():
            import distributed  # noqa: F401 (what fails here is not the workload's fault)
        raise WorkloadError(f"The workload {file} cannot be loaded.", f"{type(error).__name__}: {error}") from error
    finally:
        del sys.modules[module.__name__]
    for value in vars(module).values():
        if isinstance(value, Workload):
            return value
    raise WorkloadError(f"{file} declares no workload.", todo="decorate its function with @workload(…).")
