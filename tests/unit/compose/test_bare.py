"""bare.yaml and its seccomp profile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml


@pytest.fixture
def text(root: Path) -> str:
    """Return bare.yaml as text."""
    return (root / "compose/bare.yaml").read_text(encoding="utf-8")


def test_adds_only_options_that_apptainer_needs(text: str) -> None:
    """Bare nodes get no capability and no privilege, and every option has a comment with its reason."""
    assert not re.search(r"cap_add|privileged|SYS_ADMIN|seccomp.unconfined", text)
    options = [line for line in text.splitlines() if re.match(r"\s+- ", line)]
    assert options
    assert all("# " in line for line in options)


def test_login_and_nodes_have_same_options(text: str) -> None:
    """Login node and compute nodes have the same options; `_compose` gives the login node its entrypoint."""
    services = yaml.safe_load(text)["services"]
    assert set(services) == {"login", "bare-slurmd"}
    assert len({str((s["security_opt"], s["devices"])) for s in services.values()}) == 1


def test_seccomp_profile_denies_only_listed_calls(root: Path) -> None:
    """The profile denies what Docker's own denies, except namespaces and mounts, with the reason."""
    profile = json.loads((root / "compose/seccomp-userns.json").read_text(encoding="utf-8"))
    (rule,) = profile["syscalls"]
    assert rule["action"] == "SCMP_ACT_ERRNO"
    assert "namespaces" in rule["comment"]
    assert rule["names"] == sorted(set(rule["names"]))
    assert not {"clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot"} & set(rule["names"])
    assert {"bpf", "keyctl", "kexec_load", "init_module", "open_by_handle_at"} <= set(rule["names"])
