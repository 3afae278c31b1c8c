"""Be `medfloor ledger arrears`."""

from __future__ import annotations

from datetime import datetime

import click

from medfloor.cli.ledger.asking import language_option, open_books, policy_option
from medfloor.cli.opened import database_option, local_actor, moment, opened
from medfloor.money import group_yuan
from medfloor.periods import OFFICE_ZONE
from medfloor.terminal import aligned
from medfloor.words import say

STATES = ["found", "notified", "paid", "returned", "closed"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--person", metavar="ID", help="Only those of this person.")
@click.option("--year", type=int, help="Only those of this benefit year.")
@click.option("--move", type=int, metavar="NUMBER", help="Move this arrear on ...")
@click.option("--to", type=click.Choice(STATES[1:]), help="... to this state.")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="The day of the step.  [default: today]")
@click.option("--note", help="What to write beside the step; needed to close without money.")
@policy_option
@language_option
@database_option
def command(
    state: str | None,
    person: str | None,
    year: int | None,
    move: int | None,
    to: str | None,
    on: datetime | None,
    note: str | None,
    policy: str | None,
    lang: str,
    database: str | None,
) -> None:
    """List what is owed to people (应补) and by them (应退), or move one on: found, notified, paid or returned, closed.

    \b
    Examples:
      medfloor ledger arrears --state found --lang zh
      medfloor ledger arrears --move 12 --to notified --note "by letter"
    """
    from medfloor.errors import UsageError
    from medfloor.store import arrears

    if (move is None) != (to is None):
        raise UsageError("half_asked", "--move and --to belong together: which arrear, to which state")
    if move is not None and to is not None:
        now = moment()
        with open_books(database, policy) as books:
            day = now.astimezone(OFFICE_ZONE).date() if on is None else on.date()
            one = arrears.move(books, move, to, on=day, note=note, actor=local_actor("assistance_officer"), now=now)
        click.echo(say("ledger.moved", lang, id=one.id, state=say(f"ledger.state_{one.state}", lang), day=day))
        return
    with opened(database) as store, store.reading() as connection:
        found = arrears.owed(connection, state=state, person_id=person, benefit_year=year)
    if not found:
        click.echo(say("ledger.no_arrears", lang))
        return
    names = ("number", "person", "year", "claim", "amount", "direction", "state", "cause")
    rows = [[say(f"ledger.head_{name}", lang) for name in names]]
    for one in found:
        direction = say("ledger.owed" if one.amount_fen > 0 else "ledger.owing", lang)
        rows.append([
            str(one.id), one.person_id, str(one.benefit_year), one.claim_id, group_yuan(one.amount_fen), direction,
            say(f"ledger.state_{one.state}", lang), say(f"ledger.cause_{one.cause}", lang),
        ])  # fmt: skip
    for text in aligned(rows, right=(0, 2, 4)):
        click.echo(text)
    owed = sum(one.amount_fen for one in found if one.amount_fen > 0)
    owing = -sum(one.amount_fen for one in found if one.amount_fen < 0)
    click.echo(say("ledger.arrears_sum", lang, owed=group_yuan(owed), owing=group_yuan(owing)))
