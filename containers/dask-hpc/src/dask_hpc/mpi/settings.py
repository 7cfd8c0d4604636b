"""Settings of the processes of an MPI job, in the section `dask-hpc.mpi` of Dask's configuration."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

_SECTION = "dask-hpc.mpi"


class MpiSettings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", omit_defaults=True):
    """Settings of one Dask cluster in an MPI job; each may be left out.

    Attributes:
        client_rank: rank of the client, if it is a rank; its loss then breaks the world.
        wait_for_client: seconds within which a client must connect; otherwise the cluster ends.
        nodes: node of each rank, by rank.
        world: number of ranks.
        mpi: name and version of the MPI library.
        scheduler_file: path of the scheduler file.
        folder: the cluster's private folder; see `dask_hpc.mpi.folder`.
        made_here: True if the ranks created that folder, and must remove it.
    """

    client_rank: int | None = None
    wait_for_client: float | None = None
    nodes: tuple[str, ...] = ()
    world: int = 0
    mpi: str = ""
    scheduler_file: str = ""
    folder: str = ""
    made_here: bool = False

    @classmethod
    def configured(cls) -> MpiSettings:
        """Return the settings in this process's Dask configuration."""
        from dask import config

        return msgspec.convert(config.get(_SECTION, {}), cls)

    def configure(self) -> None:
        """Replace the settings in this process's Dask configuration by these."""
        from dask import config

        config.set({_SECTION: msgspec.to_builtins(self)})

    def configuration(self) -> Mapping[str, object]:
        """Return these settings as Dask configuration; empty if all are left out."""
        content = msgspec.to_builtins(self)
        for name in reversed(_SECTION.split(".")) if content else ():
            content = {name: content}
        return dict(content)

    def overridden_by(self, other: MpiSettings) -> MpiSettings:
        """Return these settings, overridden by those that `other` sets."""
        return msgspec.convert(msgspec.to_builtins(self) | msgspec.to_builtins(other), MpiSettings)
