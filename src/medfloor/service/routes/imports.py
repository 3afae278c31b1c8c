"""Routes of imports: take a department's file in, list what came, what it changed and which rows were refused."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, File, Form, Path, UploadFile
from starlette.concurrency import run_in_threadpool

from medfloor.errors import AccessError, NotFoundError, UsageError
from medfloor.service.access import Acting, need
from medfloor.service.bodies.fields import Day, Place
from medfloor.service.bodies.imports import (
    DifferenceAnswer,
    DifferencesPage,
    ImportAnswer,
    ImportReportAnswer,
    ImportsPage,
    RejectAnswer,
    RejectsPage,
)
from medfloor.service.bodies.problems import problems
from medfloor.service.looking import in_place, note
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.running import Running, running
from medfloor.store.imports import ImportReport, import_file, list_imports, rejects_of, report_of
from medfloor.store.resettle import resettle_after
from medfloor.store.roles import sees
from medfloor.store.schema import import_difference, import_run, user

router = APIRouter(prefix="/api/v1/imports", tags=["imports 导入"])

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, Depends(need("read_person"))]
Number = Annotated[int, Path(ge=1, le=2**53, description="The import. 导入编号")]


@router.post(
    "/{kind}",
    responses=problems(404, 409),
    summary="Import a department's file",
    description="导入部门文件（CSV、Excel 或 Parquet）：匹配、校验、比对；重复导入不作变更。",
)
async def take(
    kind: Annotated[
        Literal["people", "households", "enrolments", "spells"], Path(description="What it lists. 文件种类")
    ],
    file: Annotated[UploadFile, File(description="CSV, Excel or Parquet. 文件")],
    source: Annotated[
        str, Form(pattern=r"^[a-z_]{1,32}$", description="The department, such as civil_affairs. 来源部门")
    ],
    acting: Annotated[Acting, Depends(need("import_register"))],
    run: Run,
    as_of: Annotated[Day | None, Form(description="The day for which it vouches. 数据截止日")] = None,
    full: Annotated[bool, Form(description="The list is whole: who is not in it holds it no longer. 全量名单")] = False,
    group: Annotated[
        str | None, Form(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="Status of the list. 名单的人员类别")
    ] = None,
    place: Annotated[Place | None, Form(description="For which place the list is whole. 全量名单的区划")] = None,
) -> ImportReportAnswer:
    """Take a file into the register, whole or not at all; claims of people whose past changed are settled again."""
    if place is not None and not sees(acting.actor, place):
        raise UsageError("outside_place", "the list is of a place outside of yours")
    if kind == "spells" and source == "office":
        # A department's list is its own decision, made and signed there. What this office states takes two of us.
        raise AccessError(
            "own_statuses", "statuses that the office itself states take two pairs of eyes; propose them one by one"
        )
    content = await file.read()

    def work() -> ImportReportAnswer:
        report = import_file(
            run.store, kind, content, source, actor=acting.actor, now=acting.now, keyring=run.keyring, as_of=as_of,
            full=full, place=place, group=group, policy=None if run.books is None else run.books.law.policies,
        )  # fmt: skip
        arrears = 0
        if report.touched and run.books is not None and not report.repeated:
            arrears = len(resettle_after(run.books, report.touched, actor=acting.actor, now=acting.now))
        return _report(report, acting, arrears)

    return await run_in_threadpool(work)


@router.get("", responses=problems(), summary="List imports", description="导入列表，按先后顺序。")
def list_all(_acting: Reader, run: Run, cursor: Cursor = None, limit: Limit = 100) -> ImportsPage:
    """List what came in, in order; the counts only."""
    with run.store.reading() as connection:
        rows = list_imports(connection, after=number_of("imports", cursor) or 0, limit=limit)
    last = cursor_of("imports", rows[-1]["id"]) if len(rows) == limit else None
    return ImportsPage(items=[_listed(row) for row in rows], next=last)


@router.get("/{number}", responses=problems(404), summary="Look up an import", description="一次导入及其行数。")
def show(number: Number, _acting: Reader, run: Run) -> ImportAnswer:
    """Give the counts of one import."""
    with run.store.reading() as connection:
        row = connection.execute(sa.select(import_run).where(import_run.c.id == number)).mappings().first()
    if row is None:
        raise _no_import()
    return _listed(row)


@router.get(
    "/{number}/differences",
    responses=problems(404),
    summary="What an import changed",
    description="导入引起的变化，仅限管辖区域。",
)
def differences(number: Number, acting: Reader, run: Run, cursor: Cursor = None, limit: Limit = 100) -> DifferencesPage:
    """List what an import changed of people within the place of who asks."""
    table = import_difference
    after = number_of("differences", cursor) or 0
    with run.store.reading() as connection:
        theirs = _sees_import(connection, acting, number)
        mine = sa.and_(table.c.person_id.is_not(None), in_place(table.c.person_id, acting))
        rows = connection.execute(
            sa.select(table)
            .where(
                table.c.import_id == number,
                table.c.id > after,
                sa.or_(mine, table.c.person_id.is_(None)) if theirs else mine,
            )
            .order_by(table.c.id)
            .limit(limit)
        ).all()
    note(run, acting, "read_differences", dict.fromkeys(row.person_id for row in rows), detail=f"import={number}")
    return DifferencesPage(
        items=[
            DifferenceAnswer(
                person_id=row.person_id, kind=row.kind, field=row.field, before=row.before, after=row.after
            )
            for row in rows
        ],
        next=cursor_of("differences", rows[-1].id) if len(rows) == limit else None,
    )


@router.get(
    "/{number}/rejects",
    responses=problems(404),
    summary="Rows that were refused",
    description="拒收的行与原因；原始行不在此显示。",
)
def rejects(number: Number, acting: Reader, run: Run, cursor: Cursor = None, limit: Limit = 100) -> RejectsPage:
    """List the refused rows with their reasons; the rows themselves stay sealed."""
    with run.store.reading() as connection:
        if not _sees_import(connection, acting, number):
            raise _no_import()
        rows = rejects_of(connection, number, after=number_of("rejects", cursor) or 0, limit=limit)
    note(run, acting, "read_rejects", [None], detail=f"import={number}")
    return RejectsPage(
        items=[RejectAnswer(row=row["row"], reason=row["reason"], detail=row["detail"]) for row in rows],
        next=cursor_of("rejects", rows[-1]["id"]) if len(rows) == limit else None,
    )


def _sees_import(connection: sa.Connection, acting: Acting, number: int) -> bool:
    """Say whether an import was made by oneself or by somebody of a place that one sees. Raises NotFoundError."""
    report_of(connection, number)
    row = connection.execute(
        sa.select(import_run.c.recorded_by, user.c.place)
        .join(user, user.c.login == import_run.c.recorded_by, isouter=True)
        .where(import_run.c.id == number)
    ).one()
    return bool(row.recorded_by == acting.actor.login or sees(acting.actor, row.place or ""))


def _no_import() -> NotFoundError:
    return NotFoundError("no_such_import", "there is no such import in your place; GET /api/v1/imports lists them")


def _listed(row: Any) -> ImportAnswer:
    return ImportAnswer(
        import_id=row["id"],
        **{name: row[name] for name in ImportAnswer.model_fields if name in row and name != "import_id"},
    )


def _report(report: ImportReport, acting: Acting, arrears: int) -> ImportReportAnswer:
    as_of: date = report.as_of
    return ImportReportAnswer(
        import_id=report.import_id or 0, kind=report.kind, source=report.source, as_of=as_of,
        started_at=acting.now, finished_at=acting.now, recorded_by=acting.actor.login, rows_in=report.rows_in,
        rows_accepted=report.accepted, rows_rejected=report.rejected, rows_added=report.added,
        rows_changed=report.changed, rows_ended=report.ended, rows_unchanged=report.unchanged,
        repeated=report.repeated, columns=dict(report.columns), ignored=list(report.ignored),
        not_taken=list(report.not_taken), reasons=dict(report.reasons), matched=dict(report.matched),
        conflicts=report.conflicts, held_back=report.held_back, arrears=arrears,
    )  # fmt: skip
