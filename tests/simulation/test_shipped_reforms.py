"""Each shipped reform, over the baseline that it names for itself, moves what it is meant to move, and that way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

from medfloor.cli.main import program
from medfloor.errors import PolicyError
from medfloor.policy.load import load_policy
from medfloor.policy.numbers import ground_of, numbers_of
from medfloor.simulation import World, population_of, scenario, scenarios_of
from medfloor.simulation.funds import INSURANCE, premiums_of
from medfloor.simulation.household import Family, household
from medfloor.simulation.jumps import jumps_of
from medfloor.simulation.reform import Baseline, read_about
from medfloor.simulation.run import Bills
from medfloor.simulation.scenario import Scenario
from medfloor.synthetic import synthesise

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "reforms"
COUNTY, BEIJING = "synthetic/cn-2025", "cn/beijing@2024-01-01"
PEOPLE, SEED = 4_000, 7
REGISTERED = ["tekun", "dibao", "returned_poor"]
BELOW = ["dibao_marginal", "illness_poor", "monitored"]


@dataclass(frozen=True, slots=True)
class Held:
    """Be a reform held against its baseline on the made-up county."""

    world: World
    scenarios: tuple[Scenario, Scenario]
    before: Bills
    after: Bills

    def tier(self, name: str) -> tuple[float, float]:
        return self.before.of_tier(name).sum(), self.after.of_tier(name).sum()

    def tier_of(self, name: str, who: np.ndarray) -> tuple[float, float]:
        return self.before.of_tier(name)[who].sum(), self.after.of_tier(name)[who].sum()

    def own(self) -> tuple[float, float]:
        return self.before.own.sum(), self.after.own.sum()

    def own_of(self, who: np.ndarray) -> tuple[float, float]:
        return self.before.own[who].sum(), self.after.own[who].sum()

    def own_most(self) -> tuple[float, float]:
        return self.before.own.max(), self.after.own.max()

    def paid_in(self, kind: int, who: np.ndarray | None = None) -> tuple[float, float]:
        """Give premiums (0) or subsidies (1) of the residents' fund."""
        found = [premiums_of(self.world, one.law)[0][INSURANCE][kind] for one in self.scenarios]
        found = [one if who is None else one[who] for one in found]
        return found[0].sum(), found[1].sum()

    def everybody(self) -> list[str]:
        return self.world.batch.register.rows["person_id"].gather(self.world.batch.register.row_first[:-1]).to_list()

    def country(self) -> np.ndarray:
        homes = self.world.homes["residence"].to_numpy()
        return (self.world.home >= 0) & (homes[self.world.home] == "rural")

    def with_status(self, *groups: str) -> np.ndarray:
        held = self.world.population.spells.filter(pl.col("group").is_in(groups))["person_id"].to_list()
        return np.isin(self.everybody(), held)


Move = tuple[str, int, Callable[[Held], tuple[float, float]]]
MOVES: dict[str, tuple[Move, ...]] = {
    "assistance_50": (("medical assistance pays", -1, lambda one: one.tier("assistance")),),
    "assistance_70": (("medical assistance pays", +1, lambda one: one.tier("assistance")),),
    "county_pooling": (("basic insurance pays", -1, lambda one: one.tier("basic")),),
    "critical_illness_before": (("critical illness insurance pays", -1, lambda one: one.tier("critical_illness")),),
    "critical_illness_tilt": (
        ("critical illness insurance pays", +1, lambda one: one.tier("critical_illness")),
        ("… of it for the poor", +1, lambda one: one.tier_of("critical_illness", one.with_status(*REGISTERED))),
    ),
    "half_deductible": (("critical illness insurance pays", +1, lambda one: one.tier("critical_illness")),),
    "higher_assistance": (("medical assistance pays", +1, lambda one: one.tier("assistance")),),
    "inclusive_commercial": (
        ("the commercial insurance pays", +1, lambda one: one.tier("commercial")),
        ("patients bear", -1, Held.own),
    ),
    "one_tier": (
        ("basic insurance pays for the country", +1, lambda one: one.tier_of("basic", one.country())),
        ("the country pays in", +1, lambda one: one.paid_in(0, one.country())),
        ("the town pays in", -1, lambda one: one.paid_in(0, ~one.country())),
    ),
    "oop_cap": (
        ("the ceiling pays", +1, lambda one: one.tier("oop_cap")),
        ("the most that one patient bears", -1, Held.own_most),
    ),
    "oop_cap_for_fund_cap": (
        ("basic insurance pays", +1, lambda one: one.tier("basic")),
        ("the ceiling pays", +1, lambda one: one.tier("oop_cap")),
        ("patients bear", -1, Held.own),
    ),
    "provincial_pooling": (("basic insurance pays", +1, lambda one: one.tier("basic")),),
    "scarce_resources": (
        ("basic insurance pays for the country", +1, lambda one: one.tier_of("basic", one.country())),
        ("… for the town", 0, lambda one: one.tier_of("basic", ~one.country())),
    ),
    "several_tiers": (
        ("basic insurance pays for the country", -1, lambda one: one.tier_of("basic", one.country())),
        ("the country pays in", -1, lambda one: one.paid_in(0, one.country())),
    ),
    "softer_cliff": (
        ("medical assistance pays", +1, lambda one: one.tier("assistance")),
        ("… for the registered poor", 0, lambda one: one.tier_of("assistance", one.with_status(*REGISTERED))),
        ("marginal families and those below them bear", -1, lambda one: one.own_of(one.with_status(*BELOW))),
        ("patients bear", -1, Held.own),
    ),
    "wider_funding": (
        ("critical illness insurance pays", +1, lambda one: one.tier("critical_illness")),
        ("the public purse pays in", +1, lambda one: one.paid_in(1)),
    ),
}
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@cache
def world() -> World:
    made = synthesise(PEOPLE, seed=SEED)
    people = population_of(made.claims, made.people, made.households, made.spells, name="county")
    return World.of(people, scenario(COUNTY).law)


