"""Routes of cases of households at risk: list, open, take the next step, look over, print the notice."""

from __future__ import annotations

import base64
from datetime import date
from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import PlainTextResponse

from medfloor.errors import UsageError
from medfloor.service import following
from medfloor.service.access import Acting, need
from medfloor.service.bodies.cases import (
    CaseAnswer,
    CasesPage,
    DueFor,
    FindingAnswer,
    FindingsPage,
    FoundBody,
    NoticeAnswer,
    State,
    StepBody,
)
from medfloor.service.bodies.fields import ID_PATTERN, Day
from medfloor.service.bodies.problems import problems
from medfloor.service.looking import look
from medfloor.service.paging import Cursor, Limit, cursor_of, number_of
from medfloor.service.running import Running, running
from medfloor.store import cases
from medfloor.store.cases import CaseFile
from medfloor.store.office import office_of
from medfloor.store.register import identity_of
from medfloor.store.resettle import resettle_after
from medfloor.store.roles import require
from medfloor.watch import Event, public_notice, say_finding, shipped_calendar

router = APIRouter(prefix="/api/v1/cases", tags=["cases 监测个案"])

Run = Annotated[Running, Depends(running)]
Reader = Annotated[Acting, Depends(need("read_cases"))]
CaseId = Annotated[str, Path(pattern=ID_PATTERN, max_length=64, description="The case. 个案编号")]
Place = Annotated[
    str | None, Query(pattern=r"^[0-9]{2,12}$", max_length=12, description="Within this division code. 区划")
]
TEXT_PATTERN = r"^[^\x00-\x1f\x7f]+$"


