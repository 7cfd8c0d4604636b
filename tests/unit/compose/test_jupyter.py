"""The login node's settings in jupyter.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def login(root: Path) -> dict[str, Any]:
    """Return the login node's settings in jupyter.yaml."""
    loaded = yaml.safe_load((root / "compose/jupyter.yaml").read_text(encoding="utf-8"))
    assert list(loaded["services"]) == ["login"]
    service: dict[str, Any] = loaded["services"]["login"]
    return service


def test_publishes_one_loopback_port_and_gains_nothing(login: dict[str, Any]) -> None:
    """JupyterLab publishes one port on 127.0.0.1, and adds no capability, volume or variable."""
    assert set(login) == {"ports", "healthcheck"}
    assert login["ports"] == ["127.0.0.1::8888"]
