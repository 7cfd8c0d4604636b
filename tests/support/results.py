"""Made-up results of runs, for tests of code that uses results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dask_hpc.clusters.facts import ClusterFacts
from dask_hpc.identity import Identity
from dask_hpc.tutorial.results import Check, Result, make


def make_result(folder: Path, **changed: Any) -> Result:
    """Return a small result; `changed` replaces some of its fields."""
    fields: dict[str, Any] = {
        "workload": "w",
        "summary": "W.",
        "started": "2026-01-01T00:00:00+00:00",
        "ok": True,
        "size": "default",
        "parameters": {"n": 3},
        "values": {"x": 1.5},
        "timings": {},
        "checks": [Check("c", True)],
        "notes": [],
        "table": {"columns": ["a"], "rows": [["1"]]},
        "pictures": [],
        "environment": Identity(),
        "versions": {},
        "cluster": ClusterFacts(kind="local", workers=1, threads=1, nodes=["here"], tls=False),
        "folder": str(folder),
    }
    return make(**fields | changed)
