"""Routes of arrears: what is owed to people and by them, and the next step of one."""

from __future__ import annotations

from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query

from medfloor.errors import NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service.access import Acting, need
from medfloor.service.bodies.clearing import ArrearAnswer, ArrearsPage, ArrearSteps, StepAnswer, StepBody
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.bodies.problems import problems
from medfloor.service.looking import in_place, look, places_of
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.running import Running, running
from medfloor.service.settling import books_of, check_not_ahead
from medfloor.store import arrears, audit
from medfloor.store.roles import sees
from medfloor.store.schema import arrear

router = APIRouter(prefix="/api/v1/arrears", tags=["arrears 应补应退"])

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, Depends(need("read_arrears"))]
Number = Annotated[int, Path(ge=1, le=2**53, description="The arrear. 编号")]


@router.get("", responses=problems(), summary="List arrears", description="应补应退列表，可按状态、人员、年度筛选。")
def list_all(
    acting: Reader,
    run: Run,
    state: Annotated[
        Literal["found", "notified", "paid", "returned", "closed"] | None, Query(description="State. 状态")
    ] = None,
    person_id: Annotated[
        str | None, Query(pattern=ID_PATTERN, max_length=64, description="Of one person. 人员编号")
    ] = None,
    year: Annotated[int | None, Query(ge=1900, le=2200, description="Benefit year. 待遇年度")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ArrearsPage:
    """List what is owed to people (above zero) and by them (below), within the place of who asks."""
    asked = [
        arrear.c.id > (number_of("arrears", cursor) or 0),
        in_place(arrear.c.person_id, acting),
        *([arrear.c.state == state] if state else []),
        *([arrear.c.person_id == person_id] if person_id else []),
        *([arrear.c.benefit_year == year] if year else []),
    ]

    def work(connection: sa.Connection) -> tuple[ArrearsPage, list[str]]:
        rows = connection.execute(sa.select(arrear).where(*asked).order_by(arrear.c.id).limit(limit)).all()
        page = ArrearsPage(
            items=[_answer(arrears.Arrear(*row)) for row in rows],
            next=cursor_of("arrears", rows[-1].id) if len(rows) == limit else None,
        )
        return page, [row.person_id for row in rows]

    return look(run, acting, "read_arrears", work)


@router.get("/{number}", responses=problems(404), summary="Look up an arrear", description="一笔应补应退及其步骤。")
def show(number: Number, acting: Reader, run: Run) -> ArrearSteps:
    """Give an arrear with the steps that it took."""
    return look(run, acting, "read_arrear", lambda connection: _with_steps(connection, acting, number))


@router.post(
    "/{number}/steps",
    responses=problems(404, 409),
    summary="Take the next step of an arrear",
    description="应补应退的下一步：通知、支付、退回、结案。支付与退回记入台账。",
)
def step(
    number: Number, body: StepBody, acting: Annotated[Acting, Depends(need("handle_arrears"))], run: Run
) -> ArrearSteps:
    """Move an arrear to its next state; paying and returning are posted to the chain of the year."""
    books = books_of(run)
    before = look(run, acting, "handle_arrear", lambda connection: _with_steps(connection, acting, number))
    day = body.on or acting.now.astimezone(OFFICE_ZONE).date()
    check_not_ahead(day, acting)
    arrears.move(books, number, body.state, on=day, note=body.note, actor=acting.actor, now=acting.now)
    run.store.attempt(
        lambda connection: audit.record(
            connection, acting.actor, "step_arrear", now=acting.now, person_id=before.person_id,
            detail=f"arrear={number} {body.state}", request_id=acting.request_id,
        )
    )  # fmt: skip
    with run.store.reading() as connection:
        return _with_steps(connection, acting, number)[0]


def _with_steps(connection: sa.Connection, acting: Acting, number: int) -> tuple[ArrearSteps, list[str]]:
    row = connection.execute(sa.select(arrear).where(arrear.c.id == number)).one_or_none()
    place = "" if row is None else places_of(connection, [row.person_id]).get(row.person_id, "")
    if row is None or not sees(acting.actor, place):
        raise NotFoundError("no_such_arrear", f"there is no arrear {number} in your place")
    one = arrears.Arrear(*row)
    steps = [
        StepAnswer(state=step.state, on_date=step.on_date, at=step.at, by=step.by, note=step.note)
        for step in arrears.steps_of(connection, number)
    ]
    return ArrearSteps(**_answer(one).model_dump(), steps=steps), [one.person_id]


def _answer(one: arrears.Arrear) -> ArrearAnswer:
    return ArrearAnswer.model_validate(
        {
            "arrear_id": one.id,
            "person_id": one.person_id,
            "benefit_year": one.benefit_year,
            "claim_id": one.claim_id,
            "amount_fen": one.amount_fen,
            "state": one.state,
            "cause": one.cause,
        }
    )
