"""Bodies of screenings and their alerts."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Answer, Body, Day, DayOut, Moment

Signal = Literal[
    "burden_in_scope", "medical_share", "catastrophic", "after_medical", "rigid_jump", "monitored_unstable",
    "monitored_edge", "monitored_sudden", "not_enrolled", "missed_assistance", "absent_care",
]  # fmt: skip
Kind = Literal["burden", "poverty", "enrolment", "missed_assistance", "absent_care"]
Urgency = Literal["routine", "soon", "urgent"]

ALERT_EXAMPLE: dict[str, Any] = {
    "alert": 12, "case_id": "c1", "household_id": "h1", "person_id": "p1", "place": "150981102",
    "signal": "burden_in_scope", "kind": "burden", "urgency": "soon", "as_of": "2025-04-01", "year": 2025,
    "suppressed_until": "2025-06-30", "value": 20657.01, "threshold": 20657.0, "unit": "yuan",
    "title": "heavy own payments inside the scope",
    "why": "one member bore 20,657.01 yuan inside the scope this year, above the line of 20,657.00 yuan (50 % of a "
    "local income per head of 41,314.00 yuan)",
    "unless": "It would not have fired if 20,657.00 yuan or less had been borne.",
    "rule": "burden_in_scope@cn", "rule_version": "2021-01-01", "screening": 3,
}  # fmt: skip
SCREENING_EXAMPLE: dict[str, Any] = {
    "id": 7, "state": "done", "message": None, "asked_by": "officer1", "asked_at": "2025-04-01T01:30:00.000+00:00",
    "finished_at": "2025-04-01T01:30:09.000+00:00", "year": 2025, "as_of": "2025-04-01", "screening": 3,
    "households": 41_200, "alerts": 310, "suppressed": 25, "cases": 120,
}  # fmt: skip


class AlertAnswer(Answer):
    """An alert: whom, why, with what it would not have fired. It asks somebody to look, no more. 预警。"""

    model_config = ConfigDict(json_schema_extra={"examples": [ALERT_EXAMPLE]})

    alert: int
    case_id: str | None
    household_id: str
    person_id: str | None
    place: str
    signal: str
    kind: str
    urgency: Urgency
    as_of: DayOut
    year: int
    suppressed_until: DayOut = Field(description="No second alert of this signal until then. 此前不重复预警")
    value: float
    threshold: float | None
    unit: str
    title: str
    why: str
    unless: str
    rule: str
    rule_version: DayOut
    screening: int


class AlertsPage(Answer):
    """A page of alerts, the latest first. 预警列表。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [ALERT_EXAMPLE], "next": None}]})

    items: list[AlertAnswer]
    next: str | None = Field(None, description="Cursor of the next page. 下一页游标")


class ScreeningBody(Body):
    """Which year to screen, and as of which day. 筛查范围。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"year": 2025, "as_of": "2025-04-01"}]})

    year: int | None = Field(None, ge=1900, le=2200, description="Benefit year; that of the day. 待遇年度")
    as_of: Day | None = Field(None, description="Nothing after it is looked at; today where it is missing. 截止日")


class ScreeningAnswer(Answer):
    """A screening of the whole register: how far it is, and what it found in numbers. 筛查进度与结果。"""

    model_config = ConfigDict(json_schema_extra={"examples": [SCREENING_EXAMPLE]})

    id: int = Field(description="The number of the job. 任务编号")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    message: str | None = Field(description="Why it failed, as a code of docs/rejects.md")
    asked_by: str
    asked_at: Moment
    finished_at: Moment | None
    year: int
    as_of: DayOut
    screening: int | None = Field(description="The run in the store, once it is done. 筛查编号")
    households: int | None
    alerts: int | None
    suppressed: int | None
    cases: int | None = Field(description="Opened, or opened again. 新开个案数")
