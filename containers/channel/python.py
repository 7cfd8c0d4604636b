"""Repackage Debian's Python as the conda package `python`, without compiling anything.

Debian's interpreter finds its prefix from its own location, as conda requires. Only the folder of packages is
Debian's own (dist-packages): ADDED and EDITS set conda's, which is upstream's.
"""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from pathlib import Path

from containers.channel.conda import File, Link, Package
from containers.channel.errors import ChannelError

# Below lib/pythonX.Y. The interpreter has Debian's folders compiled in. It reads a .pth file in them at every start,
# even if a user has a sitecustomize, and also in virtual environments that see the environment's packages.
ADDED = {
    "dist-packages/conda_layout.pth": b"import _conda_layout\n",
    "_conda_layout.py": b'''\
"""Packages live where conda and upstream have them; Debian's interpreter has dist-packages frozen into it."""

import os
import site
import sys


def getsitepackages(prefixes=None):
    prefixes = dict.fromkeys(filter(None, site.PREFIXES if prefixes is None else prefixes))
    return [os.path.join(prefix, "lib", "python%d.%d" % sys.version_info[:2], "site-packages") for prefix in prefixes]


site.getsitepackages = getsitepackages
for folder in getsitepackages():
    if folder not in sys.path:
        site.addsitedir(folder)
debians = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dist-packages")
sys.path[:] = [folder for folder in sys.path if folder != debians]
''',
}
# {file: (Debian's text, upstream's and conda's text)}
EDITS = {
    # the folder of packages, as sysconfig reports it
    "sysconfig/__init__.py": (b"prefix_scheme = 'posix_local'", b"prefix_scheme = 'posix_prefix'"),
    # where `python -m venv` finds pip: Debian has it in a separate package
    "ensurepip/__init__.py": (
        b"sysconfig.get_config_var('WHEEL_PKG_DIR')",
        b"str(Path(__file__).with_name('_bundled'))",
    ),
}
# Below /usr: documentation, menus, and the registration of the system's Python.
LEFT_OUT = ("share/", "lib/binfmt.d/", "lib/python3/")
# Below lib/pythonX.Y: a hook of Debian's desktop (a link into /etc), "use apt, not pip", the interpreter's tests.
LEFT_OUT_OF_LIB = ("sitecustomize.py", "EXTERNALLY-MANAGED", "test/", "_distutils_system_mod.py")


def python_package(debs: list[Path], python: str, pip: Path | None = None) -> Package:
    """Turn Debian's Python debs into one conda package.

    Args:
        debs: Debian's packages, all of one version.
        python: Version of Python, X.Y.
        pip: Wheel that `python -m venv` installs.

    Raises:
        ChannelError: The debs differ in version, have another version than `python`, or EDITS do not apply.
    """
    version = _one_version(debs)
    upstream, _, revision = version.rpartition("-")
    if not upstream.startswith(f"{python}."):
        raise ChannelError(
            f"Debian's Python is not {python}",
            f"version {version}",
            "set PYTHON_VERSION in versions.env, then `make lock`",
        )
    lib = f"lib/python{python}"
    contents: dict[str, File | Link] = {}
    for deb in debs:
        contents |= _contents(deb, f"{lib}/")
    for path in EDITS:
        contents[f"{lib}/{path}"] = _edited(path, contents.get(f"{lib}/{path}"))
    contents |= {f"{lib}/{path}": File(text) for path, text in ADDED.items()}
    if pip:
        contents[f"{lib}/ensurepip/_bundled/{pip.name}"] = File(pip.read_bytes())
    contents |= {"bin/python": Link(f"python{python}"), "bin/python3": Link(f"python{python}")}
    return Package(
        name="python",
        version=upstream,
        build="deb_" + re.sub(r"[^A-Za-z0-9.]", "_", revision),
        depends=[f"__glibc >={_glibc(debs)}"],
        license="PSF-2.0",
        contents=contents,
    )


def _contents(deb: Path, lib: str) -> dict[str, File | Link]:
    """Return the files of a deb below /usr that belong in an environment."""
    archive = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, stdout=subprocess.PIPE).stdout
    found: dict[str, File | Link] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            path = member.name.removeprefix("./usr/")
            outside = path == member.name or path.startswith(LEFT_OUT)
            if outside or member.isdir() or path.startswith(tuple(lib + p for p in LEFT_OUT_OF_LIB)):
                continue
            if member.issym():
                found[path] = Link(member.linkname)
            elif data := tar.extractfile(member):
                found[path] = File(data.read(), executable=bool(member.mode & 0o111))
    return found


def _edited(path: str, file: File | Link | None) -> File:
    old, new = EDITS[path]
    if not isinstance(file, File) or old not in file.data:
        raise ChannelError(
            "cannot move Debian's Python to conda's layout",
            f"{path} has no {old.decode()}",
            "look at that file, and correct EDITS in containers/channel/python.py",
        )
    return File(file.data.replace(old, new), file.executable)


def _one_version(debs: list[Path]) -> str:
    versions = {deb.name: _field(deb, "Version") for deb in debs}
    if len(set(versions.values())) != 1:
        raise ChannelError(
            "Debian's Python packages differ in version",
            ", ".join(f"{name}: {version}" for name, version in sorted(versions.items())),
            "wait until the mirror has all of them, then build again",
        )
    return next(iter(versions.values()))


def _glibc(debs: list[Path]) -> str:
    """Return the oldest glibc that the debs run on."""
    needs = " ".join(_field(deb, field) for deb in debs for field in ("Depends", "Pre-Depends"))
    found = re.findall(r"libc6 \(>= ([0-9.]+)\)", needs)
    return max(found, key=lambda v: [int(n) for n in v.split(".")], default="2.17")


def _field(deb: Path, field: str) -> str:
    done = subprocess.run(["dpkg-deb", "--field", deb, field], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()
