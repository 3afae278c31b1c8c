"""Bodies of the register: a person, the statuses and enrolments held, a year with its accumulators, a household.

Names and identity numbers stand here masked; the whole of them is a route of its own, with a permission and a reason.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from medfloor.service.bodies.fields import Answer, Body, Code, Day, DayOut, Fen, Moment, PlainText, SignedFen

PERSON_EXAMPLE: dict[str, Any] = {
    "person_id": "p1",
    "name": "张*",
    "identity_number": "110*************22",
    "birth_date": "1955-04-12",
    "sex": "female",
    "residence": "rural",
    "household_id": "h1",
    "place": "110105001",
    "family_doctor": True,
    "deceased_on": None,
    "enrolments": [
        {
            "benefit_year": 2024,
            "scheme": "resident",
            "insured_class": "elderly",
            "continuous_years": 5,
            "claim_free_years": 0,
            "premium_fen": 40_000,
            "subsidy_fen": 40_000,
            "subsidy_group": "dibao",
            "paid_on": "2023-11-20",
            "valid_from": "2024-01-01",
            "valid_to": "2024-12-31",
        }
    ],
    "spells": [
        {
            "spell": 3,
            "group": "dibao",
            "detail": None,
            "from_date": "2023-06-01",
            "to_date": None,
            "source": "civil_affairs",
            "recognised_by": "county civil affairs bureau",
            "recognised_on": "2023-05-28",
            "evidence": "MZ-2023-0417",
        }
    ],
    "day": "2024-03-01",
    "known_at": "2024-03-10T02:15:00.000+00:00",
}


class EnrolmentAnswer(Answer):
    """One benefit year of insurance. 参保记录。"""

    benefit_year: int
    scheme: str
    insured_class: str | None = None
    continuous_years: int | None = None
    claim_free_years: int | None = None
    premium_fen: int | None = None
    subsidy_fen: int | None = Field(None, description="What assistance pays of the premium. 资助参保金额")
    subsidy_group: str | None = None
    paid_on: DayOut | None = None
    valid_from: DayOut | None = Field(None, description="First day; missing = since ever. 起始日")
    valid_to: DayOut | None = Field(None, description="Last day; missing while it runs. 最后一日")


class SpellAnswer(Answer):
    """One interval of a status. 身份区间。"""

    spell: int | None = Field(
        None, description="Number of the record as it is believed now; name it to correct it. 记录编号"
    )
    group: str
    detail: str | None = None
    from_date: DayOut | None = Field(None, description="First day; missing = since ever. 起始日")
    to_date: DayOut | None = Field(None, description="Last day; missing while it runs. 最后一日")
    source: str | None = None
    recognised_by: str | None = None
    recognised_on: DayOut | None = None
    evidence: str | None = None


class PersonAnswer(Answer):
    """A person as the office knew them at a moment, on a day. 人员信息。"""

    model_config = ConfigDict(json_schema_extra={"examples": [PERSON_EXAMPLE]})

    person_id: str
    name: str | None = Field(None, description="Masked. 脱敏姓名")
    identity_number: str | None = Field(None, description="Masked. 脱敏身份证号")
    birth_date: DayOut | None = None
    sex: Literal["male", "female"] | None = None
    residence: Literal["urban", "rural"] | None = None
    household_id: str | None = None
    place: str = ""
    family_doctor: bool | None = None
    deceased_on: DayOut | None = None
    enrolments: list[EnrolmentAnswer] = Field(default_factory=list)
    spells: list[SpellAnswer] = Field(default_factory=list)
    day: DayOut = Field(description="The day that is asked about. 查询日")
    known_at: Moment = Field(description="What the office knew at this moment. 知悉时点")


class SearchBody(Body):
    """Ask for people by identity number, or by name and birth date; never in an address. 查找人员。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"identity_number": "11010519491231002X"}]})

    identity_number: Annotated[str, Field(pattern=r"^[0-9]{14,17}[0-9Xx]$", max_length=18)] | None = None
    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")] | None = None
    birth_date: Day | None = None

    @model_validator(mode="after")
    def _enough(self) -> SearchBody:
        """See that there is enough to look for."""
        by_name = self.name is not None and self.birth_date is not None
        if (self.identity_number is None) == (not by_name):
            raise PydanticCustomError("search_by_what", "give either identity_number, or name and birth_date")
        return self


class Found(Answer):
    """A person that was found; read the whole of it by its id. 查到的人员。"""

    person_id: str
    name: str | None = None
    identity_number: str | None = None
    birth_date: DayOut | None = None
    sex: str | None = None
    place: str = ""


class FoundAnswer(Answer):
    """The people that were found, none or a few. 查找结果。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "people": [
                        {
                            "person_id": "p1",
                            "name": "张*",
                            "identity_number": "110*************22",
                            "birth_date": "1955-04-12",
                            "sex": "female",
                            "place": "110105001",
                        }
                    ]
                }
            ]
        }
    )

    people: list[Found]


class UnmaskBody(Body):
    """Why the whole identity number is needed; the reason is kept with who asked. 查看完整证件号的理由。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "payment returned by the bank"}]})

    reason: PlainText


