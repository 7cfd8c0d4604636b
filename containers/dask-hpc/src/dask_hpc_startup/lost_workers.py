"""Keep Dask from closing a worker that restarts.

Fifteen seconds after a worker was lost, a Dask cluster checks whether it is back. If not, the cluster closes it for
good: a job is cancelled, a nanny ends. A worker that came back in the meantime, but is restarting again at that moment,
is closed too. Here a worker is closed only if it has not been back.

`Cluster.wait_for_workers` asks the scheduler for its workers. If a message that one of them was lost arrives later, it
ends the cluster's task with a KeyError, which closing the cluster raises. Here the message is dropped.
"""

from __future__ import annotations

import asyncio
from types import ModuleType
from typing import Any

from dask import config
from dask.utils import parse_timedelta


def wait_for_restarted(module: ModuleType) -> None:
    """Correct `distributed.deploy.spec`."""

    def _update_worker_status(cluster: Any, op: str, msg: Any) -> None:
        known = cluster.scheduler_info["workers"]
        gone = cluster.__dict__.setdefault("_gone", {})
        if op == "add":
            for worker in msg["workers"].values():
                gone.pop(worker["name"], None)
        elif op == "remove":
            if msg not in known:
                return
            name = known[msg]["name"]
            gone[name] = msg
            delay = parse_timedelta(config.get("distributed.deploy.lost-worker-timeout"))
            asyncio.get_running_loop().call_later(delay, _close_if_gone, cluster, name, msg)
        module.Cluster._update_worker_status(cluster, op, msg)

    module.SpecCluster._update_worker_status = _update_worker_status


def _close_if_gone(cluster: Any, name: Any, address: str) -> None:
    back = any(worker["name"] == name for worker in cluster.scheduler_info["workers"].values())
    if cluster._gone.get(name) == address and name in cluster.workers and not back:
        cluster._futures.add(asyncio.ensure_future(cluster.workers.pop(name).close()))
