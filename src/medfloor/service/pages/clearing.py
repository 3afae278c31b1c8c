"""Pages of clearing with facilities: monthly statements drawn, agreed, cleared, and files held against the books."""

from __future__ import annotations

import re
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.bodies.clearing import (
    PROVIDER_PATTERN,
    AgreementBody,
    ClearingBody,
    ResolutionBody,
    StatementBody,
)
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.pages.frame import go, page, render
from medfloor.service.pages.office import fields_of, file_of, provider_names, refused, tried
from medfloor.service.pages.shown import tier_name
from medfloor.service.paging import Cursor
from medfloor.service.routes import reconciliation, statements
from medfloor.service.routes.statements import MONTH_PATTERN
from medfloor.service.running import Running, running
from medfloor.store.reconciliation import FITTING
from medfloor.store.roles import may
from medfloor.store.schema import statement

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_statements")]
Drawer = Annotated[Acting, page("draw_statements")]
ProviderId = Annotated[str, Path(pattern=PROVIDER_PATTERN, max_length=64)]
InMonth = Annotated[str, Path(pattern=MONTH_PATTERN, max_length=7)]
Number = Annotated[int, Path(ge=1, le=2**53)]
MonthText = Annotated[str, Query(max_length=7, pattern=rf"^$|{MONTH_PATTERN}")]
ProviderText = Annotated[str, Query(max_length=64, pattern=rf"^$|{PROVIDER_PATTERN}")]
StateText = Annotated[str, Query(max_length=12, pattern=r"^(drawn|agreed|cleared)?$")]
ItemState = Annotated[str, Query(max_length=12, pattern=r"^(open|resolved)?$")]
Cursors = Annotated[str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9_=-]*$")]
ROWS = 60


@router.get("/office/statements")
def list_statements(
    request: Request, acting: Reader, run: Run, month: MonthText = "", state: StateText = "",
    provider: ProviderText = "", cursor: Cursors = None,
) -> Response:  # fmt: skip
    """List statements: those of the last month that has some, or what is asked for."""
    asked = {"month": month, "state": state, "provider": provider}
    return _statements(request, acting, run, asked, cursor, None)


@router.post("/office/statements")
async def draw(request: Request, acting: Drawer, run: Run) -> Response:
    """Draw the statements of a month, of one facility or of all."""
    fields = await fields_of(request)

    def work() -> Any:
        body = StatementBody(
            month=fields.get("month", ""), provider_id=fields.get("provider_id") or None,
            early=fields.get("early") == "yes",
        )  # fmt: skip
        return statements.draw(body, acting, run)

    done, problem = await tried(work, acting.language)
    if problem is not None:
        asked = {"month": "", "state": "", "provider": ""}
        return await run_in_threadpool(_statements, request, acting, run, asked, None, problem)
    return go(f"/office/statements?month={done.month}", done="drawn")


@router.get("/office/statements/{provider_id}/{month}")
def show_statement(
    request: Request, provider_id: ProviderId, month: InMonth, acting: Reader, run: Run, cursor: Cursor = None
) -> Response:
    """Show a facility's statements of a month with their entries, and what may be done next."""
    return _statement(request, acting, run, provider_id, month, cursor, None)


@router.post("/office/statements/{provider_id}/{month}/agreement")
async def agree(request: Request, provider_id: ProviderId, month: InMonth, acting: Drawer, run: Run) -> Response:
    """Write down that the facility agreed."""
    fields = await fields_of(request)

    def work() -> Any:
        body = AgreementBody(fund=fields.get("fund") or None, note=fields.get("note") or None)
        return statements.agree(provider_id, month, body, acting, run)

    _, problem = await tried(work, acting.language)
    if problem is not None:
        return await run_in_threadpool(_statement, request, acting, run, provider_id, month, None, problem)
    return go(f"/office/statements/{provider_id}/{month}", done="agreed")


@router.post("/office/statements/{provider_id}/{month}/clearing")
async def clear(
    request: Request, provider_id: ProviderId, month: InMonth,
    acting: Annotated[Acting, page("clear_statements")], run: Run,
) -> Response:  # fmt: skip
    """Clear an agreed statement."""
    fields = await fields_of(request)

    def work() -> Any:
        body = ClearingBody.model_validate({"fund": fields.get("fund") or None, "on": fields.get("on") or None})
        return statements.clear(provider_id, month, body, acting, run)

    _, problem = await tried(work, acting.language)
    if problem is not None:
        return await run_in_threadpool(_statement, request, acting, run, provider_id, month, None, problem)
    return go(f"/office/statements/{provider_id}/{month}", done="cleared")


