"""The image dask-hpc: what a person finds in it, without a network and without activating anything."""

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
    """The image as `docker save` has it: a folder with its layers."""
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


def test_the_environment_is_active(in_image: Run) -> None:
    """`docker run dask-hpc python -c …` runs the environment's Python, with all that environment.yml asks for."""
    names = (
        "numpy, dask, distributed, dask_jobqueue, dask_mpi, mpi4py.MPI, bokeh, cryptography, msgspec, rich, dask_hpc"
    )
    done = in_image("python", "-W", "error::ImportWarning", "-c", f"import sys, {names}; print(sys.prefix)")
    assert done.stdout == "/opt/env\n"


def test_packages_live_where_condas_do(in_image: Run) -> None:
    """Modules, `site` and `sysconfig` agree on site-packages."""
    code = "import numpy, site, sysconfig as s; print(*numpy.__path__, *site.getsitepackages(), s.get_path('purelib'))"
    assert in_image("python", "-c", code).stdout.split() == [f"{SITE}/numpy", SITE, SITE]


def test_the_standard_library_is_whole(in_image: Run) -> None:
    """What links to a library of the system loads."""
    names = "bz2, ctypes, curses, decimal, lzma, readline, sqlite3, ssl, uuid, xml.parsers.expat, zlib, zoneinfo"
    in_image("python", "-c", f"import {names}; ssl.create_default_context()")


def test_a_tool_of_the_environment(in_image: Run) -> None:
    """Tests run in the image."""
    assert "pytest 9." in in_image("python", "-m", "pytest", "--version").stdout


def test_commands_start(in_image: Run) -> None:
    """Commands made of entry points find the environment's Python."""
    for command in ("dask", "dask-hpc", "bokeh", "pytest"):
        in_image(command, "--help")


def test_tls(in_image: Run) -> None:
    """Dask can make its temporary certificates."""
    code = "from distributed.security import Security; assert Security.temporary().require_encryption"
    in_image("python", "-c", code)


def test_mpi(in_image: Run) -> None:
    """Two ranks find each other, and say nothing but what they are asked."""
    done = in_image("mpirun", "-n", "2", "python", "-m", "mpi4py.bench", "helloworld")
    assert sorted(line.partition(" on ")[0] for line in done.stdout.splitlines()) == [
        "Hello, World! I am process 0 of 2",
        "Hello, World! I am process 1 of 2",
    ]
    assert done.stderr == ""


def test_more_ranks_than_cores(in_image: Run) -> None:
    """mpirun may start more ranks than there are cores, and large messages pass between them."""
    done = in_image(
        "mpirun", "-n", "6", "python", "-m", "mpi4py.bench", "ringtest", "-n", "1000000", options=("--cpus=2",)
    )
    assert "(6 processes, 1000000 bytes)" in done.stdout


def test_runs_as_a_person(in_image: Run) -> None:
    """Work runs as `hpc`, uid and gid 1000, in a home of its own that it can write."""
    done = in_image("sh", "-c", "id -un; id -u; id -g; pwd; touch file && ls")
    assert done.stdout.split() == ["hpc", "1000", "1000", "/home/hpc", "file"]


def test_runs_as_anybody(in_image: Run) -> None:
    """It works for a user that the image does not know and on a read-only root, as a SIF is run."""
    options = ("--user", "12345:12345", "--read-only", "--tmpfs", "/tmp", "--env", "HOME=/tmp")
    in_image("python", "-c", "import distributed", options=options)


def test_no_user_site(in_image: Run) -> None:
    """Packages of a home folder do not leak in."""
    code = "import site, sys; assert not site.ENABLE_USER_SITE; assert not [p for p in sys.path if '/home' in p]"
    in_image("python", "-c", code)


def test_environment_variables(in_image: Run) -> None:
    """One thread a rank, MPI's settings, and nothing of the builder's."""
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


