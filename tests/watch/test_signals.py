"""Ask each signal about hand-made households at, just under and just over its line."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import medfloor
from medfloor.errors import InputError, UsageError
from medfloor.intake import read_claims, read_people, read_spells
from medfloor.measures.capacity import EuropeRule, SocietalLine, discretionary, europe_capacity
from medfloor.policy.model import GROUPS
from medfloor.settlement.settle import settle
from medfloor.tables import REASONS
from medfloor.watch.homes import Register
from medfloor.watch.reasons import told
from medfloor.watch.rules import Rules, load_rules
from medfloor.watch.screening import ALERTS, Screening, screen, screen_one
from medfloor.watch.signals import SIGNALS, Signal
from medfloor.words import LANGS, say

DAY = date(2025, 11, 30)
_NO_NUMBERS = ("household_id", "residence")
RULES = load_rules("cn", on=DAY)
INCOME = 4_131_400
"""The shipped income per head of 2024, in fen."""
LINE = 880_000
"""The shipped monitoring line of 2024, which stands in for 2025, in fen a head."""


def home(name: str = "h1", **given: Any) -> dict[str, Any]:
    return {"household_id": name, "size": 2, "income_fen": 20_000_000, "residence": "rural", **given}


def person(name: str = "p1", house: str = "h1", **given: Any) -> dict[str, Any]:
    return {"person_id": name, "household_id": house, **given}


def bill(own: int, who: str = "p1", year: int = 2025, day: date = date(2025, 5, 1), **given: Any) -> dict[str, Any]:
    row = {"person_id": who, "benefit_year": year, "settled_date": day}
    return {**row, "own_in_scope_fen": own, "own_total_fen": own, "pay_assistance_fen": 0, **given}


def frame(rows: list[dict[str, Any]], **kinds: Any) -> pl.DataFrame:
    return pl.DataFrame(rows, schema_overrides=kinds, infer_schema_length=None)


NO_BILL = frame([bill(0)])


def looked(
    homes: list[dict[str, Any]],
    bills: list[dict[str, Any]] | None = None,
    *,
    people: list[dict[str, Any]] | None = None,
    spells: list[tuple[str, str]] | pl.DataFrame | None = None,
    claims: list[dict[str, Any]] | None = None,
    rules: Rules = RULES,
    as_of: date = DAY,
    known: pl.DataFrame | None = None,
) -> Screening:
    if isinstance(spells, list):
        rows = [{"person_id": who, "group": group, "from_date": date(2020, 1, 1)} for who, group in spells]
        spells = frame(rows).with_columns(pl.lit(None, dtype=pl.Date).alias("to_date"))
    register = Register(frame(people or [person()]), frame(homes), spells, None if claims is None else frame(claims))
    settled = frame(bills) if bills else NO_BILL
    return screen(register, settled, rules, year=2025, as_of=as_of, known_alerts=known)


def fired(found: Screening, signal: str) -> list[dict[str, Any]]:
    return found.alerts.filter(pl.col("signal") == signal).to_dicts()


# Burden


@pytest.mark.parametrize(("group", "share", "detail"), [(None, 50, "other"), ("monitored", 25, "poor")])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_own_payments_in_scope_fire_just_over_the_share_of_local_income(
    group: str | None, share: int, detail: str, more: int
) -> None:
    limit = INCOME * share // 100
    found = fired(looked([home()], [bill(limit + more)], spells=[("p1", group)] if group else None), "burden_in_scope")
    assert bool(found) == (more > 0)
    if found:
        assert (found[0]["detail"], found[0]["person_id"], found[0]["allowed_fen"]) == (detail, "p1", limit)
        assert (found[0]["value"], found[0]["threshold"]) == ((limit + 1) / 100, limit / 100)


def test_burden_is_counted_by_person_unless_the_rule_says_by_household(tmp_path: Any) -> None:
    half = INCOME // 2
    people = [person("p1"), person("p2")]
    bills = [bill(half, "p1"), bill(half + 2, "p2")]
    assert [row["person_id"] for row in fired(looked([home()], bills, people=people), "burden_in_scope")] == ["p2"]
    file = tmp_path / "own.toml"
    file.write_text('place = "520102"\n[[signal]]\nsignal = "burden_in_scope"\nfrom = 2025-01-01\nper = "household"\n')
    rules = load_rules(file, on=DAY)
    (row,) = fired(looked([home()], bills, people=people, rules=rules), "burden_in_scope")
    assert (row["person_id"], row["spent_fen"], row["base_fen"]) == (None, 2 * half + 2, 2 * INCOME)
    assert (row["rule"], row["rule_version"]) == ("520102/burden_in_scope", date(2025, 1, 1))


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_medical_share_fires_just_over_half_of_the_income(more: int) -> None:
    found = fired(looked([home(income_fen=2_000_000)], [bill(1_000_000 + more)]), "medical_share")
    assert bool(found) == (more > 0)


def test_a_household_without_income_spends_too_much_with_any_spending() -> None:
    assert fired(looked([home(income_fen=0)], [bill(1)]), "medical_share")
    assert not fired(looked([home(income_fen=0)]), "medical_share")


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize(("name", "food", "limit"), [("budget", 0, 250_000), ("nonfood", 500_000, 200_000)])
def test_catastrophic_spending_fires_just_over_the_line_of_its_definition(
    name: str, food: int, limit: int, more: int
) -> None:
    found = looked([home(consumption_fen=1_000_000, food_fen=food)], [bill(limit + more)])
    rows = [row for row in fired(found, "catastrophic") if name in row["detail"].split(";")]
    assert bool(rows) == (more > 0)


@pytest.mark.parametrize(("own", "met"), [(359_999, False), (360_000, True)])
def test_the_definition_of_who_counts_exactly_forty_per_cent(own: int, met: bool) -> None:
    # Everybody spends the same on food, so nobody is strictly inside the band but by a spread; food below the line counts.
    homes = [home(f"x{n}", size=1, consumption_fen=1_000_000, food_fen=200_000 + 1_000 * n) for n in range(100)]
    mine = home("h1", size=1, consumption_fen=1_000_000, food_fen=100_000)
    found = fired(looked([mine, *homes], [bill(own)]), "catastrophic")
    assert any("who" in row["detail"].split(";") for row in found) == met


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("name", ["europe", "sdg"])
def test_the_other_definitions_fire_just_over_what_measures_says(name: str, more: int) -> None:
    homes = [
        home(f"h{n:02d}", size=1 + n % 4, adults=min(1 + n % 4, 1 + n % 2), children=1 + n % 4 - min(1 + n % 4, 1 + n % 2),
             consumption_fen=(1 + n % 4) * (4_000_000 + 20_000 * n), food_fen=500_000 + 9_000 * n, housing_fen=200_000 + 1_000 * n,
             utilities_fen=100_000)
        for n in range(60)
    ]  # fmt: skip
    told = {key: np.array([one[key] for one in homes], float) for key in homes[0] if key not in _NO_NUMBERS}
    ones = np.ones(len(homes))
    if name == "europe":
        basic = told["food_fen"] + told["housing_fen"] + told["utilities_fen"]
        can = europe_capacity(told["consumption_fen"], basic, told["adults"], told["children"], ones, EuropeRule())
    else:
        line = SocietalLine.of(2017, ppp=RULES["catastrophic"]["sdg_ppp"].value * 100, days=365)
        can = discretionary(told["consumption_fen"], told["size"], told["size"], line)
    allowed = [int(np.floor(one)) * 4000 // 10_000 for one in can.amount]
    assert min(allowed) > 0
    people = [person(f"p{n:02d}", one["household_id"]) for n, one in enumerate(homes)]
    bills = [bill(fen + more, f"p{n:02d}") for n, fen in enumerate(allowed)]
    met = [name in row["detail"].split(";") for row in fired(looked(homes, bills, people=people), "catastrophic")]
    assert sum(met) == more * len(homes)


def test_a_rise_fires_just_over_last_years_payments_and_the_income() -> None:
    for more in (-1, 0, 1):
        bills = [bill(30_000, year=2024, day=date(2024, 5, 1)), bill(1_030_000 + more)]
        found = looked([home(income_fen=1_000_000)], bills)
        assert bool(fired(found, "rigid_jump")) == (more > 0)


def test_without_the_year_before_no_rise_is_asked_for() -> None:
    found = looked([home(income_fen=100)], [bill(9_000_000)])
    assert not fired(found, "rigid_jump")
    assert "rigid_jump" in found.households["not_asked"][0].split(";")


# Poverty


def test_without_any_spending_income_alone_is_no_matter_of_care() -> None:
    found = looked([home(income_fen=2 * LINE - 1)])
    assert not fired(found, "after_medical") and fired(found, "monitored_edge")


@pytest.mark.parametrize("more", [-1, 0])
def test_a_household_exactly_at_the_line_is_above_it(more: int) -> None:
    found = looked([home(income_fen=2 * LINE + more)], [bill(100)])
    kinds = {name: bool(fired(found, name)) for name in ("monitored_edge", "monitored_sudden")}
    assert kinds == {"monitored_edge": more < 0, "monitored_sudden": more == 0}


@pytest.mark.parametrize("more", [0, 1])
def test_a_surge_alone_is_sudden_difficulty_just_over_its_line(more: int) -> None:
    # Income far above the line: a year's income on top of last year's payments, paid out of savings of others.
    rules = replace(RULES, rules=tuple(
        replace(one, values={"share": replace(one["share"], value=50.0)}) if one.signal == "monitored_sudden" else one
        for one in RULES.rules
    ))  # fmt: skip
    bills = [bill(30_000, year=2024, day=date(2024, 5, 1)), bill(10_030_000 + more)]
    rows = fired(looked([home()], bills, rules=rules), "monitored_sudden")
    assert [row["detail"] for row in rows] == ["jump"] * more


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_income_after_care_fires_just_under_the_line(more: int) -> None:
    found = looked([home(income_fen=2 * LINE + 50_000)], [bill(50_000 + more)])
    rows = fired(found, "after_medical")
    assert bool(rows) == (more > 0)
    assert bool(fired(found, "monitored_sudden")) == (more > 0)
    if rows:
        assert (rows[0]["threshold"], rows[0]["allowed_fen"]) == (LINE / 100, 50_000)


@pytest.mark.parametrize("more", [-1, 0, 1])
@pytest.mark.parametrize(
    ("spells", "signal"), [([("p1", "registered_poor")], "monitored_unstable"), (None, "monitored_edge")]
)
def test_income_under_the_line_names_the_kind_of_household(
    spells: list[tuple[str, str]] | None, signal: str, more: int
) -> None:
    found = looked([home(income_fen=2 * LINE + more)], spells=spells)
    kinds = [name for name in SIGNALS if name.startswith("monitored_") and fired(found, name)]
    assert kinds == ([signal] if more < 0 else [])


@pytest.mark.parametrize("group", ["monitored", "dibao", "tekun"])
def test_who_is_helped_already_is_not_found_again_as_poor(group: str) -> None:
    found = looked([home(income_fen=100)], [bill(10)], spells=[("p1", group)])
    assert found.alerts.filter(pl.col("kind") == "poverty").is_empty()


def test_an_urban_household_is_no_monitored_household_but_its_income_is_seen() -> None:
    found = looked([home(income_fen=2 * LINE, residence="urban")], [bill(100)])
    assert fired(found, "after_medical")
    assert not fired(found, "monitored_sudden")


# Insurance, assistance, care


def test_a_poor_person_without_insurance_is_found_and_another_is_not() -> None:
    people = [person("p1", scheme="none"), person("p2", scheme="none"), person("p3", enrolled_to=DAY)]
    rows = fired(looked([home()], people=people, spells=[("p1", "dibao"), ("p3", "tekun")]), "not_enrolled")
    assert [(row["person_id"], row["value"]) for row in rows] == [("p1", 1.0)]


@pytest.mark.parametrize(("last", "out"), [(DAY, 0), (DAY - timedelta(1), 1)])
def test_the_last_day_of_enrolment_still_counts(last: date, out: int) -> None:
    people = [person("p1", enrolled_to=last)]
    assert len(fired(looked([home()], people=people, spells=[("p1", "dibao")]), "not_enrolled")) == out


@pytest.mark.parametrize(
    ("group", "own", "paid", "out"),
    [
        ("dibao", 0, 0, 0), ("dibao", 1, 0, 1), ("dibao", 1, 1, 0), ("dibao_marginal", INCOME // 10, 0, 0),
        ("dibao_marginal", INCOME // 10 + 1, 0, 1), ("illness_poor", INCOME // 4, 0, 0),
        ("illness_poor", INCOME // 4 + 1, 0, 1), ("registered_poor", 9_000_000, 0, 0),
    ],
)  # fmt: skip
def test_assistance_is_missed_when_a_status_bore_more_than_its_deductible(
    group: str, own: int, paid: int, out: int
) -> None:
    found = looked([home()], [bill(own, pay_assistance_fen=paid)], spells=[("p1", group)])
    assert len(fired(found, "missed_assistance")) == out


def test_assistance_is_missed_only_on_days_of_the_status() -> None:
    spell = {"person_id": "p1", "group": "dibao", "from_date": date(2025, 5, 1), "to_date": date(2025, 5, 31)}
    for day, out in ((date(2025, 4, 30), 0), (date(2025, 5, 1), 1), (date(2025, 5, 31), 1), (date(2025, 6, 1), 0)):
        assert len(fired(looked([home()], [bill(100, day=day)], spells=frame([spell])), "missed_assistance")) == out


def test_what_settling_again_would_pay_is_missed_to_the_fen() -> None:
    (row,) = fired(looked([home()], [bill(500, due_fen=123)]), "missed_assistance")
    assert (row["detail"], row["spent_fen"]) == ("resettled", 123)


def test_a_settlement_taken_back_counts_for_nothing() -> None:
    bills = [bill(9_000_000), bill(-9_000_000, day=date(2025, 6, 1))]
    assert looked([home()], bills, spells=[("p1", "dibao")]).alerts.is_empty()


@pytest.mark.parametrize(("last", "out"), [(date(2025, 5, 29), 1), (date(2025, 5, 30), 0)])
def test_absent_care_fires_after_half_a_year_and_stands_apart(last: date, out: int) -> None:
    claims = [
        {"person_id": "p1", "start_date": last, "diagnosis": "I10.x", "care_type": "outpatient"},
        {"person_id": "p2", "start_date": date(2025, 11, 20), "diagnosis": "J06.9", "care_type": "outpatient"},
        {"person_id": "p2", "start_date": date(2025, 1, 20), "diagnosis": "S72.0", "care_type": "outpatient"},
    ]
    found = looked([home()], people=[person("p1"), person("p2")], claims=claims)
    assert found.absent["person_id"].to_list() == ["p1"] * out
    assert found.burdened.is_empty()
    assert "I10" not in str(found.alerts.to_dicts()), "an alert holds no diagnosis"


def test_nobody_is_absent_where_claims_end_months_before() -> None:
    claims = [{"person_id": "p1", "start_date": date(2025, 1, 1), "diagnosis": "I10", "care_type": "outpatient"}]
    found = looked([home()], claims=claims)
    assert found.absent.is_empty()
    assert "absent_care" in found.households["not_asked"][0].split(";")


# Time, repetition, one household


HARD = [home("h1", income_fen=1_000_000, consumption_fen=900_000, food_fen=100_000), home("h2")]
HARD_BILLS = [bill(2_200_000), bill(10, "p2"), bill(5, year=2024, day=date(2024, 1, 1))]
TWO = [person("p1"), person("p2", "h2")]


def test_what_is_settled_after_the_day_is_not_seen() -> None:
    found = looked([home()], [bill(9_000_000, day=DAY + timedelta(1))])
    assert found.alerts.is_empty()
    assert found.counts["other"] == 1


def test_a_screening_repeated_in_the_month_raises_no_second_alert() -> None:
    first = looked(HARD, HARD_BILLS, people=TWO)
    assert first.alerts.height >= 4
    for day in (DAY, date(2025, 12, 15)):
        again = looked(HARD, HARD_BILLS, people=TWO, known=first.alerts, as_of=day)
        assert again.alerts.is_empty()
        assert again.suppressed["signal"].to_list() == first.alerts["signal"].to_list()
    assert again.households["suppressed"].to_list() == [first.alerts.height, 0]


def test_the_last_day_of_the_window_is_silent_and_the_next_is_not() -> None:
    first = looked([home()], [bill(INCOME)]).alerts.filter(pl.col("signal") == "burden_in_scope")
    until = first["suppressed_until"][0]
    assert until == DAY + timedelta(RULES["burden_in_scope"].window_days)
    for day, out in ((until, 0), (until + timedelta(1), 1)):
        assert len(fired(looked([home()], [bill(INCOME)], known=first, as_of=day), "burden_in_scope")) == out


def test_a_window_ends_early_when_it_becomes_much_worse_and_once_only() -> None:
    limit = INCOME // 2
    first = looked([home()], [bill(limit + 100)]).alerts
    little = looked([home()], [bill(limit + limit // 4)], known=first)
    assert not fired(little, "burden_in_scope")
    much = looked([home()], [bill(2 * limit)], known=first)
    assert len(fired(much, "burden_in_scope")) == 1
    both = pl.concat([first, much.alerts])
    assert looked([home()], [bill(2 * limit)], known=both).alerts.is_empty()


@pytest.mark.parametrize(("excess", "again"), [(0.999, 0), (1.0, 1)])
def test_exactly_so_much_worse_ends_the_window(excess: float, again: int) -> None:
    known = frame([{"household_id": "h1", "signal": "burden_in_scope", "suppressed_until": DAY, "excess": 0.5}])
    limit = INCOME // 2
    found = looked([home()], [bill(round(limit * (1 + excess)))], known=known)
    assert len(fired(found, "burden_in_scope")) == again


def test_an_alert_is_urgent_by_how_far_it_is_beyond_the_line() -> None:
    limit = INCOME // 2
    urgency = [fired(looked([home()], [bill(limit * n // 2)]), "burden_in_scope")[0]["urgency"] for n in (3, 4)]
    assert fired(looked([home()], [bill(limit + 1)]), "burden_in_scope")[0]["urgency"] == "routine"
    assert urgency == ["soon", "urgent"]


@pytest.mark.parametrize("name", ["h1", "h2"])
def test_one_household_is_screened_as_among_all(name: str) -> None:
    more = [home(f"x{n}", size=1, consumption_fen=1_000_000, food_fen=300_000 + 1_000 * n) for n in range(50)]
    register = Register(frame(TWO), frame([*HARD, *more]))
    settled = frame(HARD_BILLS)
    whole = screen(register, settled, RULES, year=2025, as_of=DAY)
    one = screen_one(register, settled, RULES, household_id=name, standing=whole.standing, year=2025, as_of=DAY)
    assert one.alerts.equals(whole.alerts.filter(pl.col("household_id") == name))
    assert "who" in whole.standing.levels
    with pytest.raises(UsageError, match="no household 'h9'"):
        screen_one(register, settled, RULES, household_id="h9", standing=whole.standing, year=2025, as_of=DAY)


# Rows that cannot be used, and numbers that are missing


def test_rows_that_cannot_be_used_come_back_with_a_reason() -> None:
    homes = [home(), home("h1", size=3), home(None), home("h3", size=0)]  # type: ignore[arg-type]
    people = [person(), person("p2", None)]  # type: ignore[arg-type]
    bills = [bill(1), bill(1, "p9"), bill(None), bill(1, "p2")]  # type: ignore[arg-type]
    found = looked(homes, bills, people=people)
    reasons = found.rejected.select("table", "reason").rows()
    assert sorted(reasons) == [
        ("households", "bad_number"), ("households", "missing_value"), ("households", "repeated_row"),
        ("people", "missing_value"), ("settlements", "missing_value"), ("settlements", "unknown_person"),
        ("settlements", "unknown_person"),
    ]  # fmt: skip
    assert {reason for _, reason in reasons} <= set(REASONS)
    counts = found.counts
    assert counts["settlements"] == counts["used"] + counts["previous"] + counts["other"] + counts["rejected"] == 4


def test_an_income_that_is_not_known_is_told_and_the_burden_is_still_seen() -> None:
    found = looked([home(income_fen=None), home("h2")], [bill(9_000_000)], people=TWO)
    asked = found.households.filter(pl.col("household_id") == "h1")["not_asked"][0].split(";")
    assert {"medical_share", "after_medical", "monitored_edge"} <= set(asked)
    assert fired(found, "burden_in_scope")


def test_a_household_that_only_its_members_name_is_watched_too() -> None:
    found = looked([home("h2")], [bill(9_000_000)])
    assert set(found.households["household_id"]) == {"h1", "h2"}
    assert fired(found, "burden_in_scope")


def test_codes_of_the_program_and_words_are_read_alike() -> None:
    coded = frame([person(scheme=2)], scheme=pl.UInt8)
    spells = frame([{"person_id": "p1", "group": "dibao"}])
    found = screen(Register(coded, frame([home()]), spells), NO_BILL, RULES, year=2025, as_of=DAY)
    assert fired(found, "not_enrolled")


def test_a_table_without_its_columns_or_with_yuan_is_refused() -> None:
    with pytest.raises(InputError, match="own_in_scope_fen"):
        screen(Register(frame([person()]), frame([home()])), frame([{"person_id": "p1", "benefit_year": 2025,
               "settled_date": DAY}]), RULES, year=2025, as_of=DAY)  # fmt: skip
    with pytest.raises(InputError, match="whole fen"):
        looked([home(income_fen=1.5)])


# Words


@pytest.mark.parametrize("lang", LANGS)
def test_every_signal_says_why_and_what_would_have_kept_it(lang: str) -> None:
    claims = [
        {"person_id": "p1", "start_date": date(2025, 1, 1), "diagnosis": "I10", "care_type": "outpatient"},
        {"person_id": "p2", "start_date": DAY, "diagnosis": "J06", "care_type": "outpatient"},
    ]
    people = [person("p1"), person("p2", "h2", scheme="none"), person("p3", "h3"), person("p4", "h4")]
    homes = [*HARD, home("h3", income_fen=1), home("h4")]
    bills = [*HARD_BILLS, bill(500, "p2"), bill(18_500_000, "p4")]
    spells = [("p2", "dibao"), ("p3", "registered_poor")]
    found = told(looked(homes, bills, people=people, spells=spells, claims=claims).alerts, lang)
    assert set(found["signal"]) == set(SIGNALS)
    assert found["why"].null_count() == 0
    assert not found["why"].str.contains(r"[{}]").any()
    assert (found["unless"].str.len_chars() > 5).all()


@pytest.mark.parametrize("signal", ["burden_in_scope", "medical_share", "catastrophic", "after_medical", "rigid_jump"])
def test_with_the_amount_that_is_said_it_does_not_fire_and_with_a_fen_more_it_does(signal: str) -> None:
    homes = [home(income_fen=3_000_000, consumption_fen=2_500_000, food_fen=700_000)]
    before = bill(5_000, year=2024, day=date(2024, 1, 1))
    (row,) = fired(looked(homes, [bill(7_000_000), before]), signal)
    assert not fired(looked(homes, [bill(row["allowed_fen"]), before]), signal)
    assert fired(looked(homes, [bill(row["allowed_fen"] + 1), before]), signal)


def test_an_alert_as_a_record_keeps_its_numbers() -> None:
    (row,) = fired(looked([home()], [bill(INCOME)]), "burden_in_scope")
    signal = Signal.of(row)
    assert (signal.code, signal.kind, signal.spent_fen, signal.rule) == (
        "burden_in_scope", "burden", INCOME, "cn/burden_in_scope",
    )  # fmt: skip
    assert signal.rule_version == date(2021, 10, 28)


def test_alerts_have_their_columns_also_when_there_are_none() -> None:
    assert looked([home()]).alerts.schema == pl.Schema(ALERTS)


@pytest.mark.parametrize("lang", LANGS)
def test_every_signal_kind_and_urgency_has_a_word(lang: str) -> None:
    for rule in RULES.rules:
        assert say(f"watch_signal.{rule.signal}", lang)
        assert say(f"watch_kind.{rule.kind}", lang)


# What settlement gives


def test_the_shipped_sample_settled_is_screened_as_it_comes() -> None:
    sample = Path(medfloor.__file__).parent / "sample" / "beijing"
    files = [str(sample / f"{name}.csv") for name in ("claims", "people", "spells")]
    settled = settle(files[0], files[1], files[2], "cn/beijing", engine="reference").fen
    people = read_people(str(sample / "people.csv")).accepted
    spells = read_spells(str(sample / "spells.csv"), [*GROUPS, "special_disease"]).accepted
    claims = read_claims(str(sample / "claims.csv")).accepted
    year = int(settled["benefit_year"].max())  # type: ignore[arg-type]
    homes = people.select("household_id").unique()
    day = date(year, 12, 31)
    found = screen(Register(people, homes, spells, claims), settled, load_rules("cn", on=day), year=year, as_of=day)
    assert found.rejected.is_empty()
    assert found.counts["used"] == settled.filter(pl.col("benefit_year") == year).height
    assert (
        found.households["own_total_fen"].sum() == settled.filter(pl.col("benefit_year") == year)["own_total_fen"].sum()
    )
    assert set(found.alerts["signal"]) <= set(SIGNALS)
