"""Bodies of arrears, monthly statements and reconciliation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Answer, Body, Day, DayOut, Id, Moment, PlainText, SignedFen
from medfloor.service.bodies.settlements import ClaimBody

Month = Annotated[str, Field(pattern=r"^(19|20|21)[0-9]{2}-(0[1-9]|1[0-2])$", max_length=7)]
"""A month as YYYY-MM."""

Fund = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$", max_length=32)]
"""A tier of the policy that pays."""

PROVIDER_PATTERN = r"^(\*people|\*none|[0-9A-Za-z][0-9A-Za-z._:@-]{0,63})$"
"""A facility, or one of the lists of claims that no facility advanced."""

ARREAR_EXAMPLE: dict[str, Any] = {
    "arrear_id": 5,
    "person_id": "p1",
    "benefit_year": 2024,
    "claim_id": "2024-000123",
    "amount_fen": 1_835_792,
    "state": "found",
    "cause": "backdated_status",
}


class ArrearAnswer(Answer):
    """What is owed to a person (above zero, 应补) or by a person (below zero, 应退). 应补应退。"""

    model_config = ConfigDict(json_schema_extra={"examples": [ARREAR_EXAMPLE]})

    arrear_id: int
    person_id: str
    benefit_year: int
    claim_id: str
    amount_fen: SignedFen
    state: Literal["found", "notified", "paid", "returned", "closed"]
    cause: str


class ArrearsPage(Answer):
    """A page of arrears, in the order in which they were found. 应补应退列表。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [ARREAR_EXAMPLE], "next": None}]})

    items: list[ArrearAnswer]
    next: str | None = Field(None, description="Cursor of the next page. 下一页游标")


class StepBody(Body):
    """The next step of an arrear. 应补应退的下一步。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"state": "notified", "on": "2024-06-05", "note": "by letter"}]}
    )

    state: Literal["notified", "paid", "returned", "closed"]
    on: Day | None = Field(None, description="Day of the step; today where it is missing. 日期")
    note: PlainText | None = Field(None, description="Needed to close what was not paid. 未付而结案须说明")


class StepAnswer(Answer):
    """One step that an arrear took. 已办步骤。"""

    state: str
    on_date: DayOut
    at: Moment
    by: str
    note: str | None = None


class ArrearSteps(ArrearAnswer):
    """An arrear with its steps. 应补应退及其步骤。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **ARREAR_EXAMPLE,
                    "state": "notified",
                    "steps": [
                        {
                            "state": "found",
                            "on_date": "2024-06-03",
                            "at": "2024-06-03T01:30:00.000+00:00",
                            "by": "clerk1",
                        },
                        {
                            "state": "notified",
                            "on_date": "2024-06-05",
                            "at": "2024-06-05T02:00:00.000+00:00",
                            "by": "officer1",
                        },
                    ],
                }
            ]
        }
    )

    steps: list[StepAnswer]


class StatementBody(Body):
    """Which statements to draw. 生成月结算单。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"provider_id": "H11010500001", "month": "2024-03"}]})

    month: Month
    provider_id: Id | None = Field(None, description="One facility; all where it is missing. 机构，缺省为全部")
    early: bool = Field(False, description="The month is not over yet. 月未结束也生成")


class AgreementBody(Body):
    """A facility agreed to its statement. 机构确认结算单。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "confirmed in writing 2024-04-07"}]})

    fund: Fund | None = Field(None, description="One fund; all where it is missing. 基金，缺省为全部")
    note: PlainText | None = Field(None, description="Names the document. 确认文书")


class ClearingBody(Body):
    """An agreed statement is paid. 清算。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"on": "2024-04-10"}]})

    fund: Fund | None = Field(None, description="One fund; all where it is missing. 基金，缺省为全部")
    on: Day | None = Field(None, description="Day of payment; today where it is missing. 付款日期")


STATEMENT_EXAMPLE: dict[str, Any] = {
    "provider_id": "H11010500001",
    "month": "2024-03",
    "fund": "basic",
    "claims": 120,
    "reversals": 1,
    "amount_fen": 98_367_600,
    "differences": 0,
    "difference_fen": 0,
    "state": "drawn",
    "drawn_at": "2024-04-01T01:00:00.000+00:00",
    "drawn_by": "supervisor1",
    "agreed_at": None,
    "agreed_by": None,
    "cleared_at": None,
    "cleared_by": None,
    "note": None,
}


class StatementAnswer(Answer):
    """What one facility advanced for one fund in a month of entries. 一家机构一个月一个基金的结算单。"""

    model_config = ConfigDict(json_schema_extra={"examples": [STATEMENT_EXAMPLE]})

    provider_id: str = Field(description="*people: paid by people themselves; *none: no facility named. 机构")
    month: str
    fund: str
    claims: int
    reversals: int
    amount_fen: SignedFen = Field(description="What clearing pays; below zero the facility pays back. 清算金额")
    differences: int
    difference_fen: SignedFen = Field(
        description="Moved between the fund and people, settled with them. 与个人结清的差额"
    )
    state: Literal["drawn", "agreed", "cleared"]
    drawn_at: Moment
    drawn_by: str
    agreed_at: Moment | None = None
    agreed_by: str | None = None
    cleared_at: Moment | None = None
    cleared_by: str | None = None
    note: str | None = None


class StatementsPage(Answer):
    """A page of statements, by month, facility and fund. 结算单列表。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [STATEMENT_EXAMPLE], "next": None}]})

    items: list[StatementAnswer]
    next: str | None = None


