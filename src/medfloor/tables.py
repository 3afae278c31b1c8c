"""Declare every table that crosses a room: its columns, units, codes and keys. The vocabulary of the program.

Outside the program money is yuan and codes are text. Inside, frames carry money as Int64 fen in columns that end in
`_fen`, and coded columns as UInt8 positions in the tuples below; text and dates stay as they are. `read_claims` and its
sisters in intake make the one out of the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "date", "money", "integer", "number", "code", "flag"]


@dataclass(frozen=True, slots=True)
class Column:
    """Be one column: our name, the national platform's, what it holds, and what a missing one means."""

    name: str
    national: str | None
    kind: Kind
    required: bool = False
    default: str | None = None
    codes: tuple[str, ...] = ()
    meaning: str = ""

    @property
    def inside(self) -> str:
        """Give the name inside the program: money columns end in _fen."""
        return f"{self.name}_fen" if self.kind == "money" else self.name


@dataclass(frozen=True, slots=True)
class Table:
    """Be one table of the contract."""

    name: str
    columns: tuple[Column, ...]

    def column(self, name: str) -> Column:
        """Find a column by our name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """List our column names in order."""
        return tuple(column.name for column in self.columns)


CARE_TYPES = ("inpatient", "outpatient", "special_outpatient", "two_disease")
FACILITY_LEVELS = ("primary", "1", "2", "3")
AREAS = ("local", "province", "outside")
REFERRALS = ("regular", "referred", "unreferred", "emergency")
SCHEMES = ("resident", "employee", "none")
INSURED_CLASSES = ("student_child", "working_age", "elderly")
RESIDENCES = ("urban", "rural")
SEXES = ("male", "female")

CLAIMS = Table(
    "claims",
    (
        Column("claim_id", "mdtrt_id", "text", required=True, meaning="the unit that is settled once"),
        Column("person_id", "psn_no", "text", required=True),
        Column("care_type", "med_type", "code", required=True, codes=CARE_TYPES),
        Column("start_date", "begndate", "date", required=True),
        Column("end_date", "enddate", "date", required=True),
        Column("settled_date", "setl_time", "date", meaning="default end_date; decides the order"),
        Column("facility_level", "hosp_lv", "code", required=True, codes=FACILITY_LEVELS),
        Column("area", None, "code", default="local", codes=AREAS),
        Column("referral", None, "code", default="regular", codes=REFERRALS),
        Column("continues", None, "text", meaning="the stay that this one continues"),
        Column("reverses", None, "text", meaning="the claim whose settlement this row takes back"),
        Column("diagnosis", "dise_codg", "text"),
        Column("provider_id", "fixmedins_code", "text"),
        Column("total", "medfee_sumamt", "money", required=True),
        Column("off_catalogue", "fulamt_ownpay_amt", "money", default="0"),
        Column("over_limit", "overlmt_selfpay", "money", default="0"),
        Column("first_self_pay", "preselfpay_amt", "money", default="0"),
        Column("in_scope", "inscp_scp_amt", "money", required=True),
    ),
)

PEOPLE = Table(
    "people",
    (
        Column("person_id", "psn_no", "text", required=True),
        Column("household_id", None, "text"),
        Column("birth_date", "brdy", "date"),
        Column("sex", "gend", "code", codes=SEXES),
        Column("scheme", "insutype", "code", default="resident", codes=SCHEMES),
        Column("residence", None, "code", codes=RESIDENCES),
        Column("insured_class", None, "code", codes=INSURED_CLASSES),
        Column("enrolled_from", None, "date"),
        Column("enrolled_to", None, "date", meaning="last day enrolled; empty = still enrolled"),
        Column("continuous_years", None, "integer"),
        Column("claim_free_years", None, "integer"),
        Column("family_doctor", None, "flag"),
    ),
)

SPELLS = Table(
    "spells",
    (
        Column("person_id", "psn_no", "text", required=True),
        Column("group", "psn_idet_type", "text", required=True),
        Column("from_date", "begntime", "date", meaning="first day; empty = since ever"),
        Column("to_date", "endtime", "date", meaning="last day; empty = still running"),
    ),
)

HOUSEHOLDS = Table(
    "households",
    (
        Column("household_id", None, "text", required=True),
        Column("size", None, "integer"),
        Column("adults", None, "integer"),
        Column("children", None, "integer"),
        Column("income", None, "money"),
        Column("consumption", None, "money"),
        Column("food", None, "money"),
        Column("housing", None, "money"),
        Column("utilities", None, "money"),
    ),
)

SURVEY = Table(
    "survey",
    (
        Column("oop", None, "number", meaning="out-of-pocket health spending, net of all reimbursement"),
        Column("weight", None, "number", meaning="how many of the population a row stands for"),
        Column("stratum", None, "text", meaning="the stratum in which the first stage was drawn"),
        Column("psu", None, "text", meaning="the first-stage cluster: a commune, a village, a census block"),
        Column(
            "fpc",
            None,
            "number",
            meaning="clusters that the stratum has in the population; up to 1, the share of them drawn",
        ),
        Column("region", None, "text", meaning="a place, for results by place"),
        Column("residence", None, "text", meaning="urban or rural, in the words of the survey"),
        Column("wave", None, "text", meaning="which round of a panel or of repeated surveys"),
    ),
)
"""What a survey table has beside the columns of households. Numbers are doubles in the unit of the file, not fen."""

SURVEY_HOUSEHOLDS = Table(
    "survey_households",
    (
        Column("wave", None, "text", required=True, meaning="the year of the wave"),
        Column("household_id", None, "text", required=True, meaning="its number in this wave"),
        Column("panel_id", None, "text", meaning="what links its waves, in the way that was asked for"),
        Column("previous_wave", None, "text", meaning="the wave of the row that this one goes back to"),
        Column("previous_household_id", None, "text", meaning="the number of the household there"),
        Column("split_off", None, "flag", meaning="1 = left another household; empty in the first wave"),
        Column("respondent_id", None, "text", meaning="the person who answered"),
        Column("region", None, "text"),
        Column("county", None, "text"),
        Column("residence", None, "text", codes=RESIDENCES),
        Column("size", None, "number"),
        Column("adults", None, "number", meaning="members of 16 and older, from the roster"),
        Column("children", None, "number"),
        Column("income", None, "number", meaning="net, a year; may be negative"),
        Column("income_per_head", None, "number"),
        Column("income_comparable", None, "number", meaning="in the definition of the first wave"),
        Column("income_per_head_comparable", None, "number"),
        Column("consumption", None, "number", meaning="all expenditure, a year"),
        Column("food", None, "number"),
        Column("oop", None, "number", meaning="out-of-pocket health spending, a year"),
        Column("medical", None, "number", meaning="as constructed by the survey: with fitness"),
        Column("net_assets", None, "number", meaning="may be negative"),
        Column("weight", None, "number"),
        Column("panel_weight", None, "number"),
        Column("stratum", None, "text"),
        Column("psu", None, "text"),
        Column("price_level", None, "number", meaning="by what money was divided; only where prices were asked for"),
    ),
)
"""Households of a panel survey, one row a household and wave. Money is yuan as doubles."""

SURVEY_PEOPLE = Table(
    "survey_people",
    (
        Column("wave", None, "text", required=True),
        Column("person_id", None, "text", required=True, meaning="the same in all waves"),
        Column("household_id", None, "text", meaning="of this wave"),
        Column("household_panel_id", None, "text"),
        Column("age", None, "number"),
        Column("sex", None, "text", codes=SEXES),
        Column("education", None, "text", meaning="the survey's code"),
        Column("education_years", None, "number"),
        Column("marital", None, "text", meaning="the survey's code"),
        Column("hukou", None, "text", meaning="the survey's code"),
        Column("health", None, "number", meaning="self-rated, 1 best to 5 worst"),
        Column("health_2010", None, "number", meaning="self-rated in another wording: never pool it with health"),
        Column("chronic", None, "flag"),
        Column("hospitalised", None, "flag", meaning="1 = had a stay in the last year"),
        Column("inpatient_cost", None, "number", meaning="all costs of stays, whoever paid"),
        Column("outpatient_cost", None, "number", meaning="all costs other than of stays"),
        Column("medical_total", None, "number"),
        Column("oop", None, "number", meaning="what was paid oneself"),
        Column("insurance_codes", None, "text", meaning="codes of the survey, with ; between"),
        Column("insured", None, "flag", meaning="1 = any health insurance"),
        Column("rural_cooperative", None, "flag", meaning="1 = new rural cooperative medical scheme"),
        Column("scheme", None, "text", codes=SCHEMES),
        Column("weight", None, "number"),
        Column("panel_weight", None, "number"),
    ),
)
"""People of a panel survey, one row a person and wave. Money is yuan as doubles."""

SETTLEMENT_KEYS = ("claim_id", "person_id", "benefit_year", "sequence", "settled_date", "total", "in_scope")
"""The first columns of settlements; one `pay_<tier>` a tier and SETTLEMENT_SUMS follow."""

SETTLEMENT_SUMS = ("pay_total", "own_in_scope", "own_outside", "own_total", "deductible")

SETTLEMENTS = Table(
    "settlements",
    (
        Column("claim_id", "mdtrt_id", "text"),
        Column("person_id", "psn_no", "text", required=True),
        Column("benefit_year", "year", "integer", required=True),
        Column("settled_date", "setl_time", "date", required=True),
        Column("total", "medfee_sumamt", "money"),
        Column("in_scope", "inscp_scp_amt", "money"),
        Column("own_in_scope", None, "money", meaning="what stays with the patient inside the scope"),
        Column("own_total", "psn_part_amt", "money", required=True),
    ),
)
"""What is read of settlements that come back in (watch): the keys and the patient's part. Reversals are below zero."""

