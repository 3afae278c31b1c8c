"""Be `medfloor register show`."""

from __future__ import annotations

from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medfloor.cli.opened import database_option, keyring, keys_option, local_actor, moment, opened
from medfloor.money import group_yuan
from medfloor.words import knows, say

if TYPE_CHECKING:
    from medfloor.periods import Span
    from medfloor.store.register import Identity, PersonRecord


class _Moment(click.ParamType[datetime]):
    """Be a moment of the office's clock; a bare day means its end, because who asks for a day means all of it."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a day, or a day and a time."""
        from medfloor.periods import OFFICE_ZONE

        if isinstance(value, datetime):
            return value
        for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"):
            try:
                given = datetime.strptime(value, form)
            except ValueError:
                continue
            return (given if "T" in form else datetime.combine(given, time.max)).replace(tzinfo=OFFICE_ZONE)
        raise click.BadParameter("write a day such as 2026-07-15, or a moment such as 2026-07-15T14:30", ctx, param)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("person_id")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="The day that counts.  [default: today]")
@click.option(
    "--known-at",
    type=_Moment(),
    metavar="DAY|MOMENT",
    help="As it was known at this moment of the office's clock; a day means its end.  [default: now]",
)
@click.option("--claim", metavar="ID", help="As it was known when this claim was settled, on the day its care began.")
@click.option("--unmask", is_flag=True, help="Show name and identity number in full; this is written down.")
@click.option("--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True)
@database_option
@keys_option
def command(
    person_id: str,
    day: datetime | None,
    known_at: datetime | None,
    claim: str | None,
    unmask: bool,
    lang: str,
    database: str | None,
    keys: Path | None,
) -> None:
    """Show a person on a day: facts, enrolment and statuses, with who says so.

    Names and identity numbers are masked. Who looked is written down.

    \b
    Examples:
      medfloor register show p1 --day 2026-06-30 --known-at 2026-07-15
      medfloor register show p1 --claim 2026-000123
    """
    from medfloor.errors import UsageError
    from medfloor.periods import OFFICE_ZONE
    from medfloor.store import audit
    from medfloor.store.ledger import posting_of
    from medfloor.store.register import identity_of, person_on

    if claim is not None and known_at is not None:
        raise UsageError("half_asked", "--claim says when it was known itself; leave --known-at out")
    now, actor, ring = moment(), local_actor("county_clerk"), keyring(keys)
    on = now.astimezone(OFFICE_ZONE).date() if day is None else day.date()
    with opened(database) as store, store.writing() as connection:
        if claim is not None:
            first, known_at = posting_of(connection, claim, person_id)
            on = first if day is None else on
        record = person_on(connection, person_id, on, known_at)
        identity = identity_of(connection, ring, person_id)
        action = "reveal_identity" if unmask else "read_person"
        audit.record(connection, actor, action, now=now, person_id=person_id)
    for line in told(record, identity if unmask else identity.masked(), lang):
        click.echo(line)


def told(record: PersonRecord, identity: Identity, lang: str) -> list[str]:
    """Tell a person in lines: what is known, aligned; then the statuses of the day."""
    from medfloor.periods import OFFICE_ZONE

    when = say("register.known_now", lang)
    if record.known_at is not None:
        when = f"{record.known_at.astimezone(OFFICE_ZONE):%Y-%m-%d %H:%M}"
    lines = [say("register.person_head", lang, id=record.person_id, day=record.day, known=when)]
    rows: list[tuple[str, object]] = [
        ("name", identity.name), ("identity_number", identity.identity_number),
        ("birth_date", record.birth_date), ("sex", None if record.sex is None else say(f"register.{record.sex}", lang)),
        ("residence", _word("residence", record.residence, lang)), ("household_id", record.household_id),
        ("place", record.place or None), ("family_doctor", _yes(record.family_doctor, lang)),
        ("deceased_on", record.deceased_on),
    ]  # fmt: skip
    enrolment = record.enrolment
    if enrolment is None:
        rows.append(("scheme", say("register.not_enrolled", lang)))
    else:
        rows += [
            ("scheme", f"{_word('scheme', enrolment.scheme, lang)}, {_days(enrolment.span, lang)}"),
            ("insured_class", _word("insured_class", enrolment.insured_class, lang)),
            ("continuous_years", enrolment.continuous_years),
            ("premium", None if enrolment.premium_fen is None else group_yuan(enrolment.premium_fen)),
            ("subsidy", None if enrolment.subsidy_fen is None else group_yuan(enrolment.subsidy_fen)),
            ("paid_on", enrolment.paid_on),
        ]
    lines += [f"  {say(f'register.field_{name}', lang)}: {value}" for name, value in rows if value is not None]
    if not record.statuses:
        lines.append(say("register.no_status", lang))
    for status in record.statuses:
        group = say(f"group.{status.group}", lang) if knows(f"group.{status.group}", lang) else status.group
        parts = [group + (f" ({status.detail})" if status.detail else ""), _days(status.span, lang)]
        if status.recognised_by or status.recognised_on:
            by, on = status.recognised_by or "?", status.recognised_on or "?"
            parts.append(say("register.recognised", lang, by=by, on=on))
        named = f"register.department_{status.source}"
        source = say(named, lang) if knows(named, lang) else status.source
        parts.append(say("register.source", lang, source=source))
        if status.evidence:
            parts.append(say("register.evidence", lang, text=status.evidence))
        lines.append(f"  {say('register.status', lang)}: {'; '.join(parts)}")
    return lines


def _word(section: str, code: str | None, lang: str) -> str | None:
    if code is None:
        return None
    return say(f"{section}.{code}", lang) if knows(f"{section}.{code}", lang) else code


def _yes(value: bool | None, lang: str) -> str | None:
    return None if value is None else say("register.yes" if value else "register.no", lang)


def _days(span: Span, lang: str) -> str:
    from datetime import date, timedelta

    from medfloor.periods import OPEN_END

    first = say("register.since_ever", lang) if span.start == date.min else str(span.start)
    last = say("register.still", lang) if span.end >= OPEN_END else str(span.end - timedelta(days=1))
    return say("register.days", lang, first=first, last=last)
