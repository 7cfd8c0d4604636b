"""The user's accounts, with scripts in place of sacctmgr."""

from __future__ import annotations

import getpass

import pytest

from dask_hpc.slurm.accounts import Accounts, accounts
from tests.support.site_commands import Commands


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset the account of the user who runs the tests."""
    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)


def test_lists_default_account_first(commands: Commands) -> None:
    """One account with several associations is listed once."""
    commands["sacctmgr"] = "case \"$*\" in *assoc*) printf 'b\\n a \\n\\nb\\nc\\n';; *) echo ' a ';; esac"
    assert accounts() == Accounts(("a", "b", "c"))
    associations, default = commands.calls("sacctmgr")
    assert associations == f"-nP show assoc user={getpass.getuser()} format=account"
    assert default == f"-nP show user {getpass.getuser()} format=defaultaccount"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 0", "no account of yours"),
        ("echo 'You are not running a supported accounting_storage plugin' >&2; exit 1", "keeps no accounts"),
        ("echo 'sacctmgr: error: down' >&2; exit 1", "sacctmgr: error: down"),
    ],
)
def test_reports_reason_for_having_no_accounts(commands: Commands, script: str, why: str) -> None:
    """No accounting, an error, and a user without an account have different reasons."""
    commands["sacctmgr"] = script
    found = accounts()
    assert found.names == ()
    assert why in found.why_none


def test_reports_missing_sacctmgr(commands: Commands) -> None:
    """A login node may lack the command."""
    found = accounts()
    assert found.names == ()
    assert "sacctmgr not found" in found.why_none


def test_chosen_account_replaces_all_others(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """`SBATCH_ACCOUNT` is the only account, and sacctmgr is not called."""
    commands["sacctmgr"] = "echo other"
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    assert accounts() == Accounts(("mine",))
    assert commands.calls("sacctmgr") == []
