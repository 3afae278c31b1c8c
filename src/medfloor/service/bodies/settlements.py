"""Bodies of settling: a claim that is asked, its settlement, a reversal, and many claims at once.

A claim has the columns of the data contract, with amounts in fen. Ours, the national platform's and FHIR's requests all
become a `ClaimBody`, and all answers are made of a `Settlement`: so they cannot differ by a fen.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from medfloor.service.bodies.fields import Answer, Body, Code, Day, DayOut, Fen, Id, Key, Moment, PlainText, SignedFen

CareType = Literal["inpatient", "outpatient", "special_outpatient", "two_disease"]
FacilityLevel = Literal["primary", "1", "2", "3"]
Area = Literal["local", "province", "outside"]
Referral = Literal["regular", "referred", "unreferred", "emergency"]

CLAIM_EXAMPLE: dict[str, Any] = {
    "claim_id": "2024-000123",
    "person_id": "p1",
    "care_type": "inpatient",
    "facility_level": "3",
    "start_date": "2024-03-01",
    "end_date": "2024-03-10",
    "diagnosis": "I21.9",
    "provider_id": "H11010500001",
    "total_fen": 15_000_000,
    "off_catalogue_fen": 2_000_000,
    "in_scope_fen": 13_000_000,
}
"""A stay of 150,000 yuan in a hospital of level 3, 130,000 of it within the scope."""

SETTLEMENT_EXAMPLE: dict[str, Any] = {
    "claim_id": "2024-000123",
    "person_id": "p1",
    "benefit_year": 2024,
    "settled_date": "2024-03-10",
    "state": "settled",
    "policy": "cn/beijing",
    "total_fen": 15_000_000,
    "in_scope_fen": 13_000_000,
    "off_catalogue_fen": 2_000_000,
    "over_limit_fen": 0,
    "first_self_pay_fen": 0,
    "payments_fen": {"basic": 9_652_500, "critical_illness": 184_260, "assistance": 0},
    "pay_total_fen": 9_836_760,
    "own_in_scope_fen": 3_163_240,
    "own_outside_fen": 2_000_000,
    "own_total_fen": 5_163_240,
    "deductible_fen": 130_000,
    "entry": 1,
    "posted_at": "2024-03-10T02:15:00.000+00:00",
    "repeated": False,
    "changed_claims": [],
}


class ClaimBody(Body):
    """One claim: a stay or a visit, with its amounts in fen. 一次住院或门诊，金额单位为分。"""

    model_config = ConfigDict(json_schema_extra={"examples": [CLAIM_EXAMPLE]})

    claim_id: Id = Field(description="The unit that is settled once; the platform's mdtrt_id. 就诊ID")
    person_id: Id = Field(description="The platform's psn_no, never an identity number. 人员编号，不得使用身份证号")
    care_type: CareType = Field(description="Kind of care. 就诊类别")
    facility_level: FacilityLevel = Field(description="Level of the facility. 机构等级")
    start_date: Day = Field(description="First day of the care. 开始日期")
    end_date: Day = Field(description="Last day of the care. 结束日期")
    settled_date: Day | None = Field(None, description="Day of settling; end_date where it is missing. 结算日期")
    area: Area = Field("local", description="Where care was given, seen from the person's pool. 就医地")
    referral: Referral = Field("regular", description="How the person came there. 转诊情况")
    continues: Id | None = Field(None, description="The stay that this one continues (transfer). 连续住院的上一次")
    diagnosis: Code | None = Field(None, description="ICD-10. 疾病编码")
    provider_id: Id | None = Field(None, description="The facility's code. 定点机构编码")
    total_fen: Fen = Field(description="All that the hospital charged. 医疗费总额")
    off_catalogue_fen: Fen = Field(0, description="Outside the catalogues. 全自费金额")
    over_limit_fen: Fen = Field(0, description="Above a price limit. 超限价金额")
    first_self_pay_fen: Fen = Field(0, description="First share of class B items. 先行自付金额")
    in_scope_fen: Fen = Field(description="What enters the insurance. 符合政策范围金额")
    extra_fen: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")], Fen] = Field(
        default_factory=dict, max_length=16, description="Further amounts that the policy reads. 政策读取的其他金额"
    )
    paid_by: Literal["facility", "person"] = Field(
        "facility", description="Who advanced what the funds pay: the facility, or the person. 垫付方"
    )

    @model_validator(mode="after")
    def _agree(self) -> ClaimBody:
        """See that the parts make up the total and that the care does not end before it starts."""
        parts = self.off_catalogue_fen + self.over_limit_fen + self.first_self_pay_fen + self.in_scope_fen
        if parts != self.total_fen:
            raise PydanticCustomError("parts_not_total", "the parts do not add up to total_fen")
        if self.end_date < self.start_date:
            raise PydanticCustomError("end_before_start", "end_date lies before start_date")
        return self


class SettlementBody(ClaimBody):
    """A claim to be settled, with its request key where the header does not give it. 结算请求。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**CLAIM_EXAMPLE, "request_key": "H11010500001-20240310-7"}]}
    )

    request_key: Key | None = Field(
        None,
        description="Makes a repeat harmless; the header Idempotency-Key goes before it. 请求键，重复提交不会重复结算",
    )


