"""The services, capabilities and volumes of compose.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose import parsed


@pytest.fixture
def text(root: Path) -> str:
    """Return compose.yaml as text."""
    return (root / "compose/compose.yaml").read_text(encoding="utf-8")


@pytest.fixture
def compose(text: str) -> dict[str, Any]:
    """Return compose.yaml, parsed."""
    return parsed(text)


def services(compose: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(compose["services"].items())


def test_has_controller_login_node_and_node_pattern(compose: dict[str, Any]) -> None:
    """There are three services, and the pattern of a node never starts by itself."""
    assert set(compose["services"]) == {"slurmctld", "login", "slurmd"}
    assert compose["services"]["slurmd"]["profiles"] == ["pattern"]


@pytest.mark.parametrize("fixed", ["container_name", "privileged", "ipv4_address", "subnet", "network_mode", "ipam"])
def test_fixes_no_name_or_address_and_needs_no_privilege(text: str, fixed: str) -> None:
    """No name, address or privilege collides with a second mini-cluster."""
    assert not re.search(rf"^\s*{fixed}\s*:", text, re.MULTILINE)


def test_publishes_ports_on_loopback_only(compose: dict[str, Any]) -> None:
    """Any published port is on 127.0.0.1, and the engine chooses its number."""
    for name, service in services(compose):
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1::\d+", str(port)), name


def test_only_login_node_fills_home(compose: dict[str, Any]) -> None:
    """Only the login node's image is copied into the new /home volume: two containers would collide."""
    mounts = {name: mount for name, one in services(compose) for mount in one["volumes"] if mount.startswith("home:")}
    assert mounts == {"login": "home:/home", "slurmd": "home:/home:nocopy"}


def test_only_controller_and_login_node_change_users(compose: dict[str, Any]) -> None:
    """All services share the users; compute nodes cannot change them."""
    mounts = {name: mount for name, one in services(compose) for mount in one["volumes"] if mount.startswith("users:")}
    shared = "users:/var/lib/extrausers:nocopy"
    assert mounts == {"slurmctld": shared, "login": shared, "slurmd": "users:/var/lib/extrausers:ro,nocopy"}


def test_every_service_drops_all_capabilities(compose: dict[str, Any]) -> None:
    """Each service drops all capabilities, and can gain none."""
    for name, service in services(compose):
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_no_service_has_powerful_capability(compose: dict[str, Any]) -> None:
    """No service has SYS_ADMIN or a capability of similar power."""
    for name, service in services(compose):
        assert not {"ALL", "SYS_ADMIN", "NET_ADMIN", "SYS_MODULE", "SYS_RAWIO"} & set(service["cap_add"]), name


def capability_blocks(text: str) -> list[list[str]]:
    """Return the lines of each cap_add: the key's, and those of its list."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if "cap_add:" in line:
            blocks.append([line])
        elif blocks and blocks[-1] and re.fullmatch(r"\s+- [A-Z_]+(\s.*)?", line):
            blocks[-1].append(line)
    return blocks


def test_every_capability_has_reason(text: str) -> None:
    """Each capability has a comment on its line, on its block, or on the line of its pair (SETUID, SETGID)."""
    blocks = capability_blocks(text)
    assert len(blocks) == 3
    for head, *lines in blocks:
        if not lines:
            assert "# " in head
        for before, line in zip([head, *lines], lines, strict=False):
            assert "# " in line or ("SETGID" in line and "SETUID" in before), line
