"""Steps of benefits: bounded, one a year, never under the floor, never at the cost of the poor; and both loops."""

from __future__ import annotations

import dataclasses
import itertools
import json
import statistics

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError
from medfloor.fund import adjust, decide, national, read_steps, shipped_series, shipped_steps, sign
from medfloor.fund.adjustment import controls
from medfloor.fund.floors import law_number, moving_benefits
from medfloor.fund.projection import draw, one_year, prepare
from medfloor.fund.steps import _FILE, Seen, State, begin, step

TEXT = _FILE.read_text(encoding="utf-8")
TABLE = shipped_steps()

months = st.floats(-40, 40)
margins = st.floats(-60, 60)
trends = st.floats(-10, 10)
years = st.lists(st.tuples(months, margins, trends), min_size=1, max_size=25)


def seen(year: tuple[float, float, float]) -> Seen:
    return Seen(*(np.array([one]) for one in year))


def walked(history: list[tuple[float, float, float]]) -> list[State]:
    states = [begin(TABLE, 1)]
    for year in history:
        states.append(step(TABLE, states[-1], seen(year)).after)
    return states


@settings(max_examples=50)
@given(years)
def test_no_history_leads_under_a_floor_or_past_a_bound(history: list[tuple[float, float, float]]) -> None:
    for state in walked(history):
        for place, one in enumerate(TABLE.benefits):
            value = one.sense * state.values[place, 0]
            # Steps are added and taken off as doubles, a few dozen times.
            assert one.sense * one.floor.value - 1e-9 <= value <= one.sense * one.bound + 1e-9


@settings(max_examples=50)
@given(years)
def test_at_most_one_benefit_moves_a_year_and_by_at_most_its_step(history: list[tuple[float, float, float]]) -> None:
    states = walked(history)
    for before, after in itertools.pairwise(states):
        moved = np.abs(after.values - before.values)[:, 0]
        assert (moved > 1e-9).sum() <= 1
        for place, one in enumerate(TABLE.benefits):
            assert moved[place] <= one.steps["alarm"] + 1e-9


@settings(max_examples=50)
@given(years)
def test_the_poor_are_never_cut_and_never_below_others(history: list[tuple[float, float, float]]) -> None:
    states = walked(history)
    for before, after in itertools.pairwise(states):
        for place, one in enumerate(TABLE.benefits):
            assert one.sense * after.poor[place, 0] >= one.sense * before.poor[place, 0]
            assert one.sense * after.poor[place, 0] >= one.sense * after.values[place, 0]


@settings(max_examples=50)
@given(years, months, st.floats(0, 40), margins, trends)
def test_more_months_of_payment_never_mean_less_for_anybody(
    history: list[tuple[float, float, float]], held: float, more: float, margin: float, trend: float
) -> None:
    state = walked(history)[-1]
    less = step(TABLE, state, seen((held, margin, trend))).after
    richer = step(TABLE, state, seen((held + more, margin, trend))).after
    for place, one in enumerate(TABLE.benefits):
        assert one.sense * richer.values[place, 0] >= one.sense * less.values[place, 0] - 1e-9
        assert one.sense * richer.poor[place, 0] >= one.sense * less.poor[place, 0] - 1e-9


def test_down_is_fast_and_up_is_slow() -> None:
    good, bad = (12.0, 5.0, 0.5), (2.0, -9.0, -1.0)
    first, second = walked([good, good])[1:]
    assert (first.values == begin(TABLE, 1).values).all()
    assert second.values[2, 0] == 1
    cut = walked([bad])[-1]
    assert cut.values[0, 0] == 72.4 - 1.5
    # One bad year starts the waiting anew.
    assert walked([good, bad, good])[-1].waited[0] == 1


def test_unknown_margin_and_trend_hold_for_no_condition() -> None:
    unknown = Seen(np.array([12.0]), np.array([np.nan]), np.array([np.nan]))
    assert step(TABLE, begin(TABLE, 1), unknown).row[0] == -1


