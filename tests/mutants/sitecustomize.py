"""Record the functions that a test's programs call: mutmut itself sees only the tests' own process.

Python imports this file at startup, from `src` of the tree that `tests.mutants.layout` makes.
"""

from __future__ import annotations

import os
from pathlib import Path

_calls = os.environ.get("MUTANTS_CALLS")

if _calls and os.environ.get("MUTANT_UNDER_TEST") == "stats":
    from mutmut.mutation import trampoline

    def _note(name: str, caller: str | None = None) -> None:
        with Path(_calls or os.devnull).open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")

    vars(trampoline)["record_trampoline_hit"] = _note
