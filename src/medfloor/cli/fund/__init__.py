"""Be `medfloor fund`: will it last, who shares the risk, what may be given, what must be looked at."""

from __future__ import annotations

import importlib

import click

COMMANDS: dict[str, str] = {
    "project": "Project population, income, outgo and reserve of each fund, with fans.",
    "pool": "Pool counties: random and common shocks, ruin, transfers between places.",
    "tiers": "One tier or several: choice, adverse selection, who pays for whom.",
    "adjust": "Adjust benefits by a published table of steps, simulated in closed loop.",
    "price": "Price an inclusive commercial product: premium, take-up, loss ratio.",
    "supervise": "Look claims over by rules; findings are leads with evidence.",
}
"""Command -> its short help. The command is `command` in the module of that name."""


class Commands(click.Group):
    """Be a group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"medfloor.cli.fund.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and name the nearest one for a mistyped name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], COMMANDS, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}."
            ctx.fail(f"no such command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their short helps, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Say whether a fund lasts, who shares its risk, what it may give, and what must be looked at.

    \b
    Examples:
      medfloor fund project
      medfloor fund project --backtest --out projection --lang zh
      medfloor fund supervise claims.parquet --out leads
    """
