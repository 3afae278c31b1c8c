"""The closed loop: what must hold in any county, held against real settlement and brute force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from medfloor.errors import InputError, UsageError
from medfloor.settlement.settle import settle
from medfloor.synthetic import live, synthesise
from medfloor.watch.arms import ARMS, DEFAULT, Arm, arms_of, harms
from medfloor.watch.calendar import shipped_calendar
from medfloor.watch.cases import replay
from medfloor.watch.deadlines import load_case_rules
from medfloor.watch.following import NEVER, Followed, follow, missing
from medfloor.watch.loop import measured, run_seed, simulate
from medfloor.watch.quality import case_table, check_cases
from medfloor.watch.tally import MEASURES, tally
from medfloor.watch.world import HISTORY, Setting, World, _held, check_setting, loop_numbers, make_world, month_start
from medfloor.words import say

SETTING = Setting(people=1_200, years=2, capacity=1)
Run = Callable[..., Followed]


@pytest.fixture(scope="module")
def world() -> World:
    return make_world(SETTING, 5)


@pytest.fixture(scope="module")
def run(world: World) -> Run:
    expected = harms(world, SETTING, tuple(ARMS.values()))

    def followed(arm: str, *, capacity: int = 1, **numbers: float) -> Followed:
        setting = replace(SETTING, numbers=numbers)
        source = ARMS[arm].source
        harm = harms(world, setting, (ARMS[arm],))[source] if numbers and arm == "oracle" else expected[source]
        return follow(world, setting, ARMS[arm], harm, capacity=capacity)

    return followed


def test_months_between_which_the_law_asks_nothing_are_settled_once_and_come_out_the_same() -> None:
    law = check_setting(SETTING)
    lived = live(synthesise(1_000, seed=2, years=HISTORY + 2), seed=2)
    every: Any = SimpleNamespace(layout=SimpleNamespace(household=True))
    found = []
    for asked in (law, every):
        held = _held(lived, asked, SETTING, lived.first_year + HISTORY)
        rows = settle(held.claims, held.people, held.spells, law).fen
        cut = [
            pl.col(name).str.splitn("~", 2).struct.field("field_1").alias(name) for name in ("claim_id", "person_id")
        ]
        start = pl.col("person_id").str.splitn("~", 2).struct.field("field_0").cast(pl.Int64).alias("start")
        rows = rows.select(start, *cut, "settled_date", "own_total_fen")
        joined = rows.join(held.starts, on=["person_id", "start"]).drop("start")
        found.append((rows.height, joined.sort(joined.columns)))
    # Each month in which a person has bills of the year still to come has all of them, settled once for several.
    assert found[0][0] < found[1][0] * 0.7
    assert found[0][1].equals(found[1][1])


@pytest.mark.parametrize("arm", [name for name in ARMS if name != "none"])
def test_without_visits_every_arm_is_the_one_that_does_not_watch(world: World, run: Run, arm: str) -> None:
    none, idle = (measured(world, SETTING, "x", run(name, capacity=0)) for name in ("none", arm))
    heard = {"alerts", "waiting"}
    assert {k: v for k, v in idle.items() if k not in heard} == {k: v for k, v in none.items() if k not in heard}


def test_knowing_the_truth_is_no_worse_than_the_rule_at_the_same_capacity(run: Run) -> None:
    none, rule, oracle = (int(run(arm).gap.sum()) for arm in ("none", "rule", "oracle"))
    assert oracle <= rule < none


def test_helping_everybody_leaves_nobody_under_as_far_as_money_reaches(world: World, run: Run) -> None:
    sure = {"sees": 1.0, "foresees": 1.0, "ahead_months": 24.0, "rest_months": 24.0}
    rich = run("everybody", capacity=10_000, help_at_most=1e7, **sure)
    assert (rich.gap[:, world.free] == 0).all()
    assert (world.gap[:, world.free] > 0).any()
    poor = run("everybody", capacity=10_000, help_at_most=500.0, **sure)
    lacking = missing(world, poor.own)[:, world.free]
    assert (poor.gap[:, world.free] == np.maximum(0, lacking - 50_000)).all()


def test_money_adds_up_to_the_fen(world: World, run: Run) -> None:
    years = pl.col("settled_date").dt.year() >= world.first_year
    settled = world.settled.filter(years)
    assert settled["total_fen"].sum() == world.billed.sum()
    assert settled["own_total_fen"].sum() == world.own[0].sum()
    assert settled["pay_total_fen"].sum() == world.billed.sum() - world.own[0].sum()
    for arm in ("rule", "oracle"):
        done = run(arm, capacity=3)
        row = measured(world, SETTING, arm, done)
        funds = int(settled["pay_total_fen"].sum()) + row["fund_fen"]
        assert funds + row["own_fen"] == row["billed_fen"]
        assert row["help_fen"] == int(missing(world, done.own).sum()) - row["shortfall_fen"]
        assert (done.help <= 1_000_000).all()
        assert row["help_fen"] > 0


def test_a_status_from_a_month_on_is_settled_as_the_law_settles_it(world: World) -> None:
    lived = live(synthesise(SETTING.people, seed=5, years=HISTORY + 2), seed=5)
    changed = np.argwhere((world.own[1:] != world.own[0]).any(axis=3))
    assert len(changed) > 100
    for start, year, home in changed[:: len(changed) // 6].tolist():
        mine = lived.people.filter(pl.col("household_id") == world.ids[home])
        who = pl.col("person_id").is_in(mine["person_id"].implode())
        begin = date(world.first_year + year, start + 1, 1)
        spells = pl.concat(
            [
                lived.spells.filter(who).select("person_id", "group", "from_date", "to_date"),
                mine.select(
                    "person_id", pl.lit(SETTING.status).alias("group"), pl.lit(begin).alias("from_date"),
                    pl.lit(date(begin.year, 12, 31)).alias("to_date"),
                ),
            ]
        )  # fmt: skip
        claims = lived.claims.filter(who & (pl.col("end_date").dt.year() == begin.year))
        fen = settle(claims, mine, spells, SETTING.place, threads=1).fen
        by_month = np.zeros(12, np.int64)
        np.add.at(by_month, fen["settled_date"].dt.month().to_numpy() - 1, fen["own_total_fen"].to_numpy())
        assert (by_month == world.own[start + 1, year, home]).all()


def test_falls_are_those_that_counting_month_by_month_finds(world: World) -> None:
    for year in range(world.years):
        for home in range(0, len(world.ids), 7):
            line = int(world.line[year] * world.size[home])
            income = world.income[year - 1] if year else world.income_before
            own = world.own[0][year - 1] if year else world.before
            before = int(world.line[max(0, year - 1)] * world.size[home])
            was = int(income[home]) - int(own[home].sum()) < before
            left, first = int(world.income[year, home]), -1
            for month in range(12):
                left -= int(world.own[0, year, home, month])
                if left < line and first < 0:
                    first = month
            assert int(world.falls[year, home]) == (first if world.free[home] and not was else -1)
            assert int(world.gap[year, home]) == max(0, line - left)


def test_alerts_of_a_month_know_nothing_of_it(world: World) -> None:
    for (month,), rows in world.alerts.group_by("month"):
        assert rows["as_of"].unique().to_list() == [month_start(world, int(month)) - date.resolution]  # type: ignore[call-overload]


def test_scores_know_nothing_of_the_years_that_they_foretell(world: World) -> None:
    arms = arms_of(["logistic", "boosting"])
    later = pl.col("settled_date").dt.year() >= world.first_year
    poisoned = world.settled.with_columns(
        pl.when(later).then(pl.col(name) * 1000).otherwise(pl.col(name)).alias(name)
        for name in ("own_total_fen", "own_in_scope_fen")
    )
    true, false = (harms(one, SETTING, arms) for one in (world, replace(world, settled=poisoned)))
    for arm in ("logistic", "boosting"):
        assert (true[arm](0) == false[arm](0)).all()
        assert (true[arm](12) != false[arm](12)).any()


def test_visits_never_exceed_the_capacity_and_every_case_went_by_rule(world: World, run: Run) -> None:
    weeks = (month_start(world, world.months) - month_start(world, 0)).days // 7
    rules = load_case_rules(SETTING.place, on=date(world.first_year, 1, 1))
    for arm in ("rule", "rule_first_come", "rule_logistic", "boosting", "oracle"):
        done = run(arm, capacity=2)
        assert 0 < done.counts["visits"] <= 2 * weeks
        assert done.counts["recognised"] + done.counts["refused"] == done.counts["visits"]
        for case in done.cases.values():
            again = replay(case.events, case_id=case.case_id, household_id=case.household_id, place=case.place)
            assert again == case
        table = case_table(list(done.cases.values()))
        found = check_cases(table, rules, shipped_calendar(), on=month_start(world, world.months))
        wrong = set(found["check"].unique()) - {"visit_overdue", "visit_late", "decision_overdue", "decision_late"}
        assert not wrong


def test_nobody_is_removed_before_half_a_year_and_some_are(run: Run) -> None:
    done = run("oracle", capacity=5)
    removed = [case for case in done.cases.values() if case.removed_on is not None]
    assert removed
    for case in removed:
        assert case.recognised_on and case.removed_on and case.stable_since
        assert (case.removed_on - case.recognised_on).days >= 181
        assert (case.removed_on - case.stable_since).days >= 181
        assert case.labour_capacity


def test_status_begins_after_recognition_and_counts_only_from_then(world: World, run: Run) -> None:
    done = run("rule", capacity=2)
    for home, case in done.cases.items():
        months = np.flatnonzero(done.monitored[:, home])
        if case.round == 1 and case.recognised_on and months.size:
            assert month_start(world, int(months[0])) > case.recognised_on
            until = int(months[0])
            own = done.own[:, home].reshape(-1)
            assert (own[:until] == world.own[0][:, home].reshape(-1)[:until]).all()
    assert world.months < NEVER


def test_a_seed_gives_the_same_rows_again_and_alone() -> None:
    setting = Setting(people=1_000, years=1)
    whole = simulate(setting, seeds=2, first_seed=3, arms=["rule", "poverty"])
    alone = run_seed(4, setting=setting, arms=["poverty"])
    assert whole.runs.filter((pl.col("seed") == 4) & (pl.col("arm") == "poverty")).to_dicts()[0] == alone[1]
    # Processes may end in any order; what is told does not depend on it.
    backwards = tally(whole.runs.to_dicts()[::-1], setting, whole.arms)
    assert backwards.frame.equals(whole.frame)
    for lang in ("en", "zh"):
        assert say("watch_loop.synthetic", lang) in whole.text(lang)
        assert say("watch_loop_number.foresees", lang) in whole.text(lang)
        assert whole.to_dict(lang)["synthetic"] is True


def test_differences_are_paired_and_intervals_those_of_t() -> None:
    rng = np.random.default_rng(1)
    counted = dict.fromkeys(_counted(), 1)
    county = rng.normal(500, 100, 12)
    rows = [
        {"seed": seed, "arm": arm, **counted, "averted": county[seed] + shift + rng.normal(0, 1)}
        for seed in range(12)
        for arm, shift in (("none", 0.0), ("rule", 10.0), ("oracle", 30.0))
    ]
    found = tally(rows, Setting(), ("none", "rule", "oracle"))
    values = {arm: np.array([row["averted"] for row in rows if row["arm"] == arm]) for arm in ("rule", "oracle")}
    paired = stats.ttest_rel(values["oracle"], values["rule"]).confidence_interval(0.95)
    got = [found.value("oracle", "averted", name) for name in ("change_low", "change_high")]
    assert got == pytest.approx([paired.low, paired.high], rel=1e-9)
    alone = stats.ttest_1samp(values["rule"], 0).confidence_interval(0.95)
    assert [found.value("rule", "averted", n) for n in ("low", "high")] == pytest.approx(
        [alone.low, alone.high], rel=1e-9
    )
    assert found.ranked == ("rule",)
    assert set(found.frame["measure"]) == set(MEASURES)


def test_an_arm_without_visits_has_no_price_and_no_share_in_vain() -> None:
    rows = [{"seed": seed, "arm": "none", **dict.fromkeys(_counted(), 0)} for seed in (1, 2)]
    found = tally(rows, Setting(), ("none",))
    assert found.price["none"] is None
    assert found.value("none", "in_vain_share") is None
    assert "-" in found.text("en")


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"people": 10}, "bad_people"), ({"years": 6}, "bad_years"), ({"years": 0}, "bad_years"),
        ({"capacity": -1}, "bad_capacity"), ({"share": 2.0}, "bad_capacity"), ({"status": "king"}, "bad_choice"),
        ({"numbers": {"luck": 1.0}}, "bad_choice"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_lived_is_refused(said: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as error:
        check_setting(Setting(**said))  # type: ignore[arg-type]
    assert error.value.code == code


def test_unknown_arms_and_seeds_are_refused() -> None:
    with pytest.raises(UsageError, match="there is no arm"):
        simulate(SETTING, arms=["luck"])
    with pytest.raises(UsageError, match="0 seeds"):
        simulate(SETTING, seeds=0)


def test_too_few_falls_to_learn_from_are_told(world: World) -> None:
    nobody = replace(world, register=replace(world.register, households=world.register.households.with_columns(
        pl.lit(10**12, dtype=pl.Int64).alias("income_fen"))))  # fmt: skip
    with pytest.raises(InputError) as error:
        harms(nobody, SETTING, arms_of(["logistic"]))
    assert error.value.code == "one_outcome"


def test_every_assumption_and_arm_has_its_words_in_both_languages() -> None:
    for lang in ("en", "zh"):
        for number in loop_numbers().values():
            assert say(f"watch_loop_number.{number.name}", lang) and say(f"watch_loop_trust.{number.trust}", lang)
            assert say(f"watch_loop_unit.{number.unit}", lang)
        assert all(say(f"watch_arm.{arm}", lang) for arm in ARMS)
    assert set(DEFAULT) < set(ARMS) and isinstance(ARMS["rule"], Arm)


def _counted() -> tuple[str, ...]:
    from medfloor.watch.tally import _COUNTED

    return _COUNTED
