"""Be `medfloor ledger year`."""

from __future__ import annotations

import click

from medfloor.cli.ledger.asking import language_option, yuan_of_amounts
from medfloor.cli.opened import database_option, local_actor, moment, opened
from medfloor.money import group_yuan
from medfloor.terminal import aligned
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("person_id")
@click.argument("benefit_year", type=int)
@language_option
@database_option
def command(person_id: str, benefit_year: int, lang: str, database: str | None) -> None:
    """Show a person's benefit year: the claims that stand, what funds pay, what has been used.

    Who looked is written down.

    \b
    Example:
      medfloor ledger year p1 2026 --lang zh
    """
    from medfloor.errors import NotFoundError
    from medfloor.store import audit
    from medfloor.store.ledger import year_of

    with opened(database) as store, store.writing() as connection:
        view = year_of(connection, person_id, benefit_year)
        audit.record(connection, local_actor("county_clerk"), "read_person", now=moment(), person_id=person_id)
    if view is None:
        raise NotFoundError("no_such_year", f"nothing was settled for {person_id} in {benefit_year}")
    click.echo(say("ledger.year", lang, person=person_id, year=benefit_year, policy=view.policy, n=view.entries))
    names = ("claim", "settled_date", "total", "pays", "own", "since")
    rows = [[say(f"ledger.head_{name}", lang) for name in names]]
    for line in view.lines:
        moved = line.now.pay_total_fen - line.first.pay_total_fen
        rows.append([
            line.bill.claim_id, line.bill.settled_date.isoformat(), group_yuan(line.bill.total_fen),
            *yuan_of_amounts(line.now), group_yuan(moved) if moved else "",
        ])  # fmt: skip
    for text in aligned(rows, right=(2, 3, 4, 5)):
        click.echo(text)
    if view.taken_back:
        click.echo(say("ledger.taken_back", lang, claims=", ".join(view.taken_back)))
    for name, value in sorted(view.counters.items()):
        amount = f"{value}" if "_admissions" in name else group_yuan(value)
        click.echo(f"  {name}  {amount}")
