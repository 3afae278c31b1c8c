"""Pages of the fund: project it, pool it, adjust benefits to it, and follow leads in claims with their evidence."""

from __future__ import annotations

import functools
import json
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import NotFoundError
from medfloor.policy.load import list_policies
from medfloor.service import reforms
from medfloor.service.access import Acting
from medfloor.service.bodies.proposals import ReasonBody
from medfloor.service.looking import note
from medfloor.service.pages.frame import go, page, render
from medfloor.service.pages.laboratory import SAVED
from medfloor.service.pages.office import fields_of, provider_names, tried
from medfloor.service.pages.results import (
    SUBJECTS,
    Asker,
    Filled,
    Number,
    Run,
    add_routes,
    ask,
    find,
    listed,
    number,
    pairs,
    sent,
    show_forms,
    show_job,
    texts_of,
    whole_number,
)
from medfloor.service.results import FOLDER, LEADS
from medfloor.service.routes import jobs
from medfloor.service.running import Running
from medfloor.store.roles import may
from medfloor.words import say

router = APIRouter(include_in_schema=False)
SUBJECT = SUBJECTS[1]
ROWS = 50
_FIRST = {
    "population": "", "year": "", "years": "20", "paths": "2000", "seed": "20201123", "lines": "3,6,9", "given": "",
    "places": "", "share": "10", "months": "0", "common": "5", "use_response": "0", "hazard": "0", "draws": "2000",
    "start": "ratio=75", "against": "", "law": "", "policy": "",
}  # fmt: skip
_SHARES = ("share", "common", "use_response", "hazard")


@router.get("/fund")
def form(request: Request, acting: Asker, run: Run) -> Response:
    """Show the forms: projection, comparison, back-test, pooling, adjustment, and supervision to who may see leads."""
    return _form(request, acting, run, Filled(_FIRST | {"reforms": ()}, SUBJECT.kinds[0]))


@router.post("/fund")
async def run_it(request: Request, acting: Asker, run: Run) -> Response:
    """Ask for one of them."""
    kind, told = await sent(request, _FIRST, SUBJECT.kinds)
    unknown = await run_in_threadpool(_unknown, kind, told, acting.language)
    ticked = [str(one) for one in (await request.form()).getlist("reforms")][:5]
    texts = await run_in_threadpool(texts_of, run, ticked) if kind == "contrast" else []
    answer = unknown or await ask(request, acting, run, SUBJECT, _body(kind, told, texts))
    if isinstance(answer, Response):
        return answer
    errors = {"year" if name == "office_year" else name: why for name, why in answer.items()}
    filled = Filled(told | {"reforms": tuple(ticked)}, kind, errors)
    return await run_in_threadpool(_form, request, acting, run, filled)


@router.post("/fund/{number}/proposal")
async def propose(request: Request, number: Number, acting: Annotated[Acting, page("propose")], run: Run) -> Response:
    """Propose the adjustment that a job worked out, for a colleague to decide and sign."""
    fields = await fields_of(request)

    async def work() -> Any:
        return await jobs.propose_adjustment(number, ReasonBody(reason=fields.get("reason") or ""), acting, run)

    made, problem = await tried(work, acting.language)
    if problem is not None:
        return await run_in_threadpool(show_job, request, acting, run, SUBJECT, number, problem)
    return go(f"/office/proposals/{made.id}", done="proposed")


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
    facilities = [one["provider_id"] for one in rows if one["provider_id"]] if of_office else []
    names = provider_names(run, facilities, acting.language) if facilities else {}
    return render(
        request, acting, "results/leads.html", subject=SUBJECT, number=number, leads=rows, total=total, leaf=leaf,
        rows=ROWS, rule=rule, rules=rules.rows(), linked=of_office, names=names,
    )  # fmt: skip


def _body(kind: str, told: dict[str, str], texts: list[str]) -> dict[str, Any]:
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
    if kind == "backtest":
        return {name: body[name] for name in ("kind", "paths", "seed", "given")}
    if kind == "contrast":
        body |= {"reforms": texts, "against": pairs(told["against"])}
        body |= {name: told[name] for name in ("law", "policy") if told[name]}
    body["lines"] = [number(one) for one in told["lines"].replace("，", ",").split(",") if one.strip()]
    body |= {"population": told["population"]} if told["population"] else {}
    return body | ({"year": whole_number(told["year"])} if told["year"] else {})


def _unknown(kind: str, told: dict[str, str], lang: str) -> dict[str, str]:
    """Say which names of parameters and benefits there are not, before a job fails for them."""
    from medfloor.fund.steps import shipped_steps

    fields = {"project": ("given",), "backtest": ("given",), "contrast": ("given", "against"), "adjust": ("given",)}
    known = {name: {one for one, *_ in names_of(lang)} for name in fields.get(kind, ())}
    known |= {"start": {one.id for one in shipped_steps().benefits}} if kind == "adjust" else {}
    wrong: dict[str, str] = {}
    for field, names in known.items():
        found = pairs(told[field])
        strange = [one for one in found if one not in names] if isinstance(found, dict) else []
        wrong |= {field: say("fund_page.no_such_name", lang, name=strange[0][:64])} if strange else {}
    return wrong


def _share(text: str) -> object:
    """Read a share that is written in per cent."""
    value = number(text)
    return value / 100 if isinstance(value, float) else value


def _form(request: Request, acting: Acting, run: Running, filled: Filled) -> Response:
    may_supervise = may(acting.actor, "read_settlements") and may(acting.actor, "read_person")
    rows = [one for one in listed(run, SUBJECT) if may_supervise or one["kind"] != "supervise"]
    return show_forms(
        request, acting, run, SUBJECT, filled, jobs=rows, may_supervise=may_supervise,
        saved=reforms.saved(run.settings)[:SAVED], shipped=reforms.shipped(),
        policies=[address for address, _ in list_policies()], names=names_of(acting.language),
    )  # fmt: skip


@functools.cache
def names_of(lang: str) -> tuple[tuple[str, str, str, str], ...]:
    """Name the parameters of a projection that a form may replace: code, words, value and unit."""
    from medfloor.fund.basis import national
    from medfloor.fund.series import unit_text, value_text

    found = national().parameters.all
    return tuple((one.name, one.title(lang), value_text(one.value), unit_text(one.unit, lang)) for one in found)


add_routes(router, SUBJECT)
