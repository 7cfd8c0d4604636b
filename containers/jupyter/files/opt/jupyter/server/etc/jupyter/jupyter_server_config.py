"""JupyterLab on the login node: for one person, through a port that only the host's loopback has."""

from __future__ import annotations

from typing import Any

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 (traitlets' own way)

# The container's own network: what is published on the host's loopback comes in by it. Whoever calls this server by
# another name than localhost is turned away: nodes of the mini-cluster, and pages whose name was made to point here.
c.ServerApp.ip = "0.0.0.0"  # noqa: S104
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0
c.ServerApp.allow_remote_access = False
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/home/hpc"

# Nothing here asks the network: no news, no updates, no extensions to install.
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
c.LabApp.extension_manager = "readonly"
