"""Lay out a copy of the checkout in which mutmut finds a package, and configure mutmut."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.mutants import ROOT, Package

SOURCES = ("slurm-sim/src/", "containers/dask-hpc/src/")
"""Folders whose contents mutmut must find in `src`."""

WORDING = (
    r"^\s*raise \w",
    r"^\s*(click\.echo|print|_say|_fail|_log\.\w+|logger\.\w+)\(",
    r"^\s*(help|todo|seen|description|metavar)=",
)
"""Lines that only word a message: expressions that begin there are not mutated."""

HOOK = "tests/mutants/sitecustomize.py"


def lay_out(tree: Path) -> None:
    """Copy the checkout, and its packages also into `src`; unchanged files keep their time stamps."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    wanted = {tree / file: ROOT / file for file in listed if (ROOT / file).is_file()}
    for file in listed:
        for source in SOURCES:
            if file.startswith(source) and (ROOT / file).is_file():
                wanted[tree / "src" / file.removeprefix(source)] = ROOT / file
    wanted[tree / "src/sitecustomize.py"] = ROOT / HOOK
    for folder in (tree / "src", *{tree / file.partition("/")[0] for file in listed}):
        for old in [file for file in folder.rglob("*") if file.is_file() and file not in wanted]:
            old.unlink()
    for copy, original in wanted.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not copy.is_file() or copy.read_bytes() != original.read_bytes():
            shutil.copy(original, copy)
    # mutmut only adds to its copy: remove deleted and replaced files first
    shutil.rmtree(tree / "mutants/tests", ignore_errors=True)
    for old in (tree / "mutants/src").rglob("*"):
        if old.is_file() and old.suffix not in {".py", ".meta", ".spans"}:
            old.unlink()


def configure(tree: Path, package: Package) -> None:
    """Write mutmut's settings: mutate one package, and copy the files that its tests read."""
    source = "src" if package.folder.startswith("src/") else package.folder
    mutated = {"src"} & {source}
    nl = "\n    "
    settings: dict[str, str | Iterable[str]] = {
        "source_paths": [source],
        "only_mutate": [f"{package.folder}/*"],
        "also_copy": sorted({path.name for path in tree.iterdir()} - {"mutants", "setup.cfg"} - mutated),
        "do_not_mutate_patterns": WORDING,
        "pytest_add_cli_args": ["-p", "tests.mutants", "-p", "no:cacheprovider", "--override-ini=pythonpath=src ."],
        "pytest_add_cli_args_test_selection": ["tests/support" if package.script else package.tests],  # no test there
        "process_isolation": "forkserver",  # forking a process with Dask's threads could hang
        "timeout_multiplier": "5",
        "timeout_constant": "5",
        "use_git_change_detection": "false",
        "on_dependency_change": "ignore",
    }
    lines = [f"{key} = {value if isinstance(value, str) else nl.join(['', *value])}" for key, value in settings.items()]
    text = "\n".join(["[mutmut]", *lines]) + "\n"
    (tree / "setup.cfg").write_text(text, encoding="utf-8")
