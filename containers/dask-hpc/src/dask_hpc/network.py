"""Which network interface other nodes reach this host by."""

from __future__ import annotations

import socket
from contextlib import suppress

from dask_hpc.errors import RequestError

__all__ = ["address", "choose"]

_ELSEWHERE = ("192.0.2.1", 9)  # an address for documentation (RFC 5737)


def choose(hostname: str | None = None) -> tuple[str, str]:
    """Return an interface's name and why it is the one.

    The interface that the host's own name stands for, since that is where others look for it; else the one that
    a packet to elsewhere would leave by. Raises `RequestError` if there is neither.
    """
    name = hostname or socket.gethostname()
    with suppress(OSError):
        own = socket.gethostbyname(name)
        if not own.startswith("127.") and (found := _owner(own)):
            return found, f"{name} is {own}"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)  # UDP: chooses a route and sends nothing
            own = probe.getsockname()[0]
        except OSError as error:
            raise RequestError("No network leads off this host.", str(error), "name one by --interface.") from error
    return _owner(own) or "lo", f"the default route leaves from {own}"


def address(interface: str) -> str:
    """Return an interface's IPv4 address; raises `RequestError` if it is not there or has none."""
    from distributed.utils import get_ip_interface

    try:
        return str(get_ip_interface(interface))
    except ValueError as error:
        names = ", ".join(name for _, name in socket.if_nameindex())
        raise RequestError(f"{interface} is no interface with an IPv4 address.", f"There are: {names}") from error


def _owner(wanted: str) -> str | None:
    for _, name in socket.if_nameindex():
        with suppress(RequestError):
            if address(name) == wanted:
                return name
    return None
