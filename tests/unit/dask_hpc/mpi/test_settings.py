"""The section `dask-hpc.mpi` of Dask's configuration."""

from __future__ import annotations

from dask import config

from dask_hpc.mpi.settings import MpiSettings

SETTINGS = MpiSettings(client_rank=0, nodes=("c1", "c2"), scheduler_file="/home/me/scheduler.json", made_here=True)
CONTENT = {"client-rank": 0, "nodes": ("c1", "c2"), "scheduler-file": "/home/me/scheduler.json", "made-here": True}


def test_configuration_has_given_settings_only() -> None:
    """Settings that are left out are not in the configuration, nor is an empty section."""
    assert dict(config.merge(SETTINGS.configuration())) == {"dask-hpc": {"mpi": CONTENT}}
    assert MpiSettings().configuration() == {}


def test_reads_configured_settings() -> None:
    """A process reads the settings that it has configured, or defaults."""
    with config.set({"dask-hpc": {}}):
        assert MpiSettings.configured() == MpiSettings()
        SETTINGS.configure()
        assert MpiSettings.configured() == SETTINGS


def test_ignores_unknown_settings() -> None:
    """Unknown entries, as from a newer version, are ignored."""
    with config.set({"dask-hpc.mpi": {"wait-for-client": 300, "other": 1}}):
        assert MpiSettings.configured() == MpiSettings(wait_for_client=300)


def test_later_settings_override_earlier() -> None:
    """Only settings that are given override earlier ones."""
    later = MpiSettings(client_rank=1, wait_for_client=60)
    assert SETTINGS.overridden_by(later) == MpiSettings(
        client_rank=1,
        wait_for_client=60,
        nodes=("c1", "c2"),
        scheduler_file="/home/me/scheduler.json",
        made_here=True,
    )
