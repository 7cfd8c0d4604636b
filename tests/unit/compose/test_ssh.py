"""The login node's settings in ssh.yaml, and sshd's configuration."""

from __future__ import annotations

import re
from pathlib import Path

import yaml


def test_publishes_one_loopback_port_with_reasons(root: Path) -> None:
    """ssh publishes one port on 127.0.0.1; only the login node gets capabilities, each with its reason."""
    text = (root / "compose/ssh.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    assert services == {"login": {"ports": ["127.0.0.1::2222"], "cap_add": ["SYS_CHROOT", "AUDIT_WRITE"]}}
    assert all("# " in line for line in text.splitlines() if re.match(r"\s+- ", line))


def test_accepts_keys_only(root: Path) -> None:
    """sshd accepts no password and no root."""
    text = (root / "containers/slurm/files/etc/ssh/slurm-sim.conf").read_text(encoding="utf-8")
    settings = dict(line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#"))
    assert settings["AuthenticationMethods"] == "publickey"
    for refused in ("PasswordAuthentication", "KbdInteractiveAuthentication", "PermitRootLogin", "GatewayPorts"):
        assert settings[refused] == "no"
    assert settings["AuthorizedKeysFile"] == "/etc/ssh/authorized_keys"
