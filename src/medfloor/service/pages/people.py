"""Pages of people: find one, see what the office knows of them, their year, their claims, and what comes next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import InputError, UsageError
from medfloor.money import parse_fen
from medfloor.periods import OFFICE_ZONE
from medfloor.service.access import Acting
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.bodies.people import IdentityAnswer, PersonAnswer, SearchBody, UnmaskBody
from medfloor.service.looking import look, within
from medfloor.service.outlook import Asked, Outlook, day_in, gauges_of, next_bill, today, year_on
from medfloor.service.pages.frame import go, is_part, page, render
from medfloor.service.pages.shown import colour_of, parts_of, shown_line, tier_name
from medfloor.service.problems import field_errors, title_of
from medfloor.service.routes import people
from medfloor.service.routes.people import PersonId
from medfloor.service.running import Running, running
from medfloor.settlement.gauges import Gauge
from medfloor.store import claims
from medfloor.store.identity import is_identity
from medfloor.store.roles import may
from medfloor.tables import CARE_TYPES, FACILITY_LEVELS
from medfloor.words import knows, say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_person")]
Ledger = Annotated[Acting, page("read_settlements")]
DayText = Annotated[str, Query(max_length=10)]
ROWS = 20
MOST_YUAN = 300_000


@router.get("/people")
def ask(request: Request, acting: Reader) -> Response:
    """Show the forms by which people, households and claims are found."""
    return render(request, acting, "people/search.html", found=None, errors={}, asked={})


@router.post("/people")
async def search(request: Request, acting: Reader, run: Run) -> Response:
    """Find people; what is asked for stands in the body, never in an address."""
    form = await request.form()
    asked = {
        name: str(form.get(name) or "").strip()[:64]
        for name in ("by", "identity_number", "name", "birth_date", "kind", "number")
    }
    return await run_in_threadpool(_search, request, acting, run, asked)


def _search(request: Request, acting: Acting, run: Running, asked: dict[str, str]) -> Response:
    if asked["by"] == "number":
        kind = asked["kind"] if asked["kind"] in ("people", "households", "claims") else "people"
        if re.fullmatch(ID_PATTERN, asked["number"]) and not _is_identity(asked["number"]):
            return go(f"/{kind}/{asked['number']}")
        errors = {"number": say("people_page.bad_number", acting.language)}
        return render(request, acting, "people/search.html", status=422, found=None, errors=errors, asked=asked)
    names = ("identity_number",) if asked["by"] == "identity" else ("name", "birth_date")
    try:
        body = SearchBody.model_validate({name: asked[name] for name in names if asked[name]})
    except ValidationError as error:
        errors = {one["field"]: one["message"] for one in field_errors(error.errors(), acting.language)}
        if "" in errors:
            errors = {names[0]: say("people_page.search_by_what", acting.language)}
        elif "identity_number" in errors:
            errors = {"identity_number": say("people_page.bad_identity", acting.language)}
        return render(request, acting, "people/search.html", status=422, found=None, errors=errors, asked=asked)
    found = people.search(body, acting, run)
    return render(request, acting, "people/search.html", found=found.people, errors={}, asked=asked)


@router.get("/people/{person_id}")
def show(
    request: Request,
    person_id: PersonId,
    acting: Reader,
    run: Run,
    day: DayText = "",
    known: DayText = "",
    year: Annotated[int | None, Query(ge=1900, le=2199)] = None,
    leaf: Annotated[int, Query(ge=1, le=10_000)] = 1,
    yuan: Annotated[str, Query(max_length=20)] = "",
    outside: Annotated[str, Query(max_length=20)] = "",
    care_type: Annotated[str, Query(max_length=32)] = "inpatient",
    facility_level: Annotated[str, Query(max_length=8)] = "3",
) -> Response:
    """Show a person: facts of a day, enrolments, statuses, and of a year what was used and every claim."""
    when, known_at = _day(day, "day"), _moment(known)
    person = people.show(person_id, acting, run, when, known_at)
    values: dict[str, Any] = {
        "person": person, "timeline": timeline(person, acting.language), "day": person.day.isoformat(),
        "known_on": known,
        "may_reveal": may(acting.actor, "reveal_identity"), "may_settle": may(acting.actor, "settle"),
        "year": None, "leaf": leaf,
    }  # fmt: skip
    if may(acting.actor, "read_settlements") and run.books is not None:
        values |= _year(run, acting, person_id, year, leaf)
        asked = _asked(yuan, outside, care_type, facility_level, values["next_day"])
        values |= {"asked": asked, "next": None, "most_yuan": MOST_YUAN}
        if yuan:
            values["next"] = _next(run, acting, person_id, asked)
    return render(request, acting, "people/person.html", **values)


@router.get("/people/{person_id}/next")
def next_part(
    request: Request,
    person_id: PersonId,
    acting: Ledger,
    run: Run,
    yuan: Annotated[str, Query(max_length=20)] = "0",
    outside: Annotated[str, Query(max_length=20)] = "0",
    care_type: Annotated[str, Query(max_length=32)] = "inpatient",
    facility_level: Annotated[str, Query(max_length=8)] = "3",
    next_day: DayText = "",
) -> Response:
    """Give what the next bill would cost, as the part of the page that the slider moves."""
    asked = _asked(yuan, outside, care_type, facility_level, _day(next_day, "next_day") or today(acting))
    told = _next(run, acting, person_id, asked)
    if not is_part(request):
        return go(f"/people/{person_id}?yuan={asked.total_fen // 100}&care_type={asked.care_type}")
    return render(request, acting, "people/_next.html", next=told, asked=asked)


@router.post("/people/{person_id}/identity")
async def reveal(
    request: Request, person_id: PersonId, acting: Annotated[Acting, page("reveal_identity")], run: Run
) -> Response:
    """Show the whole identity; who asked and why is written down first."""
    form = await request.form()
    reason = str(form.get("reason") or "").strip()
    error, whole = "", None
    try:
        body = UnmaskBody(reason=reason)
    except ValidationError:
        error = title_of("no_reason", 422, acting.language)
    else:
        whole = await run_in_threadpool(people.unmask, person_id, body, acting, run)
    template = "people/_identity.html" if is_part(request) else "people/identity.html"
    return render(
        request, acting, template, status=200 if whole else 422, person_id=person_id, whole=whole, error=error,
        person=None if whole else IdentityAnswer(person_id=person_id), may_reveal=True,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bar:
    """Be one interval on a timeline: where it lies in thousandths of its width, and its row."""

    x: float
    width: float
    row: int
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Be statuses and enrolments over the years: the years' marks, rows with a name, bars, and today's place."""

    years: tuple[tuple[int, float], ...]
    rows: tuple[str, ...]
    bars: tuple[Bar, ...]
    now: float | None


