"""Break the code on purpose, one small change at a time, and count the changes that the unit tests notice.

`make mutants` runs mutmut over each package of `PACKAGES`; `make mutants ARGS=channel` over one. An interrupted run
continues where it stopped. A verdict holds until its function changes; survivors are tried again when tests change.

mutmut takes a module's name from its path. So each package gets a copy of the checkout, `.cache/mutants/NAME`, with
the package in `src`. To see what a mutant changes, run `mutmut show MUTANT` in that folder.

Not mutated: messages (`WORDING`), what runs while a module is imported, and decorated functions, which mutmut skips.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mutmut.state import state
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
TREES = ROOT / ".cache/mutants"
SOURCES = ("slurm-sim/src/", "containers/dask-hpc/src/")
"""Folders whose contents mutmut has to find in `src`."""

WORDING = (
    r"^\s*raise \w",
    r"^\s*(click\.echo|print|_say|_fail|_log\.\w+|logger\.\w+)\(",
    r"^\s*(help|hint|seen|description|metavar)=",
)
"""Lines that only word a message: an expression that begins there is left alone."""

UNNOTICED = ("survived", "no tests", "suspicious")


HOOK = "tests/support/mutants/sitecustomize.py"


@dataclass(frozen=True)
class Package:
    """Folder of a package, as mutmut finds it, and its unit tests: the folder that mirrors it."""

    folder: str
    tests: str


PACKAGES = {
    "slurm_sim": Package("src/slurm_sim", "tests/unit/slurm_sim"),
    "clusters": Package("src/dask_hpc/clusters", "tests/unit/dask_hpc/clusters"),
    "jobqueue_config": Package("src/dask_hpc/jobqueue_config", "tests/unit/dask_hpc/jobqueue_config"),
    "bridge": Package("src/dask_hpc/bridge", "tests/unit/dask_hpc/test_bridge.py"),
    "channel": Package("containers/channel", "tests/unit/channel"),
}


def main() -> None:
    """Mutate packages, print the score and write it to `.cache/mutants/score.json`."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"{', '.join(PACKAGES)} (default: all)")
    parser.add_argument("--max-children", default=str(os.cpu_count()), help="mutants at a time (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="show the score of earlier runs, run nothing")
    args = parser.parse_args()
    if unknown := sorted(set(args.packages) - set(PACKAGES)):
        parser.error(f"unknown package {unknown[0]!r}: choose from {', '.join(PACKAGES)}")
    names = args.packages or list(PACKAGES)
    for name in names if not args.show else ():
        run(name, args.max_children)
    scores = {name: score(verdicts(name)) for name in PACKAGES if (TREES / name / "mutants").is_dir()}
    (TREES / "score.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    show(scores)


def run(name: str, max_children: str) -> None:
    """Try every mutant of a package that has no verdict yet."""
    tree, mutmut = TREES / name, ("mutmut", "run", "--max-children", max_children)
    lay_out(tree)
    configure(tree, PACKAGES[name])
    changed = tests_changed(tree)
    if changed:
        (tree / "mutants/mutmut-stats.json").unlink(missing_ok=True)
    earlier = verdicts(name) if changed else {}
    subprocess.run(mutmut, cwd=tree, check=True)
    again = [mutant for mutant, verdict in verdicts(name).items() if earlier.get(mutant) == verdict in UNNOTICED]
    if again:
        subprocess.run([*mutmut, *again], cwd=tree, check=True)
    remember_tests(tree)


def lay_out(tree: Path) -> None:
    """Copy the checkout, and its packages once more into `src`; files that have not changed keep their time."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
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
    # mutmut only adds to its copy: what is gone or replaced there has to go first
    shutil.rmtree(tree / "mutants/tests", ignore_errors=True)
    for old in (tree / "mutants/src").rglob("*"):
        if old.is_file() and old.suffix not in {".py", ".meta", ".spans"}:
            old.unlink()


def configure(tree: Path, package: Package) -> None:
    """Write mutmut's settings: mutate one package, and copy what its tests read."""
    source = "src" if package.folder.startswith("src/") else package.folder
    mutated = {"src"} & {source}
    nl = "\n    "
    settings: dict[str, str | Iterable[str]] = {
        "source_paths": [source],
        "only_mutate": [f"{package.folder}/*"],
        "also_copy": sorted({path.name for path in tree.iterdir()} - {"mutants", "setup.cfg"} - mutated),
        "do_not_mutate_patterns": WORDING,
        "pytest_add_cli_args": ["-p", "tests.mutants", "-p", "no:cacheprovider", "--override-ini=pythonpath=src ."],
        "pytest_add_cli_args_test_selection": [package.tests],
        "process_isolation": "forkserver",  # a fork of a process with Dask's threads could hang
        "timeout_multiplier": "5",
        "timeout_constant": "5",
        "use_git_change_detection": "false",
        "on_dependency_change": "ignore",
    }
    lines = [f"{key} = {value if isinstance(value, str) else nl.join(['', *value])}" for key, value in settings.items()]
    text = "\n".join(["[mutmut]", *lines]) + "\n"
    (tree / "setup.cfg").write_text(text, encoding="utf-8")


def tests_changed(tree: Path) -> bool:
    """Return whether tests differ from those of the last complete run."""
    known = tree / "mutants/tests.sha256"
    return known.is_file() and known.read_text(encoding="utf-8") != _digest(tree / "tests")


def remember_tests(tree: Path) -> None:
    """Note which tests the verdicts are from."""
    (tree / "mutants/tests.sha256").write_text(_digest(tree / "tests"), encoding="utf-8")


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def verdicts(name: str) -> dict[str, str]:
    """Return {mutant: verdict} in mutmut's words."""
    done = subprocess.run(
        ["mutmut", "results", "--all", "true"], cwd=TREES / name, capture_output=True, text=True, check=True
    )
    pairs = (line.strip().rpartition(": ") for line in done.stdout.splitlines())
    return {mutant: verdict for mutant, _, verdict in pairs if mutant}


def score(found: dict[str, str]) -> dict[str, Any]:
    """Count the verdicts of a package; the score is the percentage of noticed mutants among those that tests reach."""
    by_module: dict[str, Counter[str]] = {}
    for mutant, verdict in found.items():
        by_module.setdefault(mutant.rpartition(".")[0], Counter())[verdict] += 1
    total = sum(by_module.values(), Counter())
    unreached = [module for module, counts in by_module.items() if set(counts) == {"no tests"}]
    return {
        **_figures(total),
        "modules": {module: _figures(counts) for module, counts in sorted(by_module.items())},
        "modules_without_unit_tests": sorted(unreached),
        "survivors": sorted(mutant for mutant, verdict in found.items() if verdict == "survived"),
    }


def _figures(counts: Counter[str]) -> dict[str, Any]:
    killed, timeout = counts["killed"] + counts["segfault"], counts["timeout"]
    reached = counts.total() - counts["no tests"] - counts["not checked"]
    return {
        "mutants": counts.total(),
        "killed": killed,
        "timeout": timeout,
        "survived": counts["survived"] + counts["suspicious"],
        "no_tests": counts["no tests"],
        "not_checked": counts["not checked"],
        "score": round(100 * (killed + timeout) / reached, 1) if reached else None,
    }


def show(scores: dict[str, dict[str, Any]]) -> None:
    """Print the table."""
    columns = ("mutants", "killed", "timeout", "survived", "no_tests", "not_checked", "score")
    table = Table("package", *(column.replace("_", " ") for column in columns))
    for name, figures in scores.items():
        table.add_row(name, *(str(figures[column]) for column in columns))
    console = Console()
    console.print(table)
    for name, figures in scores.items():
        if figures["modules_without_unit_tests"]:
            console.print(f"{name}, no unit test reaches: {', '.join(figures['modules_without_unit_tests'])}")


def pytest_configure() -> None:
    """Have the programs that tests start import the mutated packages, and note what they call."""
    os.environ |= {"PYTHONPATH": str(Path("src").absolute()), "MUTANTS_CALLS": str(Path("calls.txt").absolute())}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown() -> None:
    """Add what a test's programs have called to what mutmut has seen."""
    calls = Path(os.environ["MUTANTS_CALLS"])
    if calls.exists():
        state()._stats.update(calls.read_text(encoding="utf-8").split())
        calls.unlink()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fastest tests first: one failure is enough."""
    try:
        known = json.loads(Path("mutmut-stats.json").read_text(encoding="utf-8"))["duration_by_test"]
    except OSError:
        return
    items.sort(key=lambda item: float(known.get(item.nodeid, 0)))


if __name__ == "__main__":
    main()