NATIONAL_SETTLEMENTS: dict[str, str] = {
    "mdtrt_id": "claim_id",
    "psn_no": "person_id",
    "year": "benefit_year",
    "setl_time": "settled_date",
    "medfee_sumamt": "total",
    "inscp_scp_amt": "in_scope",
    "hifp_pay": "pay_basic",
    "hifmi_pay": "pay_critical_illness",
    "hifob_pay": "pay_hifob",
    "hifes_pay": "pay_hifes",
    "cvlserv_pay": "pay_cvlserv",
    "hifdm_pay": "pay_hifdm",
    "maf_pay": "pay_assistance",
    "othfund_pay": "pay_othfund",
    "fund_pay_sumamt": "pay_total",
    "psn_part_amt": "own_total",
    "act_pay_dedc": "deductible",
}
"""The platform's name of a settlement's column (setlinfo) -> ours; payments stand in the order of payment."""

SMALL_FUNDS = ("pay_hifob", "pay_hifes", "pay_cvlserv", "pay_hifdm", "pay_othfund")
"""Payments of setlinfo that most places do not have: they stand there with zero, and are no tier then."""

WITHIN = (
    "row", "_person", "_version", "_year", "_unit", "_start", "_off_catalogue_fen", "_over_limit_fen",
    "_first_self_pay_fen", "_key", "_b", "_b_person", "_b_key", "_segment", "_at", "_number", "_of", "__row", "__part",
)  # fmt: skip
"""Columns that frames of claims have inside the program only; no carried column may have one of these names."""

