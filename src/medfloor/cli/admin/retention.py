"""Be `medfloor admin retention`: say what is past its term, and delete it."""

from __future__ import annotations

import shutil

import click

from medfloor.cli.opened import database_option, lang_option, local_actor, moment, opened
from medfloor.words import say


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--delete", "do_delete", is_flag=True, help="Delete it; otherwise it is only counted.")
@database_option
@lang_option
def command(do_delete: bool, database: str | None, lang: str) -> None:
    """Say what is kept longer than the office's terms, and with --delete delete it.

    Deleted are refused rows of imports, ended sessions, results of jobs, and what names people who have had no tie with
    the office for as long as the setting retain_person_years says. The ledger and the audit stay.

    \b
    Examples:
      medfloor admin retention
      medfloor admin retention --delete
    """
    from medfloor.store.retention import delete_due, due

    now = moment()
    with opened(database) as store:
        if do_delete:
            found = store.attempt(lambda connection: delete_due(connection, actor=local_actor(), now=now))
            for folder in found.folders:
                shutil.rmtree(folder, ignore_errors=True)
        else:
            with store.reading() as connection:
                found = due(connection, now=now)
    counts = {
        "rejects": found.rejects, "differences": found.differences, "sessions": found.sessions, "jobs": found.jobs,
        "people": len(found.people), "cases": found.cases, "exchanged": found.exchanged,
    }  # fmt: skip
    for name, count in counts.items():
        click.echo(say(f"admin.past_{name}", lang, n=count))
    click.echo(say("admin.past_deleted" if do_delete else "admin.past_kept", lang))
