"""The user's own settings for Dask."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask import config

from dask_hpc.dask_settings import OF_A_RUN, blamed, refuse_unencrypted, users, without_theirs
from dask_hpc.errors import ClusterError, RequestError


def test_lists_variables_and_files(tmp_path: Path) -> None:
    """Files that contain only comments and variables of dask-hpc are left out."""
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


def test_dask_error_names_user_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the most informative cause and the settings."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "abc")
    with pytest.raises(RequestError) as refused, blamed():
        fail()
    assert "KeyError: 'Invalid time unit: abc'" in refused.value.message
    assert "$DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT=abc" in refused.value.message


def test_keeps_other_errors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Errors of dask-hpc are kept, and so are Dask's errors if the user has no settings."""
    monkeypatch.setenv("DASK_X", "1")
    with pytest.raises(ClusterError), blamed():
        raise ClusterError("lost")
    monkeypatch.delenv("DASK_X")
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path))
    with pytest.raises(KeyError), blamed():
        fail()


def test_rejects_no_tls_if_encryption_is_required() -> None:
    """The error names the setting."""
    with config.set({"distributed.comm.require-encryption": True}):
        refuse_unencrypted(tls=True)
        with pytest.raises(RequestError, match="require-encryption"):
            refuse_unencrypted(tls=False)
    refuse_unencrypted(tls=False)


def test_run_has_no_idle_timeout() -> None:
    """An idle timeout in a file or a variable is removed."""
    settings = {"distributed": {"scheduler": {"idle-timeout": "2s"}}}
    config.set(OF_A_RUN, config=settings)
    assert settings["distributed"]["scheduler"]["idle-timeout"] is None
    environ = {"DASK_DISTRIBUTED__SCHEDULER__IDLE_TIMEOUT": "2s", "DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "1"}
    assert without_theirs(environ) == {"DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING": "1"}
