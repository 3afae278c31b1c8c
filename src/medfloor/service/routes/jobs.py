"""Routes of jobs: ask for work in the background, follow it, fetch what it made."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from medfloor.errors import AccessError, NotFoundError, StoreError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import jobs, signing
from medfloor.service.access import Acting, need
from medfloor.service.bodies.jobs import FileName, JobAnswer, JobBody, JobList
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.proposals import ProposalAnswer, ReasonBody
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.routes import policies
from medfloor.service.running import Running, running
from medfloor.store import audit
from medfloor.store.office import office_of
from medfloor.store.roles import require, sees

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs 后台任务"])

Run = Annotated[Running, Depends(running)]
Runs = Annotated[Acting, Depends(need("run_jobs"))]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.post("", status_code=202, response_model=JobAnswer, responses=problems(409, asks_for_job=True))
async def ask_job(body: JobBody, acting: Runs, run: Run) -> JobAnswer:
    """Ask for a simulation or a measure; follow it at the address of the answer's id. 提交后台任务。"""
    if not run.settings.jobs:
        raise StoreError("jobs_off", "this service runs no jobs; the office has switched them off")

    def work(connection: Any) -> sa.RowMapping:
        asked = body.model_dump(mode="json") | {"smallest_cell": office_of(connection).smallest_cell}
        for name in ("baseline", "policy", "law"):
            if asked.get(name):
                asked[name] = _law(asked[name], run)
        asked["made"] = acting.now.astimezone(OFFICE_ZONE).date().isoformat()
        may_ask(connection, acting, body.kind, asked)
        number = jobs.ask(connection, body.kind, asked, actor=acting.actor, now=acting.now)
        _note(connection, acting, "ask_job", number)
        return jobs.find(connection, number)

    row = await run_in_threadpool(run.store.attempt, work)
    run.jobs.wake()
    return _answer(row, run)


@router.get("", response_model=JobList, responses=problems())
async def list_jobs(acting: Runs, run: Run, cursor: Cursor = None, limit: Limit = 100) -> JobList:
    """List jobs, the newest first. 任务列表。"""
    before = number_of("jobs", cursor)

    def work() -> list[sa.RowMapping]:
        with run.store.reading() as connection:
            return jobs.newest(connection, before=before, limit=limit)

    rows = await run_in_threadpool(work)
    return JobList(
        jobs=[_answer(row, run) for row in rows], next=cursor_of("jobs", rows[-1]["id"]) if len(rows) == limit else None
    )


@router.get("/{number}", response_model=JobAnswer, responses=problems(404))
async def look_at_job(number: Number, acting: Runs, run: Run) -> JobAnswer:
    """Say how far a job is. 任务进度。"""
    return _answer(await run_in_threadpool(_find, run, number), run)


@router.post("/{number}/cancel", response_model=JobAnswer, responses=problems(404, 409))
async def cancel_job(number: Number, acting: Runs, run: Run) -> JobAnswer:
    """End a job that waits or runs. 取消任务。"""

    def work(connection: Any) -> None:
        _may_touch(connection, acting, number)
        jobs.cancel(connection, number, now=acting.now)
        _note(connection, acting, "cancel_job", number)

    await run_in_threadpool(run.store.attempt, work)
    return _answer(await run_in_threadpool(_find, run, number), run)


@router.post("/{number}/retry", response_model=JobAnswer, responses=problems(404, 409))
async def retry_job(number: Number, acting: Runs, run: Run) -> JobAnswer:
    """Put a failed or cancelled job into the queue again. 重试任务。"""

    def work(connection: Any) -> None:
        _may_touch(connection, acting, number)
        jobs.retry(connection, number, now=acting.now)
        _note(connection, acting, "retry_job", number)

    await run_in_threadpool(run.store.attempt, work)
    run.jobs.wake()
    return _answer(await run_in_threadpool(_find, run, number), run)


@router.post("/{number}/proposal", response_model=ProposalAnswer, responses=problems(404, 409))
async def propose_adjustment(
    number: Number, body: ReasonBody, acting: Annotated[Acting, Depends(need("propose"))], run: Run
) -> ProposalAnswer:
    """Propose the adjustment that a job worked out, for a colleague to decide and sign. 提交待遇调整复核。"""
    found = await run_in_threadpool(signing.propose, run, acting, number, reason=body.reason)
    return ProposalAnswer.model_validate(asdict(found))


@router.get("/{number}/files/{name}", responses=problems(404), response_class=FileResponse)
async def fetch_file(number: Number, name: Annotated[FileName, Path()], acting: Runs, run: Run) -> Response:
    """Fetch a file that a job made; it is offered for download and never shown as a page of ours. 下载结果文件。"""
    row = await run_in_threadpool(_find, run, number)
    folder = run.jobs.folder_of(number)
    if row["state"] != "done" or name not in jobs.files_of(folder):
        raise NotFoundError("no_file", "the job has no such file")
    return FileResponse(folder / name, filename=name, content_disposition_type="attachment")


def _law(address: str, run: Running) -> str:
    """Give the policy of a job: what the office uses now stays what it is, also when it changes its policy.

    Raises NotFoundError (`policy_not_found`), rather now than in the job.
    """
    if address.partition("/")[0] in ("office", "own"):
        return policies.pinned(address, run)
    return policies.known(address, run)


def _find(run: Running, number: int) -> sa.RowMapping:
    with run.store.reading() as connection:
        return jobs.find(connection, number)


def may_ask(connection: Any, acting: Acting, kind: str, asked: dict[str, Any]) -> None:
    """Let claims of the whole office be looked over by those only who see the whole office; leads name people.

    Raises AccessError (`forbidden`).
    """
    if kind == "supervise":
        require(acting.actor, "read_settlements")
        require(acting.actor, "read_person")
    if (kind == "supervise" or asked.get("office_year") is not None) and not sees(
        acting.actor, office_of(connection).place
    ):
        raise AccessError("forbidden", "claims of the whole office are for who sees the whole of it")


def _may_touch(connection: Any, acting: Acting, number: int) -> None:
    """Let a screening and supervision be ended and asked again by those only who may ask for one."""
    row = jobs.find(connection, number)
    if row["kind"] == "screen":
        require(acting.actor, "screen")
    may_ask(connection, acting, row["kind"], json.loads(row["parameters"]))


def _note(connection: Any, acting: Acting, action: str, number: int) -> None:
    audit.record(connection, acting.actor, action, now=acting.now, detail=f"job={number}", request_id=acting.request_id)


def _answer(row: sa.RowMapping, run: Running) -> JobAnswer:
    files = jobs.files_of(run.jobs.folder_of(row["id"])) if row["state"] == "done" else []
    names = ("id", "kind", "state", "progress", "message", "created_by", "created_at", "started_at", "finished_at")
    return JobAnswer.model_validate({name: row[name] for name in names} | {"files": files})
