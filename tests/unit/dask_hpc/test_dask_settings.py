"""A user's own settings for Dask."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask import config

from dask_hpc.dask_settings import OF_A_RUN, blamed, refuse_unencrypted, users, without_theirs
from dask_hpc.errors import ClusterError, RequestError


def test_lists_variables_and_files(tmp_path: Path) -> None:
    """A file of comments has no setting, and our own variables are none of Dask's."""
    (tmp_path / "own.yaml").write_text("distributed:\n  worker: {}\n")
    (tmp_path / "jobqueue.yaml").write_text("# jobqueue:\n\n")
    environ = {"DASK_CONFIG": str(tmp_path), "DASK_HPC_SIF": "x", "DASK_LOGGING__DISTRIBUTED": "info", "PATH": "/bin"}
    assert users(environ) == ["$DASK_LOGGING__DISTRIBUTED=info", f"{tmp_path}/own.yaml"]
    assert users({"DASK_CONFIG": str(tmp_path / "own.yaml")}) == [f"{tmp_path}/own.yaml"]
    assert users({"DASK_CONFIG": str(tmp_path / "none")}) == []


def fail() -> None:
    try:
        dict[str, int]()["abc"]
    except KeyError as error:
        raise KeyError("Invalid time unit: abc") from error


def test_an_error_of_dasks_names_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has the cause that says most."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "abc")
    with pytest.raises(RequestError) as refused, blamed():
        fail()
    assert "KeyError: 'Invalid time unit: abc'" in refused.value.message
    assert "$DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=abc" in refused.value.message


def test_an_error_of_ours_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So does any error of a user without settings."""
    monkeypatch.setenv("DASK_X", "1")
    with pytest.raises(ClusterError), blamed():
        raise ClusterError("lost")
    monkeypatch.delenv("DASK_X")
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path))
    with pytest.raises(KeyError), blamed():
        fail()


def test_encryption_that_is_required_is_not_left_out() -> None:
    """The error says by which setting."""
    with config.set({"distributed.comm.require-encryption": True}):
        refuse_unencrypted(tls=True)
        with pytest.raises(RequestError, match="require-encryption"):
            refuse_unencrypted(tls=False)
    refuse_unencrypted(tls=False)


def test_a_run_has_no_idle_timeout() -> None:
    """Neither from a file nor from a variable."""
    settings = {"distributed": {"scheduler": {"idle-timeout": "2s"}}}
    config.set(OF_A_RUN, config=settings)
    assert settings["distributed"]["scheduler"]["idle-timeout"] is None
    environ = {"DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT": "2s", "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "1"}
    assert without_theirs(environ) == {"DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "1"}
