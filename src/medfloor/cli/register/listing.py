"""Be `medfloor register list`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option, local_actor, moment, opened
from medfloor.terminal import aligned
from medfloor.words import knows, say

if TYPE_CHECKING:
    from medfloor.store.insured import PoorPerson

LISTS = ["imports", "poor", "insured-poor", "not-enrolled", "departments"]
SHOWN = 50


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("what", type=click.Choice(LISTS))
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The day that counts.  [default: today]")
@click.option("--place", metavar="CODE", default="", help="Division code; what lies within it.  [default: all]")
@click.option("--group", "groups", multiple=True, metavar="STATUS", help="Only this status; may be given again.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the list (.csv or .parquet).")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@database_option
def command(
    what: str,
    day: datetime | None,
    place: str,
    groups: tuple[str, ...],
    out: Path | None,
    lang: str,
    database: str | None,
) -> None:
    """List imports or departments, or the poor of a day: all, the insured, or those who are not enrolled.

    People stand there by id; names are seen with `medfloor register show`.

    \b
    Example:
      medfloor register list not-enrolled --day 2026-11-01 --out visit.csv
    """
    if what == "departments":
        from medfloor.store.departments import department, departments

        for name in departments():
            found = department(name)
            click.echo(say("register.department", lang, name=say(f"register.department_{name}", lang), id=name,
                           kinds=", ".join(found.kinds), groups=", ".join(found.groups) or "-"))  # fmt: skip
        return
    from medfloor.periods import OFFICE_ZONE
    from medfloor.store.imports import list_imports

    now = moment()
    with opened(database) as store, store.writing() as connection:
        if what == "imports":
            _imports(list_imports(connection, limit=10_000_000), lang)
            return
        from medfloor.store import audit
        from medfloor.store.insured import poor_people

        on = now.astimezone(OFFICE_ZONE).date() if day is None else day.date()
        people = poor_people(connection, on, place=place, groups=groups or None)
        audit.record(connection, local_actor("county_clerk"), "list_poor", now=now, detail=f"{what} {on}")
    wanted = {"poor": (True, False), "insured-poor": (True,), "not-enrolled": (False,)}[what]
    people = [one for one in people if one.is_enrolled in wanted]
    click.echo(say(f"register.list_{what.replace('-', '_')}", lang, n=f"{len(people):,}", day=on))
    counted: dict[str, int] = {}
    for one in people:
        for group in one.groups:
            counted[group] = counted.get(group, 0) + 1
    for group, count in sorted(counted.items()):
        click.echo(f"  {say(f'group.{group}', lang) if knows(f'group.{group}', lang) else group}: {count:,}")
    _people(people, out, lang)


def _imports(found: list[dict[str, Any]], lang: str) -> None:
    names = ("id", "kind", "source", "as_of", "rows_in", "rows_rejected", "rows_added", "rows_changed", "rows_ended")
    rows = [[say(f"register.head_{name}", lang) for name in names]]
    rows += [[str(row[name]) for name in names] for row in found]
    for line in aligned(rows, right=(0, 4, 5, 6, 7, 8)):
        click.echo(line.rstrip())


def _people(people: list[PoorPerson], out: Path | None, lang: str) -> None:
    if out is not None:
        import polars as pl

        from medfloor.intake import write_table

        names = (
            "person_id",
            "place",
            "household_id",
            "scheme",
            "premium_fen",
            "subsidy_fen",
            "subsidy_group",
            "paid_on",
        )
        kinds = {"premium_fen": pl.Int64, "subsidy_fen": pl.Int64, "paid_on": pl.Date}
        schema: dict[str, Any] = {"groups": pl.String, **{name: kinds.get(name, pl.String) for name in names}}
        table = [{"groups": ";".join(one.groups), **{name: getattr(one, name) for name in names}} for one in people]
        write_table(pl.DataFrame(table, schema=schema).select("person_id", "groups", *names[1:]), out)
        click.echo(say("register.written", lang, n=f"{len(people):,}", file=out))
        return
    if not people:
        return
    rows = [[say(f"register.head_{name}", lang) for name in ("person_id", "place", "household_id", "groups", "scheme")]]
    for one in people[:SHOWN]:
        rows.append([one.person_id, one.place, one.household_id or "", ";".join(one.groups), one.scheme or "-"])
    for line in aligned(rows):
        click.echo(line.rstrip())
    if len(people) > SHOWN:
        click.echo(say("register.more", lang))
