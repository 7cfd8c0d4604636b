"""Read environment.yml, ours or a user's own, and translate its specs between conda and PyPI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import InvalidRequirement, Requirement

from containers.channel.errors import ChannelError
from containers.channel.names import conda_name, pypi_name

FILE = Path(__file__).parents[1] / "dask-hpc" / "environment.yml"

_VERSION = r"(?:[=!<>~]=|[=<>]) *[\w.*+!]+"
_SPEC = re.compile(rf"(?:[\w.-]+::)?([\w.-]+) *((?:{_VERSION}(?: *, *{_VERSION})*)?)")
_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_KEYS = {"name", "channels", "dependencies", "prefix"}
_EXAMPLE = "write it as '  - name=1.2'"


@dataclass(frozen=True)
class Environment:
    """An environment as specified in environment.yml.

    Attributes:
        name: Name of the image and the SIF.
        specs: Conda specs, by the package's conda name.
        pypi: Requirements below `pip:`, by conda name. They come from PyPI and are locked, like all others.
    """

    name: str
    specs: dict[str, str]
    pypi: dict[str, str]

    def conda_specs(self) -> list[str]:
        """Return the specs for a conda solver; packages below `pip:` are pinned, so their names are enough."""
        return [*self.specs.values(), *self.pypi]

    def requirements(self) -> list[str]:
        """Return the requirements in PyPI's terms, without Python itself. Conda's `=3.1` is PyPI's `==3.1.*`."""
        found = []
        for name, spec in self.specs.items():
            specifier = _SPEC.fullmatch(spec)[2]  # type: ignore[index]  # `read` has checked it
            if name != "python":
                found.append(pypi_name(name) + re.sub(r"(^|,) *= *([\w.!]+?)(\.?\*)?(?=,|$| )", r"\1==\2.*", specifier))
        return [*found, *self.pypi.values()]

    def over(self, other: Environment) -> Environment:
        """Return this environment, completed with the packages of another one that it does not name."""
        own = self.specs.keys() | self.pypi.keys()
        specs = {name: spec for name, spec in other.specs.items() if name not in own}
        pypi = {name: spec for name, spec in other.pypi.items() if name not in own}
        return Environment(self.name, specs | self.specs, pypi | self.pypi)


def own(path: Path) -> Environment:
    """Read a user's own file, and add our packages: an image needs the dependencies of `dask-hpc` itself.

    Raises:
        ChannelError: as `read`; or the file uses our name, or another Python than the images.
    """
    ours = read(FILE)
    found = read(path)
    if path.resolve() == FILE:
        return ours
    if found.name == ours.name:
        todo = "choose another name: image and SIF take it, and would replace ours"
        raise ChannelError(f"cannot lock {path}", f"its name is '{ours.name}', as in our {FILE.name}", todo)
    if found.specs.get("python", "python") not in ("python", ours.specs["python"]):
        todo = f"write '{ours.specs['python']}', or leave it out; PYTHON_VERSION in versions.env applies to all"
        raise ChannelError(f"cannot lock {path}", f"it asks for '{found.specs['python']}'", todo)
    specs = {name: spec for name, spec in found.specs.items() if name != "python"}
    return Environment(found.name, specs, found.pypi).over(ours)


def write(environment: Environment, path: Path) -> None:
    """Write an environment in a form that both `read` and conda accept."""
    listed: list[object] = list(environment.specs.values())
    if environment.pypi:
        listed.append({"pip": list(environment.pypi.values())})
    content = {"name": environment.name, "channels": ["conda-forge"], "dependencies": listed}
    head = "# The specs of the locks beside this file. Written by `make lock`.\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(head + yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def read(path: Path) -> Environment:
    """Read a file.

    Raises:
        ChannelError: The file is not an environment, or this project cannot lock it.
    """
    content = _parsed(path)
    if strange := sorted(str(key) for key in content.keys() - _KEYS):
        todo = f"remove it: valid keys are {', '.join(sorted(_KEYS))}"
        raise ChannelError(f"cannot read {path}", f"unknown key '{strange[0]}'", todo)
    listed = content.get("dependencies")
    if not isinstance(listed, list) or not listed:
        raise ChannelError(f"cannot read {path}", "nothing below 'dependencies:'", "list the packages there")
    specs = dict[str, str]()
    pypi = dict[str, str]()
    for one in listed:
        if isinstance(one, dict) and list(one) == ["pip"] and isinstance(one["pip"], list):
            pypi |= dict(_of_pypi(path, str(line)) for line in one["pip"])
        else:
            specs |= dict([_of_conda(path, one)])
    return Environment(_named(path, content.get("name")), specs, pypi)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ChannelError(f"cannot read {path}", error.strerror or str(error), "name an existing file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ChannelError(f"cannot read {path}", " ".join(str(error).split()), "write it as YAML") from None
    if not isinstance(content, dict):
        raise ChannelError(f"cannot read {path}", "nothing below 'dependencies:'", "list the packages there")
    return content


def _named(path: Path, name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        todo = "add a line 'name: my-environment', the name of image and SIF (lowercase letters, digits, - and .)"
        raise ChannelError(f"cannot read {path}", f"invalid name '{name}'" if name else "no 'name:'", todo)
    return name


def _of_conda(path: Path, spec: object) -> tuple[str, str]:
    found = _SPEC.fullmatch(spec.strip()) if isinstance(spec, str) else None
    if not found:
        todo = f"{_EXAMPLE}; conda writes such a file with 'conda env export --from-history'"
        raise ChannelError(f"cannot read {path}", f"'{spec}' below 'dependencies:'", todo)
    return found[1], found[0].rpartition("::")[2]


def _of_pypi(path: Path, line: str) -> tuple[str, str]:
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        raise ChannelError(
            f"cannot read {path}", f"'{line}' below 'pip:': {error}", "write it as 'name==1.2'"
        ) from None
    if requirement.url:
        raise ChannelError(
            f"cannot read {path}", f"'{line}' below 'pip:'", "name a release on PyPI: others cannot be locked"
        )
    return conda_name(requirement.name), line
