"""Pages of measures and studies: protection, poverty and equity over a table, and studies as papers print them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.pages.results import (
    SUBJECTS,
    Asker,
    Filled,
    Run,
    add_routes,
    ask,
    number,
    sent,
    show_forms,
    whole_number,
)
from medfloor.service.running import Running
from medfloor.studies.shelf import STUDIES

router = APIRouter(include_in_schema=False)
SUBJECT = SUBJECTS[2]
KINDS = SUBJECT.kinds
MEASURES = ("catastrophic", "impoverishing", "poverty", "concentration", "incidence", "cliff")
_FIRST = {
    "measure": "concentration", "table": "", "columns": "", "by": "", "line": "median:0.5", "cutoff": "",
    "people": "2000", "seed": "1", "study": "two-provinces", "data": "",
}  # fmt: skip


@router.get("/measures")
def form(request: Request, acting: Asker, run: Run) -> Response:
    """Show the forms of a measure and of a study."""
    return _form(request, acting, run, Filled(_FIRST, KINDS[0]))


@router.post("/measures")
async def run_it(request: Request, acting: Asker, run: Run) -> Response:
    """Ask for a measure or a study."""
    kind, told = await sent(request, _FIRST, KINDS)
    answer = await ask(request, acting, run, SUBJECT, _body(kind, told, acting.language))
    if isinstance(answer, Response):
        return answer
    return await run_in_threadpool(_form, request, acting, run, Filled(told, kind, answer))


def _body(kind: str, told: dict[str, str], lang: str) -> dict[str, Any]:
    seed = whole_number(told["seed"])
    if kind == "study":
        return {"kind": kind, "study": told["study"], "seed": seed} | ({"data": told["data"]} if told["data"] else {})
    body = {"kind": kind, "measure": told["measure"], "seed": seed, "people": whole_number(told["people"]),
            "line": told["line"] or None, "language": lang}  # fmt: skip
    columns = _apart(told["columns"])
    # What is no pair stays as it was typed, and the body says so.
    paired = all("=" in one for one in columns)
    body["columns"] = {a.strip(): b.strip() for a, b in (one.split("=", 1) for one in columns)} if paired else columns
    body["by"] = _apart(told["by"])
    body |= {"table": told["table"]} if told["table"] else {}
    return body | ({"cutoff": number(told["cutoff"])} if told["cutoff"] else {})


def _apart(text: str) -> list[str]:
    return [one.strip() for one in text.replace("，", ",").replace("\n", ",").split(",") if one.strip()]


def _form(request: Request, acting: Acting, run: Running, filled: Filled) -> Response:
    return show_forms(request, acting, run, SUBJECT, filled, measures=MEASURES, studies=list(STUDIES))


add_routes(router, SUBJECT)
