"""Pages of lists that go to other departments: what may be sent on which ground, send, download, take answers in."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from medfloor.errors import ConflictError, InputError, NotFoundError, UsageError
from medfloor.service import following
from medfloor.service.access import Acting
from medfloor.service.pages.frame import go, page
from medfloor.service.pages.watch_parts import render_watch
from medfloor.service.problems import status_of, title_of
from medfloor.service.running import Running, running
from medfloor.store.answers import Answered, answers_of, receive, refused_of
from medfloor.store.exchange import exchange_of, newest_exchanges, retold, send, sent_again
from medfloor.store.exchange_terms import all_terms, terms_of
from medfloor.store.roles import may
from medfloor.words import say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_exchanges")]
Sender = Annotated[Acting, page("exchange_lists")]
Number = Annotated[int, Path(ge=1, le=2**53)]
ROWS = 50
ANSWERS = 200
"""So many answers and refused rows of a list are shown; all of them are told by the command."""


@router.get("/watch/exchange")
def list_all(
    request: Request, acting: Reader, run: Run, before: Annotated[int | None, Query(ge=1, le=2**53)] = None
) -> Response:
    """List what was sent, the newest first, and let a list be sent or an answer be taken in."""
    return _listed(request, acting, run, before=before)


@router.post("/watch/exchange")
async def send_list(request: Request, acting: Sender, run: Run) -> Response:
    """Make the list of a purpose, and go to its page."""
    form = {name: str(value).strip() for name, value in (await request.form()).items()}
    department, _, purpose = form.get("purpose", "").partition("/")
    try:
        terms = terms_of(department, purpose or None)
        place = form.get("place", "")
        if place and not (place.isascii() and place.isdigit() and len(place) <= 12):
            raise UsageError("bad_place", "a place is a division code of digits")
        sent = await run_in_threadpool(
            send, run.store, run.keyring, terms, actor=acting.actor, now=acting.now, place=place, lang=acting.language
        )
    except (InputError, UsageError) as error:
        return await run_in_threadpool(_refused, request, acting, run, error, "send", form)
    return go(f"/watch/exchange/{sent.exchange_id}", done="recorded")


@router.post("/watch/exchange/answers")
async def take_answer(request: Request, acting: Sender, run: Run) -> Response:
    """Take the answer of a department in; the same file again changes nothing."""
    async with request.form() as form:
        sent, opens = form.get("file"), form.get("open_cases") == "yes"
        content = await sent.read() if isinstance(sent, UploadFile) else b""
    if not content:
        error: Any = UsageError("no_file", "no file came, or it is empty")
        return await run_in_threadpool(_refused, request, acting, run, error, "answer", {})
    try:
        answered = await run_in_threadpool(
            receive, run.store, run.keyring, content, actor=acting.actor, now=acting.now,
            open_cases=opens,
        )  # fmt: skip
    except (ConflictError, InputError, NotFoundError, UsageError) as error:
        return await run_in_threadpool(_refused, request, acting, run, error, "answer", {})
    return await run_in_threadpool(_shown, request, acting, run, answered.exchange_id, answered=answered)


@router.get("/watch/exchange/{number}")
def show(request: Request, number: Number, acting: Reader, run: Run) -> Response:
    """Show a list: what for, on which grounds, with which columns, until when it is kept, and what was answered."""
    return _shown(request, acting, run, number)


@router.post("/watch/exchange/{number}/list.csv")
def download(number: Number, acting: Sender, run: Run) -> Response:
    """Give the file as it was sent; who takes it is written down, so it is no plain address."""
    content, _ = sent_again(run.store, run.keyring, number, actor=acting.actor, now=acting.now)
    return _file(content, "text/csv; charset=utf-8", f"list_{number}.csv")


@router.get("/watch/exchange/{number}/manifest.json")
def manifest(number: Number, acting: Reader, run: Run) -> Response:
    """Give the manifest that goes with a list; it names nobody."""
    with run.store.reading() as connection:
        _, said = exchange_of(connection, number, acting.actor)
    text = json.dumps(said, ensure_ascii=False, indent=2) + "\n"
    return _file(text.encode(), "application/json", f"list_{number}.json")


def _listed(
    request: Request, acting: Acting, run: Running, *, before: int | None = None, status: int = 200,
    error: str = "", detail: str = "", which: str = "", asked: dict[str, str] | None = None,
) -> Response:  # fmt: skip
    with run.store.reading() as connection:
        found = newest_exchanges(connection, acting.actor, before=before, limit=ROWS)
    return render_watch(
        request, acting, "watch/exchanges.html", status=status, found=found, purposes=all_terms(), error=error,
        detail=detail, which=which, asked=asked or {}, before=found[-1].exchange_id if len(found) == ROWS else None,
        may_send=may(acting.actor, "exchange_lists"), day=acting.now,
    )  # fmt: skip


def _refused(request: Request, acting: Acting, run: Running, error: Any, which: str, asked: dict[str, str]) -> Response:
    status = status_of(error)
    why = say("exchange_page.no_file", acting.language) if error.code == "no_file" else ""
    why = why or title_of(error.code, status, acting.language)
    detail = "" if error.code == "no_file" else error.message
    return _listed(request, acting, run, status=status, error=why, detail=detail, which=which, asked=asked)


def _shown(
    request: Request, acting: Acting, run: Running, number: int, *, answered: Answered | None = None
) -> Response:
    with run.store.reading() as connection:
        one, said = exchange_of(connection, number, acting.actor)
        refused = refused_of(connection, number, acting.actor)
    # Who reads answers is written down with them: it takes a transaction that writes.
    told = run.store.attempt(
        lambda connection: answers_of(connection, run.keyring, number, acting.actor, now=acting.now)
    )
    reasons = [] if answered is None else [
        (title_of(code, 422, acting.language), count) for code, count in answered.reasons.items()
    ]  # fmt: skip
    return render_watch(
        request, acting, "watch/exchange.html", one=one, manifest=retold(said, acting.language),
        answers=told[:ANSWERS], all_answers=len(told),
        refused=[(row, title_of(row["reason"], 422, acting.language)) for row in refused[:ANSWERS]], answered=answered,
        reasons=reasons, over=one.keep_until < following.today(acting), may_send=may(acting.actor, "exchange_lists"),
        nobody=one.answered == 0,
    )  # fmt: skip


def _file(content: bytes, kind: str, name: str) -> Response:
    return Response(content, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
