"""Configure JupyterLab on the login node: for one user, through a port on the host's loopback only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jupyter_server_proxy.handlers import LocalProxyHandler

c: Any = get_config()  # type: ignore[name-defined]  # noqa: F821 (traitlets' own way)

# Listen on the container's network, through which the port published on the host's loopback comes in. Requests for any
# name but localhost are rejected: from nodes of the mini-cluster, and from pages whose name was made to point here.
c.ServerApp.ip = "0.0.0.0"  # noqa: S104
c.ServerApp.port = 8888
c.ServerApp.port_retries = 0
c.ServerApp.allow_remote_access = False
c.ServerApp.open_browser = False
c.ServerApp.root_dir = "/home/hpc"

# No requests to the internet: no news, no updates, no extensions to install.
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.news_url = None
c.LabApp.extension_manager = "readonly"


# /proxy/PORT leads to the dashboard with that number, if it exists: a socket that only its user can connect to. The
# environment's dask_hpc_startup/sockets.py makes it. Another user's folder is ignored: it could show anything here.
def _dashboard(handler: LocalProxyHandler) -> str | None:
    folder = Path("/tmp", f"dask-hpc-{os.getuid()}.dashboards")  # noqa: S108
    path = folder / f"{handler.path_args[0]}.sock"
    own = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
    return str(path) if own and path.is_socket() else None


LocalProxyHandler.unix_socket = property(_dashboard)
