"""Routes of reconciliation: compare a hospital's file with our books, look at what differs, resolve it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, File, Form, Path, Query, UploadFile
from starlette.concurrency import run_in_threadpool

from medfloor.errors import NotFoundError
from medfloor.service.access import Acting, need
from medfloor.service.bodies.clearing import (
    PROVIDER_PATTERN,
    ReconciliationAnswer,
    ReconciliationItem,
    ReconciliationPage,
    ResolutionBody,
)
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.bodies.problems import problems
from medfloor.service.looking import in_place, note
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.routes.statements import MONTH_PATTERN, check_provider, provider_in_place, seen_providers
from medfloor.service.running import Running, running
from medfloor.service.settling import bill_of, books_of, check_place
from medfloor.store import reconciliation
from medfloor.store.roles import require
from medfloor.store.schema import claim, reconciliation_item

router = APIRouter(prefix="/api/v1/reconciliation", tags=["reconciliation 对账"])

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, Depends(need("read_statements"))]
Worker = Annotated[Acting, Depends(need("reconcile"))]
Number = Annotated[int, Path(ge=1, le=2**53, description="The difference. 差异编号")]


@router.post(
    "",
    responses=problems(404, 409),
    summary="Compare a hospital's file",
    description="对账：医院文件（CSV、Excel 或 Parquet）与台账逐单比对；同一文件再次提交不作变更。",
)
async def compare(
    file: Annotated[UploadFile, File(description="CSV, Excel or Parquet. 文件")],
    provider_id: Annotated[str, Form(pattern=ID_PATTERN, max_length=64, description="The facility. 机构")],
    month: Annotated[str, Form(pattern=MONTH_PATTERN, max_length=7, description="The month, YYYY-MM. 月份")],
    acting: Worker,
    run: Run,
) -> ReconciliationAnswer:
    """Compare a facility's file of a month with the ledger, claim by claim, and keep what differs."""
    content = await file.read()

    def work() -> ReconciliationAnswer:
        with run.store.reading() as connection:
            check_provider(connection, acting, provider_id)
        found = reconciliation.reconcile(
            run.store, content, provider_id, month, actor=acting.actor, now=acting.now, keyring=run.keyring
        )
        with run.store.reading() as connection:
            return _answer(connection, acting, found)

    return await run_in_threadpool(work)


@router.get(
    "/items", responses=problems(), summary="List differences", description="对账差异列表，可按机构、月份、状态筛选。"
)
def list_items(
    acting: Reader,
    run: Run,
    provider_id: Annotated[
        str | None, Query(pattern=PROVIDER_PATTERN, max_length=64, description="Facility. 机构")
    ] = None,
    month: Annotated[str | None, Query(pattern=MONTH_PATTERN, max_length=7, description="Month. 月份")] = None,
    state: Annotated[Literal["open", "resolved"] | None, Query(description="State. 状态")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ReconciliationPage:
    """List lines in which our books and hospitals' files differ, of people and facilities within one's place."""
    item = reconciliation_item
    asked = [
        item.c.id > (number_of("items", cursor) or 0),
        *([item.c.provider_id == provider_id] if provider_id else []),
        *([item.c.month == month] if month else []),
        *([item.c.state == state] if state else []),
    ]
    with run.store.reading() as connection:
        rows = connection.execute(
            sa.select(item, claim.c.person_id)
            .join(claim, claim.c.claim_id == item.c.claim_id, isouter=True)
            .where(*asked, _in_sight(connection, acting))
            .order_by(item.c.id)
            .limit(limit)
        ).all()
    note(run, acting, "read_reconciliation", dict.fromkeys(row.person_id for row in rows))
    return ReconciliationPage(
        items=[_item(row) for row in rows], next=cursor_of("items", rows[-1].id) if len(rows) == limit else None
    )


@router.post(
    "/items/{number}/resolution",
    responses=problems(404, 409),
    summary="Resolve a difference",
    description="处理差异：补结算、冲正、双方认可或对方更正；需记账的经台账办理。",
)
async def resolve(number: Number, body: ResolutionBody, acting: Worker, run: Run) -> ReconciliationItem:
    """Resolve a difference by name; what needs an entry is made through the ledger."""
    books = books_of(run)
    if body.claim is not None:
        require(acting.actor, "settle")
        await check_place(run, acting, [body.claim.person_id])
    if body.resolution == "reversed":
        require(acting.actor, "reverse")

    def work() -> ReconciliationItem:
        with run.store.reading() as connection:
            found = connection.execute(
                sa.select(reconciliation_item.c.provider_id)
                .join(claim, claim.c.claim_id == reconciliation_item.c.claim_id, isouter=True)
                .where(reconciliation_item.c.id == number, _in_sight(connection, acting))
            ).scalar()
            if found is None or found not in seen_providers(connection, acting, {found}):
                raise NotFoundError("no_such_item", f"there is no difference {number} in your place")
        bill = None if body.claim is None else bill_of(body.claim)
        done = reconciliation.resolve(
            books, number, body.resolution, note=body.note, bill=bill, actor=acting.actor, now=acting.now
        )
        return _item(done)

    return await run_in_threadpool(work)


@router.get("/{number}", responses=problems(404), summary="Look up a comparison", description="一次对账的结果。")
def show(number: Number, acting: Reader, run: Run) -> ReconciliationAnswer:
    """Give the outcome of a file that was compared, with its items as they stand."""
    with run.store.reading() as connection:
        found = reconciliation.reconciliation_of(connection, number)
        check_provider(connection, acting, found.provider_id)
        answer = _answer(connection, acting, found)
    note(run, acting, "read_reconciliation", [None], detail=f"import={number}")
    return answer


def _in_sight(connection: sa.Connection, acting: Acting) -> sa.ColumnElement[bool]:
    """Give the condition under which a difference is seen: by its person, or where it has none by its facility."""
    # A claim that only the hospital has is nobody's here yet.
    nobodys = sa.and_(
        claim.c.person_id.is_(None), provider_in_place(connection, acting, reconciliation_item.c.provider_id)
    )
    return sa.or_(nobodys, in_place(claim.c.person_id, acting))


def _answer(connection: sa.Connection, acting: Acting, found: reconciliation.Reconciliation) -> ReconciliationAnswer:
    seen = set(
        connection.execute(
            sa.select(reconciliation_item.c.id)
            .join(claim, claim.c.claim_id == reconciliation_item.c.claim_id, isouter=True)
            .where(
                reconciliation_item.c.provider_id == found.provider_id,
                reconciliation_item.c.month == found.month,
                _in_sight(connection, acting),
            )
        ).scalars()
    )
    names = set(ReconciliationAnswer.model_fields) - {"items", "reasons"}
    return ReconciliationAnswer.model_validate(
        {
            **{name: getattr(found, name) for name in names},
            "reasons": dict(found.reasons),
            "items": [_item(one) for one in found.items if one.id in seen],
        }
    )


def _item(row: Any) -> ReconciliationItem:
    names = set(ReconciliationItem.model_fields) - {"item_id"}
    return ReconciliationItem.model_validate({"item_id": row.id, **{name: getattr(row, name) for name in names}})
