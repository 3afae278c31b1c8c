"""Pages of settling: enter a claim, see the split before it is settled, settle it once, or send many as a file."""

from __future__ import annotations

import csv
import io
import re
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from medfloor.errors import ConflictError, InputError, NotFoundError, StoreError
from medfloor.reports.workbook import Figure, Sheet, workbook
from medfloor.service import batches, settling
from medfloor.service.access import Acting
from medfloor.service.bodies.fields import ID_PATTERN, KEY_PATTERN, new_key
from medfloor.service.details import detail_in
from medfloor.service.looking import note
from medfloor.service.outlook import today
from medfloor.service.pages.claims import CHOICES
from medfloor.service.pages.frame import go, is_part, page, render
from medfloor.service.pages.shown import claim_from, parts_of, why_not
from medfloor.service.problems import status_of, title_of
from medfloor.service.running import Running, running
from medfloor.store import batches as kept
from medfloor.store.imports import rejects_of
from medfloor.tables import CLAIMS
from medfloor.words import say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Settler = Annotated[Acting, page("settle")]
Number = Annotated[int, Path(ge=1, le=2**53)]
ROWS = 50
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_FIELDS = {
    "unknown_person": "person_id", "claim_settled": "claim_id", "unknown_continues": "continues",
    "continues_later": "continues", "continues_other_person": "continues", "outside_policy_dates": "settled_date",
}  # fmt: skip
"""Code of a refusal -> the field of the form that it is about."""
_TEMPLATE = tuple(one.name for one in CLAIMS.columns if one.name != "reverses")
_NEEDED = tuple(one.name for one in CLAIMS.columns if one.required)
"""Columns that a file must have, with something in each row; the form of one claim works `in_scope` out, a file not."""


@router.get("/settle")
def ask(
    request: Request, acting: Settler, run: Run,
    person: Annotated[str, Query(max_length=64, pattern=rf"^$|{ID_PATTERN}")] = "",
) -> Response:  # fmt: skip
    """Show the form of a claim."""
    fields = {"person_id": person, "request_key": new_key(), "area": "local", "referral": "regular"}
    return _form(request, acting, run, fields, {})


@router.post("/settle")
async def settle(request: Request, acting: Settler, run: Run) -> Response:
    """Show what the claim of the form would be paid, or settle it where that was confirmed."""
    form = {name: str(value) for name, value in (await request.form()).items()}
    columns = settling.books_of(run).law.dimensions.columns
    body, fields, errors = await run_in_threadpool(claim_from, form, columns, acting.language)
    if body is not None and (body.settled_date or body.end_date) > today(acting):
        # A mistyped year would open an account of that year.
        body, errors = None, {"settled_date": say("settle_form.day_ahead", acting.language)}
    if not re.fullmatch(KEY_PATTERN, fields.get("request_key", "")):
        fields["request_key"] = new_key()
    if body is None or form.get("action") == "edit":
        status = 200 if body is not None else 422
        return await run_in_threadpool(_form, request, acting, run, fields, errors, status=status)
    try:
        if form.get("action") == "settle":
            done = await settling.settle(run, acting, body, fields["request_key"])
            return go(f"/claims/{done.claim_id}/slip", done="settled")
        told = await settling.preview(run, acting, body)
    except (InputError, ConflictError, NotFoundError, StoreError) as error:
        # Somebody outside of the place is told like somebody who is not there.
        code = "unknown_person" if error.code == "no_such_person" else error.code
        status = 422 if code == "unknown_person" else status_of(error)
        field, lang = _FIELDS.get(code, "form"), acting.language
        errors = {
            field: why_not(error, status, acting.language) if code == error.code else title_of(code, status, lang)
        }
        return await run_in_threadpool(_form, request, acting, run, fields, errors, status=status)
    parts = parts_of(run, told.payments_fen, told.own_in_scope_fen, told.own_outside_fen, acting.language)
    return await run_in_threadpool(_form, request, acting, run, fields, {}, told=told, parts=parts)


@router.get("/settle/batch")
def ask_batch(request: Request, acting: Settler, run: Run) -> Response:
    """Show the form that takes a file of claims, and the batches that one sent."""
    return _batches(request, acting, run)


@router.get("/settle/batch/template.csv")
def template(acting: Settler, run: Run) -> Response:
    """Give an empty file with the columns of claims, those that the policy reads among them."""
    out = io.StringIO()
    csv.writer(out).writerow([*_TEMPLATE, *settling.books_of(run).law.dimensions.columns])
    # With the mark Excel reads it as UTF-8.
    return _file(b"\xef\xbb\xbf" + out.getvalue().encode(), "text/csv; charset=utf-8", "claims.csv")


