"""Be `medfloor admin settings`: show and decide what the office decides once."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from medfloor.cli.opened import database_option, local_actor, moment, opened

if TYPE_CHECKING:
    import sqlalchemy as sa


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("decided", metavar="[NAME=VALUE]...", nargs=-1)
@database_option
def command(decided: tuple[str, ...], database: str | None) -> None:
    """Show the office's settings, after deciding those that are given as NAME=VALUE.

    \b
    Examples:
      medfloor admin settings
      medfloor admin settings reversal_limit_fen=1000000 retain_rejects_days=90
    """
    from medfloor.store.office import decide_setting, office_of
    from medfloor.terminal import in_columns

    pairs = [one.partition("=") for one in decided]
    if any(not middle for _, middle, _ in pairs):
        raise click.UsageError("write a setting as NAME=VALUE, such as place=150981")
    now = moment()
    with opened(database) as store:

        def decide(connection: sa.Connection) -> None:
            for name, _, value in pairs:
                decide_setting(connection, name, value, actor=local_actor(), now=now)

        store.attempt(decide)
        with store.reading() as connection:
            office = office_of(connection)
    click.echo("\n".join(in_columns([(name, str(value)) for name, value in asdict(office).items()])))
