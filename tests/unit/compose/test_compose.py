"""The files of the mini-cluster hold what the design promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml


class _Loader(yaml.SafeLoader):
    """YAML with Compose's own tags."""


_Loader.add_constructor("!reset", lambda _loader, _node: None)


@pytest.fixture
def text(root: Path) -> str:
    """compose.yaml as it is written."""
    return (root / "compose/compose.yaml").read_text(encoding="utf-8")


@pytest.fixture
def compose(text: str) -> dict[str, Any]:
    """compose.yaml as it is read."""
    loaded: dict[str, Any] = yaml.load(text, Loader=_Loader)
    return loaded


def services(compose: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return list(compose["services"].items())


def test_there_are_a_controller_a_login_node_and_the_pattern_of_a_node(compose: dict[str, Any]) -> None:
    """The roles are three, and the pattern never starts itself."""
    assert set(compose["services"]) == {"slurmctld", "login", "slurmd"}
    assert compose["services"]["slurmd"]["profiles"] == ["pattern"]


@pytest.mark.parametrize("fixed", ["container_name", "privileged", "ipv4_address", "subnet", "network_mode", "ipam"])
def test_nothing_is_fixed_or_privileged(text: str, fixed: str) -> None:
    """No name, address or privilege that a second mini-cluster would run into."""
    assert not re.search(rf"^\s*{fixed}\s*:", text, re.MULTILINE)


def test_nothing_is_published_beyond_loopback(compose: dict[str, Any]) -> None:
    """A port that is published, if there is one, is on 127.0.0.1 and of the engine's choice."""
    for name, service in services(compose):
        for port in service.get("ports", []):
            assert re.fullmatch(r"127\.0\.0\.1::\d+", str(port)), name


def test_one_image_fills_the_home(compose: dict[str, Any]) -> None:
    """What the image has in /home is copied into the new volume once: containers that start side by side collide."""
    mounts = {name: mount for name, one in services(compose) for mount in one["volumes"] if mount.startswith("home:")}
    assert mounts == {"login": "home:/home", "slurmd": "home:/home:nocopy"}


def test_every_service_drops_all_capabilities(compose: dict[str, Any]) -> None:
    """Each starts from none, and can gain none."""
    for name, service in services(compose):
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_no_service_has_a_capability_that_is_as_good_as_all(compose: dict[str, Any]) -> None:
    """SYS_ADMIN and its like are asked by nobody."""
    for name, service in services(compose):
        assert not {"ALL", "SYS_ADMIN", "NET_ADMIN", "SYS_MODULE", "SYS_RAWIO"} & set(service["cap_add"]), name


def capability_blocks(text: str) -> list[list[str]]:
    """The lines of each cap_add: its own, and those of its list."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if "cap_add:" in line:
            blocks.append([line])
        elif blocks and blocks[-1] and re.fullmatch(r"\s+- [A-Z_]+(\s.*)?", line):
            blocks[-1].append(line)
    return blocks


def test_every_capability_carries_its_reason(text: str) -> None:
    """A comment on the line, on the block, or on the line before whose pair it is (SETUID, SETGID)."""
    blocks = capability_blocks(text)
    assert len(blocks) == 3
    for head, *lines in blocks:
        if not lines:
            assert "# " in head
        for before, line in zip([head, *lines], lines, strict=False):
            assert "# " in line or ("SETGID" in line and "SETUID" in before), line