def test_dask_wakes_workers_seldom_unless_told_otherwise(in_image: Run) -> None:
    """Profiler and tick have the intervals of `dask.yaml`, and a user's own configuration goes before them."""
    show = "print(*map(dask.config.get, ('{0}.worker.profile.interval', '{0}.admin.tick.interval')))"
    code = f"import distributed, dask; {show.format('distributed')}"
    assert in_image("python", "-c", code).stdout.split() == ["100ms", "200ms"]
    own = "mkdir -p ~/.config/dask; echo 'distributed: {admin: {tick: {interval: 20ms}}}' >~/.config/dask/own.yaml"
    assert in_image("sh", "-c", f'{own}; python -c "{code}"').stdout.split() == ["100ms", "20ms"]


def test_release(in_image: Run, versions: dict[str, str]) -> None:
    """The image knows which release it is, and of which commit."""
    release = json.loads(in_image("cat", "/opt/env/share/dask-hpc/version.json").stdout)
    assert release["version"] == versions["VERSION"]
    assert release["revision"]
    assert versions["VERSION"] in in_image("dask-hpc", "--version").stdout


def test_bytecode(in_image: Run) -> None:
    """Every module but packages' tests has bytecode, never checked against its source: nothing is compiled there."""
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


def test_identity(in_image: Run, root: Path) -> None:
    """The image says which lock it was installed from, and what of."""
    identity: dict[str, Any] = json.loads(in_image("cat", "/opt/env/share/dask-hpc/env.json").stdout)
    lock = root / "containers/dask-hpc/locks/local-linux-64.lock"
    if identity["channel"] != "file:///channel/":
        pytest.skip(f"the image is of another channel: {identity['channel']}")
    assert identity["lock_sha256"] == hashlib.sha256(lock.read_bytes()).hexdigest()
    assert identity["platform"] == "linux-64"
    assert identity["drifted"] is bool(identity["drift"])
    code = "from importlib.metadata import version; print(version('distributed'))"
    assert identity["packages"]["distributed"] == in_image("python", "-c", code).stdout.strip()


def test_metadata_names_files_that_are_there(in_image: Run) -> None:
    """RECORD of each package, as rewritten by the channel, is true."""
    code = """
from importlib.metadata import distributions
for d in distributions():
    for file in d.files or []:
        if not file.locate().exists():
            print(d.name, file)
"""
    assert in_image("python", "-c", code).stdout == ""


def test_workloads_are_there(in_image: Run, root: Path) -> None:
    """Every workload of the checkout is in the image."""
    there = in_image("sh", "-c", "ls /opt/env/share/dask-hpc/workloads/*.py").stdout.split()
    assert {Path(p).name for p in there} == {p.name for p in (root / "workloads").glob("*.py")}


def test_nothing_of_the_build_is_left(in_image: Run) -> None:
    """Neither package lists nor caches nor the builder's tools are in the image."""
    code = "ls -d /opt/* ; find /var/lib/apt/lists /var/cache/apt /var/log -type f 2>/dev/null -size +0 || true"
    done = in_image("sh", "-c", code, options=("--user", "0"))
    assert done.stdout.split() == ["/opt/env"]


def test_labels(config: dict[str, Any], versions: dict[str, str]) -> None:
    """The OCI labels say whose it is, which release, and under which licence."""
    labels = {name.removeprefix("org.opencontainers.image."): value for name, value in config["Labels"].items()}
    assert labels["version"] == versions["VERSION"]
    assert labels.keys() >= {"source", "revision", "licenses", "title"}


def test_the_hosts_certificates_are_in_no_layer(layers: list[Path], saved: Path) -> None:
    """The bundle with which the image was built is in no layer, whole or in part, nor in the history."""
    bundles = [
        p for p in (Path("/etc/ssl/certs/ca-certificates.crt"), Path("/etc/pki/tls/certs/ca-bundle.crt")) if p.exists()
    ]
    if not bundles:
        pytest.skip("this machine has no bundle")
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
    """Whether a file is the bundle, or ends in what is appended to one: certificates that this machine alone trusts."""
    data = file.read()
    return data == secret or (b"BEGIN CERTIFICATE" in data and secret[-1000:] in data)
