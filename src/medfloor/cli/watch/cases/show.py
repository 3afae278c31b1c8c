"""Be `medfloor watch cases show`."""

from __future__ import annotations

from pathlib import Path

import click

from medfloor.cli.opened import database_option, keyring, keys_option, lang_option, local_actor, moment, opened


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("case_id", metavar="CASE")
@lang_option
@database_option
@keys_option
def command(case_id: str, lang: str, database: str | None, keys: Path | None) -> None:
    """Show CASE: its steps, what is due and what may follow.

    It is written down who looked, for each member of the household.

    \b
    Example:
      medfloor watch cases show k0123456789abcdef --lang zh

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.cli.watch.cases.telling import note_look, tell_case
    from medfloor.store.cases import case_of

    ring, actor, now = keyring(keys), local_actor("auditor"), moment()
    with opened(database) as store:
        with store.reading() as connection:
            found = case_of(connection, case_id, keyring=ring)
        note_look(store, actor, "read_case", [found.case.household_id], now=now, detail=f"case={case_id}")
        with store.reading() as connection:
            tell_case(connection, found, lang)
