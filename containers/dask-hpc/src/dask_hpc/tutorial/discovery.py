"""Find the files of workloads, and load one with its checks."""

from __future__ import annotations

import ast
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from dask_hpc.dask_settings import blamed
from dask_hpc.errors import WorkloadError
from dask_hpc.identity import share_folder
from dask_hpc.tutorial.options import help_of, options_of
from dask_hpc.tutorial.returned import unchecked
from dask_hpc.tutorial.workload import Checks, Workload

PACKAGE = "workloads"
"""The package from which a file of checks imports its script, regardless of the folder's name."""
_CHECKS = "checks"
_CELL = "\n# %%"


def folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the workloads' folder: $DASK_HPC_WORKLOADS, the checkout's, or the environment's."""
    if given := environ.get("DASK_HPC_WORKLOADS"):
        return Path(given)
    for parent in Path(__file__).resolve().parents:
        if (parent / "containers" / "dask-hpc").is_dir() and (parent / "workloads").is_dir():
            return parent / "workloads"
    return share_folder() / "workloads"


def available(where: Path | None = None) -> dict[str, Path]:
    """Return every workload's file by its name, sorted; skip notebooks and files that start with _."""
    return {name: file for name, file in _scripts(where or folder()).items() if not _is_notebook(file)}


def find(name: str) -> Path | None:
    """Return the script of that name or at that path, or None if it does not exist."""
    if name.endswith(".py"):
        return Path(name) if Path(name).is_file() else None
    return _scripts(folder()).get(name)


def _scripts(where: Path) -> dict[str, Path]:
    return {file.stem.replace("_", "-"): file for file in sorted(where.glob("[!_]*.py"))}


def _is_notebook(file: Path) -> bool:
    try:
        return _CELL in file.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def summary(file: Path) -> str:
    """Return the first line of a workload's docstring without running the file, which would import Dask."""
    try:
        text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    except (OSError, SyntaxError, ValueError) as error:
        return f"(cannot be read: {error})"
    return (text or "").split("\n", 1)[0]


def load(file: Path) -> Workload:
    """Load the workload in a file, with its checks from the file of the same name in `checks/`, if present.

    The modules do not stay in `sys.modules`: Dask sends functions of a module that cannot be imported by value, so
    workers do not need the files.

    Raises:
        WorkloadError: a file cannot be run, or lacks `main` or `@checks`.
    """
    if _is_notebook(file):
        raise WorkloadError(f"{file} is a notebook.", todo=f"run it with 'python {file}'.")
    script = _run(file, f"dask_hpc_workload_{file.stem}")
    main = getattr(script, "main", None)
    if not inspect.isfunction(main):
        raise WorkloadError(f"{file} declares no workload.", todo="write a function main(client, …) in it.")
    checks = _checks(file, script) or unchecked(main)
    try:
        options = options_of(main, checks.types)
    except (WorkloadError, NameError) as error:
        raise WorkloadError(f"The workload {file} cannot be run.", str(error)) from error
    _refuse_other_parameters(file, checks, [str(option.name) for option in options])
    text = help_of(main) or summary(file)
    return Workload(
        name=file.stem.replace("_", "-"), summary=text.split("\n")[0], help=text, options=options, checks=checks
    )


def _checks(script_file: Path, script: ModuleType) -> Checks | None:
    file = script_file.parent / _CHECKS / script_file.name
    if not file.is_file():
        return None
    with _importable(script_file, script):
        found = vars(_run(file, f"{PACKAGE}.{_CHECKS}.{file.stem}"))
    for value in found.values():
        if isinstance(value, Checks):
            return value
    raise WorkloadError(f"{file} declares no checks.", todo="decorate its function with @checks(…).")


def _refuse_other_parameters(file: Path, checks: Checks, names: list[str]) -> None:
    """Refuse checks whose parameters are not those of `main`."""
    _, *taken = inspect.signature(checks.run).parameters.values()
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken):
        return
    if sorted(one.name for one in taken) != sorted(names):
        raise WorkloadError(
            f"The checks of {file} and its main have different parameters.",
            f"main: {', '.join(names) or 'none'}; checks: {', '.join(one.name for one in taken) or 'none'}.",
            f"use the same names in {file.parent / _CHECKS / file.name}.",
        )


@contextmanager
def _importable(file: Path, script: ModuleType) -> Iterator[None]:
    """While a file of checks is loaded, let it import its script, and siblings of both, from one package."""
    hidden = {name: sys.modules.pop(name) for name in _names()}
    package = sys.modules[PACKAGE] = ModuleType(PACKAGE)
    package.__path__ = [str(file.parent)]
    sys.modules[f"{PACKAGE}.{file.stem}"] = script
    setattr(package, file.stem, script)
    try:
        yield
    finally:
        for name in _names():
            del sys.modules[name]
        sys.modules.update(hidden)


def _names() -> list[str]:
    return [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]


def _run(file: Path, name: str) -> ModuleType:
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise WorkloadError(f"{file} is not a Python file.")
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        with blamed():
            import distributed  # noqa: F401 (what fails here is not the workload's fault)
        raise WorkloadError(f"The workload {file} cannot be loaded.", f"{type(error).__name__}: {error}") from error
    finally:
        del sys.modules[name]
    return module
