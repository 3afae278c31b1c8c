"""Pages of cases: list and open, follow step by step, print the public notice, look over what is late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import ConflictError, InputError, NotFoundError, UsageError
from medfloor.money import MAX_FEN, format_yuan, parse_fen
from medfloor.service import following
from medfloor.service.access import Acting
from medfloor.service.bodies.cases import CaseAnswer, DueFor, FollowAnswer, FoundBody, NoticeAnswer, State, StepBody
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.pages.frame import go, page
from medfloor.service.pages.watch_parts import render_watch
from medfloor.service.problems import field_errors, status_of, title_of
from medfloor.service.routes import alerts, cases, households
from medfloor.service.running import Running, running
from medfloor.store.cases import count_listed
from medfloor.store.office import office_of
from medfloor.store.roles import ROLES, may
from medfloor.store.watching import rules_of
from medfloor.words import say

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, page("read_cases")]
CaseId = Annotated[str, Path(pattern=ID_PATTERN, max_length=64)]
ROWS = 50
ALERTS = 20
NEAR_DAYS = 3
"""A deadline so many days ahead is shown as near."""
WEEK = 7
"""Deadlines of so many days, today's among them, are listed as due soon: those that the first page counts."""

_INCOME = ("income_head", "line_head", "labour_capacity")
FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "verified": (_INCOME, ()), "visited": (_INCOME, ()), "published": ((), ("category",)),
    "objected": (("reason",), ()), "answered": (("reason",), ()), "relapsed": (("reason",), ()),
    "refused": (("reason",), ()), "recognised": (("category",), ()), "helped": (("measure", "given_by"), ()),
    "risk_stable": (
        ("income_head", "line_head", "stable_since", "spending_solved", "guarantees_met"), ("labour_capacity",),
    ),
    "removed": ((), ()), "re_entered": (("source",), ()),
}  # fmt: skip
"""Step -> the fields of its form that must and that may be filled in; day and reason stand in each."""

MONEY = ("income_head", "line_head")
YES_NO = ("labour_capacity", "spending_solved", "guarantees_met")
CATEGORIES = ("unstable", "edge", "sudden")
SOURCES = ("application", "cadre", "department")


@dataclass(frozen=True, slots=True)
class Action:
    """Be a step that may follow: its form, whether it is ours, and else why not: `role` or `four_eyes`."""

    follow: FollowAnswer
    needed: tuple[str, ...]
    allowed: tuple[str, ...]
    why_not: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """Be a step that was not taken: which, what was filled in, what is wrong, and whether somebody else was faster."""

    kind: str
    fields: Mapping[str, str]
    errors: Mapping[str, str]
    title: str
    detail: str = ""
    overtaken: bool = False


@router.get("/watch/cases")
def list_cases(
    request: Request,
    acting: Reader,
    run: Run,
    state: Annotated[str, Query(max_length=12)] = "",
    place: Annotated[str, Query(max_length=12, pattern="^[0-9]*$")] = "",
    due: Annotated[str, Query(max_length=8)] = "",
    due_for: Annotated[str, Query(max_length=8)] = "",
    overdue: Annotated[bool, Query()] = False,
    cursor: Annotated[str, Query(max_length=200, pattern="^[A-Za-z0-9_=-]*$")] = "",
    household: Annotated[str, Query(max_length=64, pattern=rf"^$|{ID_PATTERN}")] = "",
) -> Response:
    """List cases, what is due first before the others, and let one be opened."""
    asked = {
        "state": state if state in get_args(State) else "", "place": place,
        "due": "overdue" if overdue else due if due in ("overdue", "week") else "",
        "due_for": due_for if due_for in get_args(DueFor) else "",
    }  # fmt: skip
    return _cases(request, acting, run, asked, cursor, {"household_id": household, "day": _today(acting)}, {})


@router.post("/watch/cases")
async def open_case(request: Request, acting: Annotated[Acting, page("find_case")], run: Run) -> Response:
    """Open the case of a household that applied, or that a cadre or a department found."""
    fields = {name: str(value).strip() for name, value in (await request.form()).items()}
    said = {name: fields[name] for name in ("household_id", "source", "day", "reason") if fields.get(name)}
    try:
        made = await run_in_threadpool(cases.find, FoundBody.model_validate(said), acting, run)
    except ValidationError as error:
        errors, status = _errors_of(error, acting.language), 422
    except (ConflictError, NotFoundError, UsageError) as error:
        status = status_of(error)
        field = {"no_such_household": "household_id", "case_exists": "household_id", "case_day_ahead": "day"}
        errors = {field.get(error.code, "form"): title_of(error.code, status, acting.language)}
    else:
        return go(f"/watch/cases/{made.case_id}", done="recorded")
    asked = dict.fromkeys(("state", "place", "due", "due_for"), "")
    return await run_in_threadpool(_cases, request, acting, run, asked, "", fields, errors, status=status)


