"""Send requests to the JupyterLab of a mini-cluster."""

from __future__ import annotations

import http.client
from contextlib import closing
from urllib.parse import urlsplit

from slurm_sim import Jupyter


def token_of(lab: Jupyter) -> str:
    """Return JupyterLab's token."""
    return urlsplit(lab.address).query.removeprefix("token=")


def ask(lab: Jupyter, path: str, *, token: str = "", method: str = "GET") -> tuple[int, bytes]:
    """Send a request to JupyterLab, by default without a token; return the status and the body."""
    head = {"Authorization": f"token {token}"} if token else {}
    with closing(http.client.HTTPConnection(urlsplit(lab.address).netloc, timeout=120)) as connection:
        connection.request(method, path, headers=head)
        answer = connection.getresponse()
        return answer.status, answer.read()
