"""A user's accounts, at sites whose sacctmgr answers as scripts say."""

from __future__ import annotations

import getpass

import pytest

from dask_hpc.slurm.accounts import Accounts, accounts
from tests.support.site_commands import Commands


@pytest.fixture(autouse=True)
def no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the account of the person who runs the tests out of them."""
    monkeypatch.delenv("SBATCH_ACCOUNT", raising=False)


def test_accounts_are_the_users_own_and_the_default_comes_first(commands: Commands) -> None:
    """One account with several associations is listed once."""
    commands["sacctmgr"] = "case \"$*\" in *assoc*) printf 'b\\n a \\n\\nb\\nc\\n';; *) echo ' a ';; esac"
    assert accounts() == Accounts(("a", "b", "c"))
    associations, default = commands.calls("sacctmgr")
    assert associations == f"-nP show assoc user={getpass.getuser()} format=account"
    assert default == f"-nP show user {getpass.getuser()} format=defaultaccount"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 0", "none of yours"),
        ("echo 'You are not running a supported accounting_storage plugin' >&2; exit 1", "keeps no accounts"),
        ("echo 'sacctmgr: error: down' >&2; exit 1", "sacctmgr: error: down"),
    ],
)
def test_without_accounts_the_reason_is_known(commands: Commands, script: str, why: str) -> None:
    """No accounting, an error, and a user without any account are told apart."""
    commands["sacctmgr"] = script
    found = accounts()
    assert found.names == ()
    assert why in found.why_none


def test_without_sacctmgr_nothing_is_asked(commands: Commands) -> None:
    """A login node may lack the command."""
    found = accounts()
    assert found.names == ()
    assert "sacctmgr is not here" in found.why_none


def test_the_account_that_is_chosen_goes_before_all(commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the only one, and sacctmgr is not asked."""
    commands["sacctmgr"] = "echo other"
    monkeypatch.setenv("SBATCH_ACCOUNT", "mine")
    assert accounts() == Accounts(("mine",))
    assert commands.calls("sacctmgr") == []
