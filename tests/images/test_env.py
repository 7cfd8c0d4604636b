"""The contents of the dask-hpc image, without a network and without activation."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from typing import IO, Any

import pytest

from tests.images.conftest import Run

SITE = "/opt/env/lib/python3.13/site-packages"


@pytest.fixture(scope="module")
def saved(image: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the image's layers, from `docker save`."""
    folder = tmp_path_factory.mktemp("image")
    with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as process:
        assert process.stdout
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            tar.extractall(folder, filter="data")
    assert process.returncode == 0
    return folder


@pytest.fixture(scope="module")
def layers(saved: Path) -> list[Path]:
    """The layers, from the base up."""
    found: list[str] = json.loads((saved / "manifest.json").read_text())[0]["Layers"]
    return [saved / name for name in found]


def test_environment_is_active(in_image: Run) -> None:
    """`docker run dask-hpc python -c …` runs the environment's Python, with all packages of environment.yml."""
    names = (
        "numpy, dask, distributed, dask_jobqueue, dask_mpi, mpi4py.MPI, bokeh, cryptography, msgspec, rich, dask_hpc"
    )
    done = in_image("python", "-W", "error::ImportWarning", "-c", f"import sys, {names}; print(sys.prefix)")
    assert done.stdout == "/opt/env\n"


def test_packages_are_in_site_packages(in_image: Run) -> None:
    """Modules, `site` and `sysconfig` agree on the site-packages folder."""
    code = "import numpy, site, sysconfig as s; print(*numpy.__path__, *site.getsitepackages(), s.get_path('purelib'))"
    assert in_image("python", "-c", code).stdout.split() == [f"{SITE}/numpy", SITE, SITE]


def test_standard_library_is_complete(in_image: Run) -> None:
    """Modules that link to system libraries can be imported."""
    names = "bz2, ctypes, curses, decimal, lzma, readline, sqlite3, ssl, uuid, xml.parsers.expat, zlib, zoneinfo"
    in_image("python", "-c", f"import {names}; ssl.create_default_context()")


def test_pytest_is_installed(in_image: Run) -> None:
    """Tests can run in the image."""
    assert "pytest 9." in in_image("python", "-m", "pytest", "--version").stdout


def test_commands_start(in_image: Run) -> None:
    """Console scripts find the environment's Python."""
    for command in ("dask", "dask-hpc", "bokeh", "pytest"):
        in_image(command, "--help")


def test_dask_creates_temporary_certificates(in_image: Run) -> None:
    """Dask can create its temporary TLS certificates."""
    code = "from distributed.security import Security; assert Security.temporary().require_encryption"
    in_image("python", "-c", code)


def test_mpirun_forms_one_world(in_image: Run) -> None:
    """Two ranks find each other, and print nothing else."""
    done = in_image("mpirun", "-n", "2", "python", "-m", "mpi4py.bench", "helloworld")
    assert sorted(line.partition(" on ")[0] for line in done.stdout.splitlines()) == [
        "Hello, World! I am process 0 of 2",
        "Hello, World! I am process 1 of 2",
    ]
    assert done.stderr == ""


def test_mpirun_starts_more_ranks_than_cores(in_image: Run) -> None:
    """mpirun can start more ranks than there are cores, and large messages pass between them."""
    done = in_image(
        "mpirun", "-n", "6", "python", "-m", "mpi4py.bench", "ringtest", "-n", "1000000", options=("--cpus=2",)
    )
    assert "(6 processes, 1000000 bytes)" in done.stdout


def test_runs_as_unprivileged_user(in_image: Run) -> None:
    """Commands run as `hpc`, uid and gid 1000, in its own writable home folder."""
    done = in_image("sh", "-c", "id -un; id -u; id -g; pwd; touch file && ls")
    assert done.stdout.split() == ["hpc", "1000", "1000", "/home/hpc", "file"]


def test_runs_as_any_user(in_image: Run) -> None:
    """The image works for an unknown user and on a read-only root, as in a SIF."""
    options = ("--user", "12345:12345", "--read-only", "--tmpfs", "/tmp", "--env", "HOME=/tmp")
    in_image("python", "-c", "import distributed", options=options)


def test_ignores_user_site(in_image: Run) -> None:
    """Packages in a home folder are not imported."""
    code = "import site, sys; assert not site.ENABLE_USER_SITE; assert not [p for p in sys.path if '/home' in p]"
    in_image("python", "-c", code)


def test_sets_environment_variables(in_image: Run) -> None:
    """The environment sets one thread per rank and MPI's settings, and has no variables of the build."""
    lines = dict(line.split("=", 1) for line in in_image("env").stdout.splitlines())
    wanted = {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONNOUSERSITE": "1",
        "PMIX_MCA_psec": "native",
        "PMIX_MCA_gds": "hash",
    }
    assert wanted.items() <= lines.items()
    assert not [name for name in lines if name.startswith(("PIP_", "SSL_", "REQUESTS_", "CURL_"))]


