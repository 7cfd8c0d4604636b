"""Slurm's commands of another site, as scripts with answers that a mini-cluster never gives."""

from __future__ import annotations

from pathlib import Path

from tests.support.bridge_site import executable


class Commands:
    """A folder of commands; each appends its arguments to `calls`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "calls"
        folder.mkdir(exist_ok=True)
        self.log.touch()

    def __setitem__(self, name: str, script: str) -> None:
        executable(self.folder / name, f'#!/bin/sh\necho "{name} $*" >>{self.log}\n{script}\n')

    def sinfo(self, *partitions: str, nodes: str) -> None:
        """Make sinfo list these partitions and nodes."""
        lines = "\n".join(partitions)
        names = lines.replace("*", "")
        cases = {"-o %P": lines, "-o %R": names, "": nodes}
        texts = {words: f"{text.strip()}\n".lstrip() for words, text in cases.items()}
        script = "".join(f"*'{words}') cat <<'END'\n{text}END\n;;\n" for words, text in texts.items())
        self["sinfo"] = f'case "$*" in\n{script}esac'

    def calls(self, name: str) -> list[str]:
        """Return a command's arguments, one line per call."""
        lines = self.log.read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{name} ")]