def timeline(person: PersonAnswer, lang: str) -> Timeline:
    """Lay enrolments and statuses on one axis of years; at most eight, up to the year after the day asked about."""
    starts = [one.valid_from for one in person.enrolments] + [one.from_date for one in person.spells]
    known = [one for one in starts if one is not None]
    last = person.day.year + 1
    first = max(min([one.year for one in known] + [person.day.year]), last - 8)
    begin, end = date(first, 1, 1), date(last, 1, 1)
    whole = (end - begin).days

    def place(day: date) -> float:
        return 1000 * min(max((day - begin).days, 0), whole) / whole

    rows: list[str] = []
    bars: list[Bar] = []

    def add(name: str, kind: str, start: date | None, stop: date | None) -> None:
        left, right = place(start or begin), place(stop) if stop else 1000.0
        if right <= left:
            return
        if name not in rows:
            rows.append(name)
        bars.append(Bar(left, right - left, rows.index(name), kind, name))

    for one in person.enrolments:
        add(say(f"scheme.{one.scheme}", lang), "enrolled", one.valid_from, one.valid_to)
    for spell in person.spells:
        key = f"group.{spell.group}"
        name = say(key, lang) if knows(key, lang) else spell.group
        add(name, "spell", spell.from_date, spell.to_date)
    marks = tuple((year, place(date(year, 1, 1))) for year in range(first, last))
    now = place(person.day) if begin <= person.day < end else None
    return Timeline(marks, tuple(rows), tuple(bars), now)


