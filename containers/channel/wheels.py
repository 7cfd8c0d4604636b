"""Convert a wheel into a conda package: its files in conda-forge's layout, its commands and its dependencies.

Ref: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

from __future__ import annotations

import base64
import configparser
import hashlib
import posixpath
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

from containers.channel.conda import PLACEHOLDER, File, Link, Package
from containers.channel.names import conda_name
from containers.channel.strip import is_left_out

COMMAND = """\
#!{python}
import sys
from {module} import {top}
if __name__ == "__main__":
    sys.exit({function}())
"""


def wheel_package(wheel: Path, python: str) -> Package:
    """Turn a wheel into a package for CPython `python` ("3.13") on Linux, x86_64."""
    site = f"lib/python{python}/site-packages"
    with zipfile.ZipFile(wheel) as archive:
        members = [m for m in archive.infolist() if not m.is_dir()]
        found = dict(_placed(m, archive.read(m), site=site, python=python) for m in members)
    dist_info = next(PurePosixPath(p).parent for p in found if p.endswith(".dist-info/METADATA"))
    metadata = BytesParser().parsebytes(found[f"{dist_info}/METADATA"].data)
    if entry_points := found.get(f"{dist_info}/entry_points.txt"):
        found |= _commands(entry_points.data.decode(), python)
    kept = {path: file for path, file in found.items() if not is_left_out(path)}
    kept[f"{dist_info}/INSTALLER"] = File(b"conda\n")
    kept[f"{dist_info}/RECORD"] = _record(kept, site, f"{dist_info}/RECORD")
    contents: dict[str, File | Link] = dict(kept)
    return Package(
        name=conda_name(metadata["Name"]),
        version=metadata["Version"],
        build=f"py{python.replace('.', '')}_0",
        depends=[f"python {python}.*", *_needs(metadata, python)],
        license=metadata["License-Expression"] or (metadata["License"] or "").partition("\n")[0],
        contents=contents,
    )


def _placed(member: zipfile.ZipInfo, data: bytes, *, site: str, python: str) -> tuple[str, File]:
    """Return a wheel member's path below the prefix, and its content."""
    executable = bool(member.external_attr >> 16 & 0o111)
    head, _, rest = member.filename.partition("/")
    if not head.endswith(".data"):
        return f"{site}/{member.filename}", File(data, executable)
    kind, _, rest = rest.partition("/")
    if kind == "scripts":
        script = data.replace(b"#!python", f"#!{PLACEHOLDER}/bin/python{python}".encode(), 1)
        return f"bin/{rest}", File(script, executable=True, relocated=script != data)
    roots = {"data": "", "purelib": f"{site}/", "platlib": f"{site}/", "headers": f"include/python{python}/"}
    return roots[kind] + rest, File(data, executable)


def _commands(entry_points: str, python: str) -> dict[str, File]:
    """Return the commands that an installer would make from a wheel's entry points."""
    config = configparser.ConfigParser(delimiters="=", interpolation=None)
    config.optionxform = str  # type: ignore[assignment,method-assign]  # names of commands are case-sensitive
    config.read_string(entry_points)
    commands = {}
    for name, reference in config["console_scripts"].items() if "console_scripts" in config else ():
        module, _, function = reference.partition("[")[0].strip().partition(":")
        text = COMMAND.format(
            python=f"{PLACEHOLDER}/bin/python{python}", module=module, top=function.partition(".")[0], function=function
        )
        commands[f"bin/{name}"] = File(text.encode(), executable=True, relocated=True)
    return commands


def _record(files: dict[str, File], site: str, own: str) -> File:
    """Return RECORD for these files. RECORD itself, and files that the installer rewrites, have no hash."""
    lines = []
    for path, file in sorted(files.items()):
        digest = base64.urlsafe_b64encode(hashlib.sha256(file.data).digest()).rstrip(b"=").decode()
        checked = "," if file.relocated or path == own else f"sha256={digest},{len(file.data)}"
        lines.append(f"{posixpath.relpath(path, site)},{checked}\n")
    return File("".join(lines).encode())


def _needs(metadata: Message, python: str) -> list[str]:
    """Return the wheel's requirements on this platform in conda's terms; packages for extras come from the lock."""
    needs = []
    for text in metadata.get_all("Requires-Dist") or []:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate(_platform(python)):
            continue
        needs.append(f"{conda_name(requirement.name)} {str(requirement.specifier).replace(' ', '')}".strip())
    return needs


def _platform(python: str) -> dict[str, str]:
    """Return the values of markers in the environment, which may differ from the building machine's."""
    return {
        "extra": "",
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
