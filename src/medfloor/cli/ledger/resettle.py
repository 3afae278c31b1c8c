"""Be `medfloor ledger resettle`."""

from __future__ import annotations

from datetime import date

import click

from medfloor.cli.ledger.asking import language_option, open_books, policy_option
from medfloor.cli.opened import database_option, local_actor, moment
from medfloor.money import group_yuan
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("person_ids", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Settle every year of everybody again.")
@policy_option
@language_option
@database_option
def command(person_ids: tuple[str, ...], everybody: bool, policy: str | None, lang: str, database: str | None) -> None:
    """Settle years again by what the register and the law say now; what differs becomes arrears.

    \b
    Example:
      medfloor ledger resettle p1 p2
    """
    from medfloor.errors import UsageError
    from medfloor.store.history import Touched
    from medfloor.store.resettle import resettle_after, resettle_all

    if bool(person_ids) == everybody:
        raise UsageError("half_asked", "name people, or say --all")
    actor, now = local_actor("county_clerk"), moment()
    with open_books(database, policy) as books:
        if everybody:
            found = resettle_all(books, actor=actor, now=now)
        else:
            touched = [Touched(one, date.min) for one in person_ids]
            found = resettle_after(books, touched, actor=actor, now=now, cause="correction")
    owed = sum(one.amount_fen for one in found if one.amount_fen > 0)
    owing = -sum(one.amount_fen for one in found if one.amount_fen < 0)
    click.echo(say("ledger.resettled", lang, n=len(found)))
    click.echo(say("ledger.arrears_sum", lang, owed=group_yuan(owed), owing=group_yuan(owing)))
