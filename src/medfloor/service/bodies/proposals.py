"""Bodies of what takes two pairs of eyes: what was proposed, and the decision."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Answer, Body, Moment, PlainText

PROPOSAL_EXAMPLE: dict[str, Any] = {
    "id": 17, "kind": "reversal", "person_id": "p1", "place": "150981102",
    "payload": {"claim_id": "2024-000123", "reason": "billed twice"}, "reason": "billed twice",
    "proposed_by": "clerk1", "proposed_at": "2024-06-03T01:30:00.000+00:00", "state": "open", "decided_by": None,
    "decided_at": None, "note": None, "outcome": None,
}  # fmt: skip


class DecisionBody(Body):
    """Approve or refuse. 复核决定。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"approve": True, "note": "compared with the invoice"}]})

    approve: bool
    note: PlainText | None = None


class ReasonBody(Body):
    """Propose, and say why. 提交复核的理由。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "as the published table says"}]})

    reason: PlainText = Field(min_length=1)


class WithdrawBody(Body):
    """Take one's own proposal back. 撤回申请。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "entered by mistake"}]})

    note: PlainText | None = None


class ProposalAnswer(Answer):
    """What was proposed, and what became of it. 复核申请。"""

    model_config = ConfigDict(json_schema_extra={"examples": [PROPOSAL_EXAMPLE]})

    id: int
    kind: Literal["reversal", "status_change", "exit", "adjustment"]
    person_id: str | None
    place: str
    payload: dict[str, Any] = Field(description="What is carried out when it is approved")
    reason: str
    proposed_by: str
    proposed_at: Moment
    state: Literal["open", "approved", "refused", "withdrawn"]
    decided_by: str | None
    decided_at: Moment | None
    note: str | None
    outcome: str | None = Field(description="done, or failed: and the code; null until it is carried out")


class ProposalList(Answer):
    """Proposals, the latest first. 复核申请列表。"""

    proposals: list[ProposalAnswer]
    next: str | None = Field(description="Ask with cursor=next for earlier ones")
