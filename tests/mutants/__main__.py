"""Command line: mutate packages, print the score and write it to `.cache/mutants/score.json`; see `tests.mutants`."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import tests.mutants
from tests.mutants import PACKAGES, TREES
from tests.mutants.layout import configure, lay_out
from tests.mutants.score import score, show
from tests.mutants.script import Script

UNNOTICED = ("survived", "no tests", "suspicious")


def main() -> None:
    """Run the command."""
    text = (tests.mutants.__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=text)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"{', '.join(PACKAGES)} (default: all)")
    parser.add_argument("--max-children", default=str(os.cpu_count()), help="mutants at a time (default: %(default)s)")
    parser.add_argument("--show", action="store_true", help="show the score of earlier runs without running any")
    args = parser.parse_args()
    if unknown := sorted(set(args.packages) - set(PACKAGES)):
        parser.error(f"unknown package {unknown[0]!r}: choose from {', '.join(PACKAGES)}")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job, but some tests send it
    for name in (args.packages or PACKAGES) if not args.show else ():
        run(name, args.max_children)
    scores = {name: score(verdicts(name)) for name in PACKAGES if (TREES / name / "mutants").is_dir()}
    TREES.mkdir(parents=True, exist_ok=True)
    (TREES / "score.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    show(scores)


def run(name: str, max_children: str) -> None:
    """Try every mutant of a package that has no verdict yet, and the unnoticed ones again if tests have changed."""
    tree = TREES / name
    package = PACKAGES[name]
    lay_out(tree)
    configure(tree, package)
    known = tree / "mutants/tests.sha256"
    tests_now = _digest(tree / "tests/unit", tree / "tests/support")
    changed = known.is_file() and known.read_text(encoding="utf-8") != tests_now
    earlier = verdicts(name) if changed else {}
    if changed:  # otherwise mutmut would consider only new tests
        (tree / "mutants/mutmut-stats.json").unlink(missing_ok=True)
    if package.script:
        mutmut(tree, "--max-children", max_children, check=False)  # writes mutants, finds no test, and stops
    else:
        mutmut(tree, "--max-children", max_children)
    now = verdicts(name)
    again = [mutant for mutant, verdict in now.items() if earlier.get(mutant) == verdict in UNNOTICED]
    if package.script:
        untried = [mutant for mutant, verdict in now.items() if verdict == "not checked"]
        Script(name, package).run([*untried, *again])
    elif again:
        mutmut(tree, "--max-children", max_children, *again)
    known.write_text(tests_now, encoding="utf-8")


def mutmut(tree: Path, *arguments: str, check: bool = True) -> None:
    """Run mutmut; show its progress on a terminal, otherwise write it to a file."""
    log = tree / "mutants/run.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        shown = None if sys.stdout.isatty() and check else file
        done = subprocess.run(["mutmut", "run", *arguments], cwd=tree, stdout=shown, stderr=shown, check=False)
    if check and done.returncode:
        end = "" if shown is None else "\n" + log.read_text(encoding="utf-8")[-2000:]
        sys.exit(f"mutants: mutmut exited with {done.returncode} in {tree}{end}")


def verdicts(name: str) -> dict[str, str]:
    """Return {mutant: verdict} in mutmut's words."""
    done = subprocess.run(
        ["mutmut", "results", "--all", "true"], cwd=TREES / name, capture_output=True, text=True, check=True
    )
    pairs = (line.strip().rpartition(": ") for line in done.stdout.splitlines())
    found = {mutant: verdict for mutant, _, verdict in pairs if mutant}
    package = PACKAGES[name]
    return found | Script(name, package).verdicts() if package.script else found


def _digest(*folders: Path) -> str:
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return hashlib.sha256(b"".join(f"{file}\0".encode() + file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    main()
