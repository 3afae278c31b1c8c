"""Be `medfloor watch cases notice`."""

from __future__ import annotations

from pathlib import Path

import click

from medfloor.cli.opened import database_option, keyring, keys_option, local_actor, moment, opened


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("case_id", metavar="CASE")
@click.option("--householder", metavar="PERSON", required=True, help="The member whose name the notice shows.")
@click.option("--village", required=True, help="The village or neighbourhood.")
@click.option("--contact", default="", help="Who takes objections.  [default: the office's name]")
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Language of the notice."
)
@database_option
@keys_option
def command(
    case_id: str,
    householder: str,
    village: str,
    contact: str,
    lang: str,
    database: str | None,
    keys: Path | None,
) -> None:
    """Print the public notice that belongs to where CASE stands; no number, no health, no account is in it.

    \b
    Example:
      medfloor watch cases notice k0123456789abcdef --householder p1 --village 东村 --contact 村委会 > notice.txt

    Exit codes: 0 done, 2 nothing could be done.
    """
    from medfloor.errors import UsageError
    from medfloor.store import audit
    from medfloor.store.cases import case_of, case_rules, day_of
    from medfloor.store.office import office_of
    from medfloor.store.register import household_on, identity_of
    from medfloor.watch import public_notice, shipped_calendar

    ring, actor, now = keyring(keys), local_actor("assistance_officer"), moment()
    with opened(database) as store:
        with store.reading() as connection:
            case = case_of(connection, case_id).case
            home = household_on(connection, case.household_id, day_of(now))
            if householder not in home.members:
                raise UsageError("notice_incomplete", "the householder is a member of the household; name one of them")
            made = public_notice(
                case, case_rules(connection, on=case.events[-1].day), shipped_calendar(),
                household_name=identity_of(connection, ring, householder).name or "",
                people=home.size or len(home.members), village=village,
                contact=contact or office_of(connection).name,
            )  # fmt: skip
        store.attempt(
            lambda connection: audit.record(
                connection, actor, "print_notice", now=now, person_id=householder, detail=f"case={case_id}"
            )
        )
    click.echo(made.text(lang), nl=False)
