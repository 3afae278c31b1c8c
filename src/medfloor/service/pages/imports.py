"""Pages of imports: take a department's file in, see what it changed and which rows were refused, and why."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from medfloor.errors import NotFoundError
from medfloor.reports.workbook import Figure, Sheet, workbook
from medfloor.service.access import Acting
from medfloor.service.bodies.fields import read_day
from medfloor.service.details import detail_in
from medfloor.service.looking import note
from medfloor.service.pages.frame import page, render
from medfloor.service.pages.office import fields_of, file_of, refused, tried
from medfloor.service.paging import Cursor, cursor_of, number_of
from medfloor.service.problems import title_of
from medfloor.service.routes import imports
from medfloor.service.running import Running, running
from medfloor.store.departments import KINDS, department, departments
from medfloor.store.imports import newest_imports, rejects_of
from medfloor.store.roles import may, require
from medfloor.words import knows, say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_person")]
Taker = Annotated[Acting, page("import_register")]
Number = Annotated[int, Path(ge=1, le=2**53)]
ROWS = 50
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_REJECTS = 100_000
_GROUP = re.compile(r"[a-z][a-z0-9_]{0,31}")
GROUPS = tuple(dict.fromkeys(group for name in departments() for group in department(name).groups if group != "*"))
"""Statuses that a department may state."""


@router.get("/office/imports")
def list_imports(request: Request, acting: Reader, run: Run, cursor: Cursor = None) -> Response:
    """List files that came in, the latest first, and give the form that takes one."""
    return _list(request, acting, run, cursor, {}, None)


@router.post("/office/imports")
async def take(request: Request, acting: Taker, run: Run) -> Response:
    """Take a file in, and report what became of it; the same file once more changes nothing."""
    fields = await fields_of(request)
    report = None
    async with file_of(request) as sent:
        problem = _unfit(fields, sent, acting.language)
        if problem is None:
            given: dict[str, Any] = {
                "kind": fields["kind"], "file": sent, "source": fields["source"],
                "as_of": _day(fields.get("as_of", "")), "full": fields.get("full") == "yes",
                "group": fields.get("group") or None, "place": fields.get("place") or None,
            }  # fmt: skip
            report, problem = await tried(imports.take, acting.language, acting=acting, run=run, **given)
    if problem is not None:
        return await run_in_threadpool(_list, request, acting, run, None, fields, problem)
    assert report is not None, "a file is taken in, or there is a problem"
    return await run_in_threadpool(_show, request, acting, run, report.import_id, None, report)


@router.get("/office/imports/{number}")
def show(request: Request, number: Number, acting: Reader, run: Run, cursor: Cursor = None) -> Response:
    """Show what became of a file: counts, what it changed, which rows were refused and why."""
    return _show(request, acting, run, number, cursor, None)


@router.get("/office/imports/{number}/rejects.xlsx")
def rejects_file(number: Number, acting: Taker, run: Run) -> Response:
    """Give the refused rows as they came, with the reasons, as a workbook to be sent back to the department."""
    require(acting.actor, "reveal_identity")
    # The route says whether this one may see the import at all, and keeps who asked.
    imports.rejects(number, acting, run, None, 1)
    with run.store.reading() as connection:
        rows = rejects_of(connection, number, keyring=run.keyring, limit=MOST_REJECTS)
    note(run, acting, "reveal_rejects", [None], detail=f"import={number}")
    lang = acting.language
    names = list(dict.fromkeys(name for row in rows for name in row["cells"]))
    heads = [say(f"imports_page.{name}", lang) for name in ("row", "reason", "code", "detail")]
    cells = [
        [
            Figure(row["row"], "count"), _reason(row["reason"], lang), row["reason"],
            detail_in(row["detail"], lang) or row["detail"],
            *(row["cells"].get(name) for name in names),
        ]
        for row in rows
    ]  # fmt: skip
    book = workbook([Sheet(say("imports_page.sheet", lang), [*heads, *names], cells)])
    name = {"Content-Disposition": f'attachment; filename="rejects-{number}.xlsx"'}
    return Response(book, media_type=EXCEL, headers=name)


def _list(
    request: Request, acting: Acting, run: Running, cursor: str | None, fields: dict[str, str],
    problem: dict[str, Any] | None,
) -> Response:  # fmt: skip
    with run.store.reading() as connection:
        rows = newest_imports(connection, before=number_of("imports", cursor), limit=ROWS)
    return render(
        request, acting, "office/imports.html", status=problem["status"] if problem else 200, rows=rows, fields=fields,
        problem=problem, following=cursor_of("imports", rows[-1]["id"]) if len(rows) == ROWS else None,
        begun=cursor is not None, may_import=may(acting.actor, "import_register"), kinds=KINDS,
        sources=[one for one in departments() if one != "office"], groups=GROUPS,
    )  # fmt: skip


def _show(request: Request, acting: Acting, run: Running, number: int, cursor: str | None, report: Any) -> Response:
    one = imports.show(number, acting, run)
    changes = imports.differences(number, acting, run, cursor, ROWS)
    try:
        refused_rows = imports.rejects(number, acting, run, None, ROWS).items
    except NotFoundError:
        refused_rows = None
    titles = {row.reason: _reason(row.reason, acting.language) for row in refused_rows or ()}
    return render(
        request, acting, "office/import.html", one=one, changes=changes, rejects=refused_rows, titles=titles,
        report=report, may_file=may(acting.actor, "import_register") and may(acting.actor, "reveal_identity"),
    )  # fmt: skip


def _reason(code: str, lang: str) -> str:
    """Say why a row was refused; the register has its own words for most."""
    key = f"register.reason_{code}"
    return say(key, lang) if knows(key, lang) else title_of(code, 422, lang)


def _unfit(fields: dict[str, str], sent: UploadFile | None, lang: str) -> dict[str, Any] | None:
    """Say what of the form cannot be meant."""
    if sent is None:
        return refused("imports_page.no_file", lang)
    if fields.get("kind") not in KINDS or fields.get("source") not in departments():
        return refused("imports_page.no_kind", lang)
    if fields.get("group") and not _GROUP.fullmatch(fields["group"]):
        return refused("imports_page.no_group", lang)
    if fields.get("place") and not re.fullmatch(r"[0-9]{2,12}", fields["place"]):
        return refused("office_page.bad_place", lang)
    try:
        _day(fields.get("as_of", ""))
    except ValueError:
        return refused("office_page.bad_day", lang)
    return None


def _day(text: str) -> date | None:
    found: date | None = read_day(text) if text else None
    return found
