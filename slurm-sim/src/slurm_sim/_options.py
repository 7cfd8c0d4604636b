"""Options, suggestions and error messages that the commands of `slurm-sim` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from slurm_sim._suggest import did_you_mean
from slurm_sim.config import DEFAULT_GROUP, Config
from slurm_sim.errors import SlurmSimError, SpecError

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
name_option = click.option(
    "--name",
    default="slurm-sim",
    show_default=True,
    envvar="SLURM_SIM_NAME",
    help="Name of the mini-cluster ($SLURM_SIM_NAME).",
)


_PLACES = {
    "name": [],
    "nodes": [f"nodes.{DEFAULT_GROUP}.count"],
    "cpus_per_node": [f"nodes.{DEFAULT_GROUP}.cpus"],
    "memory_per_node": [f"nodes.{DEFAULT_GROUP}.memory"],
    "gpus_per_node": [f"nodes.{DEFAULT_GROUP}.gpus"],
    "image": ["login_image", "node_image"],
    "slurm_conf": ["slurm"],
    "config": [field.encode_name for field in msgspec.structs.fields(Config)],
}
"""Places in a `cluster.toml` of options that have other names there."""


def size_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the size and the images of a mini-cluster."""
    for option in reversed(
        [
            click.option("--nodes", type=int, help="Compute nodes, c1…cN. [default: 2]"),
            click.option("--cpus-per-node", type=int, help="CPUs per node, as reported to Slurm. [default: 2]"),
            click.option(
                "--memory-per-node", metavar="SIZE", help="Memory per node, as reported to Slurm: 512M. [default: 4G]"
            ),
            click.option("--gpus-per-node", metavar="[TYPE:]N", help="Simulated GPUs per node: 2, a100:2."),
            click.option(
                "--partition",
                "partitions",
                metavar="NAME:KEY=VALUE,…",
                multiple=True,
                help="A partition besides general, such as debug:nodes=1,time=10 (repeatable).",
            ),
            click.option("--accounting", is_flag=True, help="Run slurmdbd and a database: sacct, accounts, QOS."),
            click.option("--user", "users", metavar="NAME", multiple=True, help="A user besides hpc (repeatable)."),
            click.option("--ssh", is_flag=True, help="Run sshd on the login node, on this host's loopback."),
            click.option("--rest", is_flag=True, help="Run slurmrestd, on this host's loopback."),
            click.option("--config", metavar="FILE", help="A cluster.toml, which says all of this and more."),
            click.option(
                "--image",
                help="Image of login and compute nodes. [default: slurm-sim/node if built, else plain Slurm]",
            ),
            click.option("--bare", is_flag=True, help="Login and compute nodes have Slurm, PMIx and Apptainer only."),
            click.option("--sif", metavar="FILE", help="With --bare: share this SIF with all nodes in /shared."),
            click.option(
                "--slurm-conf",
                metavar="KEY=VALUE",
                multiple=True,
                callback=_conf_lines,
                help="Replace a line of slurm.conf, such as KillWait=2 (repeatable).",
            ),
            click.option("--verbose", is_flag=True, help="Show the output of image builds."),
        ]
    ):
        command = option(command)
    return command


def _conf_lines(_context: click.Context, _option: click.Parameter, lines: tuple[str, ...]) -> dict[str, str]:
    """Return the lines as keys and values; one without "=" has an empty value, which is rejected later."""
    return dict(line.partition("=")[::2] for line in lines)


def given_fields(ctx: click.Context) -> list[str]:
    """Return the settings that the command line names, by their place in a `cluster.toml`."""
    given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    return [place for name in given for place in _PLACES.get(name, [name])]


class _Refusal(click.ClickException):
    """An invalid request."""

    exit_code = 2


class Commands(click.Group):
    """A group that suggests the nearest command, and turns errors into messages and exit statuses."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and (question := did_you_mean(args[0], self.commands)):
            ctx.fail(f"No such command {args[0]!r}: {question}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SlurmSimError as error:
            raise (_Refusal if isinstance(error, SpecError) else click.ClickException)(str(error)) from error
        except BrokenPipeError:
            raise  # the reader has stopped (| head): click exits silently
        except OSError as error:
            said = f"{error.strerror}: {error.filename}" if error.strerror else str(error)  # such as a TimeoutError's
            raise click.ClickException(said) from error
