"""Pages of the fund: project it, pool it, adjust benefits to it, and follow leads in claims with their evidence."""

from __future__ import annotations

import json
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import NotFoundError
from medfloor.service.access import Acting
from medfloor.service.looking import note
from medfloor.service.pages.frame import page, render
from medfloor.service.pages.results import (
    SUBJECTS,
    Asker,
    Number,
    Run,
    add_routes,
    ask,
    data_of,
    find,
    listed,
    number,
    pairs,
    whole_number,
)
from medfloor.service.results import FOLDER, LEADS
from medfloor.service.running import Running
from medfloor.store.roles import may

router = APIRouter(include_in_schema=False)
SUBJECT = SUBJECTS[1]
ROWS = 50
_FIRST = {
    "population": "", "year": "", "years": "20", "paths": "2000", "seed": "20201123", "lines": "3,6,9", "given": "",
    "places": "", "share": "10", "months": "0", "common": "5", "use_response": "0", "hazard": "0", "draws": "2000",
    "start": "ratio=75",
}  # fmt: skip
_SHARES = ("share", "common", "use_response", "hazard")


@router.get("/fund")
def form(request: Request, acting: Asker, run: Run) -> Response:
    """Show the forms: projection, pooling, adjustment and, for who may read settlements, supervision."""
    return _form(request, acting, run, dict(_FIRST), {}, "project")


@router.post("/fund")
async def run_it(request: Request, acting: Asker, run: Run) -> Response:
    """Ask for one of the four."""
    sent = await request.form()
    told = {name: str(sent.get(name, first)).strip() for name, first in _FIRST.items()}
    kind = str(sent.get("kind") or "")
    answer = await ask(request, acting, run, SUBJECT, _body(kind, told))
    if isinstance(answer, Response):
        return answer
    errors = {"year" if name == "office_year" else name: why for name, why in answer.items()}
    return await run_in_threadpool(_form, request, acting, run, told, errors, kind, status=422)


@router.get("/fund/{number}/leads")
def leads(
    request: Request,
    number: Number,
    acting: Annotated[Acting, page("read_settlements")],
    run: Run,
    rule: Annotated[str, Query(max_length=48, pattern=r"^[a-z_]*$")] = "",
    leaf: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """Show leads with their evidence, the strongest first; who looked at whom is written down."""
    row = find(run, acting, SUBJECT, number)
    file = run.jobs.folder_of(number) / FOLDER / LEADS
    if row["kind"] != "supervise" or row["state"] != "done" or not file.is_file():
        raise NotFoundError("no_file", "the job has no leads")
    frame = pl.scan_parquet(file)
    rules = frame.group_by("rule", f"title@{acting.language}").len().sort("len", descending=True).collect()
    chosen = frame.filter(pl.col("rule") == rule) if rule else frame
    total = int(chosen.select(pl.len()).collect().item())
    shown = chosen.slice((leaf - 1) * ROWS, ROWS).collect()
    whose = shown["person_id"].drop_nulls().unique(maintain_order=True).to_list()
    note(run, acting, "read_leads", whose or [None], detail=f"job={number}")
    rows = [
        {**one, "title": one[f"title@{acting.language}"], "reason": one[f"reason@{acting.language}"]}
        for one in shown.iter_rows(named=True)
    ]
    of_office = json.loads(row["parameters"]).get("office_year") is not None
    return render(
        request, acting, "results/leads.html", subject=SUBJECT, number=number, leads=rows, total=total, leaf=leaf,
        rows=ROWS, rule=rule, rules=rules.rows(), linked=of_office,
    )  # fmt: skip


def _body(kind: str, told: dict[str, str]) -> dict[str, Any]:
    whole = {name: whole_number(told[name]) for name in ("years", "paths", "draws", "seed")}
    if kind == "pool":
        shares = {name: _share(told[name]) for name in _SHARES}
        places = {"places": told["places"]} if told["places"] else {}
        return {"kind": kind, "months": number(told["months"]), "draws": whole["draws"], "seed": whole["seed"],
                **shares, **places}  # fmt: skip
    if kind == "supervise":
        if told["population"]:
            return {"kind": kind, "population": told["population"]}
        return {"kind": kind, "office_year": whole_number(told["year"])}
    body: dict[str, Any] = {name: whole[name] for name in ("years", "paths", "seed")} | {"kind": kind}
    body["given"] = pairs(told["given"])
    if kind == "adjust":
        return body | {"start": pairs(told["start"])}
    body["lines"] = [number(one) for one in told["lines"].replace("，", ",").split(",") if one.strip()]
    body |= {"population": told["population"]} if told["population"] else {}
    return body | ({"year": whole_number(told["year"])} if told["year"] else {})


def _share(text: str) -> object:
    """Read a share that is written in per cent."""
    value = number(text)
    return value / 100 if isinstance(value, float) else value


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
    may_supervise = may(acting.actor, "read_settlements") and may(acting.actor, "read_person")
    rows = [one for one in listed(run, SUBJECT) if may_supervise or one["kind"] != "supervise"]
    return render(
        request, acting, "results/fund.html", status=status, asked=asked, errors=errors, kind=kind, jobs=rows,
        folders=data_of(run, folders=True), tables=data_of(run, folders=False), subject=SUBJECT,
        may_supervise=may_supervise,
    )  # fmt: skip


add_routes(router, SUBJECT)
