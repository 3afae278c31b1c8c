"""Packages that a budget can buy: levers, the trial, the search, the front, and what is said of the winners."""

from __future__ import annotations

import itertools
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medfloor.errors import InputError, PolicyError, UsageError
from medfloor.policy.load import load_policy
from medfloor.policy.resolve import resolve
from medfloor.reports.packages import front_figure, markdown, write_optimum
from medfloor.simulation.behaviour import stated
from medfloor.simulation.budget import fresh_populations, optimise
from medfloor.simulation.choice import AIMS, Optimum, confirmations
from medfloor.simulation.front import non_dominated
from medfloor.simulation.packages import Lever, Levers, levers_of, read_levers
from medfloor.simulation.population import Population
from medfloor.simulation.protection import aims_of
from medfloor.simulation.run import World
from medfloor.simulation.scenario import scenario
from medfloor.simulation.search import search
from medfloor.simulation.trial import Trial, Yardsticks
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


def test_the_same_seed_gives_the_same_packages(people: Population, found: Optimum) -> None:
    other = optimise(people, POLICY, LEVERS, looks=240, seed=3)
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


def test_confirmations_pair_each_population_with_its_own_status_quo() -> None:
    rows = [
        {"population": p, "package": name, "response": "none", **dict.fromkeys(AIMS, base + add), "cost": 10.0 + add,
         "budget": 10.0}
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
