"""Pages of the laboratory: choose people, a baseline and reforms, run, and compare what they change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import NotFoundError
from medfloor.policy.load import list_policies
from medfloor.service import reforms
from medfloor.service.access import Acting
from medfloor.service.laboratory import LEVERS
from medfloor.service.pages.frame import render
from medfloor.service.pages.results import SUBJECTS, Asker, Run, add_routes, ask, data_of, listed, whole_number
from medfloor.service.running import Running

router = APIRouter(include_in_schema=False)
SUBJECT = SUBJECTS[0]
SAVED = 12
"""So many saved reforms are offered; an older one is reached from its own page."""

_FIRST = {
    "population": "", "office_year": "", "people": "2000", "year": "", "seed": "1", "draws": "0", "looks": "200",
    "baseline": "synthetic/cn-2025", "pasted": "", "minimise": "headcount", "reforms": (),
}  # fmt: skip
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
        name: str(sent.get(name) or _FIRST[name] or "").strip() for name in _FIRST if name != "reforms"
    }
    told["reforms"] = tuple(str(one) for one in sent.getlist("reforms"))[:5]
    kind = "optimise" if sent.get("kind") == "optimise" else "simulate"
    numbers = {name: whole_number(told[name]) for name in ("people", "seed")}
    if kind == "optimise":
        body = {"kind": kind, **numbers, "looks": whole_number(told["looks"]), "minimise": told["minimise"]}
        body |= {"baseline": told["baseline"]}
        vary = str(sent.get("vary") or "").strip()
        body |= {"vary": vary.replace("\r\n", "\n")} if vary else {}
    else:
        texts = await run_in_threadpool(_texts, run, told)
        body = {"kind": kind, **numbers, "baseline": told["baseline"], "reforms": texts, "language": acting.language,
                "draws": whole_number(told["draws"])}  # fmt: skip
        of_office = told["population"] == "office"
        body |= {"office_year": whole_number(told["year"])} if of_office else {}
        body |= {"population": told["population"]} if told["population"] and not of_office else {}
        body |= {"year": whole_number(told["year"])} if told["year"] and not of_office else {}
    answer = await ask(request, acting, run, SUBJECT, body)
    if isinstance(answer, Response):
        return answer
    errors = {"year" if name == "office_year" else name: why for name, why in answer.items()}
    return await run_in_threadpool(_form, request, acting, run, told | {"kind": kind}, errors, status=422)


def _texts(run: Running, told: dict[str, Any]) -> list[str]:
    """Give the texts of the reforms that were ticked or pasted; one that is gone is left out."""
    texts = []
    for key in told["reforms"]:
        try:
            texts.append(reforms.find(run.settings, key).text)
        except NotFoundError:
            continue
    return [*texts, *([told["pasted"].replace("\r\n", "\n")] if told["pasted"] else [])]


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
    return render(
        request, acting, "results/laboratory.html", status=status, asked=asked, errors=errors,
        shipped=reforms.shipped(), saved=saved, policies=[address for address, _ in list_policies()],
        folders=data_of(run, folders=True), jobs=listed(run, SUBJECT), subject=SUBJECT, aims=_AIMS,
        levers=LEVERS.read_text(encoding="utf-8"),
    )  # fmt: skip


add_routes(router, SUBJECT)
