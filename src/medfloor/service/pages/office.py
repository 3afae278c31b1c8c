"""The office's desk: where each part of the back office is, and what its pages share."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from medfloor.errors import MedfloorError
from medfloor.service.access import Acting
from medfloor.service.pages.frame import page, render
from medfloor.service.problems import as_ours, field_errors, status_of, title_of
from medfloor.service.running import Running, running
from medfloor.store.roles import may
from medfloor.store.schema import provider
from medfloor.words import say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]

DESKS: tuple[tuple[str, str, str], ...] = (
    ("proposals", "/office/proposals", "read_proposals"),
    ("imports", "/office/imports", "read_person"),
    ("arrears", "/office/arrears", "read_arrears"),
    ("statements", "/office/statements", "read_statements"),
    ("reconciliation", "/office/reconciliation", "read_statements"),
    ("users", "/office/users", "read_users"),
    ("settings", "/office/settings", "read_settings"),
    ("audit", "/office/audit", "read_audit"),
)
"""Parts of the back office: name in the catalogue (`office_page.<name>`), address, permission."""


@router.get("/office")
def desk(request: Request, acting: Annotated[Acting, page("read_settings")]) -> Response:
    """List the parts of the back office that the role may open."""
    mine = [(name, path) for name, path, permission in DESKS if may(acting.actor, permission)]
    return render(request, acting, "office/desk.html", desks=mine)


async def tried(work: Callable[..., Any], lang: str, /, *args: Any, **given: Any) -> tuple[Any, dict[str, Any] | None]:
    """Do what a form asks with the function of a JSON route; gives its answer, or what to say of a refusal.

    A refusal has `status`, `title`, `detail` and `errors`, which names fields with the rule that each breaks. Where
    nobody is signed in any more it is raised on.
    """
    try:
        if inspect.iscoroutinefunction(work):
            return await work(*args, **given), None
        return await run_in_threadpool(work, *args, **given), None
    except ValidationError as error:
        return None, refused_fields(field_errors(error.errors(include_url=False), lang), lang)
    except MedfloorError as error:
        ours = as_ours(error)
        status = status_of(ours)
        if status == 401:
            raise
        return None, {
            "status": status,
            "title": title_of(ours.code, status, lang),
            "detail": ours.message,
            "errors": [],
        }


def refused_fields(errors: list[dict[str, str]], lang: str) -> dict[str, Any]:
    """Say that fields of a form cannot be read."""
    return {"status": 422, "title": title_of("bad_request_fields", 422, lang), "detail": "", "errors": errors}


def refused(key: str, lang: str) -> dict[str, Any]:
    """Say by a key of the catalogue why a form was not taken."""
    return {"status": 422, "title": say(key, lang), "detail": "", "errors": []}


@asynccontextmanager
async def file_of(request: Request) -> AsyncIterator[UploadFile | None]:
    """Give the file of a form (its field `file`), closed afterwards; None where none was chosen."""
    try:
        sent = (await request.form()).get("file")
        yield sent if isinstance(sent, UploadFile) and sent.filename else None
    finally:
        await request.close()


async def fields_of(request: Request) -> dict[str, str]:
    """Read a form's texts, each without blanks around it; files are left out."""
    return {name: value.strip() for name, value in (await request.form()).items() if isinstance(value, str)}


def provider_names(run: Running, provider_ids: Iterable[str], lang: str) -> dict[str, str]:
    """Name facilities; the lists of claims that no facility advanced have names of their own."""
    names = {"*people": say("clearing.provider_people", lang), "*none": say("clearing.provider_none", lang)}
    wanted = sorted(set(provider_ids) - set(names))
    with run.store.reading() as connection:
        rows = connection.execute(
            sa.select(provider.c.provider_id, provider.c.name).where(provider.c.provider_id.in_(wanted))
        )
        return names | {one: name for one, name in rows if name}
