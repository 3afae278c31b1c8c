"""Delete what is kept no longer: refused rows, sessions, results of jobs, texts of cases, lists, what names a person.

The terms are the office's (`store.office`). The ledger, the audit, alerts and steps of cases stay: they name people and
households only by the office's own number, which says nobody's name once the person was erased. A case loses what was
written into it, and its village, so long after it ended; one that is open, or ended later, keeps all, and its people.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from medfloor.periods import add_months
from medfloor.store import audit, schema
from medfloor.store.exchange import forget_due, forgotten_due
from medfloor.store.office import Office, office_of
from medfloor.store.roles import Actor, require
from medfloor.watch.cases import OPEN

_ENDED = ("done", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Due:
    """Say what is past its term: numbers of rows, people by the office's number, folders of jobs."""

    rejects: int
    differences: int
    sessions: int
    jobs: int
    people: tuple[str, ...]
    folders: tuple[str, ...]
    cases: int = 0
    exchanged: int = 0

    @property
    def nothing(self) -> bool:
        """Say whether there is nothing to delete."""
        return not (
            self.rejects
            or self.differences
            or self.sessions
            or self.jobs
            or self.people
            or self.cases
            or self.exchanged
        )


def due(connection: sa.Connection, *, now: datetime) -> Due:
    """Say what `delete_due` would delete at this moment."""
    office = office_of(connection)

    def count(table: sa.Table, clause: sa.ColumnElement[bool]) -> int:
        return connection.execute(sa.select(sa.func.count()).select_from(table).where(clause)).scalar_one()

    folders = connection.execute(sa.select(schema.job.c.folder).where(_old_jobs(office, now))).scalars()
    return Due(
        rejects=count(schema.import_reject, _of_old_imports(schema.import_reject, office, now)),
        differences=count(schema.import_difference, _of_old_imports(schema.import_difference, office, now)),
        sessions=count(schema.session, _old_sessions(office, now)),
        jobs=count(schema.job, _old_jobs(office, now)),
        people=tuple(_people_past(connection, office, now)),
        folders=tuple(folder for folder in folders if folder),
        cases=count(schema.watch_case, _old_cases(office, now)),
        exchanged=forgotten_due(connection, now=now),
    )


def delete_due(connection: sa.Connection, *, actor: Actor, now: datetime) -> Due:
    """Delete what is past its term, and give what it was; the caller removes `folders` after the transaction.

    A person who is erased keeps the office's number, sex and year of birth. Raises AccessError (`forbidden`).
    """
    require(actor, "delete_by_rule")
    office = office_of(connection)
    found = due(connection, now=now)
    for table in (schema.import_reject, schema.import_difference):
        connection.execute(table.delete().where(_of_old_imports(table, office, now)))
    connection.execute(schema.session.delete().where(_old_sessions(office, now)))
    connection.execute(schema.job.delete().where(_old_jobs(office, now)))
    _forget_cases(connection, office, now)
    forget_due(connection, now=now)
    for person_id in found.people:
        erase(connection, person_id, actor=actor, now=now)
    told = f"rejects={found.rejects} differences={found.differences} sessions={found.sessions} jobs={found.jobs}"
    audit.record(connection, actor, "delete_by_rule", detail=f"{told} people={len(found.people)}", now=now)
    return found


def erase(connection: sa.Connection, person_id: str, *, actor: Actor, now: datetime) -> None:
    """Delete what names a person: number, name, day of birth, village, evidence, and what imports noted of them."""
    require(actor, "delete_by_rule")
    person, fact, spell = schema.person, schema.person_fact, schema.spell
    values = {"identity_cipher": None, "identity_lookup": None, "name_cipher": None, "erased_at": now}
    connection.execute(person.update().where(person.c.person_id == person_id).values(**values))
    asked = sa.select(fact.c.id, fact.c.birth_date, fact.c.place).where(fact.c.person_id == person_id)
    for row in connection.execute(asked).all():
        year = None if row.birth_date is None else date(row.birth_date.year, 1, 1)
        coarse = fact.update().where(fact.c.id == row.id)
        connection.execute(coarse.values(birth_date=year, place=row.place[:6], evidence=None))
    for table in (spell, schema.enrolment):
        connection.execute(table.update().where(table.c.person_id == person_id).values(evidence=None))
    difference = schema.import_difference
    connection.execute(difference.delete().where(difference.c.person_id == person_id))
    audit.record(connection, actor, "erase_person", person_id=person_id, now=now)


