"""The way between scheduler and workers."""

from __future__ import annotations

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, failure, names, ok, warning
from dask_hpc.errors import RequestError
from dask_hpc.network import addresses


def interface(site: Site) -> Verdict:
    """Return the interface that others reach this machine by; nodes have connected to it, if they were asked."""
    try:
        name, why = site.interface
    except RequestError as error:
        return warning(error.message.replace("\n", "; "), "only --on local works without a network")
    reports = site.survey.nodes if site.slurm else []
    away = [one.node for one in reports if not one.reached]
    if away:
        others = " ".join(other for other in addresses() if other not in ("lo", name)) or "no other"
        return failure(
            f"{names(away)} cannot connect to {name} ({site.address}) of this machine",
            f"name another one by --interface (there is {others}), or run the driver in a job, behind the firewall",
        )
    reached = f"; reached from {names([one.node for one in reports])}" if reports else ""
    return ok(f"{name}: {why}{reached}")