def test_what_the_poor_keep_is_paid_to_them_alone() -> None:
    state = dataclasses.replace(begin(TABLE, 1), values=np.array([[70.0], [50.0], [0.0]]),
                                poor=np.array([[74.0], [45.0], [2.0]]))  # fmt: skip
    asked = controls(TABLE, state)
    extra = TABLE.benefits[2].effect / 100
    assert asked.ratio == pytest.approx(70 / 72.4)
    assert asked.ratio_assisted + asked.extra == pytest.approx(74 / 72.4 + 2 * extra)
    assert asked.critical == pytest.approx(1.0)
    assert asked.critical_assisted == pytest.approx((45 / 50) ** -1.35)


def test_cuts_cost_the_poor_nothing_in_the_projection() -> None:
    setting = prepare(national(), 1)
    drivers = draw(setting, 5, np.random.default_rng(1))
    reserve = np.repeat(setting.basis.reserve[:, None], 5, axis=1)
    state = step(TABLE, begin(TABLE, 5), Seen(np.full(5, 2.0), np.full(5, -9.0), np.full(5, -1.0))).after
    plain, cut = (one_year(setting, drivers, 0, reserve, asked) for asked in (None, controls(TABLE, state)))
    poor = setting.expected[1, 0, :, 1] @ (setting.trend[1][:, None] * drivers.care[:, 0]) * drivers.members[0]
    saved = plain.of("benefits", "basic") - cut.of("benefits", "basic")
    ordinary = plain.of("benefits", "basic") / setting.paid[1] - poor
    # Sums of a few thousand doubles.
    assert saved == pytest.approx(setting.paid[1] * ordinary * 1.5 / 72.4, rel=1e-9)


# Floors and law


