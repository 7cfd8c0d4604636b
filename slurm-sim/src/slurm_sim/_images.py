"""Choose the images of a mini-cluster, and build missing ones."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TypedDict

from slurm_sim import _files
from slurm_sim._docker import check_engine, docker
from slurm_sim.errors import EngineError
from slurm_sim.spec import Spec

_ROLES = ("database", "slurmdbd", "slurmrestd")


class Images(TypedDict):
    """The image of each role, under the names of `Spec`'s fields."""

    controller_image: str
    login_image: str
    node_image: str


def default_images(image: str | None = None, *, bare: bool = False, jupyter: bool = False) -> Images:
    """Return the image of each role.

    Args:
        image: Image of login and compute nodes. Default: $SLURM_SIM_IMAGE; else slurm-sim/node, if built, which has the
            user's environment beside Slurm; else plain Slurm.
        bare: Without `image`, use the one with Slurm and Apptainer.
        jupyter: Use slurm-sim/node, with JupyterLab over it on the login node.
    """
    slurm = _files.versions()["SLURM_VERSION"]
    own = _files.versions()["VERSION"]
    controller = f"slurm-sim/slurmctld:{slurm}"
    if jupyter:
        login = f"slurm-sim/jupyter:{own}"
        return Images(controller_image=controller, login_image=login, node_image=f"slurm-sim/node:{own}")
    both = image or (f"slurm-sim/bare:{slurm}" if bare else os.environ.get("SLURM_SIM_IMAGE") or _built_node_image())
    return Images(
        controller_image=controller,
        login_image=both or f"slurm-sim/login:{slurm}",
        node_image=both or f"slurm-sim/slurmd:{slurm}",
    )


def of_roles() -> dict[str, str]:
    """Return the images of the roles that are started only on request, as variables of their Compose files."""
    slurm = _files.versions()["SLURM_VERSION"]
    return {f"SLURM_SIM_{role.upper()}_IMAGE": f"slurm-sim/{role}:{slurm}" for role in _ROLES}


def of(spec: Spec) -> list[str]:
    """Return all images of a mini-cluster."""
    roles = of_roles()
    more = [roles[f"SLURM_SIM_{role.upper()}_IMAGE"] for role in _ROLES if role in spec.services]
    return [spec.controller_image, spec.login_image, spec.node_image, *more]


def ensure(images: list[str], *, verbose: bool = False) -> None:
    """Build our missing images. Raises `EngineError`, also if an image that is not ours is missing."""
    check_engine()
    missing = [image for image in dict.fromkeys(images) if not exists(image)]
    if not missing:
        return
    targets = dict(_target(image) for image in missing)
    build = subprocess.run(
        [_files.root() / "containers" / "bake.sh", *targets],
        env=os.environ | {"DASK_HPC_CACHE": str(_cache())},
        stdin=subprocess.DEVNULL,
        stderr=None if verbose else subprocess.PIPE,
        text=True,
        check=False,
    )
    if build.returncode:
        raise EngineError(
            f"Could not build {', '.join(missing)}.",
            "\n".join((build.stderr or "").strip().splitlines()[-8:]),
            "the build needs Debian's packages or a registry: check that one of them can be reached.",
        )


def exists(image: str) -> bool:
    """Return whether the engine has an image."""
    return docker("image", "inspect", "--format", "-", image).returncode == 0


def _built_node_image() -> str | None:
    image = f"slurm-sim/node:{_files.versions()['VERSION']}"
    return image if exists(image) else None


def _target(image: str) -> tuple[str, str]:
    """Return the bake target of one of our images, and the image."""
    repository = image.rsplit(":", 1)[0]
    prefix, _, target = repository.partition("/")
    if prefix != "slurm-sim" or target not in {"slurmctld", "login", "slurmd", "node", "bare", "jupyter", *_ROLES}:
        raise EngineError(f"Image {image} not found.", todo="build or pull it, or leave out --image.")
    return target, image


def _cache() -> Path:
    """Return the folder for a bootstrapped base image: in the checkout, or in the user's caches."""
    if _files.is_checkout():
        return _files.root() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slurm-sim"
