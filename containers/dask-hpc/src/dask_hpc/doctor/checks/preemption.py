"""Check whether worker jobs are preempted, and whether jobs may submit jobs."""

from __future__ import annotations

from dask_hpc.doctor.site import Site
from dask_hpc.doctor.verdict import Verdict, names, ok, warning
from dask_hpc.slurm.environment import CHOICES

_DEFAULT_QOS = "normal"  # the usual one: another query would tell the user's
_REPLACE = "dask-hpc replaces such jobs; SLURMCluster does so with cluster.adapt(minimum_jobs=N, maximum_jobs=N)"
_WAIT = "its tasks wait; after 5 minutes (distributed.scheduler.worker-ttl), Dask gives them to other workers"


def preemption(site: Site) -> Verdict | None:
    """Return what happens to preempted worker jobs, and the time that they have to end."""
    if not _answers(site):
        return None
    rules = site.rules
    if rules.unknown:
        return warning(f"depends on the QOS, which cannot be listed: {rules.unknown}", _REPLACE)
    found = rules.preemptions(rules.chosen(site.partition))
    where, others = _chosen(site), ""
    if rules.by_qos:
        where = f"QOS {site.environ.get(CHOICES['qos']) or _DEFAULT_QOS}"
        others = ", ".join(one.whose for one in found if one.whose != where)
        found = [one for one in found if one.whose == where]
    if not found:
        return ok(f"none in {where}{f', but in {others}' if others else ''}; jobs are {rules.end}")
    seen = "; ".join(one.sentence for one in found)
    if all(one.outcome == "suspend" for one in found):
        return warning(seen, _WAIT)
    return warning(f"{seen}; it is {rules.end}", _REPLACE)


def submission_from_nodes(site: Site) -> Verdict | None:
    """Check that jobs may submit jobs, as a Dask scheduler in a job does."""
    if not _answers(site):
        return None
    rules = site.rules
    closed = [one for one in rules.chosen(site.partition) if not one.open_to_its_nodes]
    if not closed:
        return ok(f"allowed in {_chosen(site)}")
    elsewhere = names(rules.open_to_all())
    return warning(
        "; ".join(f"{one.name} accepts jobs only from {one.submitters} (AllocNodes)" for one in closed),
        "start Dask clusters on those machines, not in jobs"
        + (f"; or submit workers to {elsewhere}" if elsewhere else ""),
    )


def _answers(site: Site) -> bool:
    return site.slurm and "scontrol" not in site.missing and bool(site.rules.chosen(site.partition))


def _chosen(site: Site) -> str:
    return names([one.name for one in site.rules.chosen(site.partition)])
