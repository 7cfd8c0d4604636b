"""Count verdicts, and print them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.table import Table


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
    killed = counts["killed"] + counts["segfault"]
    timeout = counts["timeout"]
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
            console.print(f"{name}, without unit tests: {', '.join(figures['modules_without_unit_tests'])}")
