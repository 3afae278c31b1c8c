"""Packages that a budget can buy: levers, the trial, the search, the front, and what is said of the winners."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medfloor.errors import InputError, PolicyError, UsageError
from medfloor.measures.capacity import SocietalLine
from medfloor.measures.catastrophic import catastrophic
from medfloor.measures.design import Design
from medfloor.measures.result import figure_text
from medfloor.policy.load import load_policy
from medfloor.policy.resolve import resolve
from medfloor.reports.packages import front_figure, markdown, write_optimum
from medfloor.simulation.aims import Aims, Yardsticks, aims_of
from medfloor.simulation.behaviour import stated
from medfloor.simulation.budget import fresh_populations, optimise
from medfloor.simulation.choice import AIMS, CONFIRMED, Optimum, Package, confirmations
from medfloor.simulation.front import non_dominated
from medfloor.simulation.limits import Limits, limits_of, read_budget
from medfloor.simulation.notebook import Notebook
from medfloor.simulation.packages import Lever, Levers, levers_of, read_levers
from medfloor.simulation.population import Population
from medfloor.simulation.run import World
from medfloor.simulation.scenario import scenario
from medfloor.simulation.search import search
from medfloor.simulation.trial import Figures, Trial
from medfloor.simulation.verdicts import findings_of
from medfloor.synthetic import shipped_place

ROOT = Path(__file__).resolve().parents[2]
POLICY = shipped_place().policy_address
CII = "tiers/critical_illness/parts/year"


def lever(name: str, path: str, low: object, high: object, step: object, **more: object) -> Lever:
    return Lever(name, (path,), Decimal(str(low)), Decimal(str(high)), Decimal(str(step)), **more)  # type: ignore[arg-type]


LEVERS = [
    lever("threshold", f"{CII}/deductible/amount", 5000, 30000, 2500, unit="yuan"),
    lever("rate", f"{CII}/brackets/only/rate", 50, 90, 5),
    lever("tilt", f"{CII}/adjust/tilt/points", 0, 10, 5),
    lever("relief", f"{CII}/deductible/factor", 0, 100, 25),
    lever("stay", "tiers/basic/parts/stay/brackets/only/rate", -20, 10, 2, way="plus"),
    lever("deductible", "tiers/basic/parts/stay/deductible/amount", 0, 3, "0.5", way="times"),
    lever("outpatient", "pots/outpatient/cap", 0, 1500, 100),
    lever("assistance", "tiers/assistance/parts/year/brackets/only/rate", -20, 10, 5, way="plus"),
]


@pytest.fixture(scope="module")
def people() -> Population:
    return next(fresh_populations(1, 3000, seed=11))


@pytest.fixture(scope="module")
def trial(people: Population) -> Trial:
    base = scenario(POLICY)
    return Trial.of(World.of(people, base.law, threads=1), levers_of(LEVERS, base.law.policies))


@pytest.fixture(scope="module")
def found(people: Population) -> Optimum:
    candidate = str(ROOT / "examples" / "optimise" / "lower_threshold.yaml")
    return optimise(
        people, POLICY, LEVERS, looks=240, candidates=[candidate], fresh=fresh_populations(2, 1500, seed=5), seed=3
    )


POINTS = st.tuples(*(st.integers(0, int((one.high - one.low) / one.step)) for one in LEVERS))


# Levers


@settings(max_examples=25)
@given(point=POINTS)
def test_a_package_settles_to_the_fen_as_its_reform_file_does(
    trial: Trial, point: tuple[int, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("reform") / "package.yaml"
    file.write_text(trial.levers.reform(point, "方案", "package"), encoding="utf-8")
    world = trial.world
    bills = world.settle(scenario(POLICY, [file]).law)
    here = trial.figures(trial.batch(point), by_tier=True)
    assert dict(zip(here.tiers, (round(100 * x) for x in here.paid), strict=True)) == {
        tier: round(100 * bills.of_tier(tier).sum()) for tier in bills.tiers
    }
    own = world.by_home(bills.own) + world.homes["oop_outside"].to_numpy()
    aims = aims_of(world.homes, own)
    # Sums of the same doubles in another order.
    assert here.aims == pytest.approx(aims, rel=1e-9, abs=1e-12)


@settings(max_examples=25)
@given(point=POINTS)
def test_asking_only_the_touched_tiers_gives_the_rules_of_asking_all(trial: Trial, point: tuple[int, ...]) -> None:
    batch = trial.batch(point)
    policies = trial.levers.policies_at(point)
    for number, (version, facts) in enumerate(trial.asked.kinds):
        rule = batch.rules[int(batch.profile[np.flatnonzero(trial.asked.kind == number)[0]])]
        assert rule == resolve(policies.versions[version], facts)


def test_a_ceiling_and_a_cap_that_grows_can_move_too(people: Population, tmp_path: Path) -> None:
    file = tmp_path / "grown.yaml"
    file.write_text(
        f"extends: {POLICY}\nid: test/grown\nfrom: 2025-01-01\nname: {{zh: 甲, en: a}}\n"
        "pots:\n  - id: outpatient\n    growth: {per_continuous_year: {value: 50, unit: yuan}, "
        "at_most: {value: 50, unit: percent}}\n"
        "ceilings:\n  - {id: whole, share: {value: 90, unit: percent}, give_back: [assistance, basic]}\n",
        encoding="utf-8",
    )
    base = scenario(str(file))
    levers = levers_of(
        [lever("cap", "pots/outpatient/cap", 100, 900, 100), lever("whole", "ceilings/whole/share", 50, 90, 10)],
        base.law.policies,
    )
    trial = Trial.of(World.of(people, base.law, threads=1), levers)
    for point in ((0, 0), (8, 2)):
        reform = tmp_path / "moved.yaml"
        reform.write_text(levers.reform(point, "甲", "a"), encoding="utf-8")
        bills = trial.world.settle(scenario(str(file), [reform]).law)
        assert round(100 * trial.figures(trial.batch(point)).cost) == round(100 * bills.covered.sum())


def test_a_ceiling_alone_is_asked_again(people: Population, tmp_path: Path) -> None:
    file = tmp_path / "capped.yaml"
    file.write_text(
        f"extends: {POLICY}\nid: test/capped\nfrom: 2025-01-01\nname: {{zh: 甲, en: a}}\n"
        "ceilings:\n  - {id: whole, share: {value: 90, unit: percent}, give_back: [assistance, basic]}\n",
        encoding="utf-8",
    )
    base = scenario(str(file))
    levers = levers_of([lever("whole", "ceilings/whole/share", 10, 90, 10)], base.law.policies)
    trial = Trial.of(World.of(people, base.law, threads=1), levers)
    costs = [trial.figures(trial.batch((place,))).cost for place in range(9)]
    assert costs == sorted(costs)
    assert costs[0] < 0.5 * costs[-1]


def test_the_start_lies_nearest_to_the_law_as_it_is() -> None:
    levers = levers_of(LEVERS, load_policy(POLICY))
    values = dict(zip([one.id for one in levers.all], levers.values(levers.start()), strict=True))
    assert (values["rate"], values["stay"], values["deductible"], values["outpatient"]) == (60, 0, 1, 600)
    assert [levers.now(number) for number in (0, 1, 4)] == ["50 % local_income", "60", "0"]


def test_both_forms_of_a_file_give_the_same_levers(tmp_path: Path) -> None:
    policies = load_policy(POLICY)
    toml, yaml = tmp_path / "v.toml", tmp_path / "v.yaml"
    toml.write_text(f'[[vary]]\npath = "{CII}/brackets/only/rate"\nlow = 50\nhigh = 90\nstep = 0.5\n')
    yaml.write_text(f"vary:\n  - {{path: {CII}/brackets/only/rate, low: 50, high: 90, step: 0.5}}\n")
    assert read_levers(toml, policies).all == read_levers(yaml, policies).all
    assert read_levers(toml, policies).sizes == (81,)


def test_the_shipped_file_of_levers_fits_the_shipped_place() -> None:
    levers = read_levers(ROOT / "examples" / "optimise" / "resident.toml", load_policy(POLICY))
    assert len(levers) == 6
    assert all(one.source and one.name for one in levers.all)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("vary = []", "no_levers"),
        ("vary = 3", "bad_levers"),
        ("[[vary]", "bad_levers"),
        ('[[vary]]\npath = "a"\nlow = 1', "bad_levers"),
        ('[[vary]]\npath = []\nlow = 1\nhigh = 2', "bad_levers"),
        ('[[vary]]\npath = "pots/outpatient/cap"\nlow = 5\nhigh = 5', "bad_bounds"),
        ('[[vary]]\npath = "pots/outpatient/cap"\nlow = 0\nhigh = 5\nstep = 2', "bad_bounds"),
        ('[[vary]]\npath = "pots/outpatient/cap"\nlow = 0\nhigh = 5\nstep = 0.001', "bad_bounds"),
        ('[[vary]]\npath = "pots/outpatient/cap"\nas = "times"\nlow = -1\nhigh = 5', "bad_bounds"),
        ('[[vary]]\npath = "pots/outpatint/cap"\nlow = 0\nhigh = 5', "no_such_parameter"),
        ('[[vary]]\npath = "premiums/2025/personal"\nlow = 0\nhigh = 5', "no_such_parameter"),
        ('[[vary]]\npath = "tiers/basic"\nlow = 0\nhigh = 5', "no_such_parameter"),
        ('[[vary]]\npath = "pots/critical_illness/cap/0"\nas = "plus"\nlow = 0\nhigh = 5', "no_such_parameter"),
        ('[[vary]]\npath = "tiers/assistance/parts/year/deductible/amount"\nlow = 0\nhigh = 5', "mixed_units"),
        (
            '[[vary]]\npath = "pots/outpatient/cap"\nlow = 0\nhigh = 5\n'
            '[[vary]]\nid = "b"\npath = "pots/outpatient/cap/0"\nlow = 0\nhigh = 5',
            "same_parameter",
        ),
        ('[[vary]]\npath = ["pots/outpatient/cap", "pots/outpatient/cap"]\nlow = 0\nhigh = 5', "same_parameter"),
    ],
)  # fmt: skip
def test_a_wrong_file_of_levers_is_refused_with_its_reason(tmp_path: Path, text: str, code: str) -> None:
    file = tmp_path / "vary.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_levers(file, load_policy(POLICY))
    assert caught.value.code == code


def test_a_mistyped_path_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean pots/outpatient/cap"):
        levers_of([lever("x", "pots/outpatint/cap", 0, 5, 1)], load_policy(POLICY))


# Front and search


@settings(max_examples=50)
@given(values=arrays(np.float64, st.tuples(st.integers(1, 25), st.integers(1, 4)), elements=st.integers(0, 4)))
def test_the_front_is_what_comparing_all_pairs_gives(values: np.ndarray) -> None:
    plain = [not any((b <= a).all() and (b < a).any() for b in values) for a in values]
    assert non_dominated(values).tolist() == plain


def test_a_small_grid_is_looked_at_whole_and_a_large_one_within_its_looks() -> None:
    seen: dict[tuple[int, ...], float] = {}

    def objective(point: tuple[int, ...]) -> float:
        return seen.setdefault(point, sum((one - 7.0) ** 2 for one in point))

    search([3, 4], objective, looks=12, used=lambda: len(seen), seed=1)
    assert set(seen) == set(itertools.product(range(3), range(4)))
    seen.clear()
    search([40, 40, 40], objective, looks=400, used=lambda: len(seen), seed=1)
    assert len(seen) <= 400
    # The bowl's bottom is known; a random search of 400 among 64,000 points comes no nearer than about 9.
    assert min(seen.values()) <= 3


def test_exchanges_spend_the_budget_where_evolution_alone_leaves_some() -> None:
    # A knapsack: the best is 239 (filled by worth over price, whole numbers). Six hundred at random find 236 at most in
    # ten draws; the search without knowing what a point costs finds from 228 to 235.
    worth, price = np.array([5.0, 4.0, 3.0, 2.0, 6.0, 1.0]), np.array([7.0, 5.0, 3.5, 3.0, 9.0, 1.2])
    limit = 300.0
    seen: dict[tuple[int, ...], float] = {}

    def excess(point: tuple[int, ...]) -> float:
        return float(price @ np.array(point)) / limit - 1

    def objective(point: tuple[int, ...]) -> float:
        over = max(0.0, limit * excess(point))
        return seen.setdefault(point, float(-(worth @ np.array(point)) + 10 * over))

    for seed in range(3):
        seen.clear()
        search((25,) * 6, objective, looks=600, used=lambda: len(seen), seed=seed, excess=excess)
        assert len(seen) == 600
        assert -min(seen.values()) >= 237.5


def test_a_search_gets_no_look_more_than_it_was_given() -> None:
    seen: dict[tuple[int, ...], float] = {}

    def objective(point: tuple[int, ...]) -> float:
        return seen.setdefault(point, float(sum(point)))

    for looks in (10, 37, 100):
        seen.clear()
        search([50, 50, 50], objective, looks=looks, used=lambda: len(seen), seed=1, starts=[(3, 3, 3)])
        assert len(seen) == looks


# Aims, limits and the people that they are counted on


@pytest.mark.parametrize(
    ("definition", "threshold"), [("budget", 0.1), ("nonfood", 0.4), ("who", 0.4), ("europe", 0.4), ("sdg", 0.4)]
)
def test_aims_are_those_of_the_measures_by_every_definition(
    people: Population, definition: Literal["budget", "nonfood", "who", "europe", "sdg"], threshold: float
) -> None:
    rng = np.random.default_rng(1)
    homes = people.households.with_columns(
        pl.Series("weight", rng.uniform(0.5, 2.0, people.households.height)),
        # Some households have no capacity to pay by the definitions that take food off.
        pl.when(pl.int_range(pl.len()) % 7 == 0).then("consumption").otherwise("food").alias("food"),
    )
    own = homes["consumption"].to_numpy() * rng.choice([0.0, 0.05, 0.3, 0.9], homes.height)
    found = aims_of(homes, own, definition=definition, threshold=threshold, ppp=4.2)
    measured = catastrophic(
        homes.with_columns(pl.Series("oop", own)), definition=definition, thresholds=[threshold],
        sdg=SocietalLine.of(2017, ppp=4.2, days=365), design=Design(weight="weight"),
    )  # fmt: skip
    for aim in ("headcount", "overshoot"):
        one = measured.rows.filter(pl.col("statistic") == aim)["estimate"].to_list()
        # Sums of the same doubles in another order.
        assert one == pytest.approx([found[aim]], rel=1e-9)


def test_households_without_food_are_not_counted_as_safe(people: Population) -> None:
    homes = people.households.with_columns(pl.when(pl.int_range(pl.len()) > 0).then("food").alias("food"))
    for definition in ("nonfood", "who", "europe"):
        with pytest.raises(InputError, match="food is missing in 1 households"):
            Aims.of(homes, Yardsticks(definition))
    with pytest.raises(UsageError, match="--ppp"):
        Aims.of(homes, Yardsticks("sdg"))


def test_a_fund_keeps_its_own_limit(people: Population) -> None:
    free = optimise(people, POLICY, LEVERS, looks=150, minimise="gap", seed=3)
    basic = free.best.figures.paid[free.best.figures.tiers.index("basic")]
    held = optimise(
        people, POLICY, LEVERS, looks=150, minimise="gap", seed=3, budget={"all": "same", "basic": 0.95 * basic}
    )
    (fund,) = held.limits.funds
    for one in held.winners:
        assert one.figures.cost <= held.budget
        assert fund.paid(one.figures) <= fund.limit
    assert any(one.key == "optimise.fund_uses" for one in held.findings)
    assert held.to_dict()["funds"] == {"basic": 0.95 * basic}


NOW = Figures({}, 100.0, ("basic", "critical_illness", "assistance"), (70.0, 20.0, 10.0))


def test_limits_of_all_funds_are_a_budget() -> None:
    found = limits_of({"basic+critical_illness": "same", "assistance": 5.0}, NOW)
    assert (found.total, [one.limit for one in found.funds]) == (95.0, [90.0, 5.0])
    assert found.share(NOW) == 2.0
    # Where the status quo costs twice as much, so may all else.
    there = found.elsewhere(NOW, Figures({}, 200.0, NOW.tiers, (140.0, 40.0, 20.0)))
    assert (there.total, [one.limit for one in there.funds]) == (190.0, [180.0, 10.0])


@pytest.mark.parametrize(
    "asked",
    [
        ["lots"], ["=same"], ["assistance="], ["nan"], ["inf"], ["-1"], ["same", "same"], ["same", "dental=5"],
        ["assistance=same"], ["basic+assistance=1", "critical_illness+assistance=1"],
    ],
)  # fmt: skip
def test_a_budget_that_is_none_is_refused(asked: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        limits_of(read_budget(asked), NOW)
    assert caught.value.code == "bad_budget"


def test_a_candidate_is_found_among_the_levers() -> None:
    base = scenario(POLICY)
    levers = read_levers(ROOT / "examples" / "optimise" / "resident.toml", base.law.policies)
    law = scenario(POLICY, [ROOT / "examples" / "optimise" / "lower_threshold.yaml"]).law
    values = dict(zip([one.id for one in levers.all], levers.values(levers.nearest(law.policies)), strict=True))
    assert [values[one] for one in ("threshold", "critical_illness_rate", "stay_rate")] == [40, 65, -1]
    assert [values[one] for one in ("stay_deductible", "outpatient_ceiling")] == [1, 600]
    assert levers.nearest(base.law.policies) == levers.start()


def test_packages_are_compared_on_all_people_searched_on_by_their_households(people: Population) -> None:
    base = scenario(POLICY)
    more = next(fresh_populations(1, 1500, seed=6))
    trials = [
        Trial.of(World.of(one, base.law, threads=1), levers_of(LEVERS, base.law.policies)) for one in (people, more)
    ]
    now = trials[0].figures(trials[0].world.batch, by_tier=True)
    notebook = Notebook.of(trials, now, limits_of("same", now))
    point = trials[0].levers.start()
    parts = [one.figures(one.batch(point)) for one in trials]
    homes = [one.world.homes.height for one in trials]
    found = notebook.known(point)
    for aim in AIMS:
        assert found.aims[aim] == pytest.approx(np.average([one.aims[aim] for one in parts], weights=homes), rel=1e-12)
    shares = [one.cost / limits.total for one, limits in zip(parts, notebook.limits, strict=True)]
    assert found.share == pytest.approx(max(shares[0], np.average(shares, weights=homes)), rel=1e-12)


def test_winners_are_chosen_on_further_people_and_keep_the_budget_there(people: Population) -> None:
    found = optimise(
        people, POLICY, LEVERS[:6], looks=120, seed=3, minimise="gap", beside=fresh_populations(1, 1500, seed=6),
        choosing=fresh_populations(1, 3000, seed=6, role=5), fresh=fresh_populations(2, 1500, seed=6),
    )  # fmt: skip
    assert (found.beside, found.choosing) == (1500, 3000)
    assert any(one.key == "optimise.searched_on" for one in found.notes)
    assert found.best.figures.cost <= found.budget
    for one in found.winners[: len(found.aims)]:
        assert one.better
    shown = found.tables("en")[2][2]
    assert shown[0][3] == figure_text(found.front[0].together["gap"], "amount")


def test_a_status_quo_that_nothing_beats_is_said(people: Population) -> None:
    # The lever can only take away, so that no package lowers the gap.
    stay = lever("stay", "tiers/basic/parts/stay/brackets/only/rate", -10, 0, 5, way="plus")
    found = optimise(people, POLICY, [stay], looks=10, minimise="gap")
    assert not found.best.better
    assert [one.key for one in found.warnings] == ["optimise.not_beaten"]
    assert "the status quo is not beaten" in found.text("en")
    assert "未能优于现状" in found.text("zh")


@pytest.mark.parametrize(
    ("headcount", "gap", "key"),
    [
        ((-0.02, -0.01), (5.0, 9.0), "fresh_deepens"),
        ((-0.02, 0.01), (5.0, 9.0), "fresh_only_deepens"),
        ((-0.02, -0.01), (-9.0, -5.0), "fresh_lessens"),
        ((-0.02, -0.01), (-1.0, 5.0), "fresh_unsure"),
    ],
)
def test_that_the_gap_deepens_is_said_only_where_its_interval_says_so(
    headcount: tuple[float, float], gap: tuple[float, float], key: str
) -> None:
    rows = [
        {"package": "best_headcount", "where": "fresh", "response": "none", "aim": aim, "populations": 8,
         "change": (low + high) / 2, "low": low, "high": high, "better": 8, "of_budget": 1.0, "of_budget_most": 1.0}
        for aim, (low, high) in (("headcount", headcount), ("gap", gap))
    ]  # fmt: skip
    now = Figures(dict.fromkeys(AIMS, 1.0), 1.0)
    best = Package("best_headcount", "best", (), now, True, "headcount")
    levers = levers_of(LEVERS[:1], load_policy(POLICY))
    said = findings_of(levers, Limits(1.0), now, [best], pl.DataFrame(rows, schema=CONFIRMED), "headcount")
    told = [one for one in said if one.key.startswith("optimise.fresh_")]
    assert [one.key for one in told] == [f"optimise.{key}"]
    assert "±" in told[0].say("en")


def test_the_shipped_example_shows_that_fewer_households_can_stand_deeper() -> None:
    (people,) = fresh_populations(1, 40_000, seed=1)
    vary = ROOT / "examples" / "optimise" / "small_or_large.toml"
    base = scenario(POLICY)
    trial = Trial.of(World.of(people, base.law, threads=1), read_levers(vary, base.law.policies))
    now = trial.figures(trial.world.batch)
    # Twice the threshold, a quarter of the deductible, two points off the rate.
    point = tuple(
        int((Decimal(value) - one.low) / one.step)
        for one, value in zip(trial.levers.all, ("100", "0.25", "-2"), strict=True)
    )
    then = trial.figures(trial.batch(point))
    assert then.aims["headcount"] < now.aims["headcount"]
    assert then.aims["gap"] > now.aims["gap"]
    assert then.cost <= 1.005 * now.cost


# The whole


def test_the_answer_lies_within_the_budget_and_is_best_of_all_tried(found: Optimum) -> None:
    within = found.tried.filter(pl.col("cost") <= found.budget)
    assert found.tried.height + found.impossible == 240
    for one in found.winners:
        assert one.figures.cost <= found.budget
        if one.aim in AIMS:
            assert one.value(one.aim) == within[one.aim].min()
    assert found.best.aim == "headcount"
    assert found.best.value("headcount") <= found.status_quo.value("headcount")


def test_the_front_holds_each_winner_of_an_aim_and_nothing_over_the_budget(found: Optimum) -> None:
    marked = found.tried.filter(pl.col("front"))
    assert marked.height == len(found.front) > 0
    assert marked["within"].all()
    values = found.tried.filter(pl.col("within")).select(found.aims).to_numpy()
    for one in found.front:
        mine = np.array([one.value(aim) for aim in found.aims])
        assert not ((values <= mine).all(axis=1) & (values < mine).any(axis=1)).any()
    for winner in found.winners[: len(found.aims)]:
        assert any(one.value(winner.aim) == winner.value(winner.aim) for one in found.front)


def test_no_package_tried_is_as_good_as_a_winner_in_its_aim_and_better_elsewhere(found: Optimum) -> None:
    within = found.tried.filter("within")
    for one in found.winners:
        if one.aim not in found.aims:
            continue
        assert one.together is not None
        equal = within.filter(pl.col(one.aim) == one.together[one.aim])
        for row in equal.select(found.aims).iter_rows(named=True):
            better = [aim for aim in found.aims if row[aim] < one.together[aim]]
            worse = [aim for aim in found.aims if row[aim] > one.together[aim]]
            assert worse or not better, (one.name, better)


def test_each_point_of_the_front_is_another_one(found: Optimum) -> None:
    points = [tuple(one.together[aim] for aim in found.aims) for one in found.front if one.together]
    assert len(points) == len(set(points)) == len(found.front)


def test_the_same_seed_gives_the_same_packages(people: Population, found: Optimum) -> None:
    # The candidate too, as the search begins at it.
    candidate = str(ROOT / "examples" / "optimise" / "lower_threshold.yaml")
    other = optimise(people, POLICY, LEVERS, looks=240, seed=3, candidates=[candidate])
    assert other.tried.equals(found.tried)
    assert [one.values for one in other.winners] == [one.values for one in found.winners]
    assert {one.key for one in other.notes} >= {"optimise.no_fresh"}


def test_candidates_stand_beside_the_winners_and_need_not_keep_the_budget(found: Optimum) -> None:
    (one,) = found.candidates
    assert one.name == "lower_threshold"
    assert one.values is None
    assert one.within == (one.figures.cost <= found.budget)


def test_winners_and_candidates_are_settled_again_on_fresh_people_and_with_response(found: Optimum) -> None:
    counts = found.again.group_by("package", "response").len()
    expected = {(one.name, response) for one in (*found.winners, *found.candidates) for response in ("none", "stated")}
    assert {(row["package"], row["response"]) for row in counts.iter_rows(named=True)} == expected | {
        ("status_quo", "none")
    }
    assert set(counts["len"]) == {3}
    here = found.again.filter((pl.col("population") == 0) & (pl.col("response") == "none"))
    for one in found.named:
        row = here.row(by_predicate=pl.col("package") == one.name, named=True)
        assert row["cost"] == pytest.approx(one.figures.cost, rel=1e-12)
        assert row["headcount"] == pytest.approx(one.value("headcount"), rel=1e-12)


def test_fresh_populations_are_others_and_the_same_seed_makes_the_same() -> None:
    one, two = fresh_populations(2, 1000, seed=1)
    (again,) = fresh_populations(1, 1000, seed=1)
    assert isinstance(one.claims, pl.DataFrame)
    assert isinstance(again.claims, pl.DataFrame)
    assert isinstance(two.claims, pl.DataFrame)
    assert one.claims.equals(again.claims)
    assert not one.claims.equals(two.claims)


def test_a_bound_that_binds_is_said_with_its_number(found: Optimum) -> None:
    told = [one for one in found.findings if one.key.startswith("optimise.binds")]
    assert len(told) == sum(len(one.binds) for one in found.winners)
    for one in found.winners:
        assert one.values is not None
        ends = {
            lever.id
            for lever, value in zip(found.levers.all, one.values, strict=True)
            if value in (lever.low, lever.high)
        }
        assert {name for name, _ in one.binds} == ends


def test_headcount_gap_and_poverty_gap_always_stand_together(found: Optimum) -> None:
    for text in (found.text("en"), markdown(found, "en")):
        head = next(line for line in text.splitlines() if "poverty gap, yuan a person" in line)
        assert "headcount" in head
        assert "gap, yuan a household" in head
    assert any(one.key in ("optimise.headcount_deepens", "optimise.headcount_beside") for one in found.findings)


def test_minimising_the_headcount_can_deepen_the_gap(people: Population) -> None:
    # Moving the threshold of critical illness insurance up frees money for small bills, which decide the headcount.
    levers = [LEVERS[0], lever("stay", "tiers/basic/parts/stay/brackets/only/rate", -5, 10, 1, way="plus")]
    found = optimise(people, POLICY, levers, looks=176, seed=1)
    assert found.tried.height == 176
    by_aim = {one.aim: one for one in found.winners}
    assert by_aim["headcount"].value("headcount") <= by_aim["gap"].value("headcount")
    assert by_aim["headcount"].value("gap") > by_aim["gap"].value("gap")
    deeper = by_aim["headcount"].value("gap") > found.status_quo.value("gap")
    assert any(one.key == "optimise.headcount_deepens" for one in found.findings) == deeper


def test_a_budget_in_yuan_is_kept_and_one_out_of_reach_is_refused(people: Population) -> None:
    two = [LEVERS[1], LEVERS[4]]
    least = optimise(people, POLICY, two, budget="same", looks=200, minimise="gap")
    tight = optimise(people, POLICY, two, budget=0.99 * least.budget, looks=200, minimise="gap")
    assert tight.best.figures.cost <= 0.99 * least.budget
    assert tight.best.value("gap") >= least.best.value("gap")
    with pytest.raises(UsageError) as caught:
        optimise(people, POLICY, two, budget=1000.0, looks=10)
    assert caught.value.code == "budget_out_of_reach"


def test_a_combination_that_is_no_law_is_passed_over(people: Population) -> None:
    share = lever("share", "tiers/basic/parts/stay/first_share/0", 90, 110, 10)
    found = optimise(people, POLICY, [share], looks=10, budget=1e12)
    assert found.impossible == 1
    assert found.tried["share"].to_list() == [90, 100]
    with pytest.raises(PolicyError, match="lies outside 0 to 100"):
        optimise(people, POLICY, [lever("share", share.paths[0], 110, 120, 5)], looks=10)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"budget": -1.0}, "bad_budget"),
        ({"budget": float("nan")}, "bad_budget"),
        ({"looks": 3}, "bad_looks"),
        ({"minimise": "deficit"}, "bad_choice"),
        ({"front": ["gap"]}, "bad_choice"),
        ({"candidates": ["a.yaml", "a.yaml"]}, "same_reform"),
    ],
)
def test_misuse_is_refused_with_its_code(
    people: Population, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, object], code: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("change: {pots/outpatient/cap: 5}")
    with pytest.raises(UsageError) as caught:
        optimise(people, POLICY, LEVERS[:1], **more)  # type: ignore[arg-type]
    assert caught.value.code == code


def test_weights_count_in_cost_and_aims(people: Population) -> None:
    base = scenario(POLICY)
    doubled = Population(
        "doubled", people.claims, people.people, people.spells,
        people.households.with_columns(pl.lit(2.0).alias("weight")),
    )  # fmt: skip
    plain, weighted = (
        Trial.of(
            World.of(one, base.law, threads=1), levers_of(LEVERS[:1], base.law.policies), Yardsticks("budget", 0.1)
        )
        for one in (people, doubled)
    )
    one, two = (trial.figures(trial.batch((3,)), by_tier=True) for trial in (plain, weighted))
    assert two.cost == pytest.approx(2 * one.cost, rel=1e-12)
    assert two.aims == pytest.approx(one.aims, rel=1e-12)
    assert sum(two.paid) == pytest.approx(two.cost, rel=1e-12)


def test_response_changes_a_package_and_not_the_law_as_it_is(trial: Trial) -> None:
    from medfloor.simulation.behaviour import prices_of

    prices = prices_of(trial.world)
    now = trial.responding(trial.world.batch, prices, stated(), seed=1)
    assert now.cost == pytest.approx(trial.figures(trial.world.batch).cost, rel=1e-12)
    point = tuple(size - 1 for size in trial.levers.sizes)
    assert trial.responding(trial.batch(point), prices, stated(), seed=1).cost != trial.figures(trial.batch(point)).cost


def test_trials_that_share_answers_find_what_each_finds_by_itself() -> None:
    base = scenario(POLICY)
    levers = levers_of(LEVERS[:4], base.law.policies)
    first, second = (World.of(one, base.law, threads=1) for one in fresh_populations(2, 1_000, seed=7))
    shared, alone = Trial.of(first, levers), Trial.of(second, levers)
    like = Trial.of(second, levers, like=shared)
    for point in ((0, 1, 2, 3), (4, 5, 1, 0), (0, 1, 2, 3)):
        shared.batch(point)
        assert like.batch(point).rules == alone.batch(point).rules
        assert like.figures(like.batch(point)) == alone.figures(alone.batch(point))
    assert len(shared.answered) == 2
    assert like.answered is shared.answered


def test_confirmations_pair_each_population_with_its_own_status_quo() -> None:
    rows = [
        {"population": p, "package": name, "response": "none", **dict.fromkeys(AIMS, base + add), "cost": 10.0 + add,
         "budget": 10.0,
         "of_budget": 1.0 + add / 10.0}
        for p, base in ((0, 1.0), (1, 2.0), (2, 4.0))
        for name, add in (("status_quo", 0.0), ("best", -0.5 if p else 0.5))
    ]  # fmt: skip
    found = confirmations(pl.DataFrame(rows), ["best"])
    here, fresh = (
        found.row(by_predicate=(pl.col("where") == w) & (pl.col("aim") == "gap"), named=True) for w in ("here", "fresh")
    )
    assert (here["change"], here["better"], here["low"], here["of_budget"]) == (0.5, 0, None, 1.05)
    assert (fresh["change"], fresh["better"], fresh["populations"]) == (-0.5, 2, 2)
    assert fresh["low"] == fresh["high"] == -0.5


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_result_prints_draws_and_saves_in_both_languages(found: Optimum, lang: str, tmp_path: Path) -> None:
    assert len(found.text(lang).splitlines()) > 30
    # Packages of the front have names for readers, and a change of a share is one in points.
    assert "front_" not in found.text(lang)
    assert ("个百分点" if lang == "zh" else " points") in "".join(
        str(row) for *_, rows, _ in found.tables(lang) for row in rows
    )
    chart = front_figure(found, lang).to_dict()
    assert len(chart["layer"]) == 5  # dots, front, named, and labels on two sides
    written = write_optimum(found, tmp_path, lang)
    assert {path.name for path in written} >= {
        "page.md", "front.svg", "optimum.json", "tried.csv", "tried.parquet", "again.csv", "confirmed.csv",
        "best_headcount.yaml", "best_gap.yaml", "balanced.yaml",
    }  # fmt: skip
    assert pl.read_parquet(tmp_path / "tried.parquet").equals(found.tried)
    reform = scenario(POLICY, [tmp_path / "best_gap.yaml"])
    assert reform.title("en") == "least gap"
    assert str(found) == found.text("en")


def test_an_unknown_ending_of_a_figure_is_refused(found: Optimum, tmp_path: Path) -> None:
    from medfloor.reports.packages import write_front_figure

    with pytest.raises(UsageError, match="ends in none of"):
        write_front_figure(found, tmp_path / "front.gif")


def test_levers_that_say_nothing_else_are_named_by_their_path() -> None:
    policies = load_policy(POLICY)
    made: Levers = levers_of([lever("pots/outpatient/cap", "pots/outpatient/cap", 0, 5, 1)], policies)
    assert made.all[0].title("zh") == "pots/outpatient/cap"
    assert made.all[0].unit == "yuan"


@pytest.mark.heavy
def test_an_evaluation_of_a_million_people_costs_at_most_three_kernels() -> None:
    import time

    from medfloor.settlement.engines import run

    base = scenario(POLICY)
    million = next(fresh_populations(1, 1_000_000, seed=2))
    trial = Trial.of(World.of(million, base.law), levers_of(LEVERS, base.law.policies))
    world, point = trial.world, trial.levers.start()

    def least(work: object) -> float:
        times = []
        for _ in range(7):
            start = time.perf_counter()
            work()  # type: ignore[operator]
            times.append(time.perf_counter() - start)
        return min(times)

    trial.figures(trial.batch(point))
    kernel = least(lambda: run(world.batch, "kernel", threads=world.threads))
    assert least(lambda: trial.figures(trial.batch(point))) <= 3 * kernel
