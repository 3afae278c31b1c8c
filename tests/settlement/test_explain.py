"""An explanation says what each tier did, to the fen, and which words of the law say so."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from medfloor.errors import InputError
from medfloor.settlement.explain import Explanation, explain, explain_each, render
from medfloor.settlement.explanation import Working
from medfloor.settlement.settle import settle

SPELLS = pl.DataFrame(
    {
        "person_id": ["dibao", "dibao", "tekun"],
        "group": ["dibao", "monitored", "tekun"],
        "from_date": [date(2024, 3, 10), date(2020, 1, 1), date(2020, 1, 1)],
        "to_date": [None, date(2023, 12, 31), date(2024, 3, 1)],
    }
)


def stay(claim_id: str, person: str, in_scope: int, outside: int = 0, level: int = 3, **more: Any) -> dict[str, Any]:
    claim = {"claim_id": claim_id, "person_id": person, "care_type": "inpatient", "start_date": "2024-03-01"}
    claim |= {"end_date": "2024-03-10", "facility_level": str(level), "total": str(in_scope + outside)}
    claim |= {"off_catalogue": str(outside), "in_scope": str(in_scope), "referral": "regular", "diagnosis": "C34.901"}
    return claim | {"continues": None, "reverses": None} | more


CLAIMS = pl.DataFrame(
    [
        stay("ordinary", "nobody", 130_000, 20_000),
        stay("poor", "dibao", 130_000, 20_000),
        stay("poorest", "tekun", 130_000, 20_000),
        stay("large", "rich", 300_000, 30_000),
        stay("first", "twice", 20_000, level=2),
        stay("second", "twice", 20_000, level=2, start_date="2024-05-01", end_date="2024-05-09"),
        stay("before", "moved", 1_000, level=2),
        stay("after", "moved", 10_000, start_date="2024-03-10", end_date="2024-03-20", continues="before"),
        stay("refused", "tekun", 1_000, care_type="outpatient", referral="unreferred", start_date="2024-03-10"),
        stay("wrong", "nobody", 1_000, total="999"),
    ],
    schema_overrides={"reverses": pl.String},
)
PEOPLE = pl.DataFrame({"person_id": CLAIMS["person_id"].unique(maintain_order=True)})


def told(claim_id: str, claims: pl.DataFrame = CLAIMS) -> Explanation:
    return explain(claim_id, claims, PEOPLE, SPELLS, "cn/beijing")


def worked(explanation: Explanation, tier: str) -> Working:
    working = next(one.working for one in explanation.tiers if one.tier == tier)
    assert working is not None
    return working


def test_several_claims_are_explained_as_each_is_by_itself() -> None:
    several = ["ordinary", "poor", "second", "after"]
    assert explain_each(several, CLAIMS, PEOPLE, SPELLS, "cn/beijing") == [told(one) for one in several]
    assert explain_each([], CLAIMS, PEOPLE, SPELLS, "cn/beijing") == []


def test_one_that_was_refused_leaves_the_others_as_they_are() -> None:
    several = ["ordinary", "refused", "wrong", "poor"]
    found = explain_each(several, CLAIMS, PEOPLE, SPELLS, "cn/beijing")
    assert found == [told(one) for one in several]
    assert [one.state for one in found] == ["settled", "settled", "refused", "settled"]
    with pytest.raises(InputError, match="lost"):
        explain_each(["ordinary", "lost"], CLAIMS, PEOPLE, SPELLS, "cn/beijing")


@pytest.mark.parametrize(
    ("claim_id", "pays", "own"),
    [
        ("ordinary", (9_652_500, 184_260, 0), 5_163_240),
        ("poor", (9_652_500, 1_187_745, 1_835_792), 2_323_963),
        ("poorest", (9_652_500, 1_187_745, 2_159_755), 2_000_000),
        ("large", (20_000_000, 4_371_720, 0), 8_628_280),
        ("second", (1_528_800, 0, 0), 471_200),
    ],
)
def test_the_worked_cases_of_beijing_are_explained_to_the_fen(claim_id: str, pays: tuple[int, ...], own: int) -> None:
    found = told(claim_id)
    assert tuple(share.pay_fen for share in found.shares) == pays
    assert found.own_total_fen == own
    assert found.charges is not None
    assert found.charges.total_fen == sum(pays) + own


def test_explaining_agrees_with_settling_on_every_claim() -> None:
    settled = settle(CLAIMS, PEOPLE, SPELLS, "cn/beijing").fen
    assert settled.height == CLAIMS.height - 1
    for row in settled.iter_rows(named=True):
        found = told(row["claim_id"])
        assert {s.tier: s.pay_fen for s in found.shares} == {
            tier: row[f"pay_{tier}_fen"] for tier in ("basic", "critical_illness", "assistance")
        }
        assert (found.own_in_scope_fen, found.own_outside_fen) == (row["own_in_scope_fen"], row["own_outside_fen"])
        assert (found.benefit_year, found.sequence) == (row["benefit_year"], row["sequence"])


def test_each_tier_takes_in_what_the_one_before_left() -> None:
    found = told("poor")
    assert worked(found, "basic").base_fen == 13_000_000
    assert worked(found, "basic").left_fen == worked(found, "critical_illness").base_fen == 3_347_500
    assert worked(found, "critical_illness").left_fen == worked(found, "assistance").base_fen == 2_159_755


def test_a_halved_deductible_and_a_raised_rate_cite_the_article_of_the_tilt() -> None:
    working = worked(told("poor"), "critical_illness")
    deductible, bracket = working.deductible, working.brackets[0]
    assert deductible is not None
    assert (deductible.standard_fen, deductible.factor_bp, deductible.full_fen) == (3_040_400, 5_000, 1_520_200)
    assert (bracket.stretch_fen, bracket.rate_bp, bracket.product_yuan) == (1_827_300, 6_500, "11877.45")
    cited = [(one.document, one.article, one.trust) for one in deductible.cited]
    assert [(doc.zh, article) for doc, article, _ in cited if doc and article] == [("京医保发〔2022〕37号", "五")]
    assert [one.quote for one in bracket.cited if one.trust == "official"] == ["各费用段报销比例分别提高5个百分点"]
    assert (bracket.base_percent, [(one.kind, one.amount) for one in bracket.changes]) == ("60", [("points", "5")])
    assert len(bracket.cited) == 2


def test_every_rate_is_printed_with_what_it_rests_on() -> None:
    tilted = render(told("poor"), "zh").splitlines()
    at = tilted.index("   18,273.00 × 65% = 11,877.45（0.00至50,000.00的费用段）")
    assert tilted[at + 1] == "     比例：60% + 5个百分点 = 65%"
    assert tilted[at + 2].startswith("     - 北京市城乡居民大病保险现行标准")
    assert tilted[at + 3] == "     - 京医保发〔2022〕37号 五 [官方文本] “各费用段报销比例分别提高5个百分点”"
    plain = render(told("ordinary"), "en").splitlines()
    at = plain.index("   3,071.00 × 60 % = 1,842.60 (bracket from 0.00 to 50,000.00)")
    assert plain[at + 1].startswith("     - Beijing's critical illness insurance standard in force")


def test_a_second_stay_says_that_half_the_deductible_is_borne_and_why() -> None:
    deductible = worked(told("second"), "basic").deductible
    assert deductible is not None
    assert (deductible.admission, deductible.repeat_bp, deductible.full_fen) == (2, 5_000, 40_000)
    assert "第二次及以后住院按首次住院起付标准的50% 确定" in [one.quote for one in deductible.cited]


def test_a_transfer_says_what_the_stay_has_already_borne() -> None:
    # Art. 25: the fund paid at level 2, so its 800 hold for the whole stay, and they are borne already.
    deductible = worked(told("after"), "basic").deductible
    assert deductible is not None
    assert (deductible.continues, deductible.full_fen) == ("before", 80_000)
    assert (deductible.borne_before_fen, deductible.borne_fen) == (80_000, 0)
    quotes = [one.quote or "" for one in deductible.cited]
    assert quotes[0] == "二级定点医疗机构800元"
    assert quotes[1].startswith("在转出定点医疗机构未发生")
    assert "三级定点医疗机构1300元" not in quotes
    assert (deductible.kept, deductible.fixed_by) == (True, "before")


def test_a_transfer_where_the_fund_paid_nothing_cites_the_later_facility() -> None:
    claims = pl.DataFrame(
        [
            stay("before", "moved", 500, level=2),
            stay("after", "moved", 10_000, start_date="2024-03-10", end_date="2024-03-20", continues="before"),
        ],
        schema_overrides={"reverses": pl.String},
    )
    deductible = worked(told("after", claims), "basic").deductible
    assert deductible is not None
    assert (deductible.kept, deductible.full_fen) == (False, 130_000)
    assert deductible.cited[0].quote == "三级定点医疗机构1300元"


SPECIAL = pl.DataFrame(
    [
        stay("visit", "ill", 2_000, level=2, care_type="special_outpatient"),
        stay("bed", "ill", 9_000, start_date="2024-04-01", end_date="2024-04-09"),
    ],
    schema_overrides={"continues": pl.String, "reverses": pl.String},
)
REGISTERED = pl.DataFrame(
    {"person_id": ["ill"], "group": ["special_disease"], "from_date": [date(2020, 1, 1)], "to_date": [None]},
    schema_overrides={"to_date": pl.Date},
)
ILL = pl.DataFrame({"person_id": ["ill"]})


def test_a_deductible_fixed_by_the_first_special_visit_cites_the_words_of_that_visit() -> None:
    found = explain("bed", SPECIAL, ILL, REGISTERED, "cn/beijing")
    working = worked(found, "basic")
    assert working.part == "special_adult_stay"
    assert working.deductible is not None
    assert (working.deductible.full_fen, working.deductible.fixed_by) == (80_000, "visit")
    cites = [(one.article, one.quote) for one in working.deductible.cited]
    assert cites[0] == ("第二十一条", "二级定点医疗机构800元")
    assert [article for article, _ in cites] == ["第二十一条", "第二十七条"]
    assert "800.00（沿用 visit 所定的标准）" in render(found, "zh")


def test_a_deductible_known_from_opening_accumulators_cites_the_article_and_no_other_number() -> None:
    visit, bed = SPECIAL.head(1), SPECIAL.tail(1)
    closed = settle(visit, ILL, REGISTERED, "cn/beijing", closing=True).closing_yuan
    found = explain("bed", bed, ILL, REGISTERED, "cn/beijing", closed)
    deductible = worked(found, "basic").deductible
    assert deductible is not None
    assert (deductible.full_fen, deductible.kept, deductible.fixed_by) == (80_000, True, None)
    assert [one.article for one in deductible.cited] == ["第二十七条"]
    assert "as fixed by an earlier claim" in render(found, "en")


def test_a_transfer_from_a_stay_of_the_opening_accumulators_cites_article_25_alone() -> None:
    before, after = (CLAIMS.filter(pl.col("claim_id") == name) for name in ("before", "after"))
    closed = settle(before, PEOPLE, SPELLS, "cn/beijing", closing=True).closing_yuan
    deductible = worked(explain("after", after, PEOPLE, SPELLS, "cn/beijing", closed), "basic").deductible
    assert deductible is not None
    assert (deductible.full_fen, deductible.kept, deductible.fixed_by) == (80_000, True, None)
    assert [one.article for one in deductible.cited] == ["第二十五条"]


def test_a_cap_says_what_was_used_before_and_what_is_left() -> None:
    second = worked(told("second"), "basic").caps[0]
    assert (second.cap_fen, second.used_before_fen, second.left_fen) == (20_000_000, 1_497_600, 18_502_400)
    large = worked(told("large"), "basic")
    assert (large.due_fen, large.capped, large.pay_fen) == (22_402_500, True, 20_000_000)


def test_every_status_is_listed_with_its_dates_and_whether_it_counts() -> None:
    statuses = {one.group: one for one in told("poor").statuses}
    assert statuses["dibao"].counts  # gained on the last day of the stay, for the whole of it: 十（三）
    assert statuses["dibao"].used_by == ("critical_illness", "assistance")
    assert not statuses["monitored"].counts
    assert statuses["monitored"].to_date == date(2023, 12, 31)
    assert told("poorest").statuses[0].counts  # lost during the stay, kept for it


def test_a_status_that_chose_a_part_is_listed_as_used_there() -> None:
    status = explain("bed", SPECIAL, ILL, REGISTERED, "cn/beijing").statuses[0]
    assert (status.group, status.used_by, status.unused) == ("special_disease", ("basic",), "")


def test_a_status_that_no_rule_asks_for_or_that_another_outranks_says_so() -> None:
    spells = pl.DataFrame(
        {"person_id": ["ill"] * 3, "group": ["dibao", "tekun", "monitored"], "from_date": [date(2020, 1, 1)] * 3}
    ).with_columns(pl.lit(None, dtype=pl.Date).alias("to_date"))
    found = explain("bed", SPECIAL, ILL, spells, "cn/beijing")
    why = {one.group: (one.unused, one.because) for one in found.statuses}
    assert why["tekun"] == ("", None)
    assert why["dibao"] == ("outranked", "critical_illness")
    assert why["monitored"] == ("not_asked", None)
    assert "“特困人员”在先" in render(found, "zh")


def test_what_did_not_apply_names_the_first_condition_that_failed_and_what_the_claim_has() -> None:
    found = told("ordinary")
    assistance = found.tiers[2]
    assert assistance.working is None
    reasons = {part.part: (part.condition, part.found.en) for part in assistance.passed_over}
    assert reasons["unreferred"] == ("referral", "by the rules")
    assert reasons["inpatient"] == ("group", "no status")
    basic = {part.part: (part.condition, part.found.zh) for part in found.tiers[0].passed_over}
    assert basic["outpatient_primary"] == ("care_type", "住院")
    assert "stay_adult" not in basic


def test_a_tier_that_lets_nothing_through_closes_the_later_ones() -> None:
    found = told("refused")
    assert worked(found, "basic").part == "outpatient_unreferred"
    assert [tier.closed_by for tier in found.tiers] == [None, "basic", "basic"]
    assert found.own_in_scope_fen == 100_000
    assert "第十四条" in render(found, "zh")


def test_a_status_is_unused_where_an_earlier_tier_lets_nothing_through() -> None:
    claims = pl.DataFrame(
        [stay("shut", "dibao", 1_000, care_type="outpatient", referral="unreferred", start_date="2024-03-10")],
        schema_overrides={"continues": pl.String, "reverses": pl.String},
    )
    found = told("shut", claims)
    dibao = next(one for one in found.statuses if one.group == "dibao")
    assert (dibao.counts, dibao.used_by, dibao.unused, dibao.because) == (True, (), "closed", "basic")
    assert "但城乡居民基本医疗保险不予支付的费用不进入后续层次，没有用到" in render(found, "zh")


def test_a_claim_taken_back_is_explained_as_it_stood_and_the_later_one_as_settled_again() -> None:
    back = stay("undo", "twice", 0, start_date="2024-06-01", end_date="2024-06-01", reverses="first")
    claims = pl.concat([CLAIMS, pl.DataFrame([back], schema=CLAIMS.schema)])
    gone, undo, later = told("first", claims), told("undo", claims), told("second", claims)
    assert (gone.state, undo.state, later.state) == ("taken_back", "reversal", "settled")
    assert gone.pay_total_fen == undo.pay_total_fen == 1_497_600
    assert gone.taken_back is not None
    assert gone.taken_back.reversal_id == "undo"
    assert later.pay_total_fen == 1_497_600  # now the first stay of the year
    changes = {change.tier: (change.before_fen, change.after_fen) for change in later.changes}
    assert changes["basic"] == (1_528_800, 1_497_600)


def test_a_claim_has_the_place_that_its_settlement_has_where_rows_are_taken_back() -> None:
    back = stay("undo", "twice", 0, start_date="2024-04-01", end_date="2024-04-01", reverses="first")
    claims = pl.concat([CLAIMS, pl.DataFrame([back], schema=CLAIMS.schema)])
    settled = settle(claims, PEOPLE, SPELLS, "cn/beijing").fen.filter(pl.col("person_id") == "twice")
    assert settled.height == 3
    for row in settled.iter_rows(named=True):
        found = told(row["claim_id"], claims)
        assert (found.sequence, found.claims_in_year) == (row["sequence"], 3)


def test_a_refused_row_says_why() -> None:
    found = told("wrong")
    assert found.state == "refused"
    assert found.refusal is not None
    assert found.refusal.reason == "parts_not_total"
    assert "各部分之和不等于总费用" in render(found, "zh")
    assert found.refusal.detail not in render(found, "zh")
    assert found.refusal.detail in render(found, "en")


def test_conditions_on_statuses_and_years_read_naturally() -> None:
    text = render(told("ordinary"), "zh")
    assert "无身份" not in text
    assert "限于特殊病种备案人员，本人不在其列" in text
    outpatient = stay("out", "nobody", 1_000, care_type="outpatient", start_date="2024-03-10", level=1)
    claims = pl.DataFrame([outpatient], schema_overrides={"continues": pl.String, "reverses": pl.String})
    people = pl.DataFrame({"person_id": ["nobody"], "continuous_years": [3]})
    text = render(explain("out", claims, people, None, "cn/beijing"), "zh")
    assert "条件是“未连续参保”，本次为“连续参保3年”" in text
    assert "本次不属于任何救助身份" in text or "须具有以下身份之一" in text


def test_an_id_that_another_person_has_too_is_refused_as_in_settling() -> None:
    claims = pl.concat([CLAIMS, pl.DataFrame([stay("ordinary", "rich", 10)], schema=CLAIMS.schema)])
    found = told("ordinary", claims)
    assert found.refusal is not None
    assert found.refusal.reason == "duplicate_claim_id"


def test_an_unknown_claim_is_an_error_with_a_next_step() -> None:
    with pytest.raises(InputError, match="check the spelling") as error:
        told("nowhere")
    assert error.value.code == "unknown_claim"


def test_opening_accumulators_count_as_used_before() -> None:
    first, second = (CLAIMS.filter(pl.col("claim_id") == name) for name in ("first", "second"))
    closed = settle(first, PEOPLE, SPELLS, "cn/beijing", closing=True).closing_yuan
    found = explain("second", second, PEOPLE, SPELLS, "cn/beijing", closed)
    assert replace(found, sequence=2, claims_in_year=2) == told("second")


def test_a_file_gives_the_same_as_a_frame(tmp_path: Path) -> None:
    for name, frame in (("claims", CLAIMS), ("people", PEOPLE), ("spells", SPELLS)):
        frame.write_csv(tmp_path / f"{name}.csv")
    claims, people, spells = (tmp_path / f"{name}.csv" for name in ("claims", "people", "spells"))
    assert explain("poor", claims, people, spells, "cn/beijing") == told("poor")


def test_a_household_maximum_brings_in_the_other_members() -> None:
    claims = pl.DataFrame(
        [
            {"claim_id": f"c{n}", "person_id": person, "care_type": "outpatient", "start_date": f"1976-0{n}-01"}
            | {"end_date": f"1976-0{n}-01", "facility_level": "1", "total": "600", "in_scope": "600"}
            for n, person in ((1, "a"), (2, "b"))
        ]
    )
    people = pl.DataFrame({"person_id": ["a", "b", "z"], "household_id": ["h", "h", "y"]})
    spells = pl.DataFrame({"person_id": ["a", "b"], "group": ["plan_95"] * 2, "from_date": [date(1974, 1, 1)] * 2})
    spells = spells.with_columns(pl.lit(None, dtype=pl.Date).alias("to_date"))
    settled = settle(claims, people, spells, "us/rand-hie").fen
    for row in settled.iter_rows(named=True):
        found = explain(row["claim_id"], claims, people, spells, "us/rand-hie")
        assert found.pay_total_fen == row["pay_total_fen"]


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("claim_id", CLAIMS["claim_id"].to_list())
def test_the_diagnosis_is_never_printed_and_no_sentence_is_missing(claim_id: str, lang: str) -> None:
    found = told(claim_id)
    text = render(found, lang) + json.dumps(found.to_dict(), ensure_ascii=False)
    assert "C34" not in text
    assert "{" not in render(found, lang)


def test_json_gives_amounts_as_yuan_in_text_and_names_in_both_languages() -> None:
    plain = told("poor").to_dict()
    assert plain["own_total"] == "23239.63"
    assert plain["tiers"][2]["working"]["brackets"][0]["rate_percent"] == "85"
    assert plain["tiers"][2]["working"]["exact_yuan"] == "18357.9175"
    assert plain["tiers"][2]["name"] == {"zh": "医疗救助", "en": "medical assistance"}
    assert plain["care"]["start_date"] == "2024-03-01"
    json.dumps(plain)