def test_floors_are_the_numbers_of_the_policy_library_with_their_words() -> None:
    ratio, deductible, _ = TABLE.benefits
    assert ratio.floor == law_number("cn/national@2025-01-01", "parameters/county_inpatient_rate/amount")
    assert "stable at around 70%" in ratio.floor.quote
    assert "half of the per capita disposable income" in deductible.floor.quote
    assert {ratio.floor.trust, deductible.floor.trust} == {"secondary"}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('path = "parameters/county_inpatient_rate/amount" }', 'path = "nowhere" }', "bad_step_table"),
        ('floor = { policy = "cn/national@2025-01-01", path = "parameters/county_inpatient_rate/amount" }',
         'floor = { value = 60, source = "ours", trust = "yours" }', "under_floor"),
        ('floor = { policy = "cn/national@2025-01-01", path = "tiers/critical_illness/parts/year/deductible/amount" }',
         'floor = { value = 60, source = "ours", trust = "yours" }', "under_floor"),
        ("alarm = 1.5, down = 1.0, up = 0.5", "alarm = 0.5, down = 1.0, up = 0.5", "bad_step_table"),
        ("alarm = 1.5, down = 1.0, up = 0.5", "alarm = 1.5, down = 1.0, up = 0", "bad_step_table"),
        ("{ months_below = 3 }", "{ months_at_least = 3 }", "bad_step_table"),
        ('step = "alarm"', 'step = "up"', "bad_step_table"),
        ('step = "alarm"', 'step = "sideways"', "bad_step_table"),
        ("wait = 2", "wait = 0", "bad_step_table"),
        ("scatter = 0.743", "scatter = -1", "bad_step_table"),
        ("scatter = 0.743", "scatter = true", "bad_step_table"),
        ("schema = 1", "schema = 2", "bad_step_table"),
        ('"diseases", "deductible", "ratio"]', '"diseases", "ratio", "ratio"]', "bad_step_table"),
        ("bound = 80", "bound = 60", "bad_step_table"),
        ("line = 6", "line = [", "bad_step_table"),
        ("line = 6\n", "", "bad_step_table"),
        ('moves = "extra"', 'moves = "critical"', "bad_step_table"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_is_refused_with_its_place(old: str, new: str, code: str) -> None:
    assert old in TEXT
    with pytest.raises(InputError) as error:
        read_steps(TEXT.replace(old, new, 1), where="mine.toml")
    assert error.value.code == code
    assert "mine.toml" in str(error.value)


def test_a_kinder_floor_than_the_national_one_is_taken() -> None:
    text = TEXT.replace(
        'floor = { policy = "cn/national@2025-01-01", path = "parameters/county_inpatient_rate/amount" }',
        'floor = { value = 71, source = "the city", trust = "yours" }',
    )
    assert read_steps(text).benefits[0].floor.value == 71


def test_a_benefit_that_starts_under_its_floor_is_never_cut() -> None:
    table = TABLE.with_start({"ratio": 66.0})
    found = step(table, begin(table, 1), seen((1.0, -20.0, -3.0)))
    assert found.after.values[0, 0] == 66.0
    told = [one.say("en") for one in adjust(national(), table, years=1, paths=2).said()]
    assert any("lies under the floor of 70" in one for one in told)


@pytest.mark.parametrize("starts", [{"nothing": 1.0}, {"ratio": -1.0}, {"ratio": 90.0}, {"deductible": 0.0}])
def test_an_impossible_start_is_refused(starts: dict[str, float]) -> None:
    with pytest.raises(InputError) as error:
        TABLE.with_start(starts)
    assert error.value.code == "bad_step_table"


def test_the_scatter_is_that_of_the_published_months() -> None:
    book = shipped_series()
    held = [round(12 * book["cumulative"].value(y) / book["spending"].value(y), 1) for y in range(2020, 2026)]
    changes = [after - before for before, after in itertools.pairwise(held)]
    # Printed with three decimals, from months with one.
    assert statistics.stdev(changes) == pytest.approx(TABLE.scatter, abs=0.0006)


def test_what_the_law_moves_by_itself_is_shown_with_its_words_and_trust() -> None:
    found = moving_benefits()
    assert found.filter(pl.col("quote") == "").is_empty()
    nanchang = found.filter(pl.col("policy").str.contains("nanchang") & pl.col("path").str.contains("growth/"))
    assert sorted(nanchang["value"]) == [4, 20, 3000, 3000]


# Loops and records


@pytest.fixture(scope="module")
def loops() -> object:
    return adjust(national(given={"reserve.start": 5.0}), years=20, paths=200)


def test_the_closed_loop_holds_the_fund_longer_than_the_open_one(loops) -> None:  # type: ignore[no-untyped-def]
    last = loops.frame.row(-1, named=True)
    assert last["closed_trend"] > last["open_trend"]
    assert (loops.frame["below_closed"] <= loops.frame["below_open"] + 1e-9).all()
    assert loops.frame.height == 20
    shares = loops.frame.select(pl.sum_horizontal("cut", "raised", "held_at_floor")).to_series()
    assert shares.is_between(0, 1 + 1e-9).all()


def test_the_same_seed_gives_the_same_loops(loops) -> None:  # type: ignore[no-untyped-def]
    again = adjust(national(given={"reserve.start": 5.0}), years=20, paths=200)
    assert again.frame.equals(loops.frame)
    assert again.decision == loops.decision


def test_the_first_decision_needs_no_path_and_is_the_same(loops) -> None:  # type: ignore[no-untyped-def]
    assert decide(national(given={"reserve.start": 5.0})) == loops.decision
    assert loops.decision.row == "low"


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_decision_says_why_in_words(loops, lang: str) -> None:  # type: ignore[no-untyped-def]
    for one in loops.trend:
        said = one.text(lang).splitlines()
        assert len(said) >= 3
        assert not any("{" in line for line in said)
    assert loops.text(lang)
    assert json.dumps(loops.to_dict(lang), allow_nan=False)


def test_a_record_is_signed_once_and_only_as_it_was_written() -> None:
    record = decide(national()).record()
    signed = sign(record, by="Li", on="2025-12-01", accepted=False, note="wait")
    assert signed["signature"] == {"by": "Li", "on": "2025-12-01", "accepted": False, "note": "wait"}
    changed = json.loads(json.dumps(record))
    changed["proposal"]["after"]["ratio"] = 99
    for wrong, code in ((signed, "record_signed"), (changed, "record_changed"), ({}, "bad_record")):
        with pytest.raises(InputError) as error:
            sign(wrong, by="Li", on="2025-12-01", accepted=True)
        assert error.value.code == code
