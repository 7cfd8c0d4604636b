"""Show how to reach the dashboard of a Dask cluster; `dask_hpc_startup.dashboards` decides where it listens."""

from __future__ import annotations

import getpass
import socket
from typing import TYPE_CHECKING, Any

from dask_hpc.screen import Screen
from dask_hpc.slurm.allocation import Allocation

if TYPE_CHECKING:
    from distributed import Client


def close_dashboard() -> None:
    """Close the dashboards of this process's schedulers to other users, even outside the environment."""
    from distributed import node

    from dask_hpc_startup.dashboards import close_to_others

    close_to_others(node)


def dashboard_link(cluster: Any) -> str:
    """Return a link to where the dashboard really listens; Dask's own always names the scheduler's host.

    The link has the configured form, which differs behind a Jupyter proxy.
    """
    from distributed.utils import format_dashboard_link

    server = cluster.scheduler.http_server
    host = cluster.scheduler.ip if server.address == "0.0.0.0" else server.address  # noqa: S104 (a comparison)
    return str(format_dashboard_link(host, server.port))


def tunnel(dask_scheduler: Any) -> str:
    """Return the ssh command that makes the dashboard's link work on the user's machine; empty for a TCP port.

    Runs in the scheduler's process. To a job's node, the command jumps through the host that submitted the job.
    """
    path = getattr(dask_scheduler.http_server, "socket_path", None)
    if not path:
        return ""
    user = getpass.getuser()
    host = socket.gethostname()
    login = Allocation.from_environment().submit_host or host
    jump = f"-J {user}@{login} " if login != host else ""
    return f"ssh -L {dask_scheduler.http_server.port}:{path} {jump}{user}@{host}"


def show_dashboard(cluster: Any, screen: Screen) -> None:
    """Show the link to the dashboard of this process's scheduler, and the command that opens it elsewhere."""
    link = dashboard_link(cluster)
    command = tunnel(cluster.scheduler)
    if link.startswith("/"):  # behind Jupyter's proxy, which finds the socket
        command = ""
    elif not command:
        screen.warn(f"the dashboard has no password: anyone who can reach {link} can read it.")
    _show(link, command, screen)


def show_dashboard_elsewhere(client: Client, screen: Screen) -> None:
    """Show the same for a scheduler in another process, if it has this package."""
    try:
        port, command = client.run_on_scheduler(_port_and_tunnel)
    except Exception:  # noqa: BLE001 (a scheduler of another environment lacks this package)
        return
    if command:
        _show(f"http://localhost:{port}/status", command, screen)


def _port_and_tunnel(dask_scheduler: Any) -> tuple[int, str]:
    return dask_scheduler.http_server.port, tunnel(dask_scheduler)


def _show(link: str, command: str, screen: Screen) -> None:
    screen.note(f"dashboard: {link}" + (f" after {command}" if command else ""))