def files_under(baseline: Baseline) -> list[str]:
    return [str(FOLDER / name) for name in baseline.under]


@cache
def held(name: str) -> Held:
    file = FOLDER / f"{name}.yaml"
    baseline = read_about(file).baselines[0]
    assert baseline.policy == COUNTY
    before, after = scenarios_of(COUNTY, [str(file)], baseline_reforms=files_under(baseline))
    return Held(world(), (before, after), world().settle(before.law), world().settle(after.law))


def table() -> Iterator[str]:
    """Give the rows of the table in docs/reforms.md, from a run."""
    for name in NAMES:
        about = read_about(FOLDER / f"{name}.yaml")
        under = " + ".join(f"`{one.removesuffix('.yaml')}`" for one in about.baselines[0].under)
        for number, (what, _, move) in enumerate(MOVES[name]):
            before, after = move(held(name))
            head = (f"`{name}`", about.seed or "(an example)", under or "as it is") if number == 0 else ("", "", "")
            yield f"| {' | '.join(head)} | {what} | {before:,.0f} → {after:,.0f} |"


def test_every_shipped_reform_is_told_what_it_moves() -> None:
    assert sorted(MOVES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_reform_moves_what_its_seed_names(name: str) -> None:
    for what, direction, move in MOVES[name]:
        before, after = move(held(name))
        # Sums of doubles of whole fen: what is less than half a yuan is rounding.
        assert np.sign(after - before if abs(after - before) >= 0.5 else 0) == direction, (what, before, after)


def test_the_page_shows_what_the_reforms_move() -> None:
    page = (ROOT / "docs" / "reforms.md").read_text(encoding="utf-8")
    rows = list(table())
    missing = [row for row in rows if row not in page]
    assert not missing, "docs/reforms.md lacks these rows; all of them are\n" + "\n".join(rows)


@pytest.mark.parametrize("name", NAMES)
def test_a_reform_can_be_laid_over_each_baseline_that_it_names(name: str) -> None:
    file = FOLDER / f"{name}.yaml"
    for baseline in read_about(file).baselines:
        under = files_under(baseline)
        before, after = (load_policy(baseline.policy, [*under, *more]) for more in ([], [file]))
        assert before.versions != after.versions
        new = {number.case.model_dump_json() for number in numbers_of(before.versions[-1])}
        for number in numbers_of(after.versions[-1]):
            # A number that a reform sets rests on no law, so that it is nobody's but the reform's.
            if number.case.model_dump_json() not in new:
                trust = getattr(ground_of(after.versions[-1], number), "trust", None)
                assert trust == "unverified", (baseline.policy, number.path)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("half_deductible", "oop_cap")])
def test_a_reform_over_another_policy_says_for_which_it_is_written(name: str) -> None:
    about = read_about(FOLDER / f"{name}.yaml")
    try:
        load_policy("cn/neimenggu/ulanqab", [FOLDER / f"{name}.yaml"])
    except PolicyError as error:
        assert error.code == "reform_not_for"
        assert about.baselines[0].policy in error.message and "ulanqab" in error.message
        assert "\n" not in error.message
    else:
        # It only adds to a law, whatever the law.
        assert name in ("inclusive_commercial", "oop_cap_for_fund_cap")


LADDER = (("dibao", 12_000.0), ("dibao_marginal", 18_000.0), ("illness_poor", 22_000.0), ("monitored", 26_000.0))


