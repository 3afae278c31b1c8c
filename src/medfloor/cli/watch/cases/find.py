"""Be `medfloor watch cases find`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from medfloor.cli.opened import database_option, keyring, keys_option, lang_option, local_actor, moment, opened


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("household_id", metavar="HOUSEHOLD")
@click.option(
    "--source",
    type=click.Choice(["application", "cadre", "department"]),
    required=True,
    help="Who found it: the household itself, a cadre, another department.",
)
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The day it was found.  [default: today]")
@click.option("--reason", default="", help="For the file; kept enciphered and never published.")
@lang_option
@database_option
@keys_option
def command(
    household_id: str,
    source: str,
    day: datetime | None,
    reason: str,
    lang: str,
    database: str | None,
    keys: Path | None,
) -> None:
    """Open the case of HOUSEHOLD, which was found by its application, a cadre or a department.

    A household has one case for all its rounds: one that comes back takes the step `re_entered`.

    \b
    Example:
      medfloor watch cases find h17 --source application --day 2026-03-02

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.cli.watch.cases.telling import note_look, tell_case
    from medfloor.store.cases import day_of, open_case
    from medfloor.watch import Event

    ring, actor, now = keyring(keys), local_actor("assistance_officer"), moment()
    event = Event("found", day.date() if day else day_of(now), actor.login, reason=reason, source=source)  # type: ignore[arg-type]
    with opened(database) as store:
        made = open_case(store, ring, household_id, event, actor=actor, now=now)
        note_look(store, actor, "open_case", [household_id], now=now, detail=f"case={made.case.case_id}")
        with store.reading() as connection:
            tell_case(connection, made, lang)
