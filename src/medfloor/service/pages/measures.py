"""Pages of measures and studies: protection, poverty and equity over a table, and studies as papers print them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.pages.frame import render
from medfloor.service.pages.results import SUBJECTS, Asker, Run, add_routes, ask, data_of, listed, number, whole_number
from medfloor.service.running import Running
from medfloor.studies.shelf import STUDIES

router = APIRouter(include_in_schema=False)
SUBJECT = SUBJECTS[2]
MEASURES = ("catastrophic", "impoverishing", "poverty", "concentration", "incidence", "cliff")
_FIRST = {
    "measure": "concentration", "table": "", "columns": "", "by": "", "line": "median:0.5", "cutoff": "",
    "people": "2000", "seed": "1", "study": "two-provinces", "data": "",
}  # fmt: skip


@router.get("/measures")
def form(request: Request, acting: Asker, run: Run) -> Response:
    """Show the forms of a measure and of a study."""
    return _form(request, acting, run, dict(_FIRST), {}, "measure")


@router.post("/measures")
async def run_it(request: Request, acting: Asker, run: Run) -> Response:
    """Ask for a measure or a study."""
    sent = await request.form()
    told = {name: str(sent.get(name, first)).strip() for name, first in _FIRST.items()}
    kind = "study" if sent.get("kind") == "study" else "measure"
    answer = await ask(request, acting, run, SUBJECT, _body(kind, told, acting.language))
    if isinstance(answer, Response):
        return answer
    return await run_in_threadpool(_form, request, acting, run, told, answer, kind, status=422)


def _body(kind: str, told: dict[str, str], lang: str) -> dict[str, Any]:
    seed = whole_number(told["seed"])
    if kind == "study":
        return {"kind": kind, "study": told["study"], "seed": seed} | ({"data": told["data"]} if told["data"] else {})
    body = {"kind": kind, "measure": told["measure"], "seed": seed, "people": whole_number(told["people"]),
            "line": told["line"] or None, "language": lang}  # fmt: skip
    body["columns"] = dict(one.split("=", 1) for one in _apart(told["columns"]) if "=" in one)
    body["by"] = _apart(told["by"])
    body |= {"table": told["table"]} if told["table"] else {}
    return body | ({"cutoff": number(told["cutoff"])} if told["cutoff"] else {})


def _apart(text: str) -> list[str]:
    return [one.strip() for one in text.replace("，", ",").replace("\n", ",").split(",") if one.strip()]


def _form(
    request: Request,
    acting: Acting,
    run: Running,
    asked: dict[str, str],
    errors: dict[str, str],
    kind: str,
    *,
    status: int = 200,
) -> Response:
    return render(
        request, acting, "results/measures.html", status=status, asked=asked, errors=errors, kind=kind,
        measures=MEASURES, studies=list(STUDIES), tables=data_of(run, folders=False),
        folders=data_of(run, folders=True), jobs=listed(run, SUBJECT), subject=SUBJECT,
    )  # fmt: skip


add_routes(router, SUBJECT)