@pytest.mark.parametrize("policy", [f"{COUNTY}@2025-06-01", BEIJING])
@pytest.mark.parametrize("bill", [80_000.0, 300_000.0])
@pytest.mark.parametrize("lines", [LADDER[:2], LADDER])
def test_the_softer_cliff_makes_a_familys_steps_smaller(
    policy: str, bill: float, lines: tuple[tuple[str, float], ...]
) -> None:
    family = Family(bill=bill, lines=lines, day=load_policy(policy).versions[0].from_.replace(year=int(policy[-10:-6])))
    found = household(family, policy, [str(FOLDER / "softer_cliff.yaml")], vary="income", high=120_000.0, points=5)
    steps = {
        law: [abs(one.jump_fen) for one in found.cliffs if one.scenario == law] for law in ("baseline", "softer_cliff")
    }
    assert max(steps["softer_cliff"]) < max(steps["baseline"])
    wide = found.rows.pivot(on="scenario", index="amount", values="own")
    assert (wide["softer_cliff"] <= wide["baseline"]).all()


@pytest.mark.parametrize(("policy", "year"), [(COUNTY, 2025), (BEIJING, 2024)])
def test_the_softer_cliff_lowers_the_cliffs_of_the_law(policy: str, year: int) -> None:
    laws = scenarios_of(policy, [str(FOLDER / "softer_cliff.yaml")])
    jumps = jumps_of(laws, year)
    lower = [one for one in jumps if abs(one.jump_after_fen) < abs(one.jump_before_fen)]
    assert len(lower) > len(jumps) / 2
    assert max(abs(one.jump_after_fen) for one in jumps) < max(abs(one.jump_before_fen) for one in jumps)
    # What opens is a rung: those who had nothing now have something, and it is less than any step that it breaks up.
    opened = [one for one in jumps if one.fate == "opened"]
    assert all(one.after is not None and one.after.groups[0] == "none" for one in opened)
    assert max(abs(one.jump_after_fen) for one in opened) < max(abs(one.jump_before_fen) for one in lower)


def test_nobody_loses_by_the_softer_cliff_and_the_registered_keep_theirs() -> None:
    found = held("softer_cliff")
    change = found.after.own - found.before.own
    assert change.max() < 0.005
    assert change[found.with_status(*REGISTERED) & ~found.with_status(*BELOW)].min() > -0.005
    assert change[found.with_status(*BELOW)].sum() < -1


def call(*args: str) -> Result:
    return CliRunner().invoke(program, list(args), prog_name="medfloor")


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("county")
    people = world().population
    for name in ("claims", "people", "households", "spells"):
        frame = getattr(people, name)
        frame.head(frame.height).write_parquet(folder / f"{name}.parquet")
    return folder


def test_a_baseline_reform_lies_under_the_baseline_and_under_every_reform(county: Path, tmp_path: Path) -> None:
    done = call(
        "simulate", "--population", str(county), "--baseline", COUNTY, "--behaviour", "none", "--no-cliffs",
        "--fresh", "0", "--households", "0", "--baseline-reform", str(FOLDER / "assistance_50.yaml"),
        "--reform", str(FOLDER / "assistance_70.yaml"), "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    plain = json.loads((tmp_path / "out" / "simulation.json").read_text(encoding="utf-8"))
    assert plain["baseline"] == f"{COUNTY} + assistance_50.yaml"
    assert [one["name"] for one in plain["scenarios"]] == ["baseline", "assistance_70"]
    rows = pl.read_parquet(tmp_path / "out" / "payers.parquet").filter(payer="assistance", statistic="amount")
    before, after = (rows.filter(scenario=name)["estimate"][0] for name in ("baseline", "assistance_70"))
    wanted = held("assistance_70").tier("assistance")
    # Payers are means a person, so that both are sums over as many people; doubles of whole fen.
    assert after / before == pytest.approx(wanted[1] / wanted[0], rel=1e-9)


def test_a_household_meets_the_baseline_reform_too() -> None:
    asked = ["household", "--policy", BEIJING, "--status", "dibao", "--points", "3"]
    asked += ["--baseline-reform", str(FOLDER / "assistance_50.yaml")]
    plain = call(*asked)
    both = call(*asked, "--reform", str(FOLDER / "assistance_70.yaml"))
    assert plain.exit_code == both.exit_code == 0, both.output
    own = [re.findall(r"[0-9,]+\.[0-9]{2}(?= )", line) for line in both.output.splitlines() if "500,000" in line[:60]]
    before, after = (float(one.replace(",", "")) for one in own[0][:2])
    assert after < before
    assert own[0][0] in plain.output


def test_reforms_joined_to_a_baseline_say_how_to_lay_them_under_it() -> None:
    done = call("household", "--policy", f"{BEIJING}+{FOLDER}/assistance_50.yaml")
    assert done.exit_code == 2
    assert "--baseline-reform" in done.output
