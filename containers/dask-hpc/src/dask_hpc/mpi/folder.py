"""The private folder of one dask-mpi cluster, on a file system that its nodes share.

It has the scheduler file, the credentials, and `dask.yaml`: Dask's configuration that names them, which is how
dask-mpi, that has no option for security, gets them. Only its user can enter it, and it goes with its cluster.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dask_hpc import credentials
from dask_hpc.errors import ClusterError
from dask_hpc.mpi.settings import MpiSettings

if TYPE_CHECKING:
    from distributed import Security

PRELOAD = "dask_hpc.mpi.preload"
_LIFETIME = timedelta(days=14)  # of credentials whose cluster's wall time is not known here


class Folder:
    """The paths in the folder; nothing need be there yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def scheduler_file(self) -> Path:
        """The file that says where the scheduler is."""
        return self.path / "scheduler.json"

    @property
    def config(self) -> Path:
        """Dask's configuration for all processes of the cluster, and for clients."""
        return self.path / "dask.yaml"

    @property
    def tls(self) -> Path:
        """The folder of the credentials."""
        return self.path / "tls"

    def security(self) -> Security:
        """Return a client's credentials."""
        from distributed import Security

        cert = str(self.tls / "cert.pem")
        key = str(self.tls / "key.pem")
        return Security(require_encryption=True, tls_ca_file=cert, tls_client_cert=cert, tls_client_key=key)

    @contextmanager
    def kept(
        self,
        *,
        tls: bool,
        lifetime: timedelta = _LIFETIME,
        settings: MpiSettings | None = None,
        of_dask: Mapping[str, object] | None = None,
    ) -> Iterator[None]:
        """Make the folder, and remove it at the end.

        Args:
            tls: with credentials.
            lifetime: how long they are good for.
            settings: of the cluster.
            of_dask: more of Dask's configuration, by dotted names.

        Raises:
            ClusterError: it is there already, or cannot be made.
        """
        self.make(tls=tls, lifetime=lifetime, settings=settings, of_dask=of_dask)
        try:
            yield
        finally:
            self.remove()

    def make(
        self,
        *,
        tls: bool,
        lifetime: timedelta = _LIFETIME,
        settings: MpiSettings | None = None,
        of_dask: Mapping[str, object] | None = None,
    ) -> None:
        """Make the folder; as `kept` otherwise."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.mkdir(mode=0o700)
        except OSError as error:
            raise _refusal(self.path, error) from error
        try:
            security = credentials.make(self.tls, lifetime) if tls else None
            _write(self.config, configuration(security, settings or MpiSettings(), of_dask or {}))
        except OSError as error:
            self.remove()
            raise _refusal(self.path, error) from error

    def remove(self) -> None:
        """Remove the folder with what belongs in it; raise `OSError` if there is anything else."""
        if self.tls.is_dir():
            credentials.remove(self.tls)
        for file in (self.scheduler_file, self.config):
            file.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # where the world breaks, every rank does this
            self.path.rmdir()


def configuration(security: Security | None, settings: MpiSettings, of_dask: Mapping[str, object]) -> dict[str, Any]:
    """Return Dask's configuration for all processes of the cluster: paths, and no secret."""
    from dask import config

    content: dict[str, Any] = {
        "distributed": {"scheduler": {"preload": [PRELOAD]}, "worker": {"preload": [PRELOAD]}},
        # tracebacks for connections and tasks that end as they should
        "logging": {"distributed.batched": "warning", "distributed.worker.state_machine": "error"},
        **settings.configuration(),
    }
    if security:
        roles = {
            role: {"cert": getattr(security, f"tls_{role}_cert"), "key": getattr(security, f"tls_{role}_key")}
            for role in ("client", "scheduler", "worker")
        }
        content["distributed"]["comm"] = {
            "default-scheme": "tls",
            "require-encryption": True,
            "tls": {"ca-file": security.tls_ca_file, **roles},
        }
    config.set(of_dask, config=content)
    return content


def _write(file: Path, content: dict[str, Any]) -> None:
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")  # JSON is YAML


def _refusal(path: Path, error: OSError) -> ClusterError:
    if isinstance(error, FileExistsError):
        return ClusterError(
            f"{error.filename} is there already.",
            "It belongs to another dask-mpi cluster of the same job, or to one that was killed.",
            f"where that has ended, remove it: rm -r {path}",
        )
    return ClusterError(f"{path} cannot be made.", str(error), "make room there, or name another folder.")
