"""Bodies of cases of households at risk: found, followed step by step, looked over, published."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Answer, Body, Day, DayOut, Id, Moment, PlainText, SignedFen

State = Literal["found", "verified", "published", "recognised", "helped", "risk_stable", "removed", "refused"]
Category = Literal["unstable", "edge", "sudden"]
DueFor = Literal["visit", "decision", "help"]
Source = Literal["alert", "application", "cadre", "department"]
Step = Literal[
    "verified", "published", "objected", "answered", "recognised", "helped", "visited", "risk_stable", "relapsed",
    "removed", "refused", "re_entered",
]  # fmt: skip
"""What people record; *found* opens a case, and *alerted* is the screening's."""

Number = Annotated[int, Field(ge=1, le=1_000_000)]

FOUND_EXAMPLE: dict[str, Any] = {
    "household_id": "h1", "source": "application", "day": "2026-03-02", "reason": "came to the counter with bills",
}  # fmt: skip
STEP_EXAMPLES: list[Any] = [
    {
        "kind": "verified", "day": "2026-03-04", "expected": 1, "income_head_fen": 700_000, "line_head_fen": 730_000,
        "labour_capacity": True,
    },
    {"kind": "published", "day": "2026-03-05", "expected": 2, "category": "edge"},
    {"kind": "recognised", "day": "2026-03-11", "expected": 3, "category": "edge"},
    {"kind": "helped", "day": "2026-03-12", "expected": 4, "measure": "temporary help", "given_by": "civil affairs"},
]  # fmt: skip
CASE_EXAMPLE: dict[str, Any] = {
    "case_id": "c1", "household_id": "h1", "place": "150981102", "state": "verified", "round": 1, "category": None,
    "found_on": "2026-03-02", "changed_on": "2026-03-04", "due_on": "2026-03-17", "due_for": "decision",
    "overdue": False, "number": 2,
}  # fmt: skip
EVENT_EXAMPLE: dict[str, Any] = {
    "number": 2, "kind": "verified", "title": "visited and verified", "day": "2026-03-04", "actor": "officer1",
    "reason": "", "source": None, "signals": [], "category": None, "income_head_fen": 700_000,
    "line_head_fen": 730_000, "labour_capacity": True, "stable_since": None, "spending_solved": None,
    "guarantees_met": None, "measure": "", "given_by": "",
}  # fmt: skip
WHOLE_EXAMPLE: dict[str, Any] = {
    **CASE_EXAMPLE, "verified_on": "2026-03-04", "published_on": None, "recognised_on": None, "refused_on": None,
    "removed_on": None, "stable_since": None, "exit_published_on": None, "income_head_fen": 700_000,
    "line_head_fen": 730_000, "labour_capacity": True, "objections": 0, "proposed_by": ["officer1"],
    "events": [EVENT_EXAMPLE],
    "due": [{"name": "decision", "day": "2026-03-17", "provisional": False, "overdue": False}],
    "may_follow": [{"kind": "published", "title": "published", "yours": True, "from_day": None}],
}  # fmt: skip
FINDING_EXAMPLE: dict[str, Any] = {
    "check": "no_measure", "household_id": "h1", "case_id": "c1", "state": "recognised", "due": "2026-04-13",
    "days_late": 23, "provisional": False,
    "sentence": "Recognised, and without any measure since 2026-04-13: 23 days.",
}  # fmt: skip
NOTICE_EXAMPLE: dict[str, Any] = {
    "case_id": "c1", "kind": "recognition_proposed", "household_name": "张某某", "people": 3, "village": "东村",
    "category": "edge", "day": "2026-03-05", "until": "2026-03-10", "provisional": False, "contact": "村委会",
    "language": "zh",
    "text": "防止返贫监测对象公示\n\n东村：张某某户（3人），拟认定为边缘易致贫户。\n"
    "公示时间：2026-03-05张贴，至2026-03-10止（含当日）。如有异议，请在公示期内反映：村委会。\n",
}  # fmt: skip


class FoundBody(Body):
    """A household that was found: by its own application, a cadre's visit, another department. 发现线索。"""

    model_config = ConfigDict(json_schema_extra={"examples": [FOUND_EXAMPLE]})

    household_id: Id
    source: Literal["application", "cadre", "department"]
    day: Day | None = Field(None, description="The day it was found; today where it is missing. 发现日期")
    reason: PlainText | None = Field(None, description="For the file; kept enciphered, never published. 备注")


