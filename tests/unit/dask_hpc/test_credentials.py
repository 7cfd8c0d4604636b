"""TLS credentials: private, required, and removed afterwards."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from distributed import Client, LocalCluster

from dask_hpc.credentials import credentials

HOUR = timedelta(hours=1)


def test_credentials_are_private_and_removed(tmp_path: Path) -> None:
    """The folder has mode 0700 and its files 0600 during the run; nothing is left afterwards, even after an error."""
    folder = tmp_path / "tls"
    with credentials(folder, HOUR):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert sorted(file.name for file in folder.iterdir()) == ["cert.pem", "key.pem"]
        assert all(file.stat().st_mode & 0o777 == 0o600 for file in folder.iterdir())
    assert not folder.exists()
    with pytest.raises(InterruptedError), credentials(folder, HOUR):
        raise InterruptedError
    assert not folder.exists()


def test_configuration_shows_paths_instead_of_keys(tmp_path: Path) -> None:
    """Workers get paths on their command line, not keys."""
    with credentials(tmp_path / "tls", HOUR) as security:
        shown = str(security.get_tls_config_for_role("worker"))
        assert "PRIVATE KEY" not in shown
        assert str(tmp_path) in shown


def test_certificate_tolerates_wrong_clocks(tmp_path: Path) -> None:
    """The certificate is valid from a day before until a day after its lifetime."""
    with credentials(tmp_path / "tls", HOUR):
        certificate = x509.load_pem_x509_certificate((tmp_path / "tls" / "cert.pem").read_bytes())
    span = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert span == 2 * timedelta(days=1) + HOUR


def test_rejects_existing_folder(tmp_path: Path) -> None:
    """An existing folder is never used for keys."""
    with pytest.raises(FileExistsError), credentials(tmp_path, HOUR):
        pass


def test_rejects_client_with_other_credentials(tmp_path: Path) -> None:
    """A client with the credentials computes; one with others is rejected."""
    with (
        credentials(tmp_path / "ours", HOUR) as ours,
        credentials(tmp_path / "theirs", HOUR) as theirs,
        LocalCluster(
            n_workers=1,
            processes=False,
            host="127.0.0.1",
            protocol="tls",
            dashboard_address="127.0.0.1:0",
            security=ours,
        ) as cluster,
    ):
        assert cluster.scheduler_address.startswith("tls://")
        with Client(cluster.scheduler_address, security=ours) as client:
            assert client.submit(sum, [1, 2]).result() == 3
        with pytest.raises(OSError, match="TLS"):
            Client(cluster.scheduler_address, security=theirs)
