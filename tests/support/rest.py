"""Ask a mini-cluster's REST API, on its port and on the login node's socket."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from slurm_sim import SlurmSim

# Debian's smallest Perl has sockets, and plain login nodes have no Python. The token comes on standard input.
_OVER_SOCKET = """
use IO::Socket::UNIX;
my ($path, $request) = @ARGV;
my $socket = IO::Socket::UNIX->new(Peer => $path) or die "cannot connect: $!";
print $socket "$request HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n", <STDIN>, "\\r\\n";
print while <$socket>;
"""

Answer = tuple[int, str]
"""Status and body of an answer."""


def ask(
    sim: SlurmSim,
    path: str,
    token: str | None = None,
    *,
    body: object = None,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask the published port."""
    sent = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"{sim.rest().address}{path}", data=sent, method=method)
    own = {"X-SLURM-USER-TOKEN": token} if token is not None else {}
    for key, value in ({"Content-Type": "application/json"} | own | dict(headers or {})).items():
        request.add_header(key, value)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def ask_socket(sim: SlurmSim, path: str, token: str | None = None, *, user: str = "hpc") -> Answer:
    """Ask the socket on the login node, as one of its users."""
    header = f"X-SLURM-USER-TOKEN: {token}\r\n" if token is not None else ""
    done = sim.exec("perl", "-e", _OVER_SOCKET, sim.rest().socket, f"GET {path}", stdin=header, user=user, timeout=20)
    head, _, rest = done.stdout.partition("\r\n\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    body = rest.encode()[: int(fields["content-length"])]  # slurmrestd sends one more header after it
    return int(head.split()[1]), body.decode()


def told(answer: Answer) -> Any:
    """Return the answer to a request that must succeed."""
    status, body = answer
    assert status == 200, body
    return json.loads(body)
