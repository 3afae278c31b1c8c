"""Routes of monthly statements: draw, look at, agree with the facility, clear."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query

from medfloor.errors import NotFoundError, UsageError
from medfloor.service.access import Acting, need
from medfloor.service.bodies.clearing import (
    PROVIDER_PATTERN,
    AgreementBody,
    ClearingBody,
    LineAnswer,
    LinesAnswer,
    StatementAnswer,
    StatementBody,
    StatementSet,
    StatementsPage,
)
from medfloor.service.bodies.problems import problems
from medfloor.service.looking import look, places_of
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.running import Running, running
from medfloor.service.settling import books_of, check_not_ahead
from medfloor.store import statements
from medfloor.store.office import office_of
from medfloor.store.roles import place_prefix, sees
from medfloor.store.schema import provider
from medfloor.store.statements import Statement

router = APIRouter(prefix="/api/v1/statements", tags=["statements 月结算单"])

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, Depends(need("read_statements"))]
Drawer = Annotated[Acting, Depends(need("draw_statements"))]
MONTH_PATTERN = r"^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])$"
ProviderId = Annotated[str, Path(pattern=PROVIDER_PATTERN, max_length=64, description="The facility. 定点机构编码")]
InMonth = Annotated[str, Path(pattern=MONTH_PATTERN, max_length=7, description="The month, YYYY-MM. 月份")]
Fund = Annotated[str | None, Query(pattern=r"^[a-z][a-z0-9_]{0,31}$", max_length=32, description="One fund. 基金")]


@router.get(
    "", responses=problems(), summary="List statements", description="月结算单列表，可按月份、机构、基金、状态筛选。"
)
def list_all(
    acting: Reader,
    run: Run,
    month: Annotated[str | None, Query(pattern=MONTH_PATTERN, max_length=7, description="Month. 月份")] = None,
    provider_id: Annotated[
        str | None, Query(pattern=PROVIDER_PATTERN, max_length=64, description="Facility. 机构")
    ] = None,
    fund: Fund = None,
    state: Annotated[Literal["drawn", "agreed", "cleared"] | None, Query(description="State. 状态")] = None,
    cursor: Annotated[
        str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9_=-]*$", description="`next`. 游标")
    ] = None,
    limit: Limit = 100,
) -> StatementsPage:
    """List the statements of facilities within the place of who asks."""
    after = _place_in_list(cursor)
    items: list[StatementAnswer] = []
    with run.store.reading() as connection:
        while len(items) < limit:
            found = statements.statements(
                connection, month=month, provider_id=provider_id, fund=fund, state=state, after=after, limit=limit
            )
            seen = seen_providers(connection, acting, {one.provider_id for one in found})
            for one in found:
                after = (one.month, one.provider_id, one.fund)
                if one.provider_id in seen:
                    items.append(_answer(one))
                    if len(items) == limit:
                        break
            if len(found) < limit:
                break
    return StatementsPage(items=items, next=_cursor(after) if len(items) == limit else None)


@router.post(
    "",
    responses=problems(404, 409),
    summary="Draw the statements of a month",
    description="生成某月结算单；重复生成结果不变。",
)
def draw(body: StatementBody, acting: Drawer, run: Run) -> StatementSet:
    """Draw the statements of a month, of one facility or of all; drawn again they are the same."""
    with run.store.reading() as connection:
        if body.provider_id is not None:
            check_provider(connection, acting, body.provider_id)
        elif not _sees_office(connection, acting):
            raise UsageError("one_provider", "name a facility of your place; only the office draws those of all")
    drawn = statements.draw(
        run.store, body.month, provider_id=body.provider_id, early=body.early, actor=acting.actor, now=acting.now
    )
    return _set(body.month, drawn)


@router.get(
    "/{provider_id}/{month}", responses=problems(404), summary="Look up a statement", description="某机构某月的结算单。"
)
def show(provider_id: ProviderId, month: InMonth, acting: Reader, run: Run) -> StatementSet:
    """Give the statements of a facility and month, one a fund."""
    with run.store.reading() as connection:
        check_provider(connection, acting, provider_id)
        found = statements.statements(connection, month=month, provider_id=provider_id)
    if not found:
        raise _no_statement()
    return _set(month, found)


@router.get(
    "/{provider_id}/{month}/lines",
    responses=problems(404),
    summary="Entries on a statement",
    description="结算单明细。",
)
def lines(
    provider_id: ProviderId, month: InMonth, acting: Reader, run: Run, fund: Fund = None, cursor: Cursor = None,
    limit: Limit = 100,
) -> LinesAnswer:  # fmt: skip
    """List the entries on a statement, of people within the place of who asks."""
    start = number_of("lines", cursor) or 0

    def work(connection: sa.Connection) -> tuple[LinesAnswer, list[str]]:
        check_provider(connection, acting, provider_id)
        found = statements.lines_of(connection, provider_id, month, fund=fund)
        places = places_of(connection, list({one.person_id for one in found}))
        mine = [one for one in found if sees(acting.actor, places.get(one.person_id, ""))]
        page = mine[start : start + limit]
        items = [
            LineAnswer(
                entry_id=one.entry_id,
                kind=one.kind,
                claim_id=one.claim_id,
                person_id=one.person_id,
                settled_date=one.settled_date,
                posted_at=one.posted_at,
                amount_fen=dict(one.amount_fen),
                own_fen=one.own_fen,
            )
            for one in page
        ]
        more = cursor_of("lines", start + limit) if start + limit < len(mine) else None
        return LinesAnswer(items=items, next=more), [one.person_id for one in page]

    return look(run, acting, "read_statement", work)


@router.post(
    "/{provider_id}/{month}/agreement",
    responses=problems(404, 409),
    summary="Agree a statement with the facility",
    description="机构确认结算单；对账差异未处理完时不能确认。",
)
def agree(provider_id: ProviderId, month: InMonth, body: AgreementBody, acting: Drawer, run: Run) -> StatementSet:
    """Write down that the facility agreed; not while lines of its reconciliation are open."""
    with run.store.reading() as connection:
        check_provider(connection, acting, provider_id)
    found = statements.agree(
        run.store, provider_id, month, fund=body.fund, note=body.note, actor=acting.actor, now=acting.now
    )
    return _set(month, found)


@router.post(
    "/{provider_id}/{month}/clearing",
    responses=problems(404, 409),
    summary="Clear a statement",
    description="清算：已确认的结算单逐基金记一笔平衡分录。",
)
def clear(
    provider_id: ProviderId,
    month: InMonth,
    body: ClearingBody,
    acting: Annotated[Acting, Depends(need("clear_statements"))],
    run: Run,
) -> StatementSet:
    """Clear an agreed statement: one balanced entry a fund on the facility's account."""
    check_not_ahead(body.on, acting)
    with run.store.reading() as connection:
        check_provider(connection, acting, provider_id)
    found = statements.clear(
        books_of(run), provider_id, month, fund=body.fund, on=body.on, actor=acting.actor, now=acting.now
    )
    return _set(month, found)


