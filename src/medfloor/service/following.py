"""Answer about cases of households at risk: where they stand, what is due, what may follow and who may do it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from medfloor.errors import NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service.access import Acting
from medfloor.service.bodies.cases import CaseAnswer, CaseRow, EventAnswer, FollowAnswer
from medfloor.service.looking import refuse_outside
from medfloor.service.running import Running
from medfloor.store import cases
from medfloor.store.register import household_on, known
from medfloor.store.roles import may, sees
from medfloor.store.schema import household, person_fact, watch_case
from medfloor.words import say

if TYPE_CHECKING:
    from medfloor.store.cases import CaseFile, CaseLine
    from medfloor.watch import Case

STEPS: dict[str, str] = {
    "verified": "write_case", "visited": "write_case", "helped": "write_case", "objected": "write_case",
    "answered": "write_case", "risk_stable": "write_case", "relapsed": "write_case", "published": "publish_case",
    "recognised": "decide_case", "removed": "decide_case", "refused": "decide_case", "re_entered": "find_case",
}  # fmt: skip
"""Step -> the permission that it takes."""

_TWO_PEOPLE = ("recognised", "removed")
_UNTIL = ("visit", "decision", "help")
"""What is due until a day; a notice stands until one, and a removal may come from one on."""

members_of = cases.members_of
"""Who is looked at when households are."""


def today(acting: Acting) -> date:
    """Give the day on which somebody asks, where the office is."""
    return acting.now.astimezone(OFFICE_ZONE).date()


def find(connection: sa.Connection, run: Running, acting: Acting, case_id: str) -> tuple[CaseFile, list[str]]:
    """Give a case within the place of who asks, and who is looked at with it: the members of its household.

    Raises NotFoundError (`unknown_case`); one that is outside is found out by `look`.
    """
    row = connection.execute(
        sa.select(watch_case.c.household_id, watch_case.c.place).where(watch_case.c.case_id == case_id)
    ).one_or_none()
    if row is None:
        raise cases.unknown_case()
    members = members_of(connection, [row.household_id])
    if not sees(acting.actor, row.place):
        refuse_outside(members or [None], cases.unknown_case())
    return cases.case_of(connection, case_id, keyring=run.keyring), members


def check_household(connection: sa.Connection, acting: Acting, household_id: str) -> list[str]:
    """Give the members of a household, if the register has it and it is within the place of who asks.

    Raises NotFoundError (`no_such_household`); one that is outside is found out by `look`.
    """
    table = household
    places = connection.execute(
        sa.select(table.c.place)
        .where(table.c.household_id == household_id, table.c.known_to.is_(None))
        .order_by(table.c.valid_from.desc())
        .limit(1)
    ).scalars()
    own = connection.execute(
        sa.select(person_fact.c.place)
        .where(person_fact.c.household_id == household_id, person_fact.c.known_to.is_(None))
        .order_by(person_fact.c.valid_from.desc())
    ).scalars()
    found = [*places, *own]
    told = NotFoundError("no_such_household", "the register has no such household on that day; check its number")
    if not found:
        raise told
    members = members_of(connection, [household_id])
    if not any(sees(acting.actor, place) for place in found):
        refuse_outside(members, told)
    return members


def size_of(connection: sa.Connection, household_id: str, day: date) -> int:
    """Give how many people a household has on a day: as the register says of it, or how many living members."""
    try:
        home = household_on(connection, household_id, day)
    except NotFoundError:
        return 0
    facts = (one.fact(day) for one in known(connection, home.members).values())
    return home.size or sum(fact is not None and fact.deceased_on is None for fact in facts)


def line_answer(one: CaseLine, day: date) -> CaseRow:
    """Give a line of the list of cases."""
    names = [name for name in CaseRow.model_fields if name != "overdue"]
    return CaseRow.model_validate({name: getattr(one, name) for name in names} | {"overdue": _late(one.due_on, day)})


def case_answer(connection: sa.Connection, found: CaseFile, acting: Acting) -> CaseAnswer:
    """Give a whole case: its steps in words, what is due by the rules, and what may follow for who asks."""
    case, day = found.case, today(acting)
    names = (
        "case_id", "household_id", "place", "state", "round", "category", "found_on", "verified_on", "published_on",
        "recognised_on", "refused_on", "removed_on", "stable_since", "exit_published_on", "income_head_fen",
        "line_head_fen", "labour_capacity", "objections",
    )  # fmt: skip
    due = cases.deadlines(connection, case, on=case.events[-1].day)
    return CaseAnswer.model_validate(
        {name: getattr(case, name) for name in names}
        | {
            "changed_on": case.events[-1].day,
            "due_on": found.due_on,
            "due_for": found.due_for,
            "overdue": _late(found.due_on, day),
            "number": found.number,
            "proposed_by": list(case.proposed_by),
            "events": _events(case, acting.language),
            "due": [
                {
                    "name": name, "day": one.day, "provisional": one.provisional,
                    "overdue": name in _UNTIL and _late(one.day, day),
                }
                for name, one in due.items()
            ],
            "may_follow": _may_follow(case, {name: one.day for name, one in due.items()}, acting),
        }
    )  # fmt: skip


def _late(due: date | None, day: date) -> bool:
    return due is not None and day > due


def _events(case: Case, language: str) -> list[EventAnswer]:
    names = [name for name in EventAnswer.model_fields if name not in ("number", "title", "signals")]
    return [
        EventAnswer.model_validate(
            {name: getattr(event, name) for name in names}
            | {"number": number, "title": say(f"case_step.{event.kind}", language), "signals": list(event.signals)}
        )
        for number, event in enumerate(case.events, 1)
    ]


def _may_follow(case: Case, due: dict[str, date], acting: Acting) -> list[FollowAnswer]:
    from medfloor.watch import may_follow

    stands = due.get("notice")
    first = {"recognised": None if stands is None else stands + timedelta(days=1), "removed": due.get("removal")}
    proposed = acting.actor.login.strip().casefold() in case.proposed_by
    return [
        FollowAnswer(
            kind=kind,  # type: ignore[arg-type]
            title=say(f"case_step.{kind}", acting.language),
            yours=may(acting.actor, STEPS[kind]) and not (kind in _TWO_PEOPLE and proposed),
            from_day=first.get(kind),
        )
        for kind in _kinds(may_follow(case))
    ]


def _kinds(kinds: Sequence[str]) -> list[str]:
    """Leave out what people do not record: *found* and *alerted*."""
    return [kind for kind in kinds if kind in STEPS]
