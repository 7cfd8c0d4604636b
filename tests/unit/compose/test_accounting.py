"""The services and volumes of accounting.yaml, and the files for them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from slurm_sim._compose import project
from slurm_sim._found import SPEC_LABEL
from tests.support.compose import parsed
from tests.support.specs import spec


@pytest.fixture
def overlay(root: Path) -> dict[str, Any]:
    """Return accounting.yaml, parsed."""
    return parsed((root / "compose/accounting.yaml").read_text(encoding="utf-8"))


def test_adds_database_and_slurmdbd(overlay: dict[str, Any]) -> None:
    """Neither publishes a port, and both drop all capabilities; the database gets none back."""
    assert set(overlay["services"]) == {"database", "slurmdbd", "slurmctld"}
    for name in ("database", "slurmdbd"):
        service = overlay["services"][name]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "ports" not in service
    assert "cap_add" not in overlay["services"]["database"]


def test_every_volume_has_label(overlay: dict[str, Any]) -> None:
    """`down` finds the volumes by their label, and only the database's image is copied into them."""
    assert {tuple(volume["labels"]) for volume in overlay["volumes"].values()} == {(SPEC_LABEL,)}
    mounts = {name: one.get("volumes") for name, one in overlay["services"].items()}
    assert mounts["database"] == ["database:/var/lib/mysql", "database-socket:/run/mysqld"]
    assert {"munge:/etc/munge", "database-socket:/run/mysqld:nocopy"} <= set(mounts["slurmdbd"])


def test_only_accounting_costs_anything() -> None:
    """Without accounting, neither the overlay, nor accounts, nor its lines of slurm.conf are there."""
    plain, accounting = (project(spec(accounting=wanted), ["c1"]) for wanted in (False, True))
    for one, there in ((plain, False), (accounting, True)):
        environment = one._environment()
        assert any("accounting.yaml" in str(file) for file in one.compose_file_name) is there
        assert bool(environment["SLURM_SIM_ACCOUNTS"]) is there
        assert ("AccountingStorageHost" in environment["SLURM_SIM_CONF"]) is there
        assert ("slurmdbd.conf" in one.nodes) is there


def test_configuration_holds_no_password(root: Path) -> None:
    """slurmdbd needs no password, and the database listens only on its socket."""
    text = (root / "slurm-sim/etc/slurmdbd/slurmdbd.conf").read_text(encoding="utf-8")
    assert not re.search("^StoragePass", text, re.MULTILINE)
    cnf = root / "containers/slurm/files/etc/mysql/mariadb.conf.d/slurm-sim.cnf"
    assert "\nskip-networking\n" in cnf.read_text(encoding="utf-8")
