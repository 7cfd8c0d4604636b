"""Ask the nodes: one short job on every idle node, or a step on the nodes of the allocation that we are in."""

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
        node: its name.
        reached: whether it connected to where doctor runs.
        folders: a folder's state there: shared, absent, elsewhere (another one of that name) or unwritable.
        mark: what identifies the environment there; empty if it is not there.
        shm: bytes of /dev/shm.
        files: the limit of open files; None for no limit.
        apptainer: the command's path, or nothing.
        namespaces: whether a user may make user namespaces.
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
    """The nodes' answers, the nodes that did not answer, and the reason if there are none; `quiet` if that was wanted.

    `clocks` has by how many seconds a node's clock is ahead of this machine's; `options` are srun's that let it run.
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
    """Ask the nodes, whose answers tell of these folders, of the file `mark`, and whether `address` is reached."""
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
    """Return what nodes said, sorted by name; lines of others (a site's prologue) are passed over."""
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
