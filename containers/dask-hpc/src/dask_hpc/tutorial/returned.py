"""Turn the value returned by a script without checks into an outcome."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any

from dask_hpc.clusters.facts import Value
from dask_hpc.tutorial.workload import Checks, Outcome

_LONGEST = 200  # characters of a value in the table


def unchecked(main: Callable[..., Any]) -> Checks:
    """Return checks that run a script and check nothing."""

    def run(client: Any, **parameters: Any) -> Outcome:
        start = perf_counter()
        found = _by_name(main(client, **parameters))
        seconds = perf_counter() - start
        rows = [[name, _short(value)] for name, value in found.items()]
        values = {name: plain for name, value in found.items() if (plain := _plain(value)) is not None}
        notes = ["The workload has no checks, so this result is not verified."]
        return Outcome(values, {"main": seconds}, [], columns=("returned", "value"), rows=rows, notes=notes)

    return Checks(run=run)


def _by_name(found: object) -> dict[str, object]:
    if found is None:
        return {}
    if dataclasses.is_dataclass(found) and not isinstance(found, type):
        return {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    if isinstance(found, tuple) and hasattr(found, "_asdict"):
        return dict(found._asdict())
    if isinstance(found, Mapping):
        return {str(name): value for name, value in found.items()}
    return {"result": found}


def _plain(value: object) -> Value:
    """Return a number, string or bool, converted from NumPy's types; None for any other value."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        value = item()
    return value if isinstance(value, bool | int | float | str) else None


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
