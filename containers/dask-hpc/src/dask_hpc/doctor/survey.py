"""Query the nodes, with one short job on every idle node, or a step on the nodes of the current allocation."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dask_hpc.doctor.listener import Listener
from dask_hpc.errors import DaskHpcError
from dask_hpc.slurm.commands import run
from dask_hpc.slurm.srun import find_room, once_a_node, srun

_SECONDS = 40
_PROBE = Path(__file__).with_name("probe.sh")


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """One node's answer.

    Attributes:
        node: name of the node.
        reached: True if the node connected to doctor.
        folders: state of each folder: shared, absent, elsewhere (another folder of that name) or unwritable.
        mark: fingerprint of the environment; empty if it is missing.
        shm: size of /dev/shm in bytes.
        files: limit of open files; None for no limit.
        apptainer: path of the command, or empty.
        namespaces: True if users may create user namespaces.
    """

    node: str
    reached: bool
    folders: Mapping[str, str]
    mark: str
    shm: int
    files: int | None
    apptainer: str
    namespaces: bool


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The nodes' answers.

    Attributes:
        nodes: reports of the nodes that answered.
        silent: names of the nodes that did not answer.
        problem: reason for having no reports, or empty.
        quiet: True if the user wanted no reports.
        clocks: seconds by which each node's clock is ahead of this machine's.
        options: srun's options for a job or step on the nodes.
    """

    nodes: list[NodeReport] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    problem: str = ""
    quiet: bool = False
    clocks: Mapping[str, float] = field(default_factory=dict)
    options: tuple[str, ...] = ()


def take(
    *, environ: Mapping[str, str], partition: str | None, folders: Sequence[Path], mark: Path, address: str
) -> Survey:
    """Have the nodes check these folders and the file `mark`, and connect to `address`."""
    token = secrets.token_hex(4)
    if (asked_first := run("sinfo", "--noheader", "--summarize", timeout=10)).status != 0:
        return Survey(problem=asked_first.said)
    try:
        room = find_room(environ, partition)
    except DaskHpcError as error:
        return Survey(problem=error.message.replace("\n", ": "))
    if not room.nodes:
        return Survey(problem="no node is idle")
    left = [folder / f".dask-hpc-doctor-{token}" for folder in folders]
    try:
        shared = [str(file.parent) for file in left if _touch(file)]
        with Listener(address, token) as listener:
            probe = ["bash", "-c", _PROBE.read_text(encoding="utf-8"), "probe.sh"]
            arguments = [token, address, str(listener.port), str(mark), *shared]
            step = [*room.options, *once_a_node(room.nodes), *probe, *arguments]
            answer = srun(*step, timeout=_SECONDS, environ=environ)
            reports = parse(answer.out, token, shared)
            if not reports:
                return Survey(problem=answer.said, clocks=listener.clocks(), options=room.options)
            answered = {one.node for one in reports}
            return Survey(
                nodes=reports,
                silent=[name for name in room.nodes if name not in answered],
                clocks=listener.clocks(),
                options=room.options,
            )
    finally:
        _clean(left)


def parse(text: str, token: str, folders: Sequence[str]) -> list[NodeReport]:
    """Return the nodes' reports, sorted by name; other lines, such as those of a site's prologue, are ignored."""
    lines = [line.split("\t")[1:] for line in text.splitlines() if line.startswith(f"{token}\t")]
    return sorted((_report(dict(word.partition("=")[::2] for word in words), folders) for words in lines), key=_order)


def _order(report: NodeReport) -> tuple[int, str]:
    return len(report.node), report.node


def _report(said: Mapping[str, str], folders: Sequence[str]) -> NodeReport:
    blocks, _, size = said.get("shm", "").partition(" ")
    limit = said.get("files", "")
    return NodeReport(
        node=said.get("node", "?"),
        reached=said.get("reach") == "yes",
        folders={folder: said.get(f"folder{number}", "absent") for number, folder in enumerate(folders)},
        mark=said.get("mark", ""),
        shm=int(blocks) * int(size) if size else 0,
        files=int(limit) if limit.isdigit() else None,
        apptainer=said.get("apptainer", ""),
        namespaces=said.get("namespaces") == "yes",
    )


def _touch(file: Path) -> bool:
    try:
        file.touch()
    except OSError:
        return False
    return True


def _clean(left: Sequence[Path]) -> None:
    for file in left:
        try:
            file.unlink(missing_ok=True)
        except OSError:
            continue
