"""The private folder of one dask-mpi cluster, on a file system that its nodes share.

It contains the scheduler file, the credentials, and `dask.yaml`: a Dask configuration that names the credentials, as
dask-mpi has no option for them. Only its user can enter the folder, and it is removed with its cluster.
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
_LIFETIME = timedelta(days=14)  # of the credentials, if the cluster's wall time is unknown


class Folder:
    """Paths in the folder, which need not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def scheduler_file(self) -> Path:
        """File with the scheduler's address."""
        return self.path / "scheduler.json"

    @property
    def config(self) -> Path:
        """Dask configuration for all processes of the cluster, and for clients."""
        return self.path / "dask.yaml"

    @property
    def tls(self) -> Path:
        """Folder of the credentials."""
        return self.path / "tls"

    def security(self) -> Security:
        """Return the credentials of a client."""
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
        """Create the folder, and remove it after the block.

        Args:
            tls: create credentials.
            lifetime: validity of the credentials.
            settings: settings of the cluster.
            of_dask: further Dask configuration, by dotted name.

        Raises:
            ClusterError: the folder exists already, or cannot be created.
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
        """Create the folder; arguments and errors as in `kept`."""
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
        """Remove the folder and its files; raise `OSError` if it contains other files."""
        if self.tls.is_dir():
            credentials.remove(self.tls)
        for file in (self.scheduler_file, self.config):
            file.unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # when the world breaks, every rank does this
            self.path.rmdir()


def configuration(security: Security | None, settings: MpiSettings, of_dask: Mapping[str, object]) -> dict[str, Any]:
    """Return the Dask configuration for all processes of the cluster, with paths but no secrets."""
    from dask import config

    content: dict[str, Any] = {
        "distributed": {"scheduler": {"preload": [PRELOAD]}, "worker": {"preload": [PRELOAD]}},
        # omit tracebacks of connections and tasks that end as expected
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
            f"{error.filename} already exists.",
            "It belongs to another dask-mpi cluster of the same job, or to one that was killed.",
            f"if that cluster has ended, remove the folder: rm -r {path}",
        )
    return ClusterError(f"Cannot create {path}.", str(error), "free some space there, or name another folder.")
