"""Be `medfloor ledger`: settle against the office's store, look at years, and prove that nothing was changed."""

from __future__ import annotations

import click

from medfloor.cli.groups import LazyGroup

COMMANDS: dict[str, str] = {
    "settle": "Settle a file of claims into the ledger, each claim once.",
    "year": "Show a person's benefit year: claims, payments, what has been used.",
    "arrears": "List what is owed and owing, and move it from found to closed.",
    "resettle": "Settle years again by what is known now.",
    "statement": "Draw, agree and clear a facility's monthly statement.",
    "reconcile": "Compare with a hospital's file, and resolve what differs.",
    "seal": "Seal all chains, and print the hash to be kept elsewhere.",
    "verify": "Prove that nothing was changed; recompute on request.",
}
"""Command -> its short help. The command is `command` in the module of that name."""


@click.command(
    cls=LazyGroup,
    helps=COMMANDS,
    package="medfloor.cli.ledger",
    context_settings={"help_option_names": ["-h", "--help"]},
)
def command() -> None:
    """Settle against the office's store, look at years, and prove that nothing was changed.

    \b
    Examples:
      medfloor ledger settle claims.csv
      medfloor ledger year p1 2026
      medfloor ledger verify --recompute
    """
