"""Say what a policy file may contain: the one shape of a tier, and every number with its source.

The models are strict: an unknown key is an error, and so is a number of the wrong kind. The JSON Schema that editors
use for completion is made from them (`medfloor policy schema`). Conventions:

* A *case* is a number of law under a condition. A parameter is one case, or a list of cases of which the first whose
  `when` fits is used. A case may give a fixed value, a share of a published series (`of`), or the content of a column
  of the people or claims table (`column`), and it may say `unlimited`. A case without any of these is *missing*:
  the law has a number there that was not published, and settling with it is refused.
* Percentages are written as in the law: 75 with unit percent, 5 with unit points.
* Everything with an `id` can be reached by its path from an extending file or a reform.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Trust = Literal["official", "secondary", "derived", "unverified"]
Unit = Literal["yuan", "dollar", "percent", "points", "year", "day", "count"]
CareType = Literal["inpatient", "outpatient", "special_outpatient", "two_disease"]
FacilityLevel = Literal["primary", "1", "2", "3"]
Area = Literal["local", "province", "outside"]
Referral = Literal["regular", "referred", "unreferred", "emergency"]
Scheme = Literal["resident", "employee", "none"]
InsuredClass = Literal["student_child", "working_age", "elderly"]
Residence = Literal["urban", "rural"]
Sex = Literal["male", "female"]
Pool = Literal["in_scope", "referral_share", "set_aside", "first_self_pay", "over_limit", "off_catalogue"]
StatusDay = Literal["any_day", "start", "end", "settled"]

GROUPS: tuple[str, ...] = (
    "tekun",
    "orphan",
    "dibao",
    "dibao_marginal",
    "returned_poor",
    "registered_poor",
    "monitored",
    "illness_poor",
)
"""The status groups of the data contract; a policy may declare more."""


def _listed(value: Any) -> Any:
    return value if value is None or isinstance(value, list) else [value]


def _texted(value: Any) -> Any:
    """Let a facility level be written 3 or "3"."""
    if isinstance(value, list):
        return [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number(value: Any) -> Any:
    """Take an integer, a float as it was written, or a quoted decimal; refuse true and false."""
    if isinstance(value, bool):
        raise ValueError("a number is needed, not true or false")
    if isinstance(value, (int, float, str)):
        try:
            return Decimal(str(value))
        except ArithmeticError:
            raise ValueError(f"{value!r} is not a number") from None
    return value


Figure = Annotated[Decimal, BeforeValidator(_number)]
Listed = BeforeValidator(_listed)


class Model(BaseModel):
    """Refuse unknown keys and keep what was read unchanged."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Words(Model):
    """Be a text in both languages."""

    zh: str
    en: str


class Source(Model):
    """Be a document that numbers rest on."""

    title: Words
    document: str | None = Field(None, description="document number, such as 京人社农合发〔2017〕250号")
    address: str | None = Field(None, description="web address of the text")
    trust: Trust
    from_: date | None = Field(None, alias="from", description="in force from")
    to: date | None = Field(None, description="in force up to and including")
    note: Words | None = None


class Sourced(Model):
    """Carry where a statement comes from: a key of `sources`, the article and the words that say it."""

    source: str | None = Field(None, description="key of the file's sources")
    article: str | None = Field(None, description="article or section, as the document counts")
    quote: str | None = Field(None, description="the words that say it, in the language of the document")
    trust: Trust | None = Field(None, description="only where it differs from the source's")
    from_: date | None = Field(None, alias="from", description="only where it differs from the source's")
    to: date | None = None
    note: Words | None = None