class KeyedClaim(ClaimBody):
    """A claim of a batch; here the request key is needed. 批量结算的一条。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**CLAIM_EXAMPLE, "request_key": "H11010500001-20240310-7"}]}
    )

    request_key: Key = Field(description="Makes a repeat harmless. 请求键")


class BatchBody(Body):
    """Many claims, each settled or refused by itself. 批量结算，逐条独立。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"claims": [{**CLAIM_EXAMPLE, "request_key": "H11010500001-20240310-7"}]}]}
    )

    claims: list[KeyedClaim] = Field(min_length=1, max_length=1000, description="Up to 1,000 claims. 最多1000条")


class ChangedClaim(Answer):
    """Another claim of the year whose payment this settlement changed. 因本次结算而改变的其他单据。"""

    claim_id: str
    difference_fen: SignedFen = Field(description="What the funds pay more (+) or less (-). 基金支付差额")


class Preview(Answer):
    """What a claim would be paid now; nothing is recorded. 预结算结果，不留存。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    key: value
                    for key, value in SETTLEMENT_EXAMPLE.items()
                    if key not in ("state", "entry", "posted_at", "repeated", "changed_claims")
                }
            ]
        }
    )

    claim_id: str
    person_id: str
    benefit_year: int
    settled_date: DayOut
    policy: str = Field(description="Address of the law that was used. 所用政策")
    total_fen: Fen
    in_scope_fen: Fen
    off_catalogue_fen: Fen
    over_limit_fen: Fen
    first_self_pay_fen: Fen
    payments_fen: dict[str, Fen] = Field(description="What each tier pays, in the order of payment. 各层次支付")
    pay_total_fen: Fen
    own_in_scope_fen: Fen
    own_outside_fen: Fen
    own_total_fen: Fen
    deductible_fen: Fen = Field(description="What the basic tier left to the patient as deductible. 本次起付线")


class Settlement(Preview):
    """A settlement as the ledger has it. 台账中的结算。"""

    model_config = ConfigDict(json_schema_extra={"examples": [SETTLEMENT_EXAMPLE]})

    state: Literal["settled", "reversed"]
    entry: int = Field(description="Number of the entry along its chain. 分录序号")
    posted_at: Moment
    repeated: bool = Field(False, description="The same request had been answered before. 重复请求，返回原结果")
    changed_claims: list[ChangedClaim] = Field(default_factory=list)


class Refused(Answer):
    """A claim of a batch that was not settled, and why. 未结算的单据及原因。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"claim_id": "2024-000124", "reason": "unknown_person", "detail": "no such person is in the register"}
            ]
        }
    )

    claim_id: str
    reason: str = Field(description="A stable code; docs/rejects.md. 固定代码")
    detail: str


class BatchAnswer(Answer):
    """What became of each claim of a batch, in its order. 批量结算结果。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "settled": 1,
                    "refused": 1,
                    "results": [
                        SETTLEMENT_EXAMPLE,
                        {
                            "claim_id": "2024-000124",
                            "reason": "unknown_person",
                            "detail": "no such person is in the register",
                        },
                    ],
                }
            ]
        }
    )

    settled: int
    refused: int
    results: list[Settlement | Refused]


class ReversalBody(Body):
    """A request to take a settlement back. 冲正请求。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "charged twice by the hospital", "request_key": "H11010500001-R-7"}]}
    )

    reason: PlainText = Field(description="Why; it holds no name, number or diagnosis. 原因，不含个人信息")
    request_key: Key | None = Field(None, description="The header Idempotency-Key goes before it. 请求键")
    on: Day | None = Field(None, description="Day of the reversal; today where it is missing. 冲正日期")


class CorrectionBody(Body):
    """A claim that takes the place of another, with an id of its own. 更正请求。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "claim": {**CLAIM_EXAMPLE, "claim_id": "2024-000123-2"},
                    "reason": "a price was wrong",
                    "request_key": "C-7",
                }
            ]
        }
    )

    claim: ClaimBody
    reason: PlainText = Field(description="Why; it holds no name, number or diagnosis. 原因，不含个人信息")
    request_key: Key | None = Field(None, description="The header Idempotency-Key goes before it. 请求键")


class Reversal(Answer):
    """A settlement taken back. 冲正结果。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "claim_id": "2024-000123",
                    "person_id": "p1",
                    "entry": 2,
                    "posted_at": "2024-03-11T02:15:00.000+00:00",
                    "pay_total_fen": -9_836_760,
                    "own_total_fen": -5_163_240,
                    "repeated": False,
                    "changed_claims": [],
                }
            ]
        }
    )

    claim_id: str
    person_id: str
    entry: int
    posted_at: Moment
    pay_total_fen: SignedFen
    own_total_fen: SignedFen
    repeated: bool = False
    changed_claims: list[ChangedClaim] = Field(default_factory=list)


class Proposed(Answer):
    """What a second person must decide first. 需复核的申请。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"proposal": 17, "kind": "reversal", "state": "open", "person_id": "p1"}]}
    )

    proposal: int = Field(description="Decide it with POST /api/v1/proposals/{id}/decision. 复核编号")
    kind: Literal["reversal", "status_change", "exit"]
    state: Literal["open"] = "open"
    person_id: str | None = None


class ExplanationAnswer(Answer):
    """Why a claim was paid so. 结算说明。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"claim_id": "2024-000123", "lang": "en", "text": "Claim 2024-000123 ...", "data": {}}]
        }
    )

    claim_id: str
    lang: Literal["zh", "en"]
    text: str = Field(description="Told in words, tier by tier, with the articles. 逐层说明")
    data: dict[str, Any] = Field(description="The same as data; amounts in yuan. 结构化说明，金额单位为元")
