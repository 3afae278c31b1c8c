"""Make small offices for tests of the ledger: people in the register, and bills."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from medfloor.store import Actor, Keyring, Store
from medfloor.store.bills import Bill
from medfloor.store.history import Touched
from medfloor.store.ledger import Posted, Refused
from medfloor.store.register import add_person, record

NOW = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)
CLERK = Actor("clerk1", "county_clerk", "150981", "zh")
WIDE: dict[str, Any] = {"birth_date": date(1960, 5, 2), "sex": "female", "residence": "rural", "place": "150981"}


def enrol(store: Store, keyring: Keyring, *people: str, household: str | None = None) -> None:
    """Take people into the register, enrolled as residents from 2023 on."""
    with store.writing() as connection:
        for one in people:
            add_person(connection, keyring, now=NOW, person_id=one)
            facts = {**WIDE, "household_id": household or f"h-{one}"}
            record(connection, "person", one, facts, start=date(2020, 1, 1), actor=CLERK, now=NOW)
            enrolment = {"benefit_year": 2024, "scheme": "resident"}
            record(connection, "enrolment", one, enrolment, start=date(2023, 1, 1), actor=CLERK, now=NOW)


def recognise(
    store: Store, person_id: str, group: str, start: date, end: date | None = None, *, now: datetime = NOW
) -> tuple[Touched, ...]:
    """Record a status, and say whose claims it touches."""
    with store.writing() as connection:
        done = record(connection, "spell", (person_id, group), {}, start=start, end=end, actor=CLERK, now=now)
    return done.touched


def bill(claim_id: str, person_id: str = "p1", day: date = date(2024, 3, 1), yuan: int = 130_000, **more: Any) -> Bill:
    """Make a bill of one stay, all of it within the scope."""
    said: dict[str, Any] = {
        "care_type": "inpatient", "facility_level": "3", "start_date": day, "end_date": day, "settled_date": day,
        "total_fen": yuan * 100, "in_scope_fen": yuan * 100, "provider_id": "H1",
    }  # fmt: skip
    return Bill(claim_id=claim_id, person_id=person_id, **{**said, **more})


def posted(answers: list[Posted | Refused]) -> list[Posted]:
    """See that every answer is an entry."""
    for answer in answers:
        assert isinstance(answer, Posted), answer.code
    return [answer for answer in answers if isinstance(answer, Posted)]
