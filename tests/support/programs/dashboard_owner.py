"""Start a Dask cluster, try its dashboard as its user, and keep it until the file `stop` exists.

usage: dashboard_owner.py BACKEND OPTIONS (as JSON). Writes what it finds to `found.json`.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bokeh.client import pull_session
from tornado.routing import PathMatches

from dask_hpc import cluster


def about(dask_scheduler: Any) -> dict[str, Any]:
    """Return the routes of the scheduler's HTTP server, and where it listens."""
    server = dask_scheduler.http_server
    application = dask_scheduler.http_application
    routers = [application.default_router, application.wildcard_router]
    routers += [part for app in application.applications for part in (app.default_router, app.wildcard_router)]
    patterns = set()
    while routers:
        for rule in routers.pop().rules:
            if isinstance(rule.matcher, PathMatches):
                patterns.add(rule.matcher.regex.pattern.removesuffix("$").removesuffix("/?"))
            elif hasattr(rule.target, "rules"):
                routers.append(rule.target)
    plain = sorted(pattern for pattern in patterns if pattern.startswith("/") and not set("()[\\*?") & set(pattern))
    return {"routes": plain, "port": server.port, "socket": str(server.socket_path), "host": os.uname().nodename}


def ask(path: str, route: str) -> int:
    """Return the status of a request through the socket."""
    import socket

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(f"GET {route} HTTP/1.0\r\nHost: localhost:8787\r\n\r\n".encode())
        return int(connection.recv(64).split()[1])


def asked(path: str, routes: list[str]) -> dict[str, int]:
    """Return the status of every route; runs on the scheduler's node."""
    return {route: ask(path, route) for route in routes}


async def forward(path: str) -> int:
    """Do what `ssh -L` does, and return the number of figures that the page gets over its WebSocket."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
        writer.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_unix_connection(path)
        await asyncio.gather(copy(reader, to_writer), copy(to_reader, writer), return_exceptions=True)

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        return await asyncio.to_thread(figures, port)


def figures(port: int) -> int:
    """Return how many roots the status page's document has."""
    with pull_session(url=f"http://localhost:{port}/status") as session:
        return len(session.document.roots)


def main() -> None:
    """Write what is found, and wait."""
    backend = sys.argv[1]
    options = json.loads(sys.argv[2])
    with cluster(on=backend, **options) as started:
        client = started.client
        found = client.run_on_scheduler(about)
        workers = client.run(
            lambda dask_worker: [type(dask_worker.http_server).__name__, str(dask_worker.http_server.socket_path)]
        )
        found |= {
            "link": client.dashboard_link,
            "scheduler": client.scheduler.address,
            "workers": list(workers.values()),
        }
        if found["host"] == os.uname().nodename:
            found |= {
                "status": asked(found["socket"], found["routes"]),
                "figures": asyncio.run(forward(found["socket"])),
            }
        Path("found.part").write_text(json.dumps(found))
        Path("found.part").rename("found.json")
        while not Path("stop").exists():
            time.sleep(0.1)  # a file announces nothing


if __name__ == "__main__":
    main()
