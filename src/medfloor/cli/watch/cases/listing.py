"""Be `medfloor watch cases list`."""

from __future__ import annotations

from datetime import datetime

import click

from medfloor.cli.opened import database_option, lang_option, local_actor, moment, opened
from medfloor.terminal import aligned
from medfloor.words import say

STATES = ["found", "verified", "published", "recognised", "helped", "risk_stable", "removed", "refused"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--overdue", is_flag=True, help="Only what is late today.")
@click.option("--due-before", type=click.DateTime(["%Y-%m-%d"]), help="Only those with a deadline before this day.")
@click.option("--place", metavar="CODE", default="", help="Only within this division code.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="At most so many.")
@lang_option
@database_option
def command(
    state: str | None,
    overdue: bool,
    due_before: datetime | None,
    place: str,
    limit: int,
    lang: str,
    database: str | None,
) -> None:
    """List cases of the office's store, what is due first before the others.

    \b
    Examples:
      medfloor watch cases list --overdue
      medfloor watch cases list --state published --place 150981102 --lang zh

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.cli.watch.cases.telling import note_look
    from medfloor.periods import OFFICE_ZONE
    from medfloor.store.cases import cases

    actor, now = local_actor("auditor"), moment()
    day = now.astimezone(OFFICE_ZONE).date()
    before = min([one for one in (due_before and due_before.date(), day if overdue else None) if one], default=None)
    with opened(database) as store:
        with store.reading() as connection:
            found = cases(connection, actor, state=state, place=place or None, due_before=before, limit=limit)
        homes = [one.household_id for one in found]
        note_look(store, actor, "read_cases", homes, now=now, detail=f"cases={len(found)}")
    if not found:
        click.echo(say("case_desk.none", lang))
        return
    names = ("case", "household", "place", "state", "found", "due", "for", "late")
    rows = [[say(f"case_desk.head_{name}", lang) for name in names]]
    for one in found:
        late = (day - one.due_on).days if one.due_on else 0
        rows.append([
            one.case_id, one.household_id, one.place, say(f"case_state.{one.state}", lang), one.found_on.isoformat(),
            one.due_on.isoformat() if one.due_on else "", say(f"case_due.{one.due_for}", lang) if one.due_for else "",
            str(late) if late > 0 else "",
        ])  # fmt: skip
    for text in aligned(rows, right=(7,)):
        click.echo(text)
    click.echo(say("case_desk.count", lang, n=len(found), late=sum(bool(row[7]) for row in rows[1:])))
