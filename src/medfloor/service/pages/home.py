"""The first page: this month at a glance, and the lists behind its numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from medfloor.periods import OFFICE_ZONE
from medfloor.service.access import Acting
from medfloor.service.looking import in_place, look
from medfloor.service.pages.frame import page, render
from medfloor.service.pages.shown import colour_of, tier_name
from medfloor.service.paging import Cursor, cursor_of, number_of
from medfloor.service.routes import watch
from medfloor.service.routes.statements import MONTH_PATTERN, provider_in_place
from medfloor.service.running import Running, running
from medfloor.store import glance
from medfloor.store.office import Office, office_of
from medfloor.store.roles import may, place_prefix
from medfloor.store.schema import arrear, claim, reconciliation_item, statement
from medfloor.store.statements import month_of
from medfloor.words import say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_settlements")]
MonthText = Annotated[str, Query(max_length=7, pattern=rf"^$|{MONTH_PATTERN}")]
ROWS = 50
NEAR_DAYS = 7
"""A deadline is near so many days ahead."""
REJECT_DAYS = 31
_KEPT_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Work:
    """Be a line of what waits: its sentence (`home_page.<name>`), how many, money, its list, and if it is late."""

    name: str
    count: int
    fen: int | None
    path: str
    late: bool = False


@router.get("/")
def home(request: Request, acting: Annotated[Acting, page(None)], run: Run) -> Response:
    """Show this month at a glance, in the place of who asks and as far as the role sees it."""
    today = acting.now.astimezone(OFFICE_ZONE).date()
    this = f"{today:%Y-%m}"
    values: dict[str, Any] = {
        "today": today, "month": this, "near_days": NEAR_DAYS, "figures": None, "parts": [], "odd": None,
        "watched": None, "near": None, "reserve": None, "works": [],
        "may_cases": may(acting.actor, "read_cases"), "may_settings": may(acting.actor, "manage_settings"),
    }  # fmt: skip
    with run.store.reading() as connection:
        office = office_of(connection)
        values["office"] = office
        values["whole"] = sees_office(acting, office)
        if may(acting.actor, "read_settlements"):
            found, odd = _of_ledger(request, connection, acting, office, this)
            values |= {"figures": found, "odd": odd, "parts": _parts(run, found, acting.language)}
        if may(acting.actor, "read_statements"):
            values["reserve"] = glance.reserve_of(connection, office.fund_reserve_fen, before=this)
        if may(acting.actor, "read_cases"):
            until = today + timedelta(days=NEAR_DAYS)
            values["near"] = glance.due_soon(connection, place_prefix(acting.actor.place), on=today, until=until)
        values["works"] = _works(connection, acting, office, today)
    if may(acting.actor, "read_case_counts"):
        values["watched"] = watch.summary(acting, run)
    return render(request, acting, "home.html", **values)


@router.get("/month")
def list_month(
    request: Request,
    acting: Reader,
    run: Run,
    month: MonthText = "",
    kind: Annotated[str, Query(max_length=16, pattern=r"^[a-z]*$")] = "",
    cursor: Cursor = None,
) -> Response:
    """List what was settled, taken back and settled anew in a month, the latest first."""
    chosen = month or _this_month(acting)
    before = number_of("month", cursor)

    def work(connection: sa.Connection) -> tuple[tuple[glance.Month, list[glance.Settled]], list[str]]:
        whose = _whose(acting, office_of(connection))
        rows = glance.settled_in(connection, chosen, kind=kind or None, whose=whose, before=before, limit=ROWS)
        return (glance.month_of(connection, chosen, whose=whose), rows), [one.person_id for one in rows]

    found, rows = look(run, acting, "read_month", work)
    following = cursor_of("month", rows[-1].entry_id) if len(rows) == ROWS else None
    return render(
        request, acting, "home/month.html", month=chosen, kind=kind, figures=found, rows=rows, following=following,
        parts=_parts(run, found, acting.language), begun=cursor is not None,
    )  # fmt: skip


@router.get("/month/overlaps")
def list_overlaps(request: Request, acting: Reader, run: Run, month: MonthText = "") -> Response:
    """List stays of a month that overlap another stay of the same person."""
    chosen = month or _this_month(acting)

    def work(connection: sa.Connection) -> tuple[list[glance.Overlap], list[str]]:
        rows = glance.overlaps(connection, chosen, whose=_whose(acting, office_of(connection)))
        return rows, [one.person_id for one in rows]

    rows = look(run, acting, "read_overlaps", work)
    return render(request, acting, "home/overlaps.html", month=chosen, rows=rows)


def sees_office(acting: Acting, office: Office) -> bool:
    """Say whether somebody sees the whole place of the office."""
    return place_prefix(office.place).startswith(place_prefix(acting.actor.place))


def _of_ledger(
    request: Request, connection: sa.Connection, acting: Acting, office: Office, month: str
) -> tuple[glance.Month, int]:
    """Sum the month, or give the sums of before while the ledger has no new entry: they cannot have changed."""
    kept: dict[Any, tuple[glance.Month, int]] = request.app.state.__dict__.setdefault("glances", {})
    whole = sees_office(acting, office)
    key = ("" if whole else acting.actor.place, month, glance.last_entry(connection))
    found = kept.get(key)
    if found is None:
        whose = _whose(acting, office)
        odd = glance.overlaps(connection, month, whose=whose)
        found = (glance.month_of(connection, month, whose=whose), len(odd))
        if len(kept) >= _KEPT_AT_MOST:
            kept.clear()
        kept[key] = found
    return found


def _whose(acting: Acting, office: Office) -> sa.ColumnElement[bool] | None:
    return None if sees_office(acting, office) else in_place(claim.c.person_id, acting)


def _parts(run: Running, found: glance.Month, lang: str) -> list[tuple[str, str, int]]:
    """Say who paid, in the order in which they pay, people last."""
    order = [] if run.books is None else [tier for tier in run.books.law.layout.tiers if tier in found.paid]
    listed = [*order, *(tier for tier in found.paid if tier not in order)]
    parts = [(colour_of(tier), tier_name(run, tier, lang), found.paid[tier]) for tier in listed]
    return [*parts, ("tier-self", say("home_page.own", lang), found.own_fen)]


def _works(connection: sa.Connection, acting: Acting, office: Office, today: date) -> list[Work]:
    """Count what waits for somebody, as far as the role sees it; lines with nothing in them are left out."""
    prefix = place_prefix(acting.actor.place)
    last = month_of(acting.now - timedelta(days=today.day))
    theirs = None if sees_office(acting, office) else in_place(arrear.c.person_id, acting)
    sides: list[tuple[str, str, str, bool, Callable[[], glance.Waiting]]] = [
        ("read_proposals", "proposals", "/office/proposals?state=open", False,
         lambda: glance.open_proposals(connection, prefix)),
        ("read_arrears", "arrears", "/office/arrears", False,
         lambda: glance.open_arrears(connection, whose=theirs)),
        ("read_statements", "drawn", "/office/statements?state=drawn", False,
         lambda: glance.open_statements(
             connection, "drawn", of=provider_in_place(connection, acting, statement.c.provider_id))),
        ("read_statements", "agreed", "/office/statements?state=agreed", False,
         lambda: glance.open_statements(
             connection, "agreed", of=provider_in_place(connection, acting, statement.c.provider_id))),
        ("read_statements", "differences", "/office/reconciliation?state=open", True,
         lambda: glance.open_differences(
             connection, of=provider_in_place(connection, acting, reconciliation_item.c.provider_id))),
        ("import_register", "rejects", "/office/imports", False,
         lambda: glance.refused_rows(connection, since=acting.now - timedelta(days=REJECT_DAYS))),
    ]  # fmt: skip
    works = []
    for permission, name, path, late, counted in sides:
        if may(acting.actor, permission):
            found = counted()
            if found.count:
                works.append(Work(name, found.count, found.fen or None, path, late))
    if may(acting.actor, "draw_statements") and not _drawn(connection, last):
        works.insert(0, Work("undrawn", 1, None, f"/office/statements?month={last}", True))
    return works


def _drawn(connection: sa.Connection, month: str) -> bool:
    asked = sa.select(statement.c.id).where(statement.c.month == month).limit(1)
    return connection.execute(asked).first() is not None


def _this_month(acting: Acting) -> str:
    return f"{acting.now.astimezone(OFFICE_ZONE):%Y-%m}"
