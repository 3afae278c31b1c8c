"""Steps of benefits: bounded, one a year, never under the floor, never at the cost of the poor; and both loops."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import statistics

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError
from medfloor.fund import adjust, decide, national, read_steps, shipped_series, shipped_steps, sign
from medfloor.fund.adjustment import _Loop, controls
from medfloor.fund.floors import law_number, moving_benefits
from medfloor.fund.projection import draw, one_year, prepare, project
from medfloor.fund.steps import _FILE, SIZES, Seen, State, begin, step

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
    assert second.values[2, 0] == 11
    cut = walked([bad])[-1]
    assert (cut.values[0, 0], cut.values[2, 0]) == (72.4, 8)
    short = TABLE.with_start({"diseases": 5.0})
    assert step(short, begin(short, 1), seen(bad)).after.values[0, 0] == 72.4 - 1.5
    # One bad year starts the waiting anew.
    assert walked([good, bad, good])[-1].waited[0] == 1


def test_unknown_margin_and_trend_hold_for_no_condition() -> None:
    unknown = Seen(np.array([12.0]), np.array([np.nan]), np.array([np.nan]))
    assert step(TABLE, begin(TABLE, 1), unknown).row[0] == -1


def test_what_the_poor_keep_is_paid_to_them_alone() -> None:
    state = dataclasses.replace(begin(TABLE, 1), values=np.array([[70.0], [50.0], [8.0]]),
                                poor=np.array([[74.0], [45.0], [12.0]]))  # fmt: skip
    asked = controls(TABLE, state)
    extra = TABLE.benefits[2].effect / 100
    assert asked.ratio == pytest.approx(70 / 72.4)
    assert asked.extra == pytest.approx(-2 * extra)
    assert asked.ratio_assisted + asked.extra == pytest.approx(74 / 72.4 + 2 * extra)
    assert asked.critical == pytest.approx(1.0)
    assert asked.critical_assisted == pytest.approx((45 / 50) ** -1.35)


@pytest.mark.parametrize(("diseases", "cut_by"), [(5.0, 1.5 / 72.4), (10.0, 2 * 0.2 / 100)], ids=["ratio", "list"])
def test_cuts_cost_the_poor_nothing_in_the_projection(diseases: float, cut_by: float) -> None:
    table = TABLE.with_start({"diseases": diseases})
    setting = prepare(national(), 1)
    drivers = draw(setting, 5, np.random.default_rng(1))
    reserve = np.repeat(setting.basis.reserve[:, None], 5, axis=1)
    state = step(table, begin(table, 5), Seen(np.full(5, 2.0), np.full(5, -9.0), np.full(5, -1.0))).after
    plain, cut = (one_year(setting, drivers, 0, reserve, asked) for asked in (None, controls(table, state)))
    poor = setting.expected[1, 0, :, 1] @ (setting.trend[1][:, None] * drivers.care[:, 0]) * drivers.members[0]
    saved = plain.of("benefits", "basic") - cut.of("benefits", "basic")
    ordinary = plain.of("benefits", "basic") / setting.paid[1] - poor
    # Sums of a few thousand doubles.
    assert saved == pytest.approx(setting.paid[1] * ordinary * cut_by, rel=1e-9)


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
        ("bound = 14", "bound = 15", "bad_step_table"),
        ("bound = 14", "bound = 13.5", "bad_step_table"),
        ("start = 10", "start = 9.5", "bad_step_table"),
        ("{ alarm = 2, down = 1, up = 1 }", "{ alarm = 1.5, down = 1, up = 1 }", "bad_step_table"),
        ('id = "diabetes"', 'id = "hypertension"', "bad_step_table"),
        ('en = "diabetes" }', 'fr = "diabète" }', "bad_step_table"),
        ('en = "diabetes" } }', 'en = "diabetes" }, cost = -1 }', "bad_step_table"),
        ('en = "diabetes" } }', 'en = "diabetes" }, price = 1 }', "bad_step_table"),
        ('was found" }, trust = "assumption" }', 'was found" }, trust = "mine" }', "bad_step_table"),
        ('floor = { value = 5, source = { zh', 'floor = { value = 5, source = { fr', "bad_step_table"),
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


@pytest.mark.parametrize(
    ("starts", "told"),
    [
        ({"nothing": 1.0}, "the table has no nothing; use deductible, diseases, ratio"),
        ({"ratio": -1.0}, "give a number above 0"),
        ({"ratio": float("nan")}, "give a number above 0"),
        ({"ratio": 101.0}, "kinder than the kindest of the table, 80 (%); give at most 80"),
        ({"deductible": 0.0}, "give a number above 0"),
        ({"deductible": 20.0}, "give at least 30"),
        ({"diseases": 15.0}, "give at most 14"),
        ({"diseases": 3.5}, "how many of the list's 14 are in; give a whole number"),
    ],
)
def test_an_impossible_start_is_refused_with_what_is_possible(starts: dict[str, float], told: str) -> None:
    with pytest.raises(InputError) as error:
        TABLE.with_start(starts)
    assert error.value.code == "bad_step_table"
    assert told in str(error.value)


# The list of diseases


def test_the_list_lets_its_last_go_first_and_takes_in_the_next() -> None:
    good, bad = (12.0, 5.0, 0.5), (2.0, -9.0, -1.0)
    diseases = TABLE.benefits[2]
    states = walked([good, good, bad])
    listed = [diseases.listed(float(state.values[2, 0])) for state in states]
    assert listed[2] == (*listed[0], "mental")
    # An alarm takes two off: the one that came last, and the last of before.
    assert listed[3] == listed[0][:-1]
    assert diseases.listed(float(states[3].poor[2, 0])) == listed[2]


def test_a_decision_names_the_diseases_that_move_in_words_and_in_its_record() -> None:
    found = decide(national(given={"reserve.start": 4.0}))
    assert found.benefit == "diseases"
    listed = found.record()["proposal"]["listed"]["diseases"]
    assert set(listed["before"]) - set(listed["after"]) == {"rheumatoid", "spondylitis"}
    assert listed["after_poor"] == listed["before"]
    assert "lets go: rheumatoid arthritis, ankylosing spondylitis" in found.text("en")
    assert "调出：类风湿关节炎、强直性脊柱炎" in found.text("zh")


def test_a_disease_with_a_cost_of_its_own_moves_the_fund_by_it() -> None:
    table = read_steps(TEXT.replace('en = "ankylosing spondylitis" } }', 'en = "x" }, cost = 1.5 }'))
    # The tenth costs 1.5 % of benefits, the ninth the 0.2 % of all.
    assert table.benefits[2].costs(np.array([10.0, 9.0, 8.0, 11.0])) == pytest.approx([0, -1.5, -1.7, 0.2])


def test_a_table_without_a_list_counts_what_is_added() -> None:
    at = TEXT.index("list = [")
    table = read_steps(TEXT[:at])
    assert table.benefits[2].costs(np.array([9.5])) == pytest.approx([-0.1])
    assert adjust(national(), table, years=2, paths=10).lists.is_empty()


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


@settings(max_examples=12, deadline=None)
@given(
    st.floats(0.5, 14), st.floats(-2, 12), st.floats(0, 3), st.integers(5, 14), st.floats(66, 80), st.integers(0, 2**31)
)
def test_in_closed_loop_no_path_breaks_a_rule_of_the_table(
    reserve: float, growth: float, ratio: float, diseases: int, start: float, seed: int
) -> None:
    table = TABLE.with_start({"diseases": float(diseases), "ratio": start})
    loop = _Loop(table, (math.nan,), math.nan)
    basis = national(given={"reserve.start": reserve, "growth.inpatient_cost": growth, "growth.ratio": ratio})
    project(basis, years=20, paths=40, seed=seed, lines=(6.0,), rule=loop)
    for walk in loop.walks:
        assert len(walk) == 20
        raised_before = np.full(walk[0][1].row.shape, -9)
        for year, (_, done) in enumerate(walk):
            asks = np.array([SIZES.index(one.step) for one in table.rows] + [-1])[done.row]
            sense = np.array([[one.sense] for one in table.benefits])
            better = sense * (done.after.values - done.before.values)
            # One benefit a year; never more than the step that the row asks for; up and down as the row says.
            assert ((np.abs(better) > 1e-9).sum(axis=0) <= 1).all()
            assert (better[:, asks == 2] >= 0).all()
            assert (better[:, (asks == 0) | (asks == 1)] <= 0).all()
            assert (better[:, asks == -1] == 0).all()
            for place, one in enumerate(table.benefits):
                for size, name in enumerate(SIZES):
                    assert (np.abs(better[place, asks == size]) <= one.steps[name] + 1e-9).all()
                # A start under the floor stays; nothing goes further under it, nor past the kindest.
                low, high = sorted((one.bound, one.floor.value))
                low, high = min(low, one.start), max(high, one.start)
                assert ((done.after.values[place] >= low - 1e-9) & (done.after.values[place] <= high + 1e-9)).all()
            # Asymmetric: a cut is at once, a rise needs `wait` years in a row since the last.
            raised = (better > 1e-9).any(axis=0)
            assert (year - raised_before[raised] >= table.wait).all()
            raised_before = np.where(raised, year, raised_before)
            room = np.array(
                [sense[p] * (done.before.values[p] - one.floor.value) for p, one in enumerate(table.benefits)]
            )
            must = ((asks == 0) | (asks == 1)) & (room > 1e-9).any(axis=0)
            assert ((better < -1e-9).any(axis=0) == must).all()
            # The poor lose nothing and have at least what others have.
            assert (sense * (done.after.poor - done.before.poor) >= 0).all()
            assert (sense * (done.after.poor - done.after.values) >= -1e-9).all()


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