class Range(Model):
    """Be a condition on a quantity: years for ages and enrolment, yuan for totals."""

    at_least: Figure | None = None
    over: Figure | None = None
    at_most: Figure | None = None
    under: Figure | None = None

    def holds(self, value: Decimal | int) -> bool:
        """Say whether the value lies in the range."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.over is None or value > self.over)
            and (self.at_most is None or value <= self.at_most)
            and (self.under is None or value < self.under)
        )


class When(Model):
    """Be a condition on a claim and its person: keys are joined by and, the items of a list by or."""

    care_type: Annotated[list[CareType] | None, Listed] = None
    facility_level: Annotated[list[FacilityLevel] | None, BeforeValidator(lambda v: _texted(_listed(v)))] = None
    area: Annotated[list[Area] | None, Listed] = None
    referral: Annotated[list[Referral] | None, Listed] = None
    scheme: Annotated[list[Scheme] | None, Listed] = None
    insured_class: Annotated[list[InsuredClass] | None, Listed] = None
    residence: Annotated[list[Residence] | None, Listed] = None
    sex: Annotated[list[Sex] | None, Listed] = None
    family_doctor: bool | None = None
    group: Annotated[list[str] | None, Listed] = Field(
        None, description="the one status that the tier uses, by its order of preference; none = no status"
    )
    holds: Annotated[list[str] | None, Listed] = Field(None, description="any of these statuses, whatever is preferred")
    lacks: Annotated[list[str] | None, Listed] = Field(None, description="none of these statuses")
    age: Range | None = None
    continuous_years: Range | None = None
    claim_free_years: Range | None = None
    total: Range | None = Field(None, description="what the hospital charged for this claim, yuan")
    diagnosis: Annotated[list[str] | None, Listed] = Field(None, description="beginnings of ICD-10 codes")


class SeriesShare(Model):
    """Point to a published yearly series; the case's value in per cent is taken of it."""

    series: str
    lag: int = Field(1, description="years back from the benefit year: 1 = last year's value")


class Case(Sourced):
    """Be a number of law under a condition."""

    id: str | None = None
    when: When | None = None
    value: Figure | None = None
    unit: Unit
    of: SeriesShare | None = None
    column: str | None = Field(
        None, description="column of people or claims that gives the value; `value` is its default"
    )
    unlimited: bool = False

    @property
    def missing(self) -> bool:
        """Say whether the law has a number here that was not published."""
        return self.value is None and not self.unlimited


def _cases(value: Any) -> Any:
    return [value] if isinstance(value, (dict, Case)) else value


Param = Annotated[list[Case], BeforeValidator(_cases), Field(min_length=1)]


class Repeat(Sourced):
    """Be what happens to the deductible from the n-th admission of the year; the first that applies is used."""

    id: str | None = None
    when: When | None = None
    from_admission: int = Field(ge=2)
    count: Literal["all", "same_level"] = "all"
    percent: Case | None = Field(None, description="the deductible becomes this share of itself")
    minus_each: Case | None = Field(None, description="yuan less for each admission after the first")

    @model_validator(mode="after")
    def _one_of_both(self) -> Repeat:
        if (self.percent is None) == (self.minus_each is None):
            raise ValueError("give either percent or minus_each")
        return self


class Deductible(Sourced):
    """Be what the patient bears first.

    per admission: each stay has its own; transfers and repeats are known. per claim: each claim, nothing else is known.
    per year: up to the amount in the benefit year, counted under `counter`. `fixed_by: first` keeps the amount of the
    first claim of the year (Beijing Art. 27), `current` uses that of the claim at hand.
    """

    per: Literal["admission", "claim", "year"]
    amount: Param
    factor: Param | None = Field(None, description="per cent of the amount, such as 50 for the poor")
    counter: str | None = None
    fixed_by: Literal["current", "first"] = "current"
    repeat: list[Repeat] = []
    transfer: Literal["first_if_fund_paid", "highest", "new_admission"] = "first_if_fund_paid"


class Bracket(Sourced):
    """Be one step of the schedule: from where the last one ended up to `up_to`, at `rate`."""

    id: str | None = None
    up_to: Param | None = Field(None, description="yuan; the last bracket has none")
    rate: Param


class Adjust(Sourced):
    """Change every rate of the part, in the order written: by points, or to a share of itself."""

    id: str | None = None
    when: When | None = None
    points: Case | None = None
    times: Case | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Adjust:
        if (self.points is None) == (self.times is None):
            raise ValueError("give either points or times")
        return self


class Floor(Sourced):
    """Be the least that the part pays: a share of the claim's total, of it less the deductible, or of the scope."""

    share: Param
    of: Literal["total", "total_less_deductible", "in_scope"]