@router.get("/watch/checks")
def checks(
    request: Request,
    acting: Reader,
    run: Run,
    cursor: Annotated[str, Query(max_length=200, pattern="^[A-Za-z0-9_=-]*$")] = "",
) -> Response:
    """Show what is late, ended too early or followed by nobody, the longest late first."""
    found = cases.check(acting, run, day=None, cursor=cursor or None, limit=ROWS)
    return render_watch(request, acting, "watch/checks.html", found=found, first=not cursor)


@router.get("/watch/cases/{case_id}")
def show(request: Request, case_id: CaseId, acting: Reader, run: Run) -> Response:
    """Show a case: where it stands, what is due, what happened, what may follow and who may do it."""
    return _shown(request, acting, run, case_id)


@router.post("/watch/cases/{case_id}/events")
async def step(request: Request, case_id: CaseId, acting: Reader, run: Run) -> Response:
    """Take the next step of a case; where somebody else was faster, show what they did."""
    fields = {name: str(value).strip() for name, value in (await request.form()).items()}
    kind, lang = fields.get("kind", ""), acting.language
    body, errors = _step_of(kind, fields, lang)
    if body is None:
        refused = Refused(kind, fields, errors, say("case_page.mend", lang))
        return await run_in_threadpool(_shown, request, acting, run, case_id, status=422, refused=refused)
    try:
        await run_in_threadpool(cases.step, case_id, body, acting, run, Response(), None)
    except NotFoundError:
        raise
    except (ConflictError, UsageError, InputError) as error:
        status = status_of(error)
        refused = Refused(
            kind, fields, {}, title_of(error.code, status, lang), error.message, error.code == "case_changed"
        )
        return await run_in_threadpool(_shown, request, acting, run, case_id, status=status, refused=refused)
    return go(f"/watch/cases/{case_id}", done="recorded")


@router.get("/watch/cases/{case_id}/notice")
def notice(
    request: Request,
    case_id: CaseId,
    acting: Annotated[Acting, page("publish_case")],
    run: Run,
    householder: Annotated[str, Query(max_length=64, pattern=rf"^$|{ID_PATTERN}")] = "",
    village: Annotated[str, Query(max_length=60)] = "",
    contact: Annotated[str, Query(max_length=60)] = "",
    lang: Annotated[str, Query(max_length=2)] = "",
) -> Response:
    """Ask for what the public notice needs, and show it as it is printed: nothing private stands in it."""
    case = cases.show(case_id, acting, run, Response())
    home = _home(acting, run, case)
    with run.store.reading() as connection:
        office = office_of(connection).name
    asked = {
        "householder": householder, "village": village.strip(), "contact": contact.strip() or office,
        "lang": lang if lang in ("zh", "en") else acting.language,
    }  # fmt: skip
    made, error, status = None, "", 200
    if householder and asked["village"]:
        try:
            told = cases.notice(
                case_id, acting, run, householder, _plain(asked["village"]), _plain(asked["contact"]) or None,
                asked["lang"], "json",  # type: ignore[arg-type]
            )  # fmt: skip
            made = NoticeAnswer.model_validate_json(bytes(told.body))
        except (ConflictError, UsageError) as refused:
            status = status_of(refused)
            error = title_of(refused.code, status, acting.language)
    elif householder or village:
        status, error = 422, title_of("notice_incomplete", 400, acting.language)
    return render_watch(
        request, acting, "watch/notice.html", status=status, case=case, home=home, asked=asked, made=made, error=error,
        lines=[] if made is None else made.text.strip().splitlines(),
    )  # fmt: skip


def _cases(
    request: Request, acting: Acting, run: Running, asked: dict[str, str], cursor: str, fields: Mapping[str, str],
    errors: Mapping[str, str], *, status: int = 200,
) -> Response:  # fmt: skip
    day = following.today(acting)
    soon = asked["due"] == "week"
    # The week's last day belongs to it: the list takes deadlines before the day after.
    given: dict[str, Any] = {
        "due_before": day if asked["due"] == "overdue" else day + timedelta(days=WEEK + 1) if soon else None,
        "due_from": day if soon else None,
        **{name: asked[name] or None for name in ("state", "place", "due_for")},
    }
    found = cases.list_all(acting, run, **given, overdue=False, cursor=cursor or None, limit=ROWS)
    with run.store.reading() as connection:
        count = count_listed(connection, acting.actor, **given)
    chosen = {name: value for name, value in asked.items() if value}
    return render_watch(
        request, acting, "watch/cases.html", status=status, found=found, asked=asked, count=count,
        states=get_args(State), steps=get_args(DueFor), week=WEEK, today=day, near=NEAR_DAYS, fields=fields,
        errors=errors, sources=SOURCES,
        may_open=may(acting.actor, "find_case"), more=urlencode({**chosen, "cursor": found.next or ""}),
    )  # fmt: skip


