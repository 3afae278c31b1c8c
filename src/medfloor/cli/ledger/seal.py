"""Be `medfloor ledger seal`."""

from __future__ import annotations

import click

from medfloor.cli.ledger.asking import language_option
from medfloor.cli.opened import database_option, moment, opened
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@language_option
@database_option
def command(lang: str, database: str | None) -> None:
    """Seal all chains that grew, and print the seal's hash: kept elsewhere, it proves later that nothing was cut off.

    \b
    Example:
      medfloor ledger seal
    """
    from medfloor.store.chain import seal_now

    with opened(database) as store:
        one = seal_now(store, now=moment())
    if one is None:
        click.echo(say("ledger.nothing_to_seal", lang))
        return
    click.echo(say("ledger.sealed", lang, accounts=one.accounts, entries=one.entries))
    click.echo(one.hash)
