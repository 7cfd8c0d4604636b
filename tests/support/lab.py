"""JupyterLab of a mini-cluster, asked as a program does."""

from __future__ import annotations

import http.client
from contextlib import closing
from urllib.parse import urlsplit

from slurm_sim import Jupyter


def token_of(lab: Jupyter) -> str:
    """The token."""
    return urlsplit(lab.address).query.removeprefix("token=")


def ask(lab: Jupyter, path: str, *, token: str = "", method: str = "GET") -> tuple[int, bytes]:
    """Asks JupyterLab, without a token unless one is given; returns the status and what it said."""
    head = {"Authorization": f"token {token}"} if token else {}
    with closing(http.client.HTTPConnection(urlsplit(lab.address).netloc, timeout=120)) as connection:
        connection.request(method, path, headers=head)
        answer = connection.getresponse()
        return answer.status, answer.read()
