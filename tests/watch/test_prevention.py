"""Prevention: who is a key group, hours, service, control, avoidable stays, and an effect that never passes its ceiling."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.watch.evidence import PROGRAMMES, TRUSTS, Evidence, evidence_from, shipped_evidence
from medfloor.watch.prevention import Prevention, prevention_of

YEAR = 2025
SHIPPED = shipped_evidence()


def people_of(*rows: tuple[str, int, bool, bool, bool]) -> pl.DataFrame:
    """Make people of id, year of birth, hypertension, diabetes, family doctor."""
    ids, born, high, sugar, signed = zip(*rows, strict=True)
    return pl.DataFrame(
        {"person_id": ids, "birth_date": [date(year, 6, 1) for year in born], "hypertension": high, "diabetes": sugar,
         "family_doctor": signed}
    )  # fmt: skip


def stays_of(*rows: tuple[str, str | None, int]) -> pl.DataFrame:
    """Make stays of person, diagnosis and cost in yuan."""
    ids, codes, yuan = zip(*rows, strict=True)
    return pl.DataFrame(
        {"person_id": ids, "care_type": ["inpatient"] * len(ids), "start_date": [date(YEAR, 5, 1)] * len(ids),
         "diagnosis": codes, "total_fen": [100 * one for one in yuan]},
        schema_overrides={"diagnosis": pl.String},
    )  # fmt: skip


def contacts_of(person: str, follow_up: int, exam: int = 0, year: int = YEAR) -> list[dict[str, Any]]:
    return [
        {"person_id": person, "date": date(year, 1 + number, 1), "kind": "follow_up"} for number in range(follow_up)
    ] + [{"person_id": person, "date": date(year, 12, 1), "kind": "exam"} for _ in range(exam)]


PEOPLE = people_of(
    ("old", 1950, False, False, True),
    ("high", 1975, True, False, True),
    ("both", 1955, True, True, True),
    ("sugar", 1980, False, True, False),
    ("plain", 1985, False, False, True),
    ("child", 2020, False, False, False),
)
STAYS = stays_of(
    ("high", "I10.x00", 4_000), ("sugar", "E11.900", 6_000), ("plain", "K35", 90_000), ("old", "J44.1", 5_000)
)


def look(**asked: Any) -> Prevention:
    given = {"people": PEOPLE, "claims": STAYS, "year": YEAR} | asked
    return prevention_of(given.pop("people"), given.pop("claims"), **given)


def row(table: pl.DataFrame, **where: str) -> dict[str, Any]:
    found = table.filter(pl.all_horizontal(pl.col(name) == value for name, value in where.items()))
    assert found.height == 1
    return found.row(0, named=True)


# Numbers and their sources


def test_every_number_has_a_source_and_a_trust() -> None:
    for one in (*SHIPPED.groups, *SHIPPED.conditions, *SHIPPED.effects, *SHIPPED.numbers.values()):
        assert one.source in SHIPPED.sources, one
        assert one.trust in TRUSTS, one


def test_signing_alone_has_no_effect_and_measured_effects_have_a_study() -> None:
    signing = SHIPPED.effect("signing")
    assert (signing.rr, signing.low, signing.high, signing.conditions) == (1.0, 1.0, 1.0, ())
    names = {one.name for one in SHIPPED.conditions}
    for name in PROGRAMMES:
        one = SHIPPED.effect(name)
        assert one.low < one.rr < one.high and "randomised" in one.study
        assert set(one.conditions) <= names and {"copd", "asthma"}.isdisjoint(one.conditions)


def test_numbers_of_ones_own_replace_and_bad_ones_are_refused() -> None:
    assert evidence_from("[numbers]\nhour_cost = 30").numbers["hour_cost"].trust == "yours"
    for text in ("x =", "[groups]\na = 1", "[numbers]\nwage = 1", "[numbers]\nhour_cost = -1", "[numbers]\nhour_cost = true",
                 "[numbers]\nceiling = 20", "[numbers]\ndelay_least = 9"):  # fmt: skip
        with pytest.raises(InputError) as caught:
            evidence_from(text)
        assert caught.value.code == "bad_rules"


# Key groups and contracts


def test_groups_are_told_by_age_flag_status_and_else_by_diagnosis() -> None:
    spells = pl.DataFrame(
        {"person_id": ["plain", "child"], "group": ["monitored", "monitored"],
         "from_date": [date(2024, 1, 1), date(2024, 1, 1)], "to_date": [None, date(2025, 12, 30)]}
    )  # fmt: skip
    found = look(spells=spells)
    assert row(found.coverage, group="old")["people"] == 2
    assert row(found.coverage, group="child")["people"] == 1
    assert row(found.coverage, group="hypertension")["people"] == 2
    assert row(found.coverage, group="lifted")["people"] == 1  # the child's status ended a day before the year did
    assert row(found.coverage, group="all") == {
        "group": "all", "people": 6, "contracted": 4, "share": pytest.approx(66.667, abs=1e-3), "goal": 75.0, "lacking": 1
    }  # fmt: skip
    assert set(found.served.not_asked) == {"pregnant", "disabled", "special_family"}
    coded = look(people=PEOPLE.drop("hypertension"))
    assert coded.served.people.filter("hypertension")["person_id"].to_list() == ["high"]


def test_a_flag_that_is_neither_yes_nor_no_is_told() -> None:
    words = ["否", "0", "是", "unclear", "", "No "]
    found = look(people=PEOPLE.with_columns(pl.Series("diabetes", words)))
    assert found.served.people.filter("diabetes")["person_id"].to_list() == ["both"]
    assert found.rejected.rows() == [("people", 4, "bad_flag", "diabetes is neither yes nor no")]


def test_65_on_the_last_day_of_the_year_is_old_and_64_is_not() -> None:
    edge = people_of(("a", YEAR - 65, False, False, False), ("b", YEAR - 64, False, False, False))
    assert look(people=edge).served.people["old"].to_list() == [True, False]


def test_contracts_count_while_they_run() -> None:
    contracts = pl.DataFrame(
        {"person_id": ["old", "high", "both", "nobody"], "signed": ["2024-01-01", "2025-12-31", "2026-01-01", "2025-01-01"],
         "until": ["2025-12-30", None, None, None], "doctor_id": ["d1", "d1", "d1", "d1"]}
    )  # fmt: skip
    found = look(contracts=contracts)
    assert found.served.people.filter("contracted")["person_id"].to_list() == ["high"]
    assert found.rejected.to_dicts() == [
        {"table": "contracts", "row": 4, "reason": "unknown_person", "detail": "people has no row of this person"}
    ]


@pytest.mark.parametrize(("until", "runs"), [(date(YEAR, 12, 30), False), (date(YEAR, 12, 31), True)])
def test_a_contract_that_ends_on_the_last_day_still_counts(until: date, runs: bool) -> None:
    contracts = pl.DataFrame({"person_id": ["high"], "signed": [date(2024, 1, 1)], "until": [until]})
    people = look(contracts=contracts).served.people
    assert people.filter("contracted")["person_id"].to_list() == ["high"] * runs


@pytest.mark.parametrize(("age", "stays"), [(14, 0), (15, 1)])
def test_from_fifteen_on_a_stay_can_be_avoidable(age: int, stays: int) -> None:
    young = people_of(("young", YEAR - age, False, False, False))
    table = look(people=young, claims=stays_of(("young", "J45", 100))).stays.table
    assert table["stays"][-1] == stays


# Load


def test_hours_are_contacts_times_minutes_and_one_contact_serves_two_illnesses() -> None:
    # old: an examination; high and both: four follow-ups and one; plain: one follow-up.
    found = look(doctors=pl.DataFrame({"doctor_id": ["d1"], "hours": [5.0]}))
    hours = 40 / 60 + 2 * (4 * 20 + 40) / 60 + 20 / 60
    assert found.load.hours == pytest.approx(hours)
    assert found.load.load == pytest.approx(hours / 5)
    assert found.load.feasible == 4  # five hours are room for exactly the four there are
    less = look(doctors=pl.DataFrame({"doctor_id": ["d1"], "hours": [4.9]}))
    assert less.load.feasible == 3
    assert look(doctors=pl.DataFrame({"doctor_id": ["d1"]})).load.capacity == SHIPPED["doctor_hours"]


def test_each_doctors_load_stands_apart() -> None:
    contracts = pl.DataFrame(
        {"person_id": ["old", "high"], "signed": ["2025-01-01"] * 2, "doctor_id": ["d1", "d2"]}
    )  # fmt: skip
    doctors = pl.DataFrame({"doctor_id": ["d1", "d2", "d3"], "hours": ["1", "1", "0"]})
    table = look(contracts=contracts, doctors=doctors).load.by_doctor
    assert table["contracts"].to_list() == [1, 1, 0]
    assert table["load"].to_list() == [pytest.approx(40 / 60), pytest.approx(2.0), None]
    assert table["feasible"].to_list() == [1, 0, None]


# Service


def test_signed_and_not_served_had_no_contact_of_the_kind_owed() -> None:
    contacts = [
        *contacts_of("high", 4, 1),
        *contacts_of("both", 1),
        *contacts_of("plain", 0, 1),
        *contacts_of("old", 3),
    ]
    contacts += contacts_of("sugar", 4, 1, YEAR - 1)
    found = look(contacts=pl.DataFrame(contacts))
    whole = row(found.service, group="all")  # type: ignore[arg-type]
    # old had follow-ups and is owed an examination; plain had an examination and is owed a follow-up.
    assert (whole["contracted"], whole["fully"], whole["partly"], whole["not_served"]) == (4, 1, 1, 2)
    assert (whole["owed"], whole["had"]) == (1 + 5 + 5 + 1, 5 + 1)
    assert sorted(found.tables["not_served"]["person_id"]) == ["old", "plain"]
    assert look().service is None


def test_two_contacts_of_one_day_are_one() -> None:
    twice = pl.DataFrame(contacts_of("high", 1) * 4)
    assert row(look(contacts=twice).service, group="hypertension")["had"] == 1  # type: ignore[arg-type]


# Control


@pytest.mark.parametrize(
    ("person", "systolic", "diastolic", "good"),
    [("high", 139, 89, True), ("high", 140, 80, False), ("high", 130, 90, False), ("both", 149, 89, True), ("both", 150, 89, False)],
)  # fmt: skip
def test_the_limit_itself_is_not_in_range(person: str, systolic: int, diastolic: int, good: bool) -> None:
    measured = pl.DataFrame(
        {"person_id": [person], "date": ["2025-06-01"], "systolic": [systolic], "diastolic": [diastolic]}
    )
    found = row(look(measurements=measured).control, illness="hypertension", who="all")  # type: ignore[arg-type]
    assert (found["people"], found["measured"], found["controlled"]) == (2, 1, int(good))
    assert found["of_all"] == 50.0 * good


def test_the_last_measurement_of_the_year_counts() -> None:
    measured = pl.DataFrame(
        {"person_id": ["both"] * 4, "date": ["2025-03-01", "2025-11-01", "2026-01-02", "2025-12-01"],
         "glucose": [6.0, 7.0, 5.0, None]}
    )  # fmt: skip
    found = row(look(measurements=measured).control, illness="diabetes", who="all")  # type: ignore[arg-type]
    assert (found["measured"], found["controlled"]) == (1, 0)


# Avoidable stays


def test_avoidable_stays_by_code_age_and_year() -> None:
    claims = stays_of(("high", "i10", 1), ("high", "I11.0", 2), ("high", "I11.9", 4), ("child", "J45", 8), ("old", "J44", 16),
                      ("old", None, 32), ("old", "I63", 64))  # fmt: skip
    late = claims.with_columns(pl.lit(date(YEAR + 1, 1, 1)).alias("start_date"))
    visit = claims.with_columns(pl.lit("outpatient").alias("care_type"))
    stays = look(claims=pl.concat([claims, late, visit])).stays
    table = {one["condition"]: (one["stays"], one["cost_fen"] // 100) for one in stays.table.to_dicts()}
    assert table == {
        "hypertension": (2, 5), "heart_failure": (1, 2), "diabetes": (0, 0), "copd": (1, 16), "asthma": (0, 0), "all": (4, 23)
    }  # fmt: skip
    assert (stays.spend_fen, stays.all_spend_fen, stays.undiagnosed) == (12_700, 25_400, 1)
    assert stays.own_share == pytest.approx(100 * 23 / 127)
    assert stays.ceiling_share == 8.63
    assert stays.ceiling_fen == int(0.0863 * 12_700)


def test_the_countys_own_share_is_the_ceiling_where_it_is_lower() -> None:
    stays = look(claims=stays_of(("high", "I10", 1_000), ("plain", "K35", 99_000))).stays
    assert stays.ceiling_share == pytest.approx(1.0)
    assert stays.ceiling_fen == 100_000


# Effect


def test_signing_alone_saves_nothing_and_costs_its_papers() -> None:
    arm = look().simulated.arm("signing")
    assert (arm.people, arm.cost) == (2, 2 * SHIPPED["contract_cost"])  # sugar and child
    assert all(one == (0.0, 0.0, 0.0) for one in arm.saved)


def test_the_effect_is_the_avoidable_cost_times_one_less_the_risk() -> None:
    evidence = sure(rr=0.8, delay=1)
    told = look(evidence=evidence, claims=stays_of(("high", "I10", 1_000), ("sugar", "E11", 500), ("old", "J44", 700), ("plain", "K35", 97_800))).simulated  # fmt: skip
    assert told.ceiling == pytest.approx(2_200)
    # COPD is avoidable and part of the ceiling, and nothing is claimed of it.
    assert told.arm("key").base == 1_500
    assert told.arm("key").saved[0] == (0.0, 0.0, 0.0)
    assert told.arm("key").last == pytest.approx((300.0, 300.0, 300.0))
    assert told.arm("signed").last[0] == pytest.approx(200.0)
    hours = 3 * (4 * 20 + 40) / 60
    cost = hours * SHIPPED["hour_cost"] + 3 * SHIPPED["drugs_usual"] + SHIPPED["contract_cost"]
    assert told.arm("key").cost == pytest.approx(cost)
    assert told.arm("key").net == pytest.approx(4 * 300 - 5 * cost)


def test_who_is_served_in_full_gains_nothing_more() -> None:
    contacts = pl.DataFrame([*contacts_of("high", 4, 1), *contacts_of("sugar", 2)])
    told = look(evidence=sure(rr=0.8, delay=1), contacts=contacts).simulated
    assert told.arm("signed").base == 0  # both, who never had a stay
    assert told.arm("key").people == 2
    assert told.arm("key").base == 6_000
    # Of sugar two follow-ups and an examination are still owed, of both everything.
    assert told.arm("key").hours == pytest.approx((2 * 20 + 40 + 4 * 20 + 40) / 60)


def test_hours_limit_whom_it_can_reach() -> None:
    full = look().simulated
    half = look(doctors=pl.DataFrame({"doctor_id": ["d"], "hours": [full.arm("key").hours / 2]})).simulated
    assert half.arm("key").base == pytest.approx(full.arm("key").base / 2)
    assert half.arm("key_unlimited").base == full.arm("key_unlimited").base
    none = look(doctors=pl.DataFrame({"doctor_id": ["d"], "hours": [0.0]})).simulated
    assert none.arm("key").people == 0 and none.arm("key").last == (0.0, 0.0, 0.0)


def test_a_trial_whose_interval_holds_no_effect_gives_one_that_does() -> None:
    mean, low, high = look(claims=stays_of(("high", "I10", 1_000), ("plain", "K35", 99_000))).simulated.arm("key").last
    assert low < 0 < mean < high
    intensive = look(programme="intensive").simulated
    assert intensive.arm("key_unlimited").last[1] > 0
    assert intensive.arm("key_unlimited").base == 4_000  # hypertension alone was on trial


def test_the_ceiling_holds_a_draw_back_and_says_so() -> None:
    told = look(
        evidence=sure(rr=0.2, delay=1), claims=stays_of(("high", "I10", 90_000), ("plain", "K35", 10_000))
    ).simulated
    assert told.ceiling == pytest.approx(8_630)
    assert told.arm("key").last == pytest.approx((8_630.0,) * 3)
    assert told.arm("key").capped == 1.0


def test_the_same_seed_gives_the_same_and_misuse_is_refused() -> None:
    assert look(seed=3).simulated == look(seed=3).simulated
    assert look(seed=3).simulated.arm("key") != look(seed=4).simulated.arm("key")
    for asked, code in (
        ({"programme": "magic"}, "unknown_programme"),
        ({"draws": 5}, "bad_draws"),
        ({"seed": -1}, "bad_seed"),
    ):
        with pytest.raises(UsageError) as caught:
            look(**asked)
        assert caught.value.code == code
    for asked, code in (
        ({"people": PEOPLE.drop("birth_date")}, "missing_column"),
        ({"claims": STAYS.drop("diagnosis")}, "missing_column"),
        ({"year": 2001}, "empty_file"),
        ({"contacts": pl.DataFrame({"person_id": ["high"]})}, "missing_column"),
        ({"contacts": pl.DataFrame({"person_id": ["high"], "date": [1.5], "kind": ["exam"]})}, "wrong_type"),
    ):
        with pytest.raises(InputError) as refused:
            look(**asked)
        assert refused.value.code == code


costs = st.lists(
    st.tuples(st.sampled_from(PEOPLE["person_id"].to_list()), st.sampled_from(["I10", "E11", "I50", "J44", "J45", "K35", None]),
              st.integers(1, 10**6)),
    min_size=1, max_size=12,
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(
    rows=costs,
    rr=st.floats(0.05, 1.5),
    hours=st.floats(0, 20),
    programme=st.sampled_from(PROGRAMMES),
    seed=st.integers(0, 99),
)
def test_no_run_claims_more_than_the_ceiling(rows: Any, rr: float, hours: float, programme: str, seed: int) -> None:
    told = look(
        claims=stays_of(*rows), evidence=sure(rr=rr, delay=1, wide=True), programme=programme, seed=seed, draws=200,
        doctors=pl.DataFrame({"doctor_id": ["d"], "hours": [hours]}),
    )  # fmt: skip
    for arm in told.simulated.arms:
        assert all(high <= told.stays.ceiling_fen / 100 + 1e-6 for _, _, high in arm.saved)
        assert all(low <= high for _, low, high in arm.saved)
        assert arm.base <= told.stays.table["cost_fen"][-1] / 100 + 1e-6
        assert arm.people <= arm.wanted and arm.cost >= 0
    assert told.stays.ceiling_fen <= 0.0863 * told.stays.spend_fen + 1
    assert told.simulated.arm("key").hours <= hours + 1e-9


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(6)), turn=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_number(order: list[int], turn: Any) -> None:
    contacts = [*contacts_of("high", 4, 1), *contacts_of("both", 1), *contacts_of("plain", 1)]
    measured = [{"person_id": "both", "date": date(YEAR, 3, 1), "systolic": 130 + n, "diastolic": 80} for n in (0, 30)]
    given = {"contacts": contacts, "measurements": measured}
    before = look(**{name: pl.DataFrame(rows) for name, rows in given.items()})
    turn.shuffle(contacts)
    turn.shuffle(measured)
    after = look(people=PEOPLE[order], claims=STAYS[::-1], **{name: pl.DataFrame(rows) for name, rows in given.items()})
    assert after.to_dict() == before.to_dict()


def test_it_is_told_in_both_languages_and_names_nobody() -> None:
    contacts = pl.DataFrame(contacts_of("high", 4, 1))
    measured = pl.DataFrame({"person_id": ["high"], "date": ["2025-06-01"], "systolic": [120], "diastolic": [70]})
    found = look(contacts=contacts, measurements=measured, doctors=pl.DataFrame({"doctor_id": ["d"]}))
    for lang in ("en", "zh"):
        sections = found.sections(lang)
        assert len(sections) == 6
        assert all(len(line) == len(one.heads) for one in sections for line in one.rows)
        assert "8.63" in sections[-1].notes[-1]
    assert not any(f"'{name}'" in str(found.to_dict()) for name in ("both", "sugar", "plain"))


def sure(*, rr: float, delay: int, wide: bool = False) -> Evidence:
    """Give evidence whose trials leave nothing open (or much), so that results can be worked out by hand."""
    effects = tuple(
        one if one.programme == "signing"
        else dataclasses.replace(one, rr=rr, low=rr * (0.5 if wide else 1), high=rr * (2 if wide else 1))
        for one in SHIPPED.effects
    )  # fmt: skip
    numbers = {
        **SHIPPED.numbers,
        **{name: dataclasses.replace(SHIPPED.numbers[name], value=delay) for name in ("delay_least", "delay_most")},
    }
    return dataclasses.replace(SHIPPED, effects=effects, numbers=numbers)
