"""Routes of screenings: look over the whole register for households at risk, in the background."""

from __future__ import annotations

import json
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path
from starlette.concurrency import run_in_threadpool

from medfloor.errors import AccessError, NotFoundError, StoreError
from medfloor.service import following, jobs
from medfloor.service.access import Acting, need
from medfloor.service.bodies.alerts import ScreeningAnswer, ScreeningBody
from medfloor.service.bodies.problems import problems
from medfloor.service.running import Running, running
from medfloor.store import audit
from medfloor.store.office import office_of
from medfloor.store.roles import place_prefix

router = APIRouter(prefix="/api/v1/screenings", tags=["screenings 筛查"])

Run = Annotated[Running, Depends(running)]
Screener = Annotated[Acting, Depends(need("screen"))]

RESULT = "screening.json"
"""The file in which the job leaves the number of the run and its counts; it names nobody."""


@router.post(
    "",
    status_code=202,
    responses=problems(409, asks_for_job=True),
    summary="Screen the register",
    description="全量筛查（后台执行）：同月重复筛查不重复预警。",
)
async def ask_screening(body: ScreeningBody, acting: Screener, run: Run) -> ScreeningAnswer:
    """Ask for a screening of all households; follow it at the address of the answer's id."""
    if not run.settings.jobs:
        raise StoreError("jobs_off", "this service runs no jobs; the office has switched them off")
    day = body.as_of or following.today(acting)
    asked: dict[str, Any] = {
        "year": body.year or day.year, "as_of": day.isoformat(), "now": acting.now.isoformat(),
        "login": acting.actor.login, "role": acting.actor.role, "place": acting.actor.place,
    }  # fmt: skip

    def work(connection: sa.Connection) -> sa.RowMapping:
        if not place_prefix(office_of(connection).place).startswith(place_prefix(acting.actor.place)):
            raise AccessError("forbidden", "a screening is of the whole register; ask somebody of the whole office")
        number = jobs.ask(connection, "screen", asked, actor=acting.actor, now=acting.now)
        audit.record(
            connection, acting.actor, "ask_screening", now=acting.now, detail=f"job={number}",
            request_id=acting.request_id,
        )  # fmt: skip
        return jobs.find(connection, number)

    row = await run_in_threadpool(run.store.attempt, work)
    run.jobs.wake()
    return _answer(row, run)


@router.get("/{number}", responses=problems(404), summary="Follow a screening", description="筛查进度与结果数量。")
def look_at_screening(
    number: Annotated[int, Path(ge=1, le=2**53, description="The number of the job. 任务编号")],
    acting: Screener,
    run: Run,
) -> ScreeningAnswer:
    """Say how far a screening is and, once it is done, how many alerts and cases it made."""
    with run.store.reading() as connection:
        row = jobs.find(connection, number)
    if row["kind"] != "screen":
        raise NotFoundError("no_job", f"there is no screening {number}")
    return _answer(row, run)


def _answer(row: sa.RowMapping, run: Running) -> ScreeningAnswer:
    asked = json.loads(row["parameters"])
    file = run.jobs.folder_of(row["id"]) / RESULT
    found = json.loads(file.read_text("utf-8")) if row["state"] == "done" and file.is_file() else {}
    counts = ("screening", "households", "alerts", "suppressed", "cases")
    return ScreeningAnswer.model_validate(
        {"id": row["id"], "state": row["state"], "message": row["message"], "asked_by": row["created_by"],
         "asked_at": row["created_at"], "finished_at": row["finished_at"], "year": asked["year"],
         "as_of": asked["as_of"]}
        | {name: found.get(name) for name in counts}
    )  # fmt: skip