class StepBody(Body):
    """The next step of a case. What a step must say depends on its kind (docs/watch-cases.md). 个案的下一步。"""

    model_config = ConfigDict(json_schema_extra={"examples": STEP_EXAMPLES})

    kind: Step
    day: Day | None = Field(None, description="The day of the step; today where it is missing. 日期")
    expected: Number | None = Field(
        None, description="`number` of the case as it was read; or the header If-Match. 读取时的步骤序号"
    )
    reason: PlainText | None = Field(None, description="For the file; kept enciphered, never published. 备注")
    source: Literal["application", "cadre", "department"] | None = Field(None, description="Who found it again. 来源")
    category: Category | None = None
    income_head_fen: SignedFen | None = Field(None, description="Income a head and year. 人均年收入（分）")
    line_head_fen: SignedFen | None = Field(None, description="The line it is held against. 监测线（分）")
    labour_capacity: bool | None = Field(None, description="Anybody of the household can work. 有无劳动能力")
    stable_since: Day | None = None
    spending_solved: bool | None = None
    guarantees_met: bool | None = None
    measure: PlainText | None = Field(None, description="What was given. 帮扶措施")
    given_by: PlainText | None = Field(None, description="By whom. 帮扶单位")


class CaseRow(Answer):
    """Where a case stands. `number` counts its steps: name it as `expected` with the next one. 个案概要。"""

    model_config = ConfigDict(json_schema_extra={"examples": [CASE_EXAMPLE]})

    case_id: str
    household_id: str
    place: str
    state: State
    round: int = Field(description="1, and one more each time it was found again. 第几轮")
    category: Category | None
    found_on: DayOut
    changed_on: DayOut
    due_on: DayOut | None = Field(description="The last day in time of what is due first. 最近期限")
    due_for: str | None = Field(description="visit, decision or help. 期限事项")
    overdue: bool
    number: int


class CasesPage(Answer):
    """A page of cases, what is due first before the others. 个案列表。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [CASE_EXAMPLE], "next": None}]})

    items: list[CaseRow]
    next: str | None = Field(None, description="Cursor of the next page. 下一页游标")


class EventAnswer(Answer):
    """One step that a case took, and what it said. 已办步骤。"""

    model_config = ConfigDict(json_schema_extra={"examples": [EVENT_EXAMPLE]})

    number: int
    kind: str
    title: str
    day: DayOut
    actor: str
    reason: str
    source: Source | None
    signals: list[str]
    category: Category | None
    income_head_fen: int | None
    line_head_fen: int | None
    labour_capacity: bool | None
    stable_since: DayOut | None
    spending_solved: bool | None
    guarantees_met: bool | None
    measure: str
    given_by: str


class DueAnswer(Answer):
    """A day that the rule names: visit, decision, help are due until it; notice stands until it; removal from it on."""

    name: Literal["visit", "decision", "help", "notice", "removal"]
    day: DayOut
    provisional: bool = Field(description="Holidays of a year on the way are not known. 放假安排未定")
    overdue: bool


class FollowAnswer(Answer):
    """A step that may follow on the state; the rule may still forbid it on its day. 可办步骤。"""

    kind: Step
    title: str
    yours: bool = Field(description="Your role has it, and you did not propose what it decides. 本人可办")
    from_day: DayOut | None = Field(description="Not before this day; empty where any day will do. 最早日期")


class CaseAnswer(CaseRow):
    """A case with its steps, what is due and what may follow. 个案详情。"""

    model_config = ConfigDict(json_schema_extra={"examples": [WHOLE_EXAMPLE]})

    verified_on: DayOut | None
    published_on: DayOut | None
    recognised_on: DayOut | None
    refused_on: DayOut | None
    removed_on: DayOut | None
    stable_since: DayOut | None
    exit_published_on: DayOut | None
    income_head_fen: int | None
    line_head_fen: int | None
    labour_capacity: bool | None
    objections: int = Field(description="Without an answer. 未答复的异议")
    proposed_by: list[str] = Field(description="Who may not decide now: the step rests on what they did. 须回避者")
    events: list[EventAnswer]
    due: list[DueAnswer]
    may_follow: list[FollowAnswer]


class FindingAnswer(Answer):
    """What is wrong with a case, in a sentence of the asker's language. 质量检查结果。"""

    model_config = ConfigDict(json_schema_extra={"examples": [FINDING_EXAMPLE]})

    check: str
    household_id: str
    case_id: str | None
    state: str | None
    due: DayOut | None
    days_late: int | None
    provisional: bool
    sentence: str