def test_dask_yaml_sets_intervals_that_users_can_override(in_image: Run) -> None:
    """`dask.yaml` sets the profiler and tick intervals, and a user's own configuration overrides them."""
    show = "print(*map(dask.config.get, ('{0}.worker.profile.interval', '{0}.admin.tick.interval')))"
    code = f"import distributed, dask; {show.format('distributed')}"
    assert in_image("python", "-c", code).stdout.split() == ["100ms", "200ms"]
    own = "mkdir -p ~/.config/dask; echo 'distributed: {admin: {tick: {interval: 20ms}}}' >~/.config/dask/own.yaml"
    assert in_image("sh", "-c", f'{own}; python -c "{code}"').stdout.split() == ["100ms", "20ms"]


def test_records_release_and_commit(in_image: Run, versions: dict[str, str]) -> None:
    """The image records its release and commit."""
    release = json.loads(in_image("cat", "/opt/env/share/dask-hpc/version.json").stdout)
    assert release["version"] == versions["VERSION"]
    assert release["revision"]
    assert versions["VERSION"] in in_image("dask-hpc", "--version").stdout


def test_modules_have_unchecked_bytecode(in_image: Run) -> None:
    """Every module except packages' tests has bytecode that is never checked against its source."""
    code = f"""
import importlib.util, pathlib, re
for top in ("/opt/env/lib/python3.13", "/opt/env/share/dask-hpc/workloads"):
    for source in pathlib.Path(top).rglob("*.py"):
        compiled = pathlib.Path(importlib.util.cache_from_source(str(source)))
        if re.search("/site-packages/.*/tests?/", str(source)):
            assert not compiled.exists(), compiled
        elif not compiled.exists() or compiled.read_bytes()[4:8] != b"\\1\\0\\0\\0":
            print(source)
import dask_hpc
assert dask_hpc.__file__.startswith("{SITE}")
"""
    assert in_image("python", "-c", code).stdout == ""


def test_records_lock_file_and_packages(in_image: Run, root: Path) -> None:
    """The image records the lock file that it was installed from, and its packages."""
    identity: dict[str, Any] = json.loads(in_image("cat", "/opt/env/share/dask-hpc/env.json").stdout)
    lock = root / "containers/dask-hpc/locks/local-linux-64.lock"
    if identity["channel"] != "file:///channel/":
        pytest.skip(f"the image was built from another channel: {identity['channel']}")
    assert identity["lock_sha256"] == hashlib.sha256(lock.read_bytes()).hexdigest()
    assert identity["platform"] == "linux-64"
    assert identity["drifted"] is bool(identity["drift"])
    code = "from importlib.metadata import version; print(version('distributed'))"
    assert identity["packages"]["distributed"] == in_image("python", "-c", code).stdout.strip()


def test_package_records_list_existing_files(in_image: Run) -> None:
    """Every file in a package's RECORD, as rewritten by the channel, exists."""
    code = """
from importlib.metadata import distributions
for d in distributions():
    for file in d.files or []:
        if not file.locate().exists():
            print(d.name, file)
"""
    assert in_image("python", "-c", code).stdout == ""


def test_contains_every_workload(in_image: Run, root: Path) -> None:
    """Every workload of the checkout is in the image."""
    there = in_image("sh", "-c", "ls /opt/env/share/dask-hpc/workloads/*.py").stdout.split()
    assert {Path(p).name for p in there} == {p.name for p in (root / "workloads").glob("*.py")}


def test_contains_no_build_leftovers(in_image: Run) -> None:
    """The image contains no package lists, no caches and no build tools."""
    code = "ls -d /opt/* ; find /var/lib/apt/lists /var/cache/apt /var/log -type f 2>/dev/null -size +0 || true"
    done = in_image("sh", "-c", code, options=("--user", "0"))
    assert done.stdout.split() == ["/opt/env"]


def test_labels_name_source_release_and_licence(config: dict[str, Any], versions: dict[str, str]) -> None:
    """The OCI labels give the source, release and licence."""
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["version"] == versions["VERSION"]
    assert labels.keys() >= {"source", "revision", "licenses", "title"}


def test_no_layer_contains_host_certificates(layers: list[Path], saved: Path) -> None:
    """No layer contains the build host's CA bundle, in whole or in part, nor does the history."""
    bundles = [
        p for p in (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt")) if p.exists()
    ]
    if not bundles:
        pytest.skip("this machine has no CA bundle")
    secret = bundles[0].read_bytes()
    for layer in layers:
        with tarfile.open(layer) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                assert not file or not _shares(file, secret), f"{member.name} in {layer.name}"
                assert "secrets/ca-bundle" not in member.name or member.size == 0
    history = " ".join(str(step) for p in saved.rglob("*.json") for step in json.loads(p.read_text()))
    assert "BEGIN CERTIFICATE" not in history


def _shares(file: IO[bytes], secret: bytes) -> bool:
    """Return whether a file is the bundle, or contains its end: certificates that only this machine trusts."""
    data = file.read()
    return data == secret or (b"BEGIN CERTIFICATE" in data and secret[-1000:] in data)
