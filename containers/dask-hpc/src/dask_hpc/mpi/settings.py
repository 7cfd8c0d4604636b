"""Settings for the processes of an MPI job, in the section `dask-hpc.mpi` of Dask's configuration."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

_SECTION = "dask-hpc.mpi"


class MpiSettings(msgspec.Struct, frozen=True, kw_only=True, rename="kebab", omit_defaults=True):
    """The settings of one Dask cluster in an MPI job; each may be left out.

    Attributes:
        client_rank: the client is this rank, and its loss is the world's.
        wait_for_client: seconds in which a client has to come; the cluster ends without one.
        nodes: the node of each rank, by rank.
        world: the number of ranks.
        mpi: the MPI library, for people.
        scheduler_file: the path of the scheduler file.
        folder: the cluster's private folder; see `dask_hpc.mpi.folder`.
        made_here: whether the ranks have made that folder, and have to remove it.
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
        """Return those of this process's Dask configuration."""
        from dask import config

        return msgspec.convert(config.get(_SECTION, {}), cls)

    def configure(self) -> None:
        """Put these into this process's Dask configuration, in place of what is there."""
        from dask import config

        config.set({_SECTION: msgspec.to_builtins(self)})

    def configuration(self) -> Mapping[str, object]:
        """Return these as Dask's configuration has them; nothing if all are left out."""
        content = msgspec.to_builtins(self)
        for name in reversed(_SECTION.split(".")) if content else ():
            content = {name: content}
        return dict(content)

    def overridden_by(self, other: MpiSettings) -> MpiSettings:
        """Return these with all that `other` does not leave out in their place."""
        return msgspec.convert(msgspec.to_builtins(self) | msgspec.to_builtins(other), MpiSettings)
