"""Choosing the network interface through which other hosts reach this one."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import psutil
import pytest

from dask_hpc import network
from dask_hpc.errors import RequestError


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Simulate a host with three interfaces; the test sets its names and routes."""
    found = SimpleNamespace(
        addresses={"lo": "127.0.0.1", "eth0": "192.0.2.10", "ib0": "198.51.100.10"}, names={}, route="192.0.2.10"
    )

    def interfaces() -> dict[str, list[SimpleNamespace]]:
        wired = SimpleNamespace(family=socket.AF_PACKET, address="02:00:00:00:00:01")
        second = SimpleNamespace(family=socket.AF_INET, address="203.0.113.10")
        own = {
            name: [SimpleNamespace(family=socket.AF_INET, address=address), second, wired]
            for name, address in found.addresses.items()
        }
        return {**own, "nothing": [wired]}

    def by_name(name: str) -> str:
        if name not in found.names:
            raise socket.gaierror(-2, "Name or service not known")
        return str(found.names[name])

    class Probe:
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> Probe:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def connect(self, _target: object) -> None:
            if not found.route:
                raise OSError(101, "Network is unreachable")

        def getsockname(self) -> tuple[str, int]:
            return found.route, 1

    monkeypatch.setattr(psutil, "net_if_addrs", interfaces)
    monkeypatch.setattr(socket, "gethostname", lambda: "login")
    monkeypatch.setattr(socket, "gethostbyname", by_name)
    monkeypatch.setattr(socket, "socket", Probe)
    return found


def test_chooses_interface_of_hostname(host: SimpleNamespace) -> None:
    """The interface is that of the address of this hostname, or of another given name."""
    host.names = {"login": "198.51.100.10", "other": "192.0.2.10"}
    assert network.choose() == ("ib0", "login resolves to 198.51.100.10")
    assert network.choose("other").name == "eth0"


def test_lists_first_address_of_each_interface(host: SimpleNamespace) -> None:
    """Dask uses the first address too; an interface without an IPv4 address is left out."""
    assert network.addresses() == host.addresses


@pytest.mark.parametrize("own", ["127.0.1.1", "203.0.113.9", None])
def test_falls_back_to_default_route(host: SimpleNamespace, own: str | None) -> None:
    """The hostname may resolve to loopback, to an address of no interface, or not at all."""
    host.names = {"login": own} if own else {}
    host.addresses["lo"] = own if own == "127.0.1.1" else "127.0.0.1"
    assert network.choose() == ("eth0", "the default route uses 192.0.2.10")


def test_falls_back_to_loopback(host: SimpleNamespace) -> None:
    """In a container, the route's address may belong to no interface."""
    host.route = "203.0.113.9"
    assert network.choose().name == "lo"


def test_error_without_network_names_option(host: SimpleNamespace) -> None:
    """The error has the reason, and names --interface."""
    host.route = ""
    with pytest.raises(RequestError, match=r"(?s)unreachable.*--interface"):
        network.choose()


def test_error_for_unknown_interface_lists_existing_ones() -> None:
    """The error lists the interfaces of this machine."""
    assert network.address("lo") == "127.0.0.1"
    with pytest.raises(RequestError) as refused:
        network.address("nosuch0")
    assert "nosuch0" in refused.value.message
    assert "lo" in refused.value.message.partition("Available:")[2]
