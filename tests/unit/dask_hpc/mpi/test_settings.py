"""The section `dask-hpc.mpi` of Dask's configuration."""

from __future__ import annotations

from dask import config

from dask_hpc.mpi.settings import MpiSettings

SETTINGS = MpiSettings(client_rank=0, nodes=("c1", "c2"), scheduler_file="/home/me/scheduler.json", made_here=True)
CONTENT = {"client-rank": 0, "nodes": ("c1", "c2"), "scheduler-file": "/home/me/scheduler.json", "made-here": True}


def test_configuration_has_what_is_set() -> None:
    """What is left out is not in the configuration, and neither is an empty section."""
    assert dict(config.merge(SETTINGS.configuration())) == {"dask-hpc": {"mpi": CONTENT}}
    assert MpiSettings().configuration() == {}


def test_configuration_is_read_back() -> None:
    """A process has the settings that it has configured, and defaults where there are none."""
    with config.set({"dask-hpc": {}}):
        assert MpiSettings.configured() == MpiSettings()
        SETTINGS.configure()
        assert MpiSettings.configured() == SETTINGS


def test_other_entries_of_configuration_are_left_alone() -> None:
    """A file of a newer version may have more."""
    with config.set({"dask-hpc.mpi": {"wait-for-client": 300, "other": 1}}):
        assert MpiSettings.configured() == MpiSettings(wait_for_client=300)


def test_later_settings_win() -> None:
    """Only what they set takes the place of the earlier ones."""
    later = MpiSettings(client_rank=1, wait_for_client=60)
    assert SETTINGS.overridden_by(later) == MpiSettings(
        client_rank=1,
        wait_for_client=60,
        nodes=("c1", "c2"),
        scheduler_file="/home/me/scheduler.json",
        made_here=True,
    )
