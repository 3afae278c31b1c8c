"""Supervision of claims: each rule on claims made by hand, parts against the whole, planted errors, bad input."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, MedfloorError, UsageError
from medfloor.fund.supervision import (
    Leads,
    ceiling_of,
    judge,
    plant,
    read_rules,
    rules_under,
    shipped_rules,
    supervise,
)
from medfloor.fund.supervision.planted import BARS, UPCODED
from medfloor.fund.supervision.rules import changed
from medfloor.policy.load import load_policy
from medfloor.synthetic import synthesise
from medfloor.tables import CARE_TYPES

DAY = date(2024, 5, 1)


def claim(number: str, **given: Any) -> dict[str, Any]:
    """Make a stay of ten days at h1; keywords replace its cells."""
    row: dict[str, Any] = {
        "claim_id": number, "person_id": "p1", "care_type": "inpatient", "start_date": "2024-05-01",
        "end_date": "2024-05-11", "facility_level": "2", "provider_id": "h1", "diagnosis": "J18.9", "total": "1000.00",
    }  # fmt: skip
    row |= given
    return row | {"in_scope": row["total"]}


def looked_at(*rows: dict[str, Any], **given: Any) -> Leads:
    return supervise(pl.DataFrame(list(rows), infer_schema_length=None), **given)


def found(leads: Leads) -> set[tuple[str, str, str | None]]:
    return set(leads.leads.select("rule", "claim_id", "others").rows())


VISIT = {"care_type": "outpatient", "start_date": "2024-06-01", "end_date": "2024-06-01", "total": "50"}


def test_a_copy_is_one_lead_and_names_its_original() -> None:
    leads = looked_at(claim("a"), claim("b"), claim("c", person_id="p2"))
    assert found(leads) == {("duplicate", "b", "a")}
    assert leads.leads["money_fen"].to_list() == [100_000]


def test_a_stay_that_is_taken_back_is_no_lead() -> None:
    back = claim("z", reverses="b", total="0", start_date="2024-05-12", end_date="2024-05-12")
    leads = looked_at(claim("a", reverses=None), claim("b", reverses=None), back)
    assert found(leads) == set()
    assert (leads.rows, leads.looked_at, leads.reversed) == (3, 1, 2)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"start_date": "2024-05-11", "end_date": "2024-05-15"}, "split_stay"),
        ({"start_date": "2024-05-12", "end_date": "2024-05-15", "diagnosis": "I10"}, "split_stay"),
        ({"start_date": "2024-05-13", "end_date": "2024-05-15"}, "readmission"),
        (
            {"start_date": "2024-05-18", "end_date": "2024-05-20", "provider_id": "h2", "diagnosis": "J18"},
            "readmission",
        ),
        ({"start_date": "2024-05-19", "end_date": "2024-05-20"}, None),
        ({"start_date": "2024-05-13", "end_date": "2024-05-15", "diagnosis": "I10"}, None),
        ({"start_date": "2024-05-10", "end_date": "2024-05-15"}, "stays_overlap"),
        ({"start_date": "2024-05-03", "end_date": "2024-05-05"}, "stays_overlap"),
        ({"start_date": "2024-05-10", "end_date": "2024-05-15", "provider_id": "h2"}, "two_facilities"),
        ({"start_date": "2024-05-11", "end_date": "2024-05-15", "provider_id": "h2", "diagnosis": "I10"}, None),
        ({"start_date": "2024-05-12", "end_date": "2024-05-15", "person_id": "p2"}, None),
        ({"start_date": "2024-05-12", "end_date": "2024-05-15", "continues": "a"}, None),
    ],
)
def test_two_stays_are_told_apart_by_their_days_places_and_diagnoses(given: dict[str, Any], rule: str | None) -> None:
    leads = looked_at(claim("a", continues=None), claim("b", total="700", **{"continues": None} | given))
    assert found(leads) == ({(rule, "b", "a")} if rule else set())


def test_the_stay_that_reaches_furthest_is_the_one_that_counts() -> None:
    # b lies within a; c begins after b ended, but while a still runs.
    inside = claim("b", start_date="2024-05-02", end_date="2024-05-03", total="1")
    later = claim("c", start_date="2024-05-06", end_date="2024-05-08", total="2")
    assert found(looked_at(claim("a"), inside, later)) == {("stays_overlap", "b", "a"), ("stays_overlap", "c", "a")}


@pytest.mark.parametrize(
    ("day", "hit"), [("2024-05-01", False), ("2024-05-02", True), ("2024-05-10", True), ("2024-05-11", False)]
)
def test_a_visit_counts_between_the_days_of_admission_and_discharge(day: str, hit: bool) -> None:
    visit = claim("v", **VISIT | {"start_date": day, "end_date": day, "provider_id": "h2"})
    assert found(looked_at(claim("a"), visit)) == ({("visit_in_stay", "v", "a")} if hit else set())


@pytest.mark.parametrize(
    ("times", "place", "hit"),
    [(("09:00", "09:30"), "h2", True), (("09:00", "09:31"), "h2", False), (("09:00", "09:10"), "h1", False)],
)
def test_two_visits_at_two_facilities_within_half_an_hour(times: tuple[str, str], place: str, hit: bool) -> None:
    rows = [
        claim("a", **VISIT, visit_time=times[0]),
        claim("b", **VISIT | {"total": "51", "provider_id": place}, visit_time=times[1]),
    ]
    assert found(looked_at(*rows)) == ({("two_facilities", "b", "a")} if hit else set())


def test_service_after_death_and_diagnoses_against_sex_and_age() -> None:
    people = pl.DataFrame(
        {"person_id": ["p1", "p2", "p3"], "sex": ["male", "female", None], "birth_date": ["1950-05-02", "2014-05-01", "1990-01-01"],
         "death_date": ["2024-05-01", "", None]}
    )  # fmt: skip
    rows = [
        claim("on_the_day"), claim("after", start_date="2024-06-02", end_date="2024-06-09", diagnosis="N80.1"),
        claim("child", person_id="p2", diagnosis="O80"), claim("unknown_sex", person_id="p3", diagnosis="N80"),
        claim("newborn", person_id="p3", start_date="2024-07-01", end_date="2024-07-02", diagnosis="p07.3"),
    ]  # fmt: skip
    leads = looked_at(*rows, people=people)
    assert {(rule, one) for rule, one, _ in found(leads)} == {
        ("after_death", "after"), ("sex_diagnosis", "after"), ("age_diagnosis", "newborn"),
    }  # fmt: skip
    # 10 on her birthday: the age at which O codes begin.
    assert leads.leads.filter(pl.col("rule") == "age_diagnosis")["value"].to_list() == [34.0]


def test_items_against_the_catalogue() -> None:
    people = pl.DataFrame({"person_id": ["p1"], "sex": ["male"], "birth_date": ["1980-01-01"]})
    catalogue = pl.DataFrame(
        {"item_code": ["f", "k", "d", "p"], "sex": ["female", "", "", ""], "age_to": ["", "14", "", ""],
         "day_limit": ["", "", "2", ""], "price_limit": ["", "", "", "80"]}
    )  # fmt: skip
    items = pl.DataFrame(
        {"claim_id": ["a", "a", "a", "a", "a", "a", "elsewhere"], "item_code": ["f", "k", "d", "d", "p", "p", "f"],
         "quantity": ["1", "1", "2", "1", "2", "1", "1"], "unit_price": ["10", "20", "3", "3", "100", "80", "9"],
         "item_date": ["2024-05-01"] * 7}
    )  # fmt: skip
    leads = looked_at(claim("a"), people=people, items=items, catalogue=catalogue)
    money = dict(leads.leads.select("rule", "money_fen").rows())
    # Three at 3 yuan where two are allowed: one of three is beyond, 3 yuan. Two at 100 above 80: 40 yuan.
    assert money == {"sex_item": 1_000, "age_item": 2_000, "day_limit": 300, "price_limit": 4_000}
    assert dict(leads.leads.select("rule", "item").rows())["price_limit"] == "p"


def test_without_dates_of_lines_the_days_of_the_claim_count() -> None:
    catalogue = pl.DataFrame({"item_code": ["d"], "day_limit": [2.0]})
    rows = {"claim_id": ["a", "b"], "item_code": ["d", "d"], "quantity": [22.0, 23.0], "amount": [22.0, 23.0]}
    stays = claim("a"), claim("b", person_id="p2", provider_id="h2")
    leads = looked_at(*stays, items=pl.DataFrame(rows), catalogue=catalogue)
    assert found(leads) == {("day_limit", "b", None)}  # eleven days at two each allow 22


def test_people_enrolled_twice_are_leads_with_their_claims() -> None:
    people = pl.DataFrame({"person_id": ["p1", "p1", "p2"], "scheme": ["resident", "employee", "resident"]})
    leads = looked_at(claim("a"), claim("b", start_date="2024-08-01", end_date="2024-08-02"), people=people)
    assert leads.leads.select("rule", "person_id", "claims", "money_fen").rows() == [
        ("double_enrolment", "p1", 2, 200_000)
    ]


def test_payments_near_the_ceiling_of_a_person_and_the_budget_of_a_facility() -> None:
    places = pl.DataFrame({"provider_id": ["h1", "h2"], "budget": [100_000, 200_000]})
    rows = [claim("a", total="90000"), claim("b", person_id="p2", total="89999", provider_id="h2")]
    leads = looked_at(*rows, facilities=places)
    assert {(rule, who, where) for rule, who, where in leads.leads.select("rule", "person_id", "provider_id").rows()} == {
        ("near_cap", "p1", None), ("near_budget", None, "h1"),
    }  # fmt: skip
    paid = [claim("a", total="90000", pay_basic="50000"), claim("b", person_id="p2", total="1", pay_basic="0")]
    assert not looked_at(*paid).leads.height


def test_a_cost_far_above_its_group_is_found_and_a_small_group_is_left_alone() -> None:
    def group(code: str, many: int) -> list[dict[str, Any]]:
        return [
            claim(f"{code}{k}", person_id=f"{code}{k}", diagnosis=code, total=str(900 + 10 * (k % 20)))
            for k in range(many)
        ]

    rows = [*group("J18", 60), *group("I10", 10)]
    rows += [claim("dear", person_id="x", total="9000"), claim("few", person_id="y", diagnosis="I10", total="9000")]
    leads = looked_at(*rows, rules=changed(shipped_rules(), {"facility_month": {"on": False}}))
    assert {one for rule, one, _ in found(leads) if rule == "cost_outlier"} == {"dear"}


def test_refused_rows_are_kept_with_their_reason_and_money_adds_up() -> None:
    rows = [
        claim("a"),
        claim("b", end_date="2024-04-01"),
        claim("c", total="x"),
        claim("d"),
        claim("d", person_id="p9"),
    ]
    leads = looked_at(*rows)
    assert sorted(leads.rejected["reason"]) == [
        "bad_amount",
        "duplicate_claim_id",
        "duplicate_claim_id",
        "end_before_start",
    ]
    assert leads.rows == leads.looked_at + leads.reversed + leads.rejected.height


def test_rules_that_lack_what_they_need_are_named() -> None:
    rows = [{name: value for name, value in claim("a").items() if name not in ("provider_id", "diagnosis")}]
    left = dict(looked_at(*rows).not_asked)
    assert {"duplicate", "after_death", "sex_item", "near_budget", "cost_outlier"} <= set(left)
    assert "provider_id" in left["duplicate"].say("en")
    off = changed(shipped_rules(), {"near_cap": {"on": False}})
    assert "near_cap" in dict(looked_at(*rows, rules=off).not_asked)


# Properties


@st.composite
def histories(draw: st.DrawFn) -> pl.DataFrame:
    """Draw claims of a few people at a few places within a few weeks, so that much of it meets."""
    rows = []
    for number in range(draw(st.integers(1, 14))):
        care = draw(st.sampled_from(CARE_TYPES[:2]))
        start = DAY + timedelta(days=draw(st.integers(0, 20)))
        end = start + timedelta(days=draw(st.integers(0, 6)) if care == "inpatient" else 0)
        rows.append(
            claim(
                f"c{number:02d}", person_id=draw(st.sampled_from("pq")), care_type=care, start_date=start, end_date=end,
                provider_id=draw(st.sampled_from(["h1", "h2", None])), diagnosis=draw(st.sampled_from(["J18", "I10"])),
                total=draw(st.sampled_from(["10", "20"])), visit_time=draw(st.sampled_from(["08:00", "08:20", "09:00"])),
            )
        )  # fmt: skip
    return pl.DataFrame(rows, schema_overrides={"provider_id": pl.String})


def plainly(frame: pl.DataFrame) -> set[tuple[str, str]]:
    """Find the same by comparing each claim with each, as the sentences of the rules say."""
    rows = sorted(frame.to_dicts(), key=lambda one: one["claim_id"])
    hits, copies = set(), set()
    same = ("person_id", "start_date", "end_date", "care_type", "provider_id", "total")
    for k, one in enumerate(rows):
        if one["provider_id"] and any(all(one[name] == other[name] for name in same) for other in rows[:k]):
            copies.add(one["claim_id"])
    hits |= {("duplicate", one) for one in copies}
    rows = [one for one in rows if one["claim_id"] not in copies]
    stays = [one for one in rows if one["care_type"] == "inpatient"]
    for one in rows:
        if one["care_type"] == "inpatient":
            continue
        if any(
            s["person_id"] == one["person_id"] and s["start_date"] < one["start_date"] < s["end_date"] for s in stays
        ):
            hits.add(("visit_in_stay", one["claim_id"]))
    return hits


@settings(max_examples=40)
@given(histories())
def test_copies_and_visits_in_stays_are_those_that_pairwise_comparison_finds(frame: pl.DataFrame) -> None:
    rules = {"duplicate", "visit_in_stay"}
    leads = supervise(frame).leads
    assert {(rule, one) for rule, one in leads.select("rule", "claim_id").rows() if rule in rules} == plainly(frame)


@settings(max_examples=25)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_change_which_claims_meet(frame: pl.DataFrame, random: Any) -> None:
    order = list(range(frame.height))
    random.shuffle(order)
    kinds = ["duplicate", "visit_in_stay"]  # of two stays that begin on one day, either may be the later one
    one, other = (supervise(f).leads.filter(pl.col("rule").is_in(kinds)) for f in (frame, frame[order]))
    assert one.select("rule", "claim_id").sort(pl.all()).equals(other.select("rule", "claim_id").sort(pl.all()))


@settings(max_examples=25)
@given(histories())
def test_every_row_is_looked_at_reversed_or_refused_and_leads_are_in_order(frame: pl.DataFrame) -> None:
    leads = supervise(frame)
    assert leads.rows == leads.looked_at + leads.reversed + leads.rejected.height == frame.height
    assert leads.leads["score"].is_sorted(descending=True)
    assert leads.leads["rank"].to_list() == list(range(1, leads.leads.height + 1))
    assert leads.by_rule["leads"].sum() == leads.leads.height


# Planted errors


@pytest.fixture(scope="module")
def county() -> tuple[pl.DataFrame, pl.DataFrame]:
    made = synthesise(20_000, seed=1)
    return made.claims, made.people


@pytest.mark.parametrize("seed", [7, 8])
def test_planted_errors_are_found_at_the_recall_asked_for(county: tuple[pl.DataFrame, pl.DataFrame], seed: int) -> None:
    made = plant(*county, seed=seed)
    leads = supervise(
        made.claims, people=made.people, items=made.items, catalogue=made.catalogue, facilities=made.facilities
    )
    rows = judge(leads, made.truth).rows
    assert set(rows["rule"]) == {*BARS, UPCODED}
    missed = rows.filter(pl.col("recall") < pl.col("bar"))
    assert missed.is_empty(), missed
    # What the records themselves contradict is hardly ever there by chance.
    certain = rows.filter(
        pl.col("rule").is_in(["split_stay", "after_death", "sex_diagnosis", "sex_item", "price_limit"])
    )
    assert certain["precision"].min() >= 0.9  # type: ignore[operator]
    assert leads.synthetic


def test_parts_give_the_leads_of_the_whole(county: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    made = plant(*county, seed=3)
    twice = pl.concat([made.claims, made.claims.head(5).with_columns(pl.lit("p00099").alias("person_id"))])
    given = {"people": made.people, "items": made.items, "catalogue": made.catalogue, "facilities": made.facilities}
    whole, parts = (supervise(twice, memory_gb=size, **given) for size in (8, 0.01))
    assert parts.leads.equals(whole.leads)
    assert parts.rejected.sort(pl.all()).equals(whole.rejected.sort(pl.all()))
    assert parts.by_facility.equals(whole.by_facility)
    assert whole.rejected.height == 10


def test_a_file_larger_than_the_memory_allowed_gives_the_same_leads(tmp_path: Path) -> None:
    rows = 150_000
    number = pl.int_range(rows, eager=True)
    many = pl.DataFrame({"n": number}).select(
        pl.format("claim-{}", "n").alias("claim_id"), pl.format("person-{}", pl.col("n") * 7919 % 30_000).alias("person_id"),
        pl.lit("inpatient").alias("care_type"), (pl.lit(DAY) + pl.duration(days=pl.col("n") % 300)).alias("start_date"),
        (pl.lit(DAY) + pl.duration(days=pl.col("n") % 300 + 4)).alias("end_date"), pl.lit("2").alias("facility_level"),
        pl.format("hospital-{}", pl.col("n") % 13).alias("provider_id"), pl.lit("J18.9").alias("diagnosis"),
        (100 + pl.col("n") % 977).alias("total"), (100 + pl.col("n") % 977).alias("in_scope"),
    )  # fmt: skip
    file = tmp_path / "claims.csv"
    many.write_csv(file)
    assert file.stat().st_size > 0.01 * 2**30
    whole, parts = (supervise(file, memory_gb=size, folder=tmp_path) for size in (8, 0.01))
    assert whole.leads.height > 1000
    assert parts.leads.equals(whole.leads)
    assert list(tmp_path.iterdir()) == [file]


def test_fewer_planted_than_asked_and_fewer_found_are_warned_of(county: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    assert plant(*county, seed=7).fewer == ()
    made = plant(
        county[0].head(5000), county[1], seed=7, rules=changed(shipped_rules(), {"facility_month": {"least": 900}})
    )
    leads = supervise(made.claims, people=made.people)
    judged = judge(leads, made.truth, fewer=made.fewer)
    said = " ".join(judged.warnings("en"))
    assert "month dearer than a facility's past: none planted, because no facility has 900 claims" in said
    assert "item of the other sex: 0 found of 40 (0.000, where 0.990 is asked)" in said
    assert judged.text("zh").count("警告") == 2
    assert "facility_month" not in set(judged.rows["rule"])


def test_errors_are_planted_in_files_of_text_as_in_typed_ones(
    county: tuple[pl.DataFrame, pl.DataFrame], tmp_path: Path
) -> None:
    texts = []
    for name, frame in zip(("claims", "people"), county, strict=True):
        frame.write_csv(tmp_path / f"{name}.csv")
        texts.append(pl.read_csv(tmp_path / f"{name}.csv", infer_schema=False))
    typed, read = plant(*county, seed=5, many=4), plant(texts[0], texts[1], seed=5, many=4)
    assert read.truth.equals(typed.truth)
    assert read.claims["total"].equals(typed.claims["total"])
    with pytest.raises(UsageError, match="no column sex") as caught:
        plant(texts[0], texts[0], seed=5)
    assert caught.value.code == "not_made_up"
    with pytest.raises(UsageError, match="values in total") as caught:
        plant(texts[0].with_columns(pl.lit("dear").alias("total")), texts[1], seed=5)
    with pytest.raises(UsageError) as caught:
        plant(county[0].clear(), county[1], seed=5)
    assert caught.value.code == "too_few_claims"


def test_the_same_seed_plants_the_same(county: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    one, other = (plant(*county, seed=5, many=4) for _ in range(2))
    assert one.claims.equals(other.claims)
    assert one.truth.equals(other.truth)


def test_errors_are_planted_in_made_up_claims_only(county: tuple[pl.DataFrame, pl.DataFrame]) -> None:
    with pytest.raises(UsageError, match="made up") as caught:
        plant(county[0].drop("synthetic"), county[1], seed=1)
    assert caught.value.code == "not_made_up"
    with pytest.raises(UsageError) as caught:
        plant(*county, seed=1, many=100_000)
    assert caught.value.code == "too_few_claims"


# What is said


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_printed_names_nobody(lang: str) -> None:
    leads = looked_at(claim("claim-77"), claim("claim-78"))
    said = leads.text(lang) + str(leads.to_dict(lang))
    assert not any(name in said for name in ("claim-77", "claim-78", "p1"))
    assert leads.to_frame(lang)["reason"].null_count() == 0


def test_every_rule_tells_its_article_source_and_trust() -> None:
    for rule in shipped_rules().all:
        assert rule.source
        assert rule.trust in ("secondary", "unverified")
        assert bool(rule.article) == bool(rule.words)
        for one in rule.settings:
            assert one.trust in ("secondary", "assumption")
            assert one.least <= one.value <= one.most
            # A bound that lets anything pass is none: every parameter refuses what lies just beyond its own.
            for beyond in (one.least - 1, one.most + 1):
                with pytest.raises(InputError, match="impossible"):
                    changed(shipped_rules(), {rule.name: {one.name: beyond}})
            assert one.unit("zh") != one.unit("en")
    assert {"yours"} == {
        one.trust for one in changed(shipped_rules(), {"readmission": {"days": 9}})["readmission"].settings
    }


# Bad input


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[duplicat]\non = false", "the nearest is \\[duplicate\\]"),
        ("[readmission]\ndays = 900", "between 0 and 90"),
        ("[readmission]\ndays = 'seven'", "write a number"),
        ("[readmission]\ndays = 2.5", "readmission.days = 2.5 is no whole number"),
        ("[readmission]\ndays = -1", "between 0 and 90"),
        ("[near_cap]\nshare = 5", "near_cap.share = 5 is impossible; it lies between 50 and 100"),
        ("[near_cap]\ncap_yuan = 0", "between 1,000 and 100,000,000"),
        ("[near_cap]\ncap_yuan = nan", "write a number"),
        ("[near_budget]\nshare = 900", "between 50 and 150"),
        ("[cost_outlier]\ndeviations = inf", "write a number"),
        ("[cost_outlier]\nleast = 0", "between 5 and 100,000"),
        ("[facility_month]\nmonths = 1", "between 2 and 36"),
        ("[two_facilities]\nminutes = 1e6", "1,000,000 is impossible"),
        ("[readmission]\nday = 7", "there are on, weight, days"),
        ("[duplicate]\non = 1", "true or false"),
        ("[duplicate]\nweight = 2", "between 0 and 1"),
        ("duplicate = 3", "not a section"),
        ("[diagnoses]\nmale = 'N40'", "not a list of texts"),
        ("[diagnoses]\nmale = ['']", "empty code"),
        ("[[diagnoses.ages]]\ncodes = ['P']\nfrom = 9\nto = 1", "lies before"),
        ("[diagnoses]\nother = []", "not known"),
        ("[", "not TOML"),
    ],
)
def test_a_wrong_file_of_rules_is_refused_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=said) as caught:
        read_rules(file)
    assert caught.value.code == "bad_rules"


def test_a_file_of_rules_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[split_stay]\ndays = 3\nweight = 1\n[diagnoses]\nmale = ['N40']\n", encoding="utf-8")
    rules = read_rules(file)
    assert rules["split_stay"]["days"] == 3
    assert rules.sexes == {"male": ("N40",), "female": ()}
    assert rules["readmission"] == shipped_rules()["readmission"]


LINE = pl.DataFrame({"claim_id": ["a"], "item_code": ["x"], "quantity": [1.0], "amount": [1.0]})


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"memory_gb": 0}, "bad_memory"),
        ({"items": LINE}, "needs_catalogue"),
        (
            {"items": LINE.drop("amount"), "catalogue": pl.DataFrame({"item_code": ["x"], "sex": ["male"]})},
            "missing_column",
        ),
        ({"items": LINE, "catalogue": pl.DataFrame({"item_code": ["x"]})}, "missing_column"),
        ({"items": LINE, "catalogue": pl.DataFrame({"item_code": ["x"], "sex": ["both"]})}, "bad_catalogue"),
        ({"items": LINE, "catalogue": pl.DataFrame({"item_code": ["x"], "day_limit": [-1]})}, "bad_catalogue"),
        ({"items": LINE, "catalogue": pl.DataFrame({"item_code": ["x", "x"], "day_limit": [1, 2]})}, "bad_catalogue"),
        ({"facilities": pl.DataFrame({"provider_id": ["h"]})}, "missing_column"),
        ({"facilities": pl.DataFrame({"provider_id": ["h"], "budget": [-5]})}, "bad_facilities"),
        ({"people": pl.DataFrame({"person_id": ["p1"], "death_date": ["yesterday"]})}, "bad_date"),
        ({"people": "nowhere.csv"}, "file_not_found"),
        ({"people": pl.DataFrame([claim("a")])}, "wrong_table"),
        ({"people": pl.DataFrame({"person_id": ["p1"], "name": ["x"]})}, "missing_column"),
    ],
)
def test_bad_input_is_refused_with_a_code(given: dict[str, Any], code: str) -> None:
    with pytest.raises(MedfloorError) as caught:
        looked_at(claim("a"), **given)
    assert caught.value.code == code


def test_where_all_rows_are_refused_that_is_the_reason_given() -> None:
    leads = looked_at(*(claim(one, end_date="2023-01-01") for one in "ab"))
    assert {why.say("en") for _, why in leads.not_asked} == {
        "no claim was left to look at: all were refused or reversed"
    }
    said = leads.text("en")
    assert "end_before_start (2)" in said
    assert "no provider_id" not in said
    assert leads.to_dict()["refused_because"] == {"end_before_start": 2}


def test_no_claims_at_all_are_no_leads() -> None:
    leads = supervise(pl.DataFrame([claim("a")]).clear())
    assert (leads.rows, leads.leads.height, leads.by_facility.height) == (0, 0, 0)
    assert leads.text("zh")


@pytest.mark.parametrize(
    ("address", "yuan", "care"),
    [
        ("synthetic/cn-2025", 150_000, ("inpatient", "special_outpatient")),
        ("cn/national", None, ()),
    ],
)
def test_the_ceiling_is_that_of_the_law(address: str, yuan: float | None, care: tuple[str, ...]) -> None:
    ceiling = ceiling_of(load_policy(address).versions[-1])
    assert (ceiling.yuan, ceiling.care) == (yuan, care)
    rule = rules_under(shipped_rules(), ceiling)["near_cap"]
    assert rule.on == (yuan is not None), "a law that names no ceiling has none to come near"
    if yuan is not None:
        assert rule["cap_yuan"] == yuan
        assert "150,000" in rule.reason("en")
