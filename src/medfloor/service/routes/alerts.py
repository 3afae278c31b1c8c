"""Routes of alerts: which households the screening asks somebody to look at, and why."""

from __future__ import annotations

from typing import Annotated

import polars as pl
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query

from medfloor.service import following
from medfloor.service.access import Acting, need
from medfloor.service.bodies.alerts import AlertAnswer, AlertsPage, Kind, Signal, Urgency
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.bodies.problems import problems
from medfloor.service.looking import look
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.running import Running, running
from medfloor.store.watching import alerts_of
from medfloor.watch import told

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts 预警"])


@router.get(
    "", responses=problems(), summary="List alerts", description="预警列表，新的在前；说明触发原因与“如何则不触发”。"
)
def list_all(
    acting: Annotated[Acting, Depends(need("read_alerts"))],
    run: Annotated[Running, Depends(running)],
    signal: Annotated[Signal | None, Query(description="Signal. 信号")] = None,
    kind: Annotated[Kind | None, Query(description="Kind. 类别")] = None,
    urgency: Annotated[Urgency | None, Query(description="How urgent. 紧急程度")] = None,
    place: Annotated[
        str | None, Query(pattern=r"^[0-9]{2,12}$", max_length=12, description="Within this division code. 区划")
    ] = None,
    household_id: Annotated[
        str | None, Query(pattern=ID_PATTERN, max_length=64, description="Of one household. 家庭编号")
    ] = None,
    year: Annotated[int | None, Query(ge=1900, le=2200, description="Benefit year. 待遇年度")] = None,
    screening: Annotated[int | None, Query(ge=1, le=2**53, description="Of one screening. 筛查编号")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> AlertsPage:
    """List alerts of households within the place of who asks, the latest first, each told in words."""
    before = number_of("alerts", cursor)

    def work(connection: sa.Connection) -> tuple[AlertsPage, list[str]]:
        found = alerts_of(
            connection, acting.actor, household_id=household_id, signal=signal, kind=kind, urgency=urgency,
            place=place, year=year, run=screening, before=before, limit=limit,
        )  # fmt: skip
        page = AlertsPage(
            items=_told(found, acting.language),
            next=cursor_of("alerts", found["alert_id"][-1]) if found.height == limit else None,
        )
        return page, following.members_of(connection, found["household_id"].to_list())

    return look(run, acting, "read_alerts", work)


def _told(found: pl.DataFrame, language: str) -> list[AlertAnswer]:
    names = [name for name in AlertAnswer.model_fields if name not in ("alert", "screening")]
    return [
        AlertAnswer.model_validate(
            {name: row[name] for name in names} | {"alert": row["alert_id"], "screening": row["run"]}
        )
        for row in told(found, language).iter_rows(named=True)
    ]
