"""The network interface that others reach this host by."""

from __future__ import annotations

import socket
from types import SimpleNamespace

import pytest

from dask_hpc.clusters import interfaces
from dask_hpc.errors import RequestError


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A host with three interfaces, whose names and routes are the test's."""
    found = SimpleNamespace(
        addresses={"lo": "127.0.0.1", "eth0": "192.0.2.10", "ib0": "198.51.100.10"}, names={}, route="192.0.2.10"
    )

    def address(interface: str) -> str:
        if interface not in found.addresses:
            raise RequestError(f"no {interface}")
        return str(found.addresses[interface])

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

    monkeypatch.setattr(interfaces, "address", address)
    monkeypatch.setattr(
        interfaces, "socket",
        SimpleNamespace(
            gethostname=lambda: "login", gethostbyname=by_name, socket=Probe, AF_INET=0, SOCK_DGRAM=0,
            if_nameindex=lambda: [(1, "lo"), (2, "nothing"), (3, "eth0"), (4, "ib0")],
        ),
    )  # fmt: skip
    return found


def test_it_is_the_one_of_the_hosts_name(host: SimpleNamespace) -> None:
    """Others look for the host there; a name may be given."""
    host.names = {"login": "198.51.100.10", "other": "192.0.2.10"}
    assert interfaces.choose() == ("ib0", "login is 198.51.100.10")
    assert interfaces.choose("other")[0] == "eth0"


@pytest.mark.parametrize("own", ["127.0.1.1", "203.0.113.9", None])
def test_else_it_is_the_one_that_leads_elsewhere(host: SimpleNamespace, own: str | None) -> None:
    """A name that stands for loopback, for no interface or for nothing does not help."""
    host.names = {"login": own} if own else {}
    host.addresses["lo"] = own if own == "127.0.1.1" else "127.0.0.1"
    assert interfaces.choose() == ("eth0", "the default route leaves from 192.0.2.10")


def test_without_an_interface_of_that_address_it_is_loopback(host: SimpleNamespace) -> None:
    """A container may see a route that no interface of its own has."""
    host.route = "203.0.113.9"
    assert interfaces.choose()[0] == "lo"


def test_without_any_network_a_person_has_to_say(host: SimpleNamespace) -> None:
    """The error has the reason."""
    host.route = ""
    with pytest.raises(RequestError, match=r"(?s)unreachable.*--interface"):
        interfaces.choose()


def test_an_unknown_interface_lists_those_that_there_are() -> None:
    """On this machine."""
    assert interfaces.address("lo") == "127.0.0.1"
    with pytest.raises(RequestError) as refused:
        interfaces.address("nosuch0")
    assert "nosuch0" in refused.value.message
    assert "lo" in refused.value.message.partition("There are:")[2]