@router.get(
    "", responses=problems(), summary="List cases", description="监测个案列表：先到期者在前；可按状态、期限、区划筛选。"
)
def list_all(
    acting: Reader,
    run: Run,
    state: Annotated[State | None, Query(description="State. 状态")] = None,
    due_before: Annotated[Day | None, Query(description="With a deadline before this day. 此日前到期")] = None,
    due_from: Annotated[Day | None, Query(description="With a deadline on this day or later. 此日起到期")] = None,
    due_for: Annotated[DueFor | None, Query(description="What the deadline is for. 期限事项")] = None,
    overdue: Annotated[bool, Query(description="Only what is late today. 仅逾期")] = False,
    place: Place = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> CasesPage:
    """List cases within the place of who asks, what is due first before the others."""
    day = following.today(acting)
    before = min((one for one in (due_before, day if overdue else None) if one is not None), default=None)

    def work(connection: sa.Connection) -> tuple[CasesPage, list[str]]:
        found = cases.cases(
            connection, acting.actor, state=state, place=place, due_before=before, due_from=due_from, due_for=due_for,
            after=_after(cursor), limit=limit,
        )  # fmt: skip
        page = CasesPage(
            items=[following.line_answer(one, day) for one in found],
            next=_cursor(found[-1].cursor) if len(found) == limit else None,
        )
        return page, following.members_of(connection, [one.household_id for one in found])

    return look(run, acting, "read_cases", work)


@router.post(
    "",
    responses=problems(404, 409),
    summary="Open a case",
    description="发现线索，建立个案；一户一案，再次发现用 re_entered。",
)
def find(body: FoundBody, acting: Annotated[Acting, Depends(need("find_case"))], run: Run) -> CaseAnswer:
    """Open the case of a household that applied, or that a cadre or a department found."""

    def check(connection: sa.Connection) -> tuple[None, list[str]]:
        return None, following.check_household(connection, acting, body.household_id)

    look(run, acting, "open_case", check)
    event = Event(
        "found", body.day or following.today(acting), acting.actor.login, reason=body.reason or "", source=body.source
    )
    made = cases.open_case(run.store, run.keyring, body.household_id, event, actor=acting.actor, now=acting.now)
    return _told(run, acting, made)


@router.get(
    "/checks",
    responses=problems(),
    summary="Look cases over",
    description="质量检查：逾期、过早消除、未落实帮扶、线下未监测。",
)
def check(
    acting: Reader,
    run: Run,
    day: Annotated[Day | None, Query(description="As of this day; today where it is missing. 检查日")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> FindingsPage:
    """List what is late, ended too early or followed by nobody, the longest late first."""
    when = day or following.today(acting)
    start = number_of("checks", cursor) or 0

    def work(connection: sa.Connection) -> tuple[FindingsPage, list[str]]:
        found = cases.check_office(connection, acting.actor, on=when)
        rows = list(found.slice(start, limit).iter_rows(named=True))
        names = [name for name in FindingAnswer.model_fields if name != "sentence"]
        items = [
            FindingAnswer.model_validate(
                {name: row[name] for name in names} | {"sentence": say_finding(row, acting.language)}
            )
            for row in rows
        ]
        more = cursor_of("checks", start + limit) if start + limit < found.height else None
        page = FindingsPage(day=when, items=items, total=found.height, next=more)
        return page, following.members_of(connection, [row["household_id"] for row in rows])

    return look(run, acting, "check_cases", work)


@router.get(
    "/{case_id}", responses=problems(404), summary="Look up a case", description="个案的各步骤、期限与可办事项。"
)
def show(case_id: CaseId, acting: Reader, run: Run, response: Response) -> CaseAnswer:
    """Give a case with its steps, what is due and what may follow; its ETag is the number of its last step."""

    def work(connection: sa.Connection) -> tuple[CaseAnswer, list[str]]:
        found, members = following.find(connection, run, acting, case_id)
        return following.case_answer(connection, found, acting), members

    answer = look(run, acting, "read_case", work, detail=f"case={case_id}")
    response.headers["ETag"] = f'"{answer.number}"'
    return answer


@router.post(
    "/{case_id}/events",
    responses=problems(404, 409),
    summary="Take the next step of a case",
    description="个案的下一步：核实、公示、异议、认定、帮扶、风险消除等；认定与消除须由另一人决定。",
)
def step(
    case_id: CaseId,
    body: StepBody,
    acting: Reader,
    run: Run,
    response: Response,
    if_match: Annotated[
        str | None,
        Header(alias="If-Match", pattern=r'^"?[0-9]{1,7}"?$', max_length=9, description="As `expected`. 同 expected"),
    ] = None,
) -> CaseAnswer:
    """Take a step; its permission goes by its kind. Another step meanwhile is a conflict (`case_changed`)."""
    require(acting.actor, following.STEPS[body.kind])
    expected = body.expected
    if if_match is not None:
        seen = int(if_match.strip('"'))
        if expected not in (None, seen):
            raise UsageError("case_not_named", "If-Match and expected name two numbers; send the one that was read")
        expected = seen
    if expected is None:
        raise UsageError(
            "case_not_named", "name the number of the case as it was read, as `expected` or in the header If-Match"
        )
    look(run, acting, "step_case", lambda connection: following.find(connection, run, acting, case_id),
         detail=f"case={case_id} {body.kind}")  # fmt: skip
    said = {
        name: getattr(body, name)
        for name in StepBody.model_fields
        if name not in ("kind", "day", "expected") and getattr(body, name) is not None
    }
    event = Event(body.kind, body.day or following.today(acting), acting.actor.login, **said)
    made = cases.add_event(
        run.store, run.keyring, case_id, event, actor=acting.actor, now=acting.now, expected=expected
    )
    if made.touched and run.books is not None:
        # Recognition is a status from its day on: what was settled since then is settled again.
        resettle_after(run.books, made.touched, actor=acting.actor, now=acting.now)
    response.headers["ETag"] = f'"{made.number}"'
    return _told(run, acting, made)


@router.get(
    "/{case_id}/notice",
    response_model=NoticeAnswer,
    responses=problems(404, 409),
    summary="Print the notice of a case",
    description="公示文本（不含证件号码、病情和账号）；format=text 可直接打印。",
)
def notice(
    case_id: CaseId,
    acting: Annotated[Acting, Depends(need("publish_case"))],
    run: Run,
    householder: Annotated[
        str, Query(pattern=ID_PATTERN, max_length=64, description="The member whose name it shows. 户主人员编号")
    ],
    village: Annotated[str, Query(pattern=TEXT_PATTERN, max_length=60, description="The village. 村（社区）")],
    contact: Annotated[
        str | None, Query(pattern=TEXT_PATTERN, max_length=60, description="Who takes objections. 联系方式")
    ] = None,
    lang: Annotated[Literal["zh", "en"], Query(description="Language of the notice. 语言")] = "zh",
    form: Annotated[Literal["json", "text"], Query(alias="format", description="As data or as text. 格式")] = "json",
) -> Response:
    """Give the notice that belongs to where the case stands; without a contact it names the office."""

    def work(connection: sa.Connection) -> tuple[NoticeAnswer, list[str]]:
        found, members = following.find(connection, run, acting, case_id)
        if householder not in members:
            raise UsageError("notice_incomplete", "the householder is a member of the household; name one of them")
        case = found.case
        made = public_notice(
            case,
            cases.case_rules(connection, on=case.events[-1].day),
            shipped_calendar(),
            household_name=identity_of(connection, run.keyring, householder).name or "",
            people=following.size_of(connection, case.household_id, following.today(acting)) or len(members),
            village=village,
            contact=contact or office_of(connection).name,
        )
        names = [name for name in NoticeAnswer.model_fields if name not in ("case_id", "language", "text")]
        answer = NoticeAnswer.model_validate(
            {name: getattr(made, name) for name in names}
            | {"case_id": case_id, "language": lang, "text": made.text(lang)}
        )
        return answer, members

    answer = look(run, acting, "print_notice", work, detail=f"case={case_id}")
    if form == "text":
        return PlainTextResponse(answer.text, headers={"Content-Language": lang})
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Content-Language": lang})


def _told(run: Running, acting: Acting, made: CaseFile) -> CaseAnswer:
    with run.store.reading() as connection:
        return following.case_answer(connection, made, acting)


def _cursor(after: str) -> str:
    return base64.urlsafe_b64encode(f"cases:{after}".encode()).decode().rstrip("=")


def _after(cursor: str | None) -> str | None:
    """Read the cursor of this list. Raises UsageError (`bad_cursor`)."""
    if not cursor:
        return None
    try:
        kind, _, after = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(":")
        day, _, case_id = after.partition("|")
        if day:
            date.fromisoformat(day)
    except ValueError:
        kind, case_id = "", ""
    if kind != "cases" or not case_id or not case_id.isprintable():
        raise UsageError("bad_cursor", "the cursor is not one of this list; begin without one")
    return after