def _of_old_imports(table: sa.Table, office: Office, now: datetime) -> sa.ColumnElement[bool]:
    run = schema.import_run
    old = sa.select(run.c.id).where(run.c.started_at < now - timedelta(days=office.retain_rejects_days))
    return table.c.import_id.in_(old)


def _old_sessions(office: Office, now: datetime) -> sa.ColumnElement[bool]:
    ended = now - timedelta(days=office.retain_sessions_days)
    return sa.or_(schema.session.c.expires_at < ended, schema.session.c.revoked_at < ended)


def _old_jobs(office: Office, now: datetime) -> sa.ColumnElement[bool]:
    ended = now - timedelta(days=office.retain_jobs_days)
    return sa.and_(schema.job.c.state.in_(_ENDED), schema.job.c.finished_at < ended)


def _old_cases(office: Office, now: datetime) -> sa.ColumnElement[bool]:
    """Choose cases that ended before the term began and still say more than their steps."""
    table = schema.watch_case
    ended = sa.and_(table.c.state.not_in(OPEN), table.c.changed_on < _case_day(office, now))
    return sa.and_(ended, table.c.texts_gone_at.is_(None))


def _case_day(office: Office, now: datetime) -> date:
    return add_months(now.date(), -12 * office.retain_case_years)


def _forget_cases(connection: sa.Connection, office: Office, now: datetime) -> None:
    table, event, text = schema.watch_case, schema.case_event, schema.case_text
    steps = sa.select(event.c.id).join(table, table.c.case_id == event.c.case_id).where(_old_cases(office, now))
    connection.execute(text.delete().where(text.c.event_id.in_(steps)))
    coarse = {"place": sa.func.substr(table.c.place, 1, 6), "texts_gone_at": now}
    connection.execute(table.update().where(_old_cases(office, now)).values(**coarse))


def _followed(office: Office, now: datetime) -> sa.ColumnElement[bool]:
    """Ask of a person whether a household they were ever of has a case whose term runs."""
    table, fact = schema.watch_case, schema.person_fact
    running = sa.or_(table.c.state.in_(OPEN), table.c.changed_on >= _case_day(office, now))
    mine = sa.or_(table.c.household_id == fact.c.household_id, table.c.household_id == fact.c.person_id)
    whose = fact.c.person_id == schema.person.c.person_id
    return sa.exists(sa.select(sa.literal(1)).select_from(fact).join(table, mine).where(whose, running))


def _people_past(connection: sa.Connection, office: Office, now: datetime) -> list[str]:
    """List who has had no tie with the office since the term, and about whom nothing is open."""
    day = add_months(now.date(), -12 * office.retain_person_years)
    person, fact, spell, enrolment = schema.person, schema.person_fact, schema.spell, schema.enrolment

    def of(table: sa.Table, *clauses: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        return ~sa.exists(sa.select(sa.literal(1)).where(table.c.person_id == person.c.person_id, *clauses))

    def since(column: sa.ColumnElement[date]) -> sa.ColumnElement[bool]:
        return sa.or_(column.is_(None), column >= day)

    # A death ends every tie that was left open.
    died = sa.exists(
        sa.select(sa.literal(1)).where(
            fact.c.person_id == person.c.person_id, fact.c.known_to.is_(None), fact.c.deceased_on < day
        )
    )
    free = sa.or_(
        died,
        sa.and_(
            of(spell, spell.c.known_to.is_(None), since(spell.c.valid_to)),
            of(enrolment, enrolment.c.known_to.is_(None), since(enrolment.c.valid_to)),
        ),
    )
    asked = sa.select(person.c.person_id).where(
        person.c.erased_at.is_(None),
        person.c.created_at < datetime(day.year, day.month, day.day, tzinfo=now.tzinfo),
        free,
        of(schema.claim, schema.claim.c.settled_date >= day),
        of(schema.arrear, schema.arrear.c.state.not_in(("paid", "returned", "closed"))),
        of(schema.proposal, schema.proposal.c.state == "open"),
        ~_followed(office, now),
    )
    return list(connection.execute(asked.order_by(person.c.person_id)).scalars())
