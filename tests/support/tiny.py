"""Build small real wheels, Debian packages, channels and locks."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from containers.channel.conda import File, Package, write_channel

ROOT = Path(__file__).parents[2]
ENVIRONMENT = "name: tiny\nchannels:\n  - conda-forge\ndependencies:\n  - python=3.13\n  - tool\n"
EDITED = {
    "sysconfig/__init__.py": "if True:\n    if True:\n            prefix_scheme = 'posix_local'\n",
    "ensurepip/__init__.py": "x = sysconfig.get_config_var('WHEEL_PKG_DIR')\n",
}
"""The lines of Debian's Python that the channel edits."""


def wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: tuple[str, ...] = (),
    files: dict[str, str] | None = None,
) -> Path:
    """Build a pure wheel: a module of the wheel's name, and `files`."""
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense: BSD-3-Clause\n"
    contents = {
        f"{name}.py": f"version = {version!r}\n",
        f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {r}\n" for r in requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in (contents | (files or {})).items():
            archive.writestr(file, text)
    return path


def deb(
    folder: Path,
    name: str,
    version: str,
    files: dict[str, str],
    *,
    links: dict[str, str] | None = None,
    executable: tuple[str, ...] = (),
    fields: str = "Depends: libc6 (>= 2.17)",
) -> Path:
    """Build a Debian package; `fields` are lines of its control file."""
    tree = folder / f"tree-{name}-{version}"
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: Tests <tests@example.org>\n"
    contents = {"DEBIAN/control": f"{control}{fields}\nDescription: tiny\n"} | files
    for file, text in contents.items():
        path = tree / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if file in executable else 0o644)
    for file, target in (links or {}).items():
        (tree / file).symlink_to(target)
    path = folder / f"{name}_{version}_amd64.deb"
    env = os.environ | {"SOURCE_DATE_EPOCH": "1"}  # makes the package's bytes reproducible
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, path], env=env, check=True, capture_output=True)
    return path


def python_debs(folder: Path, version: str) -> list[Path]:
    """Build packages like Debian's Python: an interpreter, and a library with the files that the channel edits."""
    folder.mkdir(parents=True, exist_ok=True)
    lib = {f"usr/lib/python3.13/{path}": text for path, text in EDITED.items()}
    lib["usr/lib/python3.13/os.py"] = f"# {version}\n"
    return [
        deb(folder, "python3.13-minimal", version, {"usr/bin/python3.13": "#!/bin/sh\n", "usr/share/doc/x": "x"}),
        deb(folder, "libpython3.13-stdlib", version, lib),
    ]


def debs_lock(path: Path, debs: list[Path]) -> Path:
    """Write a lock of these packages."""
    path.write_text("# tiny\n" + "".join(f"{d.name.replace('_', ' ', 2)[:-4]} {sha256(d)}\n" for d in debs))
    return path


def apt_mirror(folder: Path, debs: list[Path]) -> dict[str, str]:
    """Return an environment in which apt has one mirror, with only these packages."""
    for made in ("state/lists/partial", "cache/archives/partial", "etc"):
        (folder / made).mkdir(parents=True, exist_ok=True)
    stanzas = []
    for path in debs:
        control = subprocess.run(["dpkg-deb", "--field", path], check=True, capture_output=True, text=True).stdout
        stanzas.append(f"{control}Filename: {path.name}\nSize: {path.stat().st_size}\nSHA256: {sha256(path)}\n")
    (debs[0].parent / "Packages").write_text("\n".join(stanzas))
    (folder / "etc/sources.list").write_text(f"deb [trusted=yes] file:{debs[0].parent} ./\n")
    (folder / "status").touch()
    config = folder / "apt.conf"
    config.write_text(
        f'Dir::State "{folder}/state"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";\n'
        f'Dir::Etc "{folder}/etc"; APT::Architecture "amd64"; APT::Sandbox::User "";\n'
    )
    env = os.environ | {"APT_CONFIG": str(config)}
    subprocess.run(["apt-get", "-q", "update"], env=env, check=True, capture_output=True)
    return env


def packages(version: str = "1.0", python: str = "deb_1") -> list[Package]:
    """Return a channel's contents: a Python (a script that runs this one) and a package that requires it."""
    interpreter = File(f'#!/bin/sh\nexec {sys.executable} "$@"\n'.encode(), executable=True)
    module = File(f"version = {version!r}\n".encode())
    library = {"bin/python": interpreter, "lib/python3.13/marker.py": File(b"")}
    tool = {"lib/python3.13/site-packages/tool.py": module, "share/tool": File(os.urandom(4096) * 8)}
    return [
        Package(name="python", version="3.13.5", build=python, depends=[], license="PSF-2.0", contents=dict(library)),
        Package(
            name="tool",
            version=version,
            build="py313_0",
            depends=["python 3.13.*"],
            license="BSD-3-Clause",
            contents=dict(tool),
        ),
    ]


def channel(folder: Path, contents: list[Package] | None = None) -> Path:
    """Write a local channel."""
    write_channel(folder, contents or packages())
    return folder


_LOCK = """
import os, pathlib, sys
from containers.channel import __main__ as command, environment
environment.FILE = pathlib.Path(sys.argv.pop(1))
status = command.main()
sys.stdout.flush()
os._exit(status)
"""


def lock(where: Path | str, out: Path) -> subprocess.CompletedProcess[str]:
    """Run the lock command for a channel, with the environment.yml next to the lock instead of ours."""
    environment = out.with_name("environment.yml")
    if not environment.exists():
        environment.write_text(ENVIRONMENT)
    return run("-c", _LOCK, str(environment), "lock", str(where), "--out", str(out))


def install(lock_: Path, prefix: Path, *options: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the installer."""
    script = ROOT / "containers/dask-hpc/install_env.py"
    return run(str(script), "--lock", str(lock_), "--prefix", str(prefix), *map(str, options))


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run Python in the checkout, and capture its output."""
    env = (env or dict(os.environ)) | {"COLUMNS": "200"}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP on the loopback interface."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree(folder: Path) -> dict[str, str]:
    """Return {path: sha256} of all files in a folder."""
    return {str(p.relative_to(folder)): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}
