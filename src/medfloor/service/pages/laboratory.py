"""Pages of the laboratory: choose people, a baseline and reforms, run, and compare what they change."""

from __future__ import annotations

import functools
import re
import tomllib
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import MedfloorError, NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.service import reforms, trials
from medfloor.service.access import Acting
from medfloor.service.bodies.policies import ADDRESS_PATTERN
from medfloor.service.laboratory import LEVERS
from medfloor.service.pages.frame import render
from medfloor.service.pages.policies import offered
from medfloor.service.pages.reforms import faults_of
from medfloor.service.pages.results import (
    SUBJECTS,
    Asker,
    Run,
    add_routes,
    ask,
    data_of,
    listed,
    whole_number,
)
from medfloor.service.routes import policies
from medfloor.service.running import Running
from medfloor.store.office_year import last_care
from medfloor.words import say

router = APIRouter(include_in_schema=False)
SUBJECT = SUBJECTS[0]
SAVED = 12
"""So many saved reforms are offered; an older one is reached from its own page."""

_FIRST = {
    "population": "", "office_year": "", "people": "2000", "year": "", "seed": "1", "draws": "0", "looks": "200",
    "baseline": "synthetic/cn-2025", "pasted": "", "minimise": "headcount", "reforms": (), "vary": "",
}  # fmt: skip
_MOST = 5
_AIMS = ("headcount", "gap", "overshoot", "poverty-gap")


@router.get("/laboratory")
def form(
    request: Request,
    acting: Asker,
    run: Run,
    reform: Annotated[list[Annotated[str, Query(pattern=reforms.KEY)]] | None, Query(max_length=5)] = None,
    baseline: Annotated[str, Query(max_length=128)] = "",
) -> Response:
    """Show the forms of a simulation and of a search; `reform` names reforms that are chosen already."""
    chosen = {"reforms": tuple(reform or ())} | ({"baseline": baseline} if baseline else {})
    return _form(request, acting, run, {**_FIRST, **chosen}, {})


@router.post("/laboratory")
async def run_it(request: Request, acting: Asker, run: Run) -> Response:
    """Ask for a simulation, or for a search."""
    sent = await request.form()
    told: dict[str, Any] = {
        name: str(sent.get(name, value)).strip() for name, value in _FIRST.items() if name not in ("reforms", "vary")
    }
    told["reforms"] = tuple(str(one) for one in sent.getlist("reforms"))[:_MOST]
    told["vary"] = str(sent.get("vary") or "").replace("\r\n", "\n")
    kind = "optimise" if sent.get("kind") == "optimise" else "simulate"
    errors: dict[str, str] = {}
    if kind == "optimise":
        body = _search(told)
    else:
        body, wrong = await run_in_threadpool(_trial, run, told, acting.language)
        errors |= {"reforms": wrong} if wrong else {}
    if not errors:
        answer = await ask(request, acting, run, SUBJECT, body)
        if isinstance(answer, Response):
            return answer
        errors = {"year" if name == "office_year" else name: why for name, why in answer.items()}
    return await run_in_threadpool(_form, request, acting, run, told | {"kind": kind}, errors, status=422)


def _search(told: dict[str, Any]) -> dict[str, Any]:
    """Give the job of a search that a form describes."""
    body = {"kind": "optimise", "minimise": told["minimise"], "baseline": told["baseline"]}
    body |= {name: whole_number(told[name]) for name in ("people", "seed", "looks")}
    return body | ({"vary": told["vary"]} if told["vary"].strip() else {})


def _trial(run: Running, told: dict[str, Any], lang: str) -> tuple[dict[str, Any], str]:
    """Give the job of a simulation that a form describes, and what is wrong with its reforms (empty: nothing)."""
    body = {"kind": "simulate", "baseline": told["baseline"], "language": lang}
    body |= {name: whole_number(told[name]) for name in ("people", "seed", "draws")}
    if told["population"] == "office":
        body |= {"office_year": whole_number(told["year"])}
    else:
        body |= {"population": told["population"]} if told["population"] else {}
        body |= {"year": whole_number(told["year"])} if told["year"] else {}
    try:
        found = [reforms.find(run.settings, key) for key in told["reforms"]]
    except NotFoundError:
        return body, say("problem.reform_gone", lang)
    named = [(one.title(lang), one.text) for one in found]
    if told["pasted"]:
        named.append((say("lab_page.pasted", lang), told["pasted"].replace("\r\n", "\n")))
    if not named:
        return body, say("lab_page.no_reform", lang)
    body["reforms"] = [text for _, text in named]
    return body, _first_fault(run, told["baseline"], named, lang)


def _first_fault(run: Running, baseline: str, named: list[tuple[str, str]], lang: str) -> str:
    """Say why the first reform that cannot be laid over the baseline cannot; empty where all can.

    A baseline that there is not is said at its own field.
    """
    if not re.fullmatch(ADDRESS_PATTERN, baseline):
        return ""
    try:
        source = policies.source_of(policies.pinned(baseline, run), run)
    except MedfloorError:
        return ""
    for name, text in named:
        try:
            trials.reformed(source, text)
        except MedfloorError as error:
            fault = faults_of(error, text, lang)[0]
            line = say("policy_page.line", lang, line=fault.line) + " " if fault.line else ""
            return say("lab_page.reform_fault", lang, name=name, said=f"{line}{fault.said}")
    return ""


def _form(
    request: Request, acting: Acting, run: Running, asked: dict[str, Any], errors: dict[str, str], *, status: int = 200
) -> Response:
    saved = reforms.saved(run.settings)[:SAVED]
    # One that was reached by its own address is offered, however old it is.
    known = {one.key for one in (*saved, *reforms.shipped())}
    for key in asked["reforms"]:
        if key not in known:
            try:
                saved.append(reforms.find(run.settings, key))
            except NotFoundError:
                continue
    # The year of today is never over, and its claims are the ones that somebody asks for first.
    with run.store.reading() as connection:
        reach = last_care(connection, acting.now.astimezone(OFFICE_ZONE).year)
    return render(
        request, acting, "results/laboratory.html", status=status, asked=asked, errors=errors, reach=reach,
        shipped=reforms.shipped(), saved=saved, policies=offered(run, acting.language),
        folders=data_of(run, folders=True), jobs=listed(run, SUBJECT), subject=SUBJECT, aims=_AIMS,
        levers=asked["vary"] or LEVERS.read_text(encoding="utf-8"), kind=asked.get("kind", ""),
        moves=_moves(acting.language),
    )  # fmt: skip


@functools.cache
def _moves(lang: str) -> tuple[tuple[str, str, str], ...]:
    """Name the numbers that a search moves unless others are given: words, how each moves, and from where to where."""
    found = tomllib.loads(LEVERS.read_text(encoding="utf-8"))["vary"]
    return tuple(
        (one["name"][lang], say(f"lab_page.way_{one.get('as', 'value')}", lang), f"{one['low']:g} – {one['high']:g}")
        for one in found
    )


add_routes(router, SUBJECT)
