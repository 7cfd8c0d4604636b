"""The network interface by which other nodes reach this host."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import NamedTuple

import psutil

from dask_hpc.errors import RequestError

_ELSEWHERE = ("192.0.2.1", 9)  # an address for documentation (RFC 5737)


class Interface(NamedTuple):
    """An interface's name, and why it is the one."""

    name: str
    why: str


def choose(hostname: str | None = None) -> Interface:
    """Return the interface that others reach this host by.

    It is the one that the host's own name stands for, since that is where others look for it; else the one that
    a packet to elsewhere would leave by. Raises `RequestError` if there is neither.
    """
    name = hostname or socket.gethostname()
    owners = {address: interface for interface, address in reversed(addresses().items())}
    with suppress(OSError):
        own = socket.gethostbyname(name)
        if not own.startswith("127.") and own in owners:
            return Interface(owners[own], f"{name} is {own}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)  # UDP: chooses a route and sends nothing
            own = probe.getsockname()[0]
        except OSError as error:
            raise RequestError("No network leads off this host.", str(error), "name one by --interface.") from error
    return Interface(owners.get(own, "lo"), f"the default route leaves from {own}")


def address(interface: str) -> str:
    """Return an interface's IPv4 address; raises `RequestError` if it is not there or has none."""
    found = addresses()
    if interface not in found:
        raise RequestError(f"{interface} is no interface with an IPv4 address.", f"There are: {', '.join(found)}")
    return found[interface]


def addresses() -> dict[str, str]:
    """Return the IPv4 address of each interface that has one; the first, if it has several."""
    return {
        name: entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in reversed(entries)
        if entry.family == socket.AF_INET
    }