@router.get("/office/reconciliation")
def list_differences(
    request: Request, acting: Reader, run: Run, month: MonthText = "", state: ItemState = "",
    provider: ProviderText = "", cursor: Cursor = None,
) -> Response:  # fmt: skip
    """List lines in which our books and hospitals' files differ, and take a file to compare."""
    asked = {"month": month, "state": state, "provider": provider}
    return _differences(request, acting, run, asked, cursor, None, None)


@router.post("/office/reconciliation")
async def compare(request: Request, acting: Annotated[Acting, page("reconcile")], run: Run) -> Response:
    """Compare a hospital's file of a month with the books, and show what differs."""
    fields = await fields_of(request)
    problem, found = None, None
    async with file_of(request) as sent:
        if sent is None:
            problem = refused("imports_page.no_file", acting.language)
        elif not re.fullmatch(ID_PATTERN, fields.get("provider_id", "")):
            problem = refused("office_page.bad_provider", acting.language)
        elif not re.fullmatch(MONTH_PATTERN, fields.get("month", "")):
            problem = refused("office_page.bad_month", acting.language)
        else:
            given = sent, fields["provider_id"], fields["month"], acting, run
            found, problem = await tried(reconciliation.compare, acting.language, *given)
    asked = {"month": "", "state": "open", "provider": ""}
    return await run_in_threadpool(_differences, request, acting, run, asked, None, problem, found)


@router.post("/office/reconciliation/items/{number}")
async def resolve(request: Request, number: Number, acting: Annotated[Acting, page("reconcile")], run: Run) -> Response:
    """Resolve a difference by name."""
    fields = await fields_of(request)

    async def work() -> Any:
        said = {"resolution": fields.get("resolution", ""), "note": fields.get("note") or None}
        return await reconciliation.resolve(number, ResolutionBody.model_validate(said), acting, run)

    _, problem = await tried(work, acting.language)
    if problem is not None:
        asked = {"month": "", "state": "open", "provider": ""}
        return await run_in_threadpool(_differences, request, acting, run, asked, None, problem, None)
    return go("/office/reconciliation?state=open", done="recorded")


def _statements(
    request: Request, acting: Acting, run: Running, asked: dict[str, str], cursor: str | None,
    problem: dict[str, Any] | None,
) -> Response:  # fmt: skip
    with run.store.reading() as connection:
        months = list(
            connection.execute(sa.select(statement.c.month).distinct().order_by(statement.c.month.desc())).scalars()
        )
    if not any(asked.values()) and months:
        asked = {**asked, "month": months[0]}
    state: Any = asked["state"] or None
    found = statements.list_all(
        acting, run, asked["month"] or None, asked["provider"] or None, None, state, cursor, ROWS
    )
    lang = acting.language
    return render(
        request, acting, "office/statements.html", status=problem["status"] if problem else 200, asked=asked,
        months=months, rows=found.items, following=found.next, begun=bool(cursor), problem=problem,
        names=provider_names(run, {one.provider_id for one in found.items}, lang),
        tiers={one.fund: tier_name(run, one.fund, lang) for one in found.items},
        may_draw=may(acting.actor, "draw_statements"),
    )  # fmt: skip


def _statement(
    request: Request, acting: Acting, run: Running, provider_id: str, month: str, cursor: str | None,
    problem: dict[str, Any] | None,
) -> Response:  # fmt: skip
    lang = acting.language
    found = statements.show(provider_id, month, acting, run)
    lines = statements.lines(provider_id, month, acting, run, None, cursor, ROWS)
    items = reconciliation.list_items(acting, run, provider_id, month, None, None, ROWS).items
    states = {one.state for one in found.statements}
    funds = {one.fund for one in found.statements} | {fund for line in lines.items for fund in line.amount_fen}
    return render(
        request, acting, "office/statement.html", status=problem["status"] if problem else 200, problem=problem,
        provider_id=provider_id, month=month, found=found, lines=lines, items=items, begun=bool(cursor),
        names=provider_names(run, [provider_id], lang), tiers={fund: tier_name(run, fund, lang) for fund in funds},
        may_agree="drawn" in states and may(acting.actor, "draw_statements"),
        may_clear=states == {"agreed"} and may(acting.actor, "clear_statements"),
    )  # fmt: skip


def _differences(
    request: Request, acting: Acting, run: Running, asked: dict[str, str], cursor: str | None,
    problem: dict[str, Any] | None, found: Any,
) -> Response:  # fmt: skip
    state: Any = asked["state"] or None
    rows = reconciliation.list_items(
        acting, run, asked["provider"] or None, asked["month"] or None, state, cursor, ROWS
    )
    return render(
        request, acting, "office/reconciliation.html", status=problem["status"] if problem else 200, asked=asked,
        rows=rows.items, following=rows.next, begun=bool(cursor), problem=problem, found=found, fitting=FITTING,
        names=provider_names(run, {one.provider_id for one in rows.items}, acting.language),
        may_reconcile=may(acting.actor, "reconcile"),
    )  # fmt: skip