@router.post("/settle/batch")
async def take_batch(request: Request, acting: Settler, run: Run) -> Response:
    """Take a file of claims; it is settled in the background, and its page says how far it is."""
    async with request.form() as form:  # which closes the file that came
        sent = form.get("file")
        content = await sent.read() if isinstance(sent, UploadFile) else b""
    if not content:
        why = say("batch_page.no_file", acting.language)
        return await run_in_threadpool(_batches, request, acting, run, status=422, error=why)
    try:
        number, work = await run_in_threadpool(batches.take, run, acting, content)
    except InputError as error:
        why, detail = title_of(error.code, 422, acting.language), error.message
        return await run_in_threadpool(_batches, request, acting, run, status=422, error=why, detail=detail)
    response = go(f"/settle/batch/{number}", done="" if work else "same_file")
    if work is not None:
        response.background = BackgroundTask(batches.settle_all, run, acting, work)
    return response


@router.get("/settle/batch/{number}")
def show_batch(
    request: Request, number: Number, acting: Settler, run: Run, leaf: Annotated[int, Query(ge=1, le=1000)] = 1
) -> Response:
    """Show how far a batch is, whether its totals come out, and which rows were refused."""
    values = _batch(run, acting, number, leaf)
    return render(request, acting, "people/_batch.html" if is_part(request) else "people/batch.html", **values)


@router.get("/settle/batch/{number}/rejects.xlsx")
def rejects(number: Number, acting: Settler, run: Run) -> Response:
    """Give the refused rows as they came, with the reasons, as a workbook, to whoever sent them."""
    batches.batch(run, acting, number)
    with run.store.reading() as connection:
        rows = rejects_of(connection, number, keyring=run.keyring, limit=batches.MOST_ROWS)
    note(run, acting, "read_rejects", [None], detail=f"import={number}")
    lang = acting.language
    names = list(dict.fromkeys(name for row in rows for name in row["cells"]))
    heads = [say(f"batch_page.{name}", lang) for name in ("row", "code", "reason", "detail")]
    cells = [
        [
            Figure(row["row"], "count"), row["reason"], title_of(row["reason"], 422, lang),
            detail_in(row["detail"], lang) or row["detail"],
            *(row["cells"].get(name) for name in names),
        ]
        for row in rows
    ]  # fmt: skip
    book = workbook([Sheet(say("batch_page.sheet", lang), [*heads, *names], cells)])
    return _file(book, EXCEL, f"rejects-{number}.xlsx")


def _form(
    request: Request, acting: Acting, run: Running, fields: dict[str, str], errors: dict[str, str], *,
    status: int = 200, told: Any = None, parts: Any = (),
) -> Response:  # fmt: skip
    return render(
        request, acting, "people/settle.html", status=status, fields=fields, errors=errors, told=told, parts=parts,
        choices=CHOICES, columns=settling.books_of(run).law.dimensions.columns,
    )  # fmt: skip


def _batches(
    request: Request, acting: Acting, run: Running, *, status: int = 200, error: str = "", detail: str = ""
) -> Response:
    with run.store.reading() as connection:
        mine = kept.newest_batches(connection, acting.actor.login)
    return render(
        request, acting, "people/batches.html", status=status, mine=mine, error=error, detail=detail,
        needed=_NEEDED, others=[name for name in _TEMPLATE if name not in _NEEDED], most=batches.MOST_ROWS,
    )  # fmt: skip


def _batch(run: Running, acting: Acting, number: int, leaf: int) -> dict[str, Any]:
    batch = batches.batch(run, acting, number)
    with run.store.reading() as connection:
        reasons = kept.count_reasons(connection, number)
        refused = rejects_of(connection, number, limit=ROWS)
        settled = kept.settled_of(connection, number, skip=(leaf - 1) * ROWS, limit=ROWS)
    seen = batch.seen_at or batch.started_at
    return {
        "batch": batch, "leaf": leaf, "rows": ROWS,
        "stuck": batch.finished_at is None and (acting.now - seen).total_seconds() > batches.GONE_SECONDS,
        "reasons": [(code, title_of(code, 422, acting.language), rows) for code, rows in reasons],
        "refused": [(one["row"], one["reason"], title_of(one["reason"], 422, acting.language), one["detail"])
                    for one in refused],
        "settled": settled,
    }  # fmt: skip


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