def _shown(
    request: Request, acting: Acting, run: Running, case_id: str, *, status: int = 200, refused: Refused | None = None
) -> Response:
    case = cases.show(case_id, acting, run, Response())
    seen = may(acting.actor, "read_alerts")
    found = alerts.list_all(acting, run, household_id=case.household_id, limit=ALERTS).items if seen else None
    return render_watch(
        request, acting, "watch/case.html", status=status, case=case, alerts=found, home=_home(acting, run, case),
        actions=[_action(one, case, acting) for one in case.may_follow], refused=refused,
        today=following.today(acting), near=NEAR_DAYS, line=_line(run, acting, case), money=MONEY, yes_no=YES_NO,
        categories=CATEGORIES, sources=SOURCES,
        public=case.state in ("published", "recognised", "helped", "removed") or case.exit_published_on is not None,
        may_publish=may(acting.actor, "publish_case"),
    )  # fmt: skip


def _action(follow: FollowAnswer, case: CaseAnswer, acting: Acting) -> Action:
    needed, allowed = FORMS[follow.kind]
    if follow.kind == "published" and case.recognised_on is not None:
        allowed = ()  # a removal is published: the kind of household is settled
    permission = following.STEPS[follow.kind]
    why_not = "" if follow.yours else "four_eyes" if may(acting.actor, permission) else "role"
    roles = tuple(role for role, held in ROLES.items() if permission in held)
    return Action(follow, needed, allowed, why_not, roles)


def _home(acting: Acting, run: Running, case: CaseAnswer) -> Any:
    """Give the household and what this year cost it; None where the register has none today, or for who may not see."""
    if not may(acting.actor, "read_person"):
        return None
    try:
        return households.show(case.household_id, acting, run, None, None)
    except NotFoundError:
        return None


def _line(run: Running, acting: Acting, case: CaseAnswer) -> str:
    """Give the line of incomes that the form begins with: that of the case, else that of the rules for today."""
    if case.line_head_fen is not None:
        return format_yuan(case.line_head_fen)
    day = following.today(acting)
    try:
        with run.store.reading() as connection:
            return format_yuan(rules_of(connection, on=day).line("monitoring", day.year).fen)
    except InputError:
        return ""


def _step_of(kind: str, fields: Mapping[str, str], lang: str) -> tuple[StepBody | None, dict[str, str]]:
    """Read a step from its form; gives it (None: not readable) and the errors by field."""
    needed, allowed = FORMS.get(kind, ((), ()))
    errors = {name: say("invalid.missing", lang) for name in needed if not fields.get(name)}
    said: dict[str, Any] = {"kind": kind}
    if fields.get("expected", "").isdecimal():
        said["expected"] = int(fields["expected"][:8])
    for name in ("day", "reason", *needed, *allowed):
        text = fields.get(name, "")
        if not text:
            continue
        if name in MONEY:
            said[f"{name}_fen"] = _fen(text, name, errors, lang)
        elif name in YES_NO:
            said[name] = {"yes": True, "no": False}.get(text, text)
        else:
            said[name] = text
    try:
        body = StepBody.model_validate(said)
    except ValidationError as error:
        return None, _errors_of(error, lang) | errors
    return (None if errors else body), errors


def _fen(text: str, name: str, errors: dict[str, str], lang: str) -> int:
    try:
        found = parse_fen(text[:40].replace(",", "").replace("，", "").removeprefix("¥"))
    except ValueError:
        found = MAX_FEN + 1
    if abs(found) > MAX_FEN:
        errors[name] = say("case_page.bad_amount", lang)
        return 0
    return found


def _errors_of(error: ValidationError, lang: str) -> dict[str, str]:
    found = field_errors(error.errors(include_url=False), lang)
    return {one["field"].removesuffix("_fen"): one["message"] for one in found}


def _plain(text: str) -> str:
    """Leave out what the route does not take either: characters that cannot be printed."""
    return "".join(one for one in text if one.isprintable())


def _today(acting: Acting) -> str:
    return following.today(acting).isoformat()
