"""base.sh: the choice of the base image."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.support.bridge_site import executable
from tests.support.scripts import assert_explained, run


def test_rejects_unknown_base(tree: Path, tmp_path: Path) -> None:
    """BASE is `pull` or `bootstrap`; any other value is rejected and not remembered."""
    done = run([tree / "containers/base.sh"], BASE="nonsense", DASK_HPC_CACHE=str(tmp_path))
    what, seen, _todo = assert_explained(done, "base")
    assert "BASE=nonsense" in what
    assert "bootstrap" in seen
    assert not (tmp_path / "base/choice").exists()


def test_remembers_forced_base(tree: Path, tmp_path: Path) -> None:
    """BASE=pull prints the pinned image, by digest; a later run without BASE repeats it without asking a registry."""
    programs = tmp_path / "bin"
    programs.mkdir()
    executable(programs / "docker", f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    settings = {"DASK_HPC_CACHE": str(tmp_path), "PATH": f"{programs}:{os.environ['PATH']}"}
    first = run([tree / "containers/base.sh"], BASE="pull", **settings)
    again = run([tree / "containers/base.sh"], **settings)
    assert first.returncode == again.returncode == 0
    assert first.stdout == again.stdout
    assert re.fullmatch(r"docker-image://docker\.io/library/debian:\S+@sha256:[0-9a-f]{64}\n", first.stdout)
    assert not (tmp_path / "asked").exists()
