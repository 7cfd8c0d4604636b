"""Conda packages and the channel's index."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

from backports import zstd

from containers.channel.conda import File, Link, Package, write_package
from tests.support import tiny


def test_writes_same_package_twice(tmp_path: Path) -> None:
    """Writing a package twice gives the same bytes, without times, owners or the machine's name; links stay links."""
    contents: dict[str, File | Link] = {"bin/b": File(b"x", executable=True), "bin/a": Link("b")}
    package = Package(name="p", version="1", build="0", depends=[], license="", contents=contents)
    paths = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        paths.append(write_package(tmp_path / name, package))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as outer:
        inner = zstd.decompress(outer.read("pkg-p-1-0.tar.zst"))
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:
        members = tar.getmembers()
    assert [(m.name, m.mode, m.uid, m.uname, m.linkname) for m in members] == [
        ("bin/a", 0o777, 0, "", "b"),
        ("bin/b", 0o755, 0, "", ""),
    ]


def test_index_matches_packages(tmp_path: Path) -> None:
    """The channel's index has the sha256 and size of each package."""
    channel = tiny.channel(tmp_path)
    entries = json.loads((channel / "linux-64/repodata.json").read_text())["packages.conda"]
    assert len(entries) == 2
    for name, entry in entries.items():
        assert entry["sha256"] == tiny.sha256(channel / "linux-64" / name)
        assert entry["size"] == (channel / "linux-64" / name).stat().st_size