class Part(Sourced):
    """Be how a tier treats one kind of care; the first part of a tier whose `when` fits is used."""

    id: str
    name: Words | None = None
    when: When | None = None
    pays: Literal["schedule", "nothing", "given"] = "schedule"
    feeds: bool = Field(True, description="whether what is left goes on to later tiers; false ends the claim here")
    given: str | None = Field(None, description="with pays: given, the column that says what was paid elsewhere")
    first_share: Param | None = Field(None, description="per cent of the scope that moves to the referral_share pool")
    deductible: Deductible | None = None
    per: Literal["claim", "year"] = "claim"
    counter: str | None = Field(None, description="with per: year, what the schedule runs over; default <tier>_<part>")
    origin: Literal["excess", "absolute"] = "excess"
    brackets: list[Bracket] = []
    adjust: list[Adjust] = []
    floor: Floor | None = None
    cap_per_claim: Param | None = None
    pots: list[str] = []
    keeps_from_later: list[Literal["deductible", "over_cap"]] = Field(
        [], description="what of the patient's share later tiers do not see (it moves to the set_aside pool)"
    )

    @model_validator(mode="after")
    def _whole(self) -> Part:
        if self.pays == "schedule" and not self.brackets:
            raise ValueError(f"part {self.id} pays by schedule but has no brackets")
        if self.pays == "given" and self.given is None:
            raise ValueError(f"part {self.id} pays what is given but names no column")
        if self.brackets and self.brackets[-1].up_to is not None:
            raise ValueError(f"the last bracket of part {self.id} must be open (no up_to)")
        if any(bracket.up_to is None for bracket in self.brackets[:-1]):
            raise ValueError(f"only the last bracket of part {self.id} may be open")
        return self


class Tier(Sourced):
    """Be one payer: what reaches it, whom it prefers, and its parts."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Words
    base: Annotated[list[Pool], Field(min_length=1)] = ["in_scope"]
    prefer: list[str] = Field([], description="statuses in order of preference; the first held is the one used")
    status_day: StatusDay | None = Field(None, description="default: the policy's")
    accumulate: Literal["person", "household"] = "person"
    parts: Annotated[list[Part], Field(min_length=1)]


class Growth(Sourced):
    """Be what lifts a cap: years enrolled without a gap beyond a number, and years without a claim."""

    continuous_after: Case | None = Field(None, description="years after which each further one counts")
    per_continuous_year: Case | None = None
    per_claim_free_year: Case | None = None
    at_most: Case | None = Field(None, description="per cent of the cap that both together may add")


class Pot(Sourced):
    """Be a named ceiling on payments in the benefit year, shared by every part that names it."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Words
    cap: Param
    growth: Growth | None = None
    scope: Literal["person", "household"] = "person"


class Ceiling(Sourced):
    """Be a ceiling over all tiers: payments to at most a share of the total, and who gives back first."""

    id: str
    name: Words | None = None
    when: When | None = None
    share: Param
    give_back: Annotated[list[str], Field(min_length=1)]


class IncomeTest(Sourced):
    """Be the income test of an applied-for assistance.

    Passed where (household income of last year - compliant burden) / members / 12 is at most the monthly line.
    """

    monthly_line: Param


class Applied(Sourced):
    """Be an assistance that a household applies for once a year, on last year's burden."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Words
    base: Annotated[list[Pool], Field(min_length=1)]
    excludes: list[str] = Field([], description="statuses of the year that shut a person out")
    brackets: Annotated[list[Bracket], Field(min_length=1)]
    cap: Param
    income_test: IncomeTest | None = None
    conditions: list[Condition] = Field([], description="further tests, in words, that an office checks by hand")


class Condition(Sourced):
    """Be a condition that is checked by hand, with its number where it has one."""

    id: str
    name: Words
    amount: Param | None = None


class Premium(Sourced):
    """Be what one kind of person pays and what the public purse pays for one benefit year."""

    id: str
    name: Words
    when: When | None = None
    option: str | None = Field(None, description="product level where there are several, such as Chongqing's 一档")
    benefit_year: int
    personal: Case
    subsidy: Case | None = None
    collected_from: date | None = None
    collected_to: date | None = None


class SeriesValue(Sourced):
    """Be one year's value of a published series."""

    year: int
    value: Figure
    unit: Unit


class Series(Model):
    """Be a published yearly series, such as per-capita disposable income."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Words
    values: list[SeriesValue] = []


class Parameter(Sourced):
    """Be a number of the document that no formula of ours uses yet, kept so that it is not lost."""

    id: str
    name: Words
    amount: Param


class LeftOpen(Sourced):
    """Be something that this document leaves to a lower level of government."""

    id: str
    name: Words
    left_to: Literal["province", "city", "county", "insurer"]


class Group(Model):
    """Be a status group that this policy adds to those of the data contract."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: Words


