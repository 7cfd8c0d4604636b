"""Wheels as conda packages."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from containers.channel.conda import PLACEHOLDER, File, Package
from containers.channel.wheels import wheel_package
from tests.support import tiny

SITE = "lib/python3.13/site-packages"


def file(package: Package, path: str) -> File:
    """Return a file of the package."""
    found = package.contents[path]
    assert isinstance(found, File)
    return found


def test_wheel_files_go_where_conda_puts_them(tmp_path: Path) -> None:
    """Modules go to site-packages; a wheel's data and scripts go below the prefix."""
    files = {"w-1.0.data/data/etc/w.conf": "x", "w-1.0.data/scripts/w-run": "#!python\nimport w\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    assert {f"{SITE}/w.py", "etc/w.conf", "bin/w-run"} <= package.contents.keys()
    assert file(package, "bin/w-run").data.startswith(f"#!{PLACEHOLDER}/bin/python3.13\n".encode())
    assert package.stem == "w-1.0-py313_0"


def test_entry_points_become_commands(tmp_path: Path) -> None:
    """Each console script becomes an executable that the installer points to the prefix's Python."""
    points = {"w-1.0.dist-info/entry_points.txt": "[console_scripts]\nWrite = w.cli:app.main [extra]\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=points), "3.13")
    command = package.contents["bin/Write"]
    assert isinstance(command, File)
    assert command.executable
    assert command.relocated
    assert b"from w.cli import app\n" in command.data
    assert b"sys.exit(app.main())" in command.data


def test_record_lists_installed_files(tmp_path: Path) -> None:
    """RECORD names exactly the installed files, without those that are left out."""
    files = {"w-1.0.data/data/share/doc/w.txt": "x", "w-1.0.data/data/share/w": "y"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    rows = list(csv.reader(io.StringIO(file(package, f"{SITE}/w-1.0.dist-info/RECORD").data.decode())))
    assert {row[0] for row in rows} >= {"w.py", "../../../share/w"}
    assert len(rows) == len(package.contents)
    assert not any("share/doc" in row[0] for row in rows)


def test_requirements_are_evaluated_for_target(tmp_path: Path) -> None:
    """Requirements are evaluated for CPython 3.13 on Linux, on any machine, and use conda-forge's names."""
    requires = ("dask>=2026.1", "msgpack", "old; python_version < '3.12'", "win; os_name == 'nt'", "opt; extra == 'x'")
    package = wheel_package(tiny.wheel(tmp_path, "w", requires=requires), "3.13")
    assert package.depends == ["python 3.13.*", "dask-core >=2026.1", "msgpack-python"]


def test_requirement_loses_its_extra(tmp_path: Path) -> None:
    """A requirement with an extra becomes one of the plain package, since conda has no extras."""
    package = wheel_package(tiny.wheel(tmp_path, "w", requires=("requests[socks]>=2",)), "3.13")
    assert package.depends == ["python 3.13.*", "requests >=2"]


def with_modes(wheel: Path, modes: dict[str, int]) -> Path:
    """Set the permissions of a wheel's members."""
    with zipfile.ZipFile(wheel) as old:
        members = {member.filename: old.read(member) for member in old.infolist()}
    with zipfile.ZipFile(wheel, "w") as new:
        for name, data in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = (0o100000 | modes.get(name, 0o644)) << 16
            new.writestr(member, data)
    return wheel


def metadata(tmp_path: Path, *lines: str) -> Package:
    """Return the package of a wheel with these lines of metadata."""
    text = "\n".join(["Metadata-Version: 2.4", "Name: w", "Version: 1.0", *lines, ""])
    return wheel_package(tiny.wheel(tmp_path, "w", files={"w-1.0.dist-info/METADATA": text}), "3.13")


@pytest.mark.parametrize("mode", [0o755, 0o744, 0o645, 0o654])
def test_keeps_executable_bit(tmp_path: Path, mode: int) -> None:
    """Executable members stay executable, in site-packages and below the prefix."""
    names = ("tool/run", "w-1.0.data/data/libexec/run", "w-1.0.data/data/etc/conf")
    wheel = tiny.wheel(tmp_path, "w", files=dict.fromkeys(names, "x"))
    package = wheel_package(with_modes(wheel, dict.fromkeys(names[:2], mode)), "3.13")
    assert file(package, f"{SITE}/tool/run").executable
    assert file(package, "libexec/run").executable
    assert not file(package, "etc/conf").executable
    assert not file(package, f"{SITE}/w.py").executable


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("purelib", f"{SITE}/sub/m.h"),
        ("platlib", f"{SITE}/sub/m.h"),
        ("data", "sub/m.h"),
        ("scripts", "bin/sub/m.h"),
    ],
)
def test_places_data_folders(tmp_path: Path, kind: str, path: str) -> None:
    """The folders of `NAME.data` go where the wheel specification puts them."""
    package = wheel_package(tiny.wheel(tmp_path, "w", files={f"w-1.0.data/{kind}/sub/m.h": "x"}), "3.13")
    assert file(package, path).data == b"x"


def test_headers_are_left_out(tmp_path: Path) -> None:
    """Headers go to `include`, which is left out."""
    package = wheel_package(tiny.wheel(tmp_path, "w", files={"w-1.0.data/headers/m.h": "x"}), "3.13")
    assert not [path for path in package.contents if path.endswith("m.h")]


def test_rewrites_only_shebang_of_scripts(tmp_path: Path) -> None:
    """`#!python` in the first line becomes the prefix's Python; any other script keeps its text."""
    files = {"w-1.0.data/scripts/py": "#!python\nprint('#!python')\n", "w-1.0.data/scripts/sh": "#!/bin/sh\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    script = file(package, "bin/py")
    shell = file(package, "bin/sh")
    assert script.data.decode() == f"#!{PLACEHOLDER}/bin/python3.13\nprint('#!python')\n"
    assert (script.executable, script.relocated) == (True, True)
    assert (shell.data, shell.executable, shell.relocated) == (b"#!/bin/sh\n", True, False)


def test_command_runs_prefix_python(tmp_path: Path) -> None:
    """A console script imports and calls its function with the prefix's Python."""
    text = "[gui_scripts]\nwin = w:gui\n[console_scripts]\nw:x = w.cli:main [a,b]\n"
    files = {"w-1.0.dist-info/entry_points.txt": text}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    lines = file(package, "bin/w:x").data.decode().splitlines()
    assert lines[0] == f"#!{PLACEHOLDER}/bin/python3.13"
    assert "from w.cli import main" in lines
    assert "    sys.exit(main())" in lines
    assert "bin/win" not in package.contents
    assert f"{SITE}/w.py" in package.contents


def test_plugins_are_no_commands(tmp_path: Path) -> None:
    """A wheel that has only plugins gets no command."""
    files = {"w-1.0.dist-info/entry_points.txt": "[pytest11]\nw = w\n"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    assert not [path for path in package.contents if path.startswith("bin/")]


def test_record_has_hash_and_size_of_every_file(tmp_path: Path) -> None:
    """RECORD has a hash and a size for each file, except for itself and for files that the installer rewrites."""
    files = {"w-1.0.data/scripts/w": "#!python\n", "w-1.0.data/data/etc/w.conf": "some text"}
    package = wheel_package(tiny.wheel(tmp_path, "w", files=files), "3.13")
    record = f"{SITE}/w-1.0.dist-info/RECORD"
    rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(file(package, record).data.decode()))}
    assert rows.pop("w-1.0.dist-info/RECORD") == ["", ""]
    assert rows.pop("../../../bin/w") == ["", ""]
    assert {"w.py", "../../../etc/w.conf"} <= rows.keys()
    for path, (digest, size) in rows.items():
        data = file(package, f"{SITE}/{path}".replace(f"{SITE}/../../../", "")).data
        assert digest == "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        assert int(size) == len(data)


def test_installer_is_conda(tmp_path: Path) -> None:
    """INSTALLER names conda, so pip does not touch the package."""
    package = wheel_package(tiny.wheel(tmp_path, "w"), "3.13")
    assert file(package, f"{SITE}/w-1.0.dist-info/INSTALLER").data == b"conda\n"


@pytest.mark.parametrize(
    ("lines", "licence"),
    [
        (["License-Expression: MIT"], "MIT"),
        (["License-Expression: MIT", "License: other"], "MIT"),
        (["License: BSD\n        All the text of it"], "BSD"),
        ([], ""),
    ],
)
def test_reads_licence(tmp_path: Path, lines: list[str], licence: str) -> None:
    """The licence is the License-Expression, or the first line of the older field."""
    assert metadata(tmp_path, *lines).license == licence


@pytest.mark.parametrize(
    "marker",
    [
        "implementation_name == 'cpython' and implementation_version == '3.13.0'",
        "os_name == 'posix'",
        "platform_machine == 'x86_64'",
        "platform_python_implementation == 'CPython'",
        "platform_system == 'Linux'",
        "python_full_version == '3.13.0'",
        "python_version == '3.13'",
        "sys_platform == 'linux'",
        "extra == ''",
    ],
)
def test_evaluates_markers_for_environment(tmp_path: Path, marker: str) -> None:
    """Markers have the values of CPython on Linux, x86_64, on any building machine."""
    package = metadata(tmp_path, f"Requires-Dist: other; {marker}")
    assert package.depends == ["python 3.13.*", "other"]


def test_skips_only_inapplicable_requirements(tmp_path: Path) -> None:
    """A requirement for another platform is skipped, and the next one is kept; specifiers have no spaces."""
    lines = ("Requires-Dist: win; os_name == 'nt'", "Requires-Dist: other >= 1, < 2")
    assert metadata(tmp_path, *lines).depends == ["python 3.13.*", "other <2,>=1"]