class StatementSet(Answer):
    """Statements of a month, one a facility and fund. 某月的结算单。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"month": "2024-03", "amount_fen": 98_367_600, "statements": [STATEMENT_EXAMPLE]}]
        }
    )

    month: str
    amount_fen: SignedFen
    statements: list[StatementAnswer]


class LineAnswer(Answer):
    """One entry on a statement. 结算单明细。"""

    entry_id: int
    kind: str
    claim_id: str
    person_id: str
    settled_date: DayOut
    posted_at: Moment
    amount_fen: dict[str, SignedFen] = Field(description="Advanced by fund; below zero taken back. 各基金垫付")
    own_fen: SignedFen = Field(description="What the person bore at the till. 个人负担")


class LinesAnswer(Answer):
    """The entries on a statement, of people within the place of who asks. 结算单明细列表。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "entry_id": 1,
                            "kind": "settlement",
                            "claim_id": "2024-000123",
                            "person_id": "p1",
                            "settled_date": "2024-03-10",
                            "posted_at": "2024-03-10T02:15:00.000+00:00",
                            "amount_fen": {"basic": 9_652_500, "critical_illness": 184_260},
                            "own_fen": 5_163_240,
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    items: list[LineAnswer]
    next: str | None = None


ITEM_EXAMPLE: dict[str, Any] = {
    "item_id": 3,
    "import_id": 12,
    "provider_id": "H11010500001",
    "month": "2024-03",
    "claim_id": "2024-000123",
    "kind": "amount_differs",
    "detail": "own_total 51632.40 against 51633.00",
    "ours_fen": 9_836_760,
    "theirs_fen": 9_836_700,
    "state": "open",
    "resolution": None,
    "note": None,
}


class ReconciliationItem(Answer):
    """One line in which our books and a hospital's file differ. 一条对账差异。"""

    model_config = ConfigDict(json_schema_extra={"examples": [ITEM_EXAMPLE]})

    item_id: int
    import_id: int
    provider_id: str
    month: str
    claim_id: str
    kind: str
    detail: str | None = None
    ours_fen: SignedFen | None = None
    theirs_fen: SignedFen | None = None
    state: Literal["open", "resolved"]
    resolution: str | None = None
    note: str | None = None


class ReconciliationAnswer(Answer):
    """What a comparison found. 对账结果。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "import_id": 12,
                    "provider_id": "H11010500001",
                    "month": "2024-03",
                    "rows": 121,
                    "rejected": 0,
                    "matched": 119,
                    "ours_fen": 98_367_600,
                    "theirs_fen": 98_367_540,
                    "reasons": {},
                    "again": False,
                    "items": [ITEM_EXAMPLE],
                }
            ]
        }
    )

    import_id: int
    provider_id: str
    month: str
    rows: int
    rejected: int = Field(description="Rows that could not be read and were not compared. 未能读取的行数")
    matched: int = Field(description="Claims on which both sides agree. 一致的单据数")
    ours_fen: SignedFen
    theirs_fen: SignedFen
    reasons: dict[str, int]
    again: bool = Field(False, description="The same file had been compared before. 重复文件")
    items: list[ReconciliationItem]


class ReconciliationPage(Answer):
    """A page of differences. 差异列表。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [ITEM_EXAMPLE], "next": None}]})

    items: list[ReconciliationItem]
    next: str | None = None


class ResolutionBody(Body):
    """How a difference is resolved. 差异处理。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"resolution": "their_error", "note": "file sent again"}]}
    )

    resolution: Literal["settled", "reversed", "agreed", "their_error"]
    note: PlainText | None = Field(None, description="Needed for agreed and their_error. 说明")
    claim: ClaimBody | None = Field(None, description="With settled: the claim that is settled for it. 补结算的单据")
