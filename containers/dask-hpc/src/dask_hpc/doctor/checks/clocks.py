"""Compare clocks: certificates and munge's credentials are valid for a time that all machines must agree on."""

from __future__ import annotations

from collections.abc import Mapping

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, failure, ok, warning

_NOTICED = 1.0  # seconds: files appear to be from the future
_REFUSED = 60.0  # seconds: close to the limits of munge and TLS
_SYNC = "ask the administrators to check NTP (chrony) there"


def skew(site: Site) -> Verdict | None:
    """Return how far the nodes' clocks are from this one."""
    return judge(site.survey.clocks) if site.slurm and site.survey.clocks else None


def judge(ahead: Mapping[str, float]) -> Verdict:
    """Return the verdict on clocks, given the seconds by which they are ahead of this machine's."""
    worst = max(ahead, key=lambda node: abs(ahead[node]))
    seconds = ahead[worst]
    said = f"{worst} is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine"
    if abs(seconds) >= _REFUSED:
        return failure(said, f"munge and TLS will reject it: {_SYNC}")
    if abs(seconds) >= _NOTICED:
        return warning(said, _SYNC)
    return ok(f"{len(ahead)} nodes within {abs(seconds) * 1000:.0f} ms of this machine")
