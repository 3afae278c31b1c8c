"""Bodies of the audit: who did what, and who looked at whom."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Answer, Moment

TRACE_EXAMPLE: dict[str, Any] = {
    "id": 4711, "at": "2024-06-03T01:30:00.000+00:00", "by": "clerk1", "action": "read_person", "person_id": "p1",
    "detail": None, "request_id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
}  # fmt: skip


class TraceAnswer(Answer):
    """One line of the audit. 一条审计记录。"""

    model_config = ConfigDict(json_schema_extra={"examples": [TRACE_EXAMPLE]})

    id: int
    at: Moment
    by: str
    action: str
    person_id: str | None
    detail: str | None
    request_id: str | None


class TraceList(Answer):
    """Lines of the audit, the latest first. 审计记录。"""

    traces: list[TraceAnswer]
    next: str | None = Field(description="Ask with cursor=next for earlier ones")
