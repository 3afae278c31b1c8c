"""The route of the audit: who looked at whom, and who did what. Reading it is written down as well."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool

from medfloor.service.access import Acting, need
from medfloor.service.bodies.audit import TraceAnswer, TraceList
from medfloor.service.bodies.fields import ID_PATTERN, read_day
from medfloor.service.bodies.problems import problems
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.running import Running, running
from medfloor.store import audit

router = APIRouter(prefix="/api/v1/audit", tags=["audit 审计"])

Run = Annotated[Running, Depends(running)]
Reads = Annotated[Acting, Depends(need("read_audit"))]
PersonId = Annotated[str | None, Query(max_length=64, pattern=ID_PATTERN)]
Login = Annotated[str | None, Query(max_length=64, pattern=r"^[0-9a-z][0-9a-z._@-]*$")]
Action = Annotated[str | None, Query(max_length=48, pattern=r"^[a-z_]+$")]
DayText = Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$", description="YYYY-MM-DD, UTC")]


@router.get("", response_model=TraceList, responses=problems())
async def list_traces(
    acting: Reads,
    run: Run,
    person_id: PersonId = None,
    by: Login = None,
    action: Action = None,
    since: DayText = None,
    until: DayText = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> TraceList:
    """List what was done and looked at, the latest first; `until` is the last day. 审计查询。"""
    days = [None if text is None else _day(text) for text in (since, until)]
    asked: dict[str, Any] = {
        "person_id": person_id, "by": by, "action": action, "since": days[0],
        "until": None if days[1] is None else days[1] + timedelta(days=1),
        "before": number_of("audit", cursor), "limit": limit,
    }  # fmt: skip

    def work(connection: Any) -> list[audit.Trace]:
        found = audit.traces(connection, **asked)
        audit.record(
            connection, acting.actor, "read_audit", now=acting.now, person_id=person_id, request_id=acting.request_id
        )
        return found

    found = await run_in_threadpool(run.store.attempt, work)
    return TraceList(
        traces=[TraceAnswer(**asdict(one)) for one in found],
        next=cursor_of("audit", found[-1].id) if len(found) == limit else None,
    )


def _day(text: str) -> datetime:
    from medfloor.errors import UsageError

    try:
        day: date = read_day(text)
    except ValueError:
        raise UsageError("bad_day", "a day is YYYY-MM-DD, of the calendar, from 1900 to 2200") from None
    return datetime.combine(day, time(), UTC)