class IdentityAnswer(Answer):
    """The whole name and identity number. 完整姓名与证件号。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"person_id": "p1", "name": "张三", "identity_number": "11010519491231002X"}]}
    )

    person_id: str
    name: str | None = None
    identity_number: str | None = None


class EntryAnswer(Answer):
    """One entry of a person's year in the ledger. 台账分录。"""

    number: int
    kind: str
    claim_id: str | None = None
    settled_date: DayOut
    posted_at: Moment
    posted_by: str
    policy: str
    postings_fen: dict[str, SignedFen] = Field(description="Amounts by party; they come to zero. 各方金额，合计为零")
    hash: str = Field(description="Hash of the entry along its chain. 链式哈希")


YEAR_EXAMPLE: dict[str, Any] = {
    "person_id": "p1",
    "benefit_year": 2024,
    "policy": "cn/beijing",
    "claims": 1,
    "total_fen": 15_000_000,
    "payments_fen": {"basic": 9_652_500, "critical_illness": 184_260, "assistance": 0},
    "pay_total_fen": 9_836_760,
    "own_total_fen": 5_163_240,
    "deductible_fen": 130_000,
    "counters": {"basic.eligible": 13_000_000},
    "entries": [
        {
            "number": 1,
            "kind": "settlement",
            "claim_id": "2024-000123",
            "settled_date": "2024-03-10",
            "posted_at": "2024-03-10T02:15:00.000+00:00",
            "posted_by": "clerk1",
            "policy": "cn/beijing",
            "postings_fen": {
                "person": 5_163_240,
                "facility": -5_163_240,
                "fund:basic": 9_652_500,
                "fund:critical_illness": 184_260,
                "advance": -9_836_760,
            },
            "hash": "9f2c" * 16,
        }
    ],
}


class YearAnswer(Answer):
    """A person's benefit year: what was used, and the entries it follows from. 年度累计与分录。"""

    model_config = ConfigDict(json_schema_extra={"examples": [YEAR_EXAMPLE]})

    person_id: str
    benefit_year: int
    policy: str | None = None
    claims: int = Field(description="Claims that stand. 有效单据数")
    total_fen: Fen
    payments_fen: dict[str, int]
    pay_total_fen: int
    own_total_fen: int
    deductible_fen: int
    counters: dict[str, int] = Field(
        description="The law's counters after the last entry, as settlement keeps them. 累计器"
    )
    entries: list[EntryAnswer] = Field(default_factory=list)


class MemberYear(Answer):
    """A member of a household with the year's sums. 家庭成员年度汇总。"""

    person_id: str
    name: str | None = None
    birth_date: DayOut | None = None
    sex: str | None = None
    groups: list[str] = Field(default_factory=list, description="Statuses held on the day. 当日身份")
    claims: int = 0
    total_fen: int = 0
    pay_total_fen: int = 0
    own_total_fen: int = 0
    payments_fen: dict[str, int] = Field(default_factory=dict, description="By tier, what paid. 各层次支付")


class HouseholdAnswer(Answer):
    """A household with its members and what the year cost them. 家庭信息。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "household_id": "h1",
                    "place": "110105001",
                    "size": 3,
                    "income_fen": 2_160_000,
                    "consumption_fen": None,
                    "benefit_year": 2024,
                    "total_fen": 15_000_000,
                    "pay_total_fen": 9_836_760,
                    "own_total_fen": 5_163_240,
                    "members": [
                        {
                            "person_id": "p1",
                            "name": "张*",
                            "birth_date": "1955-04-12",
                            "sex": "female",
                            "groups": ["dibao"],
                            "claims": 1,
                            "total_fen": 15_000_000,
                            "pay_total_fen": 9_836_760,
                            "own_total_fen": 5_163_240,
                        }
                    ],
                }
            ]
        }
    )

    household_id: str
    place: str = ""
    size: int | None = None
    income_fen: int | None = None
    consumption_fen: int | None = None
    benefit_year: int
    total_fen: int
    pay_total_fen: int
    own_total_fen: int
    members: list[MemberYear]


class SpellBody(Body):
    """A status to be recognised, corrected or ended; a second person decides. 身份认定、更正或退出申请，须复核。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action": "record",
                    "group": "dibao",
                    "from_date": "2024-02-01",
                    "recognised_by": "county civil affairs bureau",
                    "recognised_on": "2024-02-20",
                    "evidence": "MZ-2024-0031",
                    "reason": "recognised late, from the month of the application",
                }
            ]
        }
    )

    action: Literal["record", "correct", "end"] = Field(
        "record",
        description="Record a status; correct a recorded one (its days, what is said of it); end it after to_date. "
        "登记、更正或退出",
    )
    spell: Annotated[int, Field(ge=1, le=2**53)] | None = Field(
        None, description="The record that is corrected: `spell` of the person's answer. 被更正的记录编号"
    )
    group: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    detail: Code | None = None
    from_date: Day | None = None
    to_date: Day | None = Field(None, description="Last day. 最后一日")
    recognised_by: PlainText | None = None
    recognised_on: Day | None = None
    evidence: PlainText | None = None
    reason: PlainText

    @model_validator(mode="after")
    def _whole(self) -> SpellBody:
        """See that each action has what it needs, and that days are in order."""
        if self.action == "record" and self.from_date is None:
            raise PydanticCustomError("missing_value", "a status that is recorded needs from_date")
        if self.action == "correct" and self.spell is None:
            raise PydanticCustomError("missing_value", "a status that is corrected needs the number of its record")
        if self.action == "end" and self.to_date is None:
            raise PydanticCustomError("missing_value", "a status that is ended needs to_date")
        if self.from_date and self.to_date and self.to_date < self.from_date:
            raise PydanticCustomError("end_before_start", "to_date lies before from_date")
        return self
