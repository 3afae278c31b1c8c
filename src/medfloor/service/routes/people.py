"""Routes of people: find, look up, a year, the whole identity for a reason, statuses that a second person decides."""

from __future__ import annotations

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query

from medfloor.errors import NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import persons
from medfloor.service.access import Acting, need
from medfloor.service.bodies.fields import ID_PATTERN, AskedMoment, Day
from medfloor.service.bodies.people import (
    Found,
    FoundAnswer,
    IdentityAnswer,
    PersonAnswer,
    SearchBody,
    SpellBody,
    UnmaskBody,
    YearAnswer,
)
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.settlements import Proposed
from medfloor.service.looking import look, no_person, note, places_of, whole_identity, within
from medfloor.service.running import Running, running
from medfloor.service.settling import tiers_of
from medfloor.store import audit, proposals, register
from medfloor.store.matching import Asked, match
from medfloor.store.roles import sees

router = APIRouter(prefix="/api/v1/people", tags=["people 人员"])

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, Depends(need("read_person"))]
PersonId = Annotated[
    str,
    Path(pattern=ID_PATTERN, max_length=64, description="psn_no, never an identity number. 人员编号，不得使用身份证号"),
]
OnDay = Annotated[Day | None, Query(description="The day that is asked about; today where it is missing. 查询日")]
KnownAt = Annotated[
    AskedMoment | None, Query(description="What the office knew then; now where it is missing. 知悉时点")
]
Year = Annotated[int, Path(ge=1900, le=2200, description="Benefit year. 待遇年度")]


@router.post(
    "/search",
    responses=problems(),
    summary="Find people",
    description="按身份证号，或按姓名与出生日期查找；条件放在请求体内，不进入网址。",
)
def search(body: SearchBody, acting: Reader, run: Run) -> FoundAnswer:
    """Find people by identity number, or by name and birth date; only those within the place of who asks."""
    outside: list[str] = []

    def work(connection: sa.Connection) -> tuple[FoundAnswer, list[str]]:
        if body.identity_number is not None:
            one = register.find(connection, run.keyring, body.identity_number)
        else:
            asked = Asked(name=body.name, birth_date=body.birth_date)
            one = match(connection, run.keyring, [asked])[0].person_id
        listed = [] if one is None else [one]
        places = places_of(connection, listed)
        mine = [one for one in listed if sees(acting.actor, places[one])]
        outside.extend(one for one in listed if one not in mine)
        return FoundAnswer(people=[_found(connection, run, acting, one, places[one]) for one in mine]), mine

    answer = look(
        run, acting, "search_person", work, detail="by number" if body.identity_number else "by name and birth date"
    )
    if outside:
        note(run, acting, "outside_place", outside, detail="search_person")
    return answer


@router.get(
    "/{person_id}",
    responses=problems(404),
    summary="Look up a person",
    description="人员信息：某日的事实、参保与身份，按知悉时点。",
)
def show(person_id: PersonId, acting: Reader, run: Run, day: OnDay = None, known_at: KnownAt = None) -> PersonAnswer:
    """Give a person with the facts of a day, as the office knew them at a moment; name and number are masked."""

    def work(connection: sa.Connection) -> tuple[PersonAnswer, list[str]]:
        whose = within(connection, acting, [person_id])
        when = day or acting.now.astimezone(OFFICE_ZONE).date()
        return (
            persons.person_answer(connection, run.keyring, person_id, day=when, known_at=known_at, now=acting.now),
            whose,
        )

    return look(run, acting, "read_person", work)


@router.post(
    "/{person_id}/identity",
    responses=problems(404),
    summary="See the whole identity",
    description="查看完整姓名与证件号：须说明理由，并留痕。",
)
def unmask(
    person_id: PersonId, body: UnmaskBody, acting: Annotated[Acting, Depends(need("reveal_identity"))], run: Run
) -> IdentityAnswer:
    """Give the whole name and identity number; who asked, when and why is written down first."""
    whole = whole_identity(run, acting, person_id, body.reason)
    return IdentityAnswer(person_id=person_id, name=whole.name, identity_number=whole.identity_number)


@router.get(
    "/{person_id}/years/{year}",
    responses=problems(404),
    summary="A person's benefit year",
    description="某待遇年度的累计与全部分录。",
)
def year_of(
    person_id: PersonId, year: Year, acting: Annotated[Acting, Depends(need("read_settlements"))], run: Run
) -> YearAnswer:
    """Give what a person has used in a benefit year, and the entries that it follows from."""

    def work(connection: sa.Connection) -> tuple[YearAnswer, list[str]]:
        whose = within(connection, acting, [person_id])
        return persons.year_answer(connection, person_id, year, tiers_of(run)), whose

    return look(run, acting, "read_year", work)


@router.post(
    "/{person_id}/spells",
    responses=problems(404, 409),
    status_code=202,
    summary="Propose a change of status",
    description="身份认定、更正、撤销或退出：生成复核申请，由另一人决定。",
)
def propose_spell(
    person_id: PersonId, body: SpellBody, acting: Annotated[Acting, Depends(need("propose"))], run: Run
) -> Proposed:
    """Propose to record, correct, retract or end a status; a second person decides, and only then it counts."""

    def check(connection: sa.Connection) -> tuple[str, list[str]]:
        whose = within(connection, acting, [person_id])
        if body.action != "record" and not _has(connection, person_id, body.group):
            raise NotFoundError("nothing_recorded", "no status of this group is recorded for the person")
        return places_of(connection, whose)[person_id], []

    place = look(run, acting, "propose", check)
    kind: Any = "exit" if body.action == "end" else "status_change"
    payload = {"person_id": person_id, **body.model_dump(mode="json", exclude={"reason"}, exclude_none=True)}

    def ask(connection: sa.Connection) -> proposals.Proposal:
        made = proposals.propose(
            connection, kind, payload, reason=body.reason, actor=acting.actor, now=acting.now, person_id=person_id,
            place=place,
        )  # fmt: skip
        audit.record(
            connection,
            acting.actor,
            "propose_status",
            now=acting.now,
            person_id=person_id,
            request_id=acting.request_id,
        )
        return made

    return Proposed(proposal=run.store.attempt(ask).id, kind=kind, person_id=person_id)


def _has(connection: sa.Connection, person_id: str, group: str) -> bool:
    found = register.known(connection, [person_id]).get(person_id)
    if found is None:
        raise no_person()
    return any(one.group == group for one in found.statuses)


def _found(connection: sa.Connection, run: Running, acting: Acting, person_id: str, place: str) -> Found:
    shown = register.identity_of(connection, run.keyring, person_id).masked()
    person = register.known(connection, [person_id])[person_id].person(acting.now.astimezone(OFFICE_ZONE).date())
    return Found(
        person_id=person_id,
        name=shown.name,
        identity_number=shown.identity_number,
        birth_date=person.birth_date,
        sex=person.sex,
        place=place,
    )
