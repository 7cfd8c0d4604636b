"""Reads environment.yml: the few lines of YAML that `conda env create` takes and that this project uses."""

from __future__ import annotations

import re
from pathlib import Path

from containers.channel.errors import ChannelError
from containers.channel.names import pypi_name

FILE = Path(__file__).parents[1] / "dask-hpc" / "environment.yml"


def conda_specs(path: Path) -> list[str]:
    """What the environment asks for, as written."""
    _, found, dependencies = path.read_text().partition("\ndependencies:\n")
    lines = [line.partition(" #")[0].rstrip() for line in dependencies.splitlines()]
    specs = [line for line in lines if line and not line.lstrip().startswith("#")]
    for line in specs:
        if not re.fullmatch(r"  - [\w.-]+ ?([=<>!~][\w.*,<>=!~ ]*)?", line):
            raise ChannelError(f"cannot read {path}", f"'{line}' below 'dependencies:'", "write it as '  - name=1.2'")
    if not found or not specs:
        raise ChannelError(f"cannot read {path}", "nothing below 'dependencies:'", "list the packages there")
    return [line.removeprefix("  - ") for line in specs]


def pypi_requirements(path: Path) -> list[str]:
    """The same by PyPI's names and rules, without Python itself. `=3.1` of conda is `==3.1.*` of PyPI."""
    requirements = []
    for spec in conda_specs(path):
        name, specifier = re.fullmatch(r"([\w.-]+) ?(.*)", spec).groups()  # type: ignore[union-attr]
        if name != "python":
            exact = re.fullmatch(r"=([^=*]+)", specifier)
            requirements.append(pypi_name(name) + (f"=={exact[1]}.*" if exact else specifier))
    return requirements