def check_provider(connection: sa.Connection, acting: Acting, provider_id: str) -> None:
    """Go on only if a facility is within the place of who asks. Raises NotFoundError (`no_such_statement`)."""
    if provider_id not in seen_providers(connection, acting, {provider_id}):
        raise _no_statement()


def seen_providers(connection: sa.Connection, acting: Acting, provider_ids: set[str]) -> set[str]:
    """Give the facilities that somebody sees: all for the office, else those that stand within one's place."""
    if _sees_office(connection, acting):
        return provider_ids
    rows = connection.execute(
        sa.select(provider.c.provider_id, provider.c.place).where(provider.c.provider_id.in_(sorted(provider_ids)))
    )
    return {one for one, place in rows if sees(acting.actor, place)}


def provider_in_place(
    connection: sa.Connection, acting: Acting, column: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Give the condition under which a column of facilities names one that `seen_providers` gives."""
    if _sees_office(connection, acting):
        return sa.true()
    prefix = place_prefix(acting.actor.place)
    return column.in_(sa.select(provider.c.provider_id).where(provider.c.place.startswith(prefix, autoescape=True)))


def _sees_office(connection: sa.Connection, acting: Acting) -> bool:
    """Say whether somebody sees the whole place of the office: its facilities may stand anywhere."""
    place = office_of(connection).place
    return place_prefix(place).startswith(place_prefix(acting.actor.place))


def _no_statement() -> NotFoundError:
    return NotFoundError("no_such_statement", "no statement of this facility and month has been drawn in your place")


def _answer(one: Statement) -> StatementAnswer:
    values = asdict(one)
    return StatementAnswer.model_validate({name: values[name] for name in StatementAnswer.model_fields})


def _set(month: str, found: Sequence[Statement]) -> StatementSet:
    return StatementSet(
        month=month, amount_fen=sum(one.amount_fen for one in found), statements=[_answer(one) for one in found]
    )


def _cursor(after: tuple[str, str, str] | None) -> str | None:
    if after is None:
        return None
    return base64.urlsafe_b64encode("|".join(("statements", *after)).encode()).decode().rstrip("=")


def _place_in_list(cursor: str | None) -> tuple[str, str, str] | None:
    """Read the cursor of this list. Raises UsageError (`bad_cursor`)."""
    if not cursor:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        text = ""
    parts = text.split("|")
    if len(parts) != 4 or parts[0] != "statements" or not text.isprintable():
        raise UsageError("bad_cursor", "the cursor is not one of this list; begin without one")
    return parts[1], parts[2], parts[3]
