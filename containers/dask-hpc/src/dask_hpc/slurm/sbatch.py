"""Options for sbatch: the user's, in any form that sbatch accepts, and ours, as directives of a job script.

The user's replace ours. https://slurm.schedmd.com/sbatch.html
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask_hpc.errors import RequestError

_SHORT = {
    "A": "account",
    "a": "array",
    "B": "extra-node-info",
    "b": "begin",
    "C": "constraint",
    "c": "cpus-per-task",
    "D": "chdir",
    "d": "dependency",
    "e": "error",
    "F": "nodefile",
    "G": "gpus",
    "H": "hold",
    "h": "help",
    "i": "input",
    "J": "job-name",
    "k": "no-kill",
    "L": "licenses",
    "M": "clusters",
    "m": "distribution",
    "N": "nodes",
    "n": "ntasks",
    "O": "overcommit",
    "o": "output",
    "p": "partition",
    "Q": "quiet",
    "q": "qos",
    "S": "core-spec",
    "s": "oversubscribe",
    "t": "time",
    "u": "usage",
    "V": "version",
    "v": "verbose",
    "W": "wait",
    "w": "nodelist",
    "x": "exclude",
}
_FLAGS = frozenset("HhkOQsuVvW")
_LONG = (
    *_SHORT.values(),
    *"""
acctg-freq batch bb bbf cluster cluster-constraint comment constraint container container-id contiguous cores-per-socket
cpu-freq cpus-per-gpu deadline delay-boot exclusive export export-file extra get-user-env gid gpu-bind gpu-freq
gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint ignore-pbs kill-on-invalid-dep mail-type mail-user
mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nice no-requeue ntasks-per-core ntasks-per-gpu
ntasks-per-node ntasks-per-socket open-mode parsable power prefer priority profile propagate reboot requeue reservation
segment signal sockets-per-node spread-job stepmgr switches tasks-per-node test-only thread-spec threads-per-core
time-min tmp tres-bind tres-per-task uid use-min-nodes wait-all-nodes wckey wrap
""".split(),  # noqa: SIM905 (a table)
)
_ONE_OF = (
    frozenset({"mem", "mem-per-cpu", "mem-per-gpu"}),
    frozenset({"requeue", "no-requeue"}),
    frozenset({"cpus-per-task", "cpus-per-gpu"}),
)
_TO_SBATCH_ALONE = "It changes the behaviour of sbatch, not the job."
_REFUSED = {
    "job-name": "A run finds its jobs by their name.",
    "array": "--jobs or --nodes sets the size of the Dask cluster.",
    "clusters": "A run requests nodes and watches its jobs on this cluster only.",
    "wrap": "A run writes its own job script.",
    **dict.fromkeys(
        ("help", "parsable", "quiet", "test-only", "usage", "verbose", "version", "wait"), _TO_SBATCH_ALONE
    ),
}
_PLAIN = re.compile(r"[\w.,:/=@%+-]*")


@dataclass(frozen=True)
class SbatchOption:
    """An option by its long name; `value` is None for a flag."""

    name: str
    value: str | None = None

    def __str__(self) -> str:
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"

    @property
    def argument(self) -> str:
        """The option as in a directive, quoted for sbatch, which is not a shell."""
        text = str(self)
        return text if _PLAIN.fullmatch(text) else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'

    @property
    def directive(self) -> str:
        """The line of a job script."""
        return f"#SBATCH {self.argument}"


def parse(texts: Iterable[str]) -> list[SbatchOption]:
    """Return the options in the values of `--sbatch-option`; each value may have several.

    Raises:
        RequestError: one is not an option, or not allowed in a run.
    """
    return [_option(words) for text in texts for words in _split(text)]


def _split(text: str) -> list[str]:
    """Split a text into options; spaces belong to a value unless an option follows them."""
    if not re.match(r"\s*--?[A-Za-z]", text) or "\n" in text:
        raise RequestError(
            f"{text!r} is not an option of sbatch.",
            todo="write it with the dashes and on one line, such as --sbatch-option=--qos=debug.",
        )
    try:
        quoted = shlex.split(text) if re.search(r"[\"'\\]", text) else None
    except ValueError:  # an apostrophe
        return [text.strip()]
    if quoted is None:
        return re.split(r"\s+(?=--?[A-Za-z])", text.strip())
    options: list[str] = []
    for word in quoted:
        if re.match(r"--?[A-Za-z]", word) or not options:
            options.append(word)
        else:
            options[-1] += f" {word}"
    return options


def _option(text: str) -> SbatchOption:
    if text.startswith("--"):
        typed, _, value = re.split(r"(=|\s+|$)", text[2:], maxsplit=1)
        option = SbatchOption(_long(typed), value if len(typed) + 2 < len(text) else None)
    elif text[1] in _FLAGS:
        if rest := text[2:].strip():
            raise RequestError(f"-{text[1]} does not take a value.", f"Found: {rest!r}", "write one option at a time.")
        option = SbatchOption(_SHORT[text[1]])
    else:
        option = SbatchOption(_SHORT.get(text[1], text[1]), text[2:].strip())
    if why := _REFUSED.get(option.name):
        raise RequestError(f"--sbatch-option cannot be {text}.", why, "omit it.")
    return option


def _long(typed: str) -> str:
    """Expand an abbreviated option name, as sbatch does, if it is unambiguous."""
    name = typed.replace("tasks-per-node", "ntasks-per-node") if typed == "tasks-per-node" else typed
    near = [long for long in _LONG if long.startswith(name)]
    return near[0] if name not in _LONG and len(near) == 1 else name


def combine(ours: Iterable[SbatchOption], given: Sequence[SbatchOption]) -> list[SbatchOption]:
    """Return our options and the user's, which replace ours of the same meaning."""
    taken = {option.name for option in given}
    for group in _ONE_OF:
        taken |= group if taken & group else set()
    return [*(option for option in ours if option.name not in taken), *given]


def log_options(folder: Path, name: str) -> list[SbatchOption]:
    r"""Return the options for a job's output files; raise `RequestError` for a folder that sbatch cannot write to.

    sbatch replaces patterns such as %j in a file name, unless the name contains a \\.
    """
    text = str(folder)
    if "\\" in text or "\n" in text:
        raise RequestError(
            f"Slurm cannot write logs to {text!r}.",
            "sbatch removes backslashes from file names.",
            "choose another --log-directory.",
        )
    stem = f"{text.replace('%', '%%')}/{name}-%j"
    return [SbatchOption("output", f"{stem}.out"), SbatchOption("error", f"{stem}.err")]