REASONS: dict[str, str] = {
    "missing_value": "a column that is needed is empty in this row",
    "bad_date": "a date that is not written YYYY-MM-DD, or is not a day of the calendar",
    "bad_amount": "an amount that is not a plain decimal number",
    "negative_amount": "an amount below zero",
    "three_decimals": "an amount with more than two decimals",
    "amount_too_large": "an amount beyond 9 trillion yuan",
    "parts_not_total": "off_catalogue + over_limit + first_self_pay + in_scope is not total",
    "end_before_start": "end_date lies before start_date",
    "unknown_care_type": "a care_type that neither the contract nor the policy's codes know",
    "unknown_facility_level": "a facility_level that neither the contract nor the policy's codes know",
    "unknown_code": "a value outside the codes of its column",
    "bad_number": "a number that cannot be read",
    "infinite_value": "a number that is infinite, or an expression that comes to infinity",
    "duplicate_claim_id": "the same claim_id in more than one row",
    "unknown_person": "a person_id that people does not have",
    "overlapping_schemes": "a person with two schemes on the same day",
    "duplicate_person": "a person with two rows for the same days",
    "bad_person": "a person whose row in people cannot be read",
    "bad_spell": "a person with a status interval that cannot be read",
    "bad_household": "a survey row whose household cannot be used: another row has a fault, or its rows differ",
    "born_after_care": "care that began before its person was born",
    "outside_policy_dates": "no version of the policy is in force on the settled date",
    "policy_value_missing": "the policy in force on that day lacks a published number that this claim needs",
    "unknown_continues": "continues names a stay that is neither in the claims nor the last of the opening",
    "continues_later": "continues names a stay that is settled after this one",
    "continues_other_person": "continues names a stay of another person",
    "unknown_reversed": "reverses names a claim that is not in the claims",
    "reversed_other_person": "reverses names a claim of another person",
    "reversed_twice": "the claim that reverses names is already taken back",
    "duplicate_row": "a second row of the same household or person in one wave of a survey",
    "reversal_too_early": "the reversal is settled before the claim that it takes back",
    "bad_text": "a text too long or unprintable, a division code that is none, or a formula of a spreadsheet",
    "bad_identity_number": "an identity number with wrong length, no real birth date or a wrong check digit",
    "identity_disagrees": "a birth date or sex that is not the one that the identity number says",
    "identity_conflict": "an id and an identity number that belong to two different people",
    "name_disagrees": "a name that is not the one by which the register knows the person of this number or id",
    "ambiguous_person": "a name and birth date that several people have",
    "unknown_status": "a status that neither the register's words nor the codes given know",
    "not_its_group": "a status that the department that sent the file does not recognise",
    "outside_place": "a person, household or row of a place that the user does not see",
    "after_death": "a status that begins after the day on which its person died",
    "repeated_row": "a second row of the same person or household in a file that has one row for each",
    "unknown_reference": "an answer to a row that was never sent",
    "other_exchange": "an answer to a row of another list than the one that the file answers",
}
"""Why a row is refused: stable codes and what they mean. docs/rejects.md says them in both languages."""
