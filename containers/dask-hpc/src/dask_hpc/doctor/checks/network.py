"""Check the connection between scheduler and workers."""

from __future__ import annotations

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, failure, names, ok, warning
from dask_hpc.errors import RequestError
from dask_hpc.network import addresses


def interface(site: Site) -> Verdict:
    """Return the interface through which others reach this machine, and check that the nodes connected to it."""
    try:
        name, why = site.interface
    except RequestError as error:
        return warning(error.message.replace("\n", "; "), "only --on local works without a network")
    reports = site.survey.nodes if site.slurm else []
    away = [one.node for one in reports if not one.reached]
    if away:
        others = " ".join(other for other in addresses() if other not in ("lo", name)) or "none"
        return failure(
            f"{names(away)} cannot connect to {name} ({site.address}) on this machine",
            f"choose another --interface (available: {others}), or run the driver in a job, behind the firewall",
        )
    reached = f"; reached from {names([one.node for one in reports])}" if reports else ""
    return ok(f"{name}: {why}{reached}")
