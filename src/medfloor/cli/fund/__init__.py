"""Be `medfloor fund`: will it last, who shares the risk, what may be given, what must be looked at."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

COMMANDS: dict[str, str] = {
    "project": "Project population, income, outgo and reserve of each fund, with fans.",
    "pool": "Pool counties: random and common shocks, ruin, transfers between places.",
    "tiers": "One tier or several: choice, adverse selection, who pays for whom.",
    "adjust": "Adjust benefits by a published table of steps, simulated in closed loop.",
    "price": "Price an inclusive commercial product: premium, take-up, loss ratio.",
    "supervise": "Look claims over by rules; findings are leads with evidence.",
}
"""Command -> its short help. The command is `command` in the module of that name."""


@click.command(
    cls=LazyGroup,
    helps=COMMANDS,
    package="medfloor.cli.fund",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Say whether a fund lasts, who shares its risk, what it may give, and what must be looked at.

    \b
    Examples:
      medfloor fund project
      medfloor fund project --backtest --out projection --lang zh
      medfloor fund supervise claims.parquet --out leads
    """
