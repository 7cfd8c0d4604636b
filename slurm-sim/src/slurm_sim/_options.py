"""Options, suggestions and error messages that the commands of `slurm-sim` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from slurm_sim._suggest import did_you_mean
from slurm_sim.errors import SlurmSimError, SpecError
from slurm_sim.spec import Spec

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
name_option = click.option(
    "--name",
    default="slurm-sim",
    show_default=True,
    envvar="SLURM_SIM_NAME",
    help="Name of the mini-cluster ($SLURM_SIM_NAME).",
)


def size_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options for the size and the images of a mini-cluster."""
    for option in reversed(
        [
            click.option("--nodes", default=2, show_default=True, help="Compute nodes, c1…cN."),
            click.option("--cpus-per-node", default=2, show_default=True, help="CPUs per node, as reported to Slurm."),
            click.option(
                "--memory-per-node",
                default="4G",
                show_default=True,
                help="Memory per node, as reported to Slurm: 512M, 4G.",
            ),
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
    """Return the fields of `Spec` that the command line sets explicitly."""
    fields = {"memory_per_node": ["memory_mb"], "image": ["login_image", "node_image"]}
    given = [name for name in ctx.params if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    known = [field for name in given for field in fields.get(name, [name])]
    return [field for field in known if field in Spec.__struct_fields__ and field != "name"]


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
            raise click.ClickException(f"{error.strerror}: {error.filename}") from error