class ClassRule(Sourced):
    """Be how the insured class follows from age and sex when the table does not give it."""

    id: str
    insured_class: InsuredClass
    when: When | None = None


class BenefitYear(Sourced):
    """Be when the benefit year begins and to which year a stay over its end belongs."""

    starts: str = Field("01-01", pattern=r"^\d\d-\d\d$", description="month and day, such as 01-01")
    belongs_by: Literal["end_date", "start_date", "settled_date"] = "end_date"

    @property
    def first_day(self) -> tuple[int, int]:
        """Give (month, day) of the first day."""
        return int(self.starts[:2]), int(self.starts[3:])


class Rounding(Sourced):
    """Be how a schedule's value is rounded, by name and place."""

    mode: Literal["half_up", "half_even", "down", "up"] = "half_up"
    place: Literal["fen", "jiao", "yuan"] = "fen"


class Codes(Model):
    """Override how this place's extract codes are read."""

    med_type: dict[str, CareType] = {}
    hosp_lv: dict[str, FacilityLevel] = {}


MOST_TIERS = 16
"""How many tiers one policy may have."""


def _check_once(names: Sequence[str], place: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{place}: the same id twice: {', '.join(twice)}")


class Policy(Model):
    """Be the law of one place from one date on."""

    schema_: Literal[1] = Field(1, alias="schema")
    id: str = Field(pattern=r"^[a-z][a-z0-9_-]*(/[a-z0-9_-]+)*$")
    name: Words
    from_: date = Field(alias="from")
    to: date | None = None
    extends: str | None = None
    note: Words | None = None
    currency: Literal["CNY", "USD"] = "CNY"
    benefit_year: BenefitYear = BenefitYear.model_validate({})
    status_day: StatusDay = "any_day"
    status_source: Sourced | None = Field(None, description="where the rule of the status day is said")
    rounding: Rounding = Rounding.model_validate({})
    codes: Codes = Codes()
    sources: dict[str, Source] = {}
    series: list[Series] = []
    groups: list[Group] = []
    classes: list[ClassRule] = []
    tiers: list[Tier] = []
    pots: list[Pot] = []
    ceilings: list[Ceiling] = []
    applied: list[Applied] = []
    premiums: list[Premium] = []
    parameters: list[Parameter] = []
    left_open: list[LeftOpen] = []

    @model_validator(mode="after")
    def _names_meet(self) -> Policy:
        """Check that every name that is used is also declared."""
        pots = {pot.id for pot in self.pots}
        tiers = {tier.id for tier in self.tiers}
        groups = {*GROUPS, *(group.id for group in self.groups), "none"}
        for tier in self.tiers:
            for name in tier.prefer:
                if name not in groups:
                    raise ValueError(f"tiers/{tier.id}/prefer names group {name}, which is not declared under groups")
            for part in tier.parts:
                for name in part.pots:
                    if name not in pots:
                        raise ValueError(f"tiers/{tier.id}/parts/{part.id} names pot {name}, which is not under pots")
                _check_once(part.pots, f"tiers/{tier.id}/parts/{part.id}/pots")
            _check_once([part.id for part in tier.parts], f"tiers/{tier.id}/parts")
            _check_once(tier.base, f"tiers/{tier.id}/base")
        for ceiling in self.ceilings:
            for name in ceiling.give_back:
                if name not in tiers:
                    raise ValueError(f"ceilings/{ceiling.id}/give_back names tier {name}, which is not under tiers")
        if len(self.tiers) > MOST_TIERS:
            raise ValueError(f"tiers: {len(self.tiers)} are more than the {MOST_TIERS} that a claim can pass through")
        _check_once([tier.id for tier in self.tiers], "tiers")
        _check_once([pot.id for pot in self.pots], "pots")
        return self

    def source_of(self, item: Sourced) -> Source | None:
        """Give the document that an item rests on, or None."""
        return self.sources.get(item.source) if item.source else None

    def trust_of(self, item: Sourced) -> Trust:
        """Give the trust of an item: its own mark, else its source's, else unverified."""
        source = self.source_of(item)
        return item.trust or (source.trust if source else "unverified")


Applied.model_rebuild()