def _year(run: Running, acting: Acting, person_id: str, year: int | None, leaf: int) -> dict[str, Any]:
    books, lang = run.books, acting.language
    assert books is not None

    def work(connection: sa.Connection) -> tuple[dict[str, Any], list[str]]:
        whose = within(connection, acting, [person_id])
        years = claims.years_of(connection, person_id)
        now = year_on(books, today(acting))
        chosen = year or (years[0] if years else now)
        day = day_in(books, chosen, today(acting))
        lines = claims.claims_of(connection, person_id, chosen, skip=(leaf - 1) * ROWS, limit=ROWS)
        return {
            "years": sorted({*years, chosen, now}, reverse=True),
            "chosen": chosen,
            "next_day": day,
            "gauges": [_gauge(run, one, lang) for one in gauges_of(connection, books, person_id, chosen, day)],
            "lines": [shown_line(run, one, lang) for one in lines],
            "count": claims.count_claims(connection, person_id, chosen),
            "rows": ROWS,
        }, whose

    found = look(run, acting, "read_claims", work)
    summary = people.year_of(person_id, found["chosen"], acting, run)
    parts = [(colour_of(tier), tier_name(run, tier, lang), fen) for tier, fen in summary.payments_fen.items()]
    parts.append(("tier-self", say("split.own_total", lang), summary.own_total_fen))
    return found | {"year": summary, "year_parts": parts}


def _gauge(run: Running, one: Gauge, lang: str) -> dict[str, Any]:
    between = say("list.between", lang)
    every = len(one.care_types) == len(CARE_TYPES)
    named = between.join(say(f"care_type.{care}", lang) for care in one.care_types)
    care = say("people_page.all_care", lang) if every else named
    return {"gauge": one, "tier": tier_name(run, one.tier, lang), "name": one.name.in_(lang), "care": care}


def _asked(yuan: str, outside: str, care_type: str, facility_level: str, day: date) -> Asked:
    return Asked(
        care_type if care_type in CARE_TYPES else "inpatient",
        facility_level if facility_level in FACILITY_LEVELS else "3",
        _amount(yuan or "0", "yuan"),
        _amount(outside or "0", "outside"),
        day,
    )


def _next(run: Running, acting: Acting, person_id: str, asked: Asked) -> dict[str, Any]:
    """Give the outlook with its parts, or why the law cannot say it."""
    try:
        told: Outlook = next_bill(run, acting, person_id, asked)
    except InputError as error:
        return {"outlook": None, "why": title_of(error.code, 422, acting.language), "parts": []}
    parts = parts_of(run, told.payments_fen, told.own_in_scope_fen, told.own_outside_fen, acting.language)
    return {"outlook": told, "why": "", "parts": parts}


def _amount(text: str, name: str) -> int:
    try:
        fen = parse_fen(text.replace(",", ""))
    except ValueError:
        fen = -1
    if not 0 <= fen <= 100 * 10_000_000:
        raise UsageError("bad_request", f"{name}: write an amount in yuan from 0 to 10,000,000")
    return fen


def _day(text: str, name: str) -> date | None:
    try:
        day = date.fromisoformat(text) if text else None
    except ValueError:
        raise UsageError("bad_request", f"{name}: write a day as YYYY-MM-DD") from None
    if day is not None and not 1900 <= day.year <= 2199:
        raise UsageError("bad_request", f"{name}: days lie between 1900 and 2199")
    return day


def _moment(text: str) -> datetime | None:
    """Give the end of a day in the office: what was known on it."""
    day = _day(text, "known")
    return None if day is None else datetime.combine(day, time(23, 59, 59), OFFICE_ZONE)


def _is_identity(text: str) -> bool:
    """Say whether somebody put an identity number where it would come into an address."""
    return is_identity(text) or (len(text) in (15, 18) and text[:-1].isdigit())
