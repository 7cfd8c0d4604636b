"""The network interface through which other nodes reach this host."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import NamedTuple

import psutil

from dask_hpc.errors import RequestError

_ELSEWHERE = ("192.0.2.1", 9)  # an address for documentation (RFC 5737)


class Interface(NamedTuple):
    """An interface's name, and the reason for choosing it."""

    name: str
    why: str


def choose(hostname: str | None = None) -> Interface:
    """Return the interface through which other hosts reach this one.

    It is the interface that the host's own name resolves to, since others look up that name; else the interface of the
    default route. Raise `RequestError` if there is neither.
    """
    name = hostname or socket.gethostname()
    owners = {address: interface for interface, address in reversed(addresses().items())}
    with suppress(OSError):
        own = socket.gethostbyname(name)
        if not own.startswith("127.") and own in owners:
            return Interface(owners[own], f"{name} resolves to {own}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)  # UDP: chooses a route and sends nothing
            own = probe.getsockname()[0]
        except OSError as error:
            raise RequestError(
                "This host has no route to others.", str(error), "choose an interface with --interface."
            ) from error
    return Interface(owners.get(own, "lo"), f"the default route uses {own}")


def address(interface: str) -> str:
    """Return an interface's IPv4 address; raise `RequestError` if it does not exist or has none."""
    found = addresses()
    if interface not in found:
        raise RequestError(f"{interface} is not an interface with an IPv4 address.", f"Available: {', '.join(found)}")
    return found[interface]


def addresses() -> dict[str, str]:
    """Return the first IPv4 address of each interface that has one."""
    return {
        name: entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in reversed(entries)
        if entry.family == socket.AF_INET
    }