class FindingsPage(Answer):
    """A page of findings, the longest late first. 质量检查列表。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"day": "2026-05-06", "items": [FINDING_EXAMPLE], "total": 1, "next": None}]}
    )

    day: DayOut
    items: list[FindingAnswer]
    total: int
    next: str | None = Field(None, description="Cursor of the next page. 下一页游标")


class NoticeAnswer(Answer):
    """The public notice of a case: no number, no health, no account in it. 公示内容。"""

    model_config = ConfigDict(json_schema_extra={"examples": [NOTICE_EXAMPLE]})

    case_id: str
    kind: Literal["recognition_proposed", "recognised", "removal_proposed", "removed"]
    household_name: str
    people: int
    village: str
    category: Category | None
    day: DayOut
    until: DayOut | None
    provisional: bool
    contact: str
    language: Literal["zh", "en"]
    text: str = Field(description="To be printed; also as text/plain with format=text. 打印文本")


COUNTS_EXAMPLE: dict[str, Any] = {
    "day": "2026-03-20", "place": "150981", "rounded_to": None, "states": {"found": 3, "verified": 1}, "open": 4,
    "overdue": {"visit": 1, "decision": 0, "help": 0}, "urgencies": {"urgent": 1, "soon": 2, "routine": 6},
    "absent_care": {"urgent": 0, "soon": 0, "routine": 2},
    "places": [{"place": "150981102", "open": 4, "overdue": 1, "alerts": 9, "absent_care": 2, "visits": 3}],
    "outcomes": {
        "since": "2025-03-20", "decided": 12, "alerted": 8, "confirmed": 6, "confirmed_share": 0.75, "helped": 5,
        "days_to_help": [18.0, 24.0, 31.0],
    },
    "screened_at": "2026-03-01T02:00:00.000+00:00", "pending": 0,
}  # fmt: skip


class PlaceCounts(Answer):
    """Counts of one township; where codes are shorter, of what they name. 各乡镇数量。"""

    place: str
    open: int
    overdue: int
    alerts: int
    absent_care: int = Field(description="Of the alerts, care not seen. 其中应诊未诊")
    visits: int = Field(description="Open cases without a first visit. 待入户核实")


class OutcomesAnswer(Answer):
    """How cases came out that were found in the last year, each round by itself. 近一年个案结果。"""

    since: DayOut
    decided: int = Field(description="Recognised or refused. 已作出决定")
    alerted: int = Field(description="Of them, found by the screening. 其中由筛查发现")
    confirmed: int = Field(description="Of these, recognised. 其中予以认定")
    confirmed_share: float | None = Field(description="confirmed / alerted; empty where too few. 预警确认率")
    helped: int = Field(description="Had a first measure of help. 已落实帮扶")
    days_to_help: list[float] | None = Field(
        description="Quartiles of the days from found to first helped; empty where too few. 发现至帮扶天数四分位"
    )


class CountsAnswer(Answer):
    """How much there is and how much is late, for a head of office. 监测概况。"""

    model_config = ConfigDict(json_schema_extra={"examples": [COUNTS_EXAMPLE]})

    day: DayOut
    place: str
    rounded_to: int | None = Field(description="Each count is rounded to it, for who may not see cases. 取整单位")
    states: dict[str, int]
    open: int
    overdue: dict[str, int]
    urgencies: dict[str, int] = Field(description="Alerts of the last 90 days by urgency. 近90天预警")
    absent_care: dict[str, int] = Field(description="Of these, care not seen. 其中应诊未诊")
    places: list[PlaceCounts]
    outcomes: OutcomesAnswer
    screened_at: Moment | None = Field(description="When the whole register was screened last. 最近一次全量筛查")
    pending: int | None = Field(description="Settlements whose households wait to be screened. 待筛查结算数")
