"""Be `medfloor watch`: who is at risk, how likely, whom to visit first, and how cases go on."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

COMMANDS: dict[str, str] = {
    "screen": "Screen a register and a year's settlements for households at risk.",
    "cases": "Follow households at risk: list, record a step, check, print a notice.",
    "visits": "Give the week's visits to those whom they help most, each township its share.",
    "train": "Train and judge a model of next year's catastrophic spending or poverty.",
    "score": "Score households by a trained model, with the reasons of each.",
    "card": "Print a model's card: what it is for, how well it does, what it must not do.",
    "drift": "See whether inputs, alerts or confirmations have moved since the training.",
    "prevention": "Family doctors: who is contracted, served, controlled; what follow-up may save.",
    "exchange": "Send lists to other departments and take their answers in.",
    "simulate": "Live five made-up years with and without watching, at the same capacity.",
}
"""Command -> its short help. The command is `command` in the module of that name."""


@click.command(
    cls=LazyGroup,
    helps=COMMANDS,
    package="medfloor.cli.watch",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Find households at risk in time, help, follow, and let them go by rule.

    An alert asks somebody to look. It takes no benefit away and decides nothing.

    \b
    Examples:
      medfloor watch screen --people people.csv --households households.csv --settlements settled.csv --out alerts
      medfloor watch simulate --out simulated --lang zh
    """
