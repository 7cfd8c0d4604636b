"""TLS credentials for one run: created at its start, readable only by its user, removed at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Security


_SKEW = timedelta(days=1)  # clocks of nodes differ; a node that is a second behind rejects `Security.temporary()`


@contextmanager
def credentials(folder: Path, lifetime: timedelta) -> Iterator[Security]:
    """Yield credentials that client, scheduler and workers of one run share, and remove them; see `make`."""
    security = make(folder, lifetime)
    try:
        yield security
    finally:
        remove(folder)


def make(folder: Path, lifetime: timedelta) -> Security:
    """Return credentials that client, scheduler and workers of one run share.

    They are files, not strings as in `Security.temporary()`, so that a job script contains paths and no secret.

    Args:
        folder: a new folder, created with mode 0700, on a file system that the nodes share.
        lifetime: the validity of the certificate; a day is added at both ends.

    Raises:
        OSError: the folder exists or cannot be written; nothing new is left behind.
    """
    folder.mkdir(mode=0o700)
    try:
        for path, content in zip(_files(folder), _self_signed(lifetime), strict=True):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
    except BaseException:
        remove(folder)
        raise
    return load(folder)


def load(folder: Path) -> Security:
    """Return the credentials that `make` wrote."""
    from distributed import Security

    cert, key = map(str, _files(folder))
    roles = {
        f"tls_{role}_{kind}": path
        for role in ("client", "scheduler", "worker")
        for kind, path in (("cert", cert), ("key", key))
    }
    return Security(require_encryption=True, tls_ca_file=cert, **roles)


def remove(folder: Path) -> None:
    """Remove the files and the folder that `make` created."""
    for file in _files(folder):
        file.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        folder.rmdir()


def _files(folder: Path) -> tuple[Path, Path]:
    return folder / "cert.pem", folder / "key.pem"


def _self_signed(lifetime: timedelta) -> tuple[bytes, bytes]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "dask-hpc")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime + _SKEW)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return cert.public_bytes(serialization.Encoding.PEM), private
