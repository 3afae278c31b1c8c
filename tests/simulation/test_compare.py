"""What simulations report: paired changes, winners and losers, funds, cliffs, households, errors of several kinds."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from made_small import BEIJING, small

from medfloor.errors import InputError, PolicyError, UsageError
from medfloor.measures import Design
from medfloor.reports.essentials import essentials_of
from medfloor.reports.policy_brief import policy_brief
from medfloor.reports.printing import Grid
from medfloor.reports.reform_words import document_of
from medfloor.reports.simulation import html, markdown, sections_of, write_simulation
from medfloor.simulation import Assumed, World, population_of_survey, protection, scenario, simulate
from medfloor.simulation.compare import flags_of
from medfloor.simulation.reform import read_about

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "reforms"
CAP = str(EXAMPLES / "oop_cap.yaml")
SEEDS = ROOT.parent / "shared" / "seeds"


@pytest.fixture(scope="module")
def simulation():  # type: ignore[no-untyped-def]
    reforms = [CAP, str(EXAMPLES / "softer_cliff.yaml")]
    return simulate(small(), BEIJING, reforms, behaviour="stated", most=3)


def test_a_paired_change_is_the_difference_and_has_a_smaller_error(simulation) -> None:  # type: ignore[no-untyped-def]
    rows = simulation.protection
    for name in ("mean_spending", "concentration_index", "kakwani"):
        base = rows.pick(name, scenario="baseline", response="none")
        after = rows.pick(name, scenario="oop_cap", response="none")
        change = rows.pick("reform_change", of=name, scenario="oop_cap", response="none")
        assert change.estimate == pytest.approx(after.estimate - base.estimate, rel=1e-9)
        assert change.se < base.se


def test_a_household_level_bootstrap_gives_about_the_linearised_error() -> None:
    from medfloor.measures import Design

    linear = simulate(small(), BEIJING, [CAP], cliffs=False, most=0)
    drawn = simulate(small(), BEIJING, [CAP], cliffs=False, most=0, design=Design(method="bootstrap", replicates=300))
    for name in ("headcount", "mean_spending"):
        asked = {"of": name, "scenario": "oop_cap", "response": "none"}
        asked |= {"definition": "nonfood"} if name == "headcount" else {}
        one, other = (s.protection.pick("reform_change", **asked).se for s in (linear, drawn))
        # 300 replicates know a standard error to about 4 %; a quarter is six times that.
        assert other == pytest.approx(one, rel=0.25)


def test_a_reform_that_changes_nothing_changes_nothing_and_says_so(tmp_path: Path) -> None:
    file = tmp_path / "same.yaml"
    file.write_text("change:\n  tiers/critical_illness/parts/year/deductible/amount: 30404\n", encoding="utf-8")
    found = simulate(small(300), BEIJING, [str(file)], cliffs=False)
    changes = found.protection.rows.filter(pl.col("statistic") == "reform_change")
    assert (changes["estimate"].abs() == 0).all()
    assert found.changed == ()
    assert any(note.key == "simulation.not_reached" for note in found.notes)
    prices = found.protection.rows.filter(pl.col("statistic") == "change_per_10000")
    assert prices["estimate"].null_count() == prices.height
    # A brief calls it unchanged, instead of writing nought after nought.
    for lang, words in (("zh", "没有改变任何人的支付"), ("en", "nobody's payments change")):
        (short,) = policy_brief(found, made=date(2026, 6, 16), lang=lang).short
        assert words in short


def test_a_brief_speaks_in_words_that_a_reader_knows(simulation) -> None:  # type: ignore[no-untyped-def]
    for lang, points in (("zh", "个百分点"), ("en", "points")):
        brief = policy_brief(simulation, made=date(2026, 6, 16), lang=lang)
        grids = [block for part in brief.parts for block in part.blocks if isinstance(block, Grid)]
        cells = [str(cell) for row in grids[0].rows for cell in row]
        assert not any("tiers/" in one or "brackets" in one for one in cells), cells
        changes = [row[3] for grid in grids for row in grid.rows if points in str(row[3])]
        assert changes and "%" not in str(changes), "a change of a share is in percentage points"
        told = " ".join(line for one in sections_of(simulation, lang) for line in one.text)
        assert "--forgone" not in told and "种子文献" not in told and "任务所列" not in told
        assert "000" in told and "Elasticity of demand" in told
        assert lang == "en" or "《中国农村居民医疗服务需求弹性》" in told
    assert document_of("004, sections 1 and 2.2.3", "zh").endswith("第1、2.2.3节")
    assert document_of("a letter", "zh") == "a letter", "what is not one of ours is named as it is written"


def test_who_pays_adds_up(simulation) -> None:  # type: ignore[no-untyped-def]
    for name in ("baseline", "oop_cap", "softer_cliff"):
        rows = simulation.payers.rows.filter(
            (pl.col("statistic") == "amount") & (pl.col("scenario") == name) & (pl.col("response") == "none")
        )
        amount = dict(rows.select("payer", "estimate").iter_rows())
        tiers = sum(value for payer, value in amount.items() if payer not in ("own", "all"))
        # Means of doubles: equal up to rounding of the last digits.
        assert amount["all"] == pytest.approx(tiers)
    whole = simulation.payers.rows.filter((pl.col("statistic") == "amount") & (pl.col("response") == "none"))
    sums = whole.filter(pl.col("payer").is_in(["all", "own"])).group_by("scenario").agg(pl.col("estimate").sum())
    assert sums["estimate"].max() == pytest.approx(sums["estimate"].min())


def test_winners_of_all_groups_make_the_whole(simulation) -> None:  # type: ignore[no-untyped-def]
    rows = simulation.groups.rows.filter(
        (pl.col("scenario") == "oop_cap") & (pl.col("response") == "none") & (pl.col("statistic") == "mean_change")
    )
    whole = rows.filter(pl.col("by").is_null())
    assert sorted(rows["by"].drop_nulls().unique()) == ["age", "disease", "quintile", "residence", "status"]
    for _, part in rows.filter(pl.col("by").is_not_null()).group_by("by"):
        assert part["n"].sum() == whole["n"][0]
        assert (part["estimate"] * part["n"]).sum() / part["n"].sum() == pytest.approx(whole["estimate"][0])
    # Nobody pays more under a cap on own payments while use does not respond.
    worse = simulation.groups.rows.filter((pl.col("statistic") == "worse_off") & (pl.col("response") == "none"))
    assert (worse.filter(pl.col("scenario") == "oop_cap")["estimate"] == 0).all()


def test_funds_pay_what_the_tiers_paid(simulation) -> None:  # type: ignore[no-untyped-def]
    of_cap = (pl.col("scenario") == "oop_cap") & (pl.col("response") == "none")
    rows = simulation.funds.rows.filter(of_cap)
    paid = rows.filter(pl.col("statistic") == "paid_out")
    per_head = simulation.payers.value("amount", payer="all", scenario="oop_cap", response="none")
    assert paid.filter(pl.col("fund") != "all")["estimate"].sum() == pytest.approx(per_head * simulation.people)
    assert paid.filter(pl.col("fund") == "all")["estimate"].sum() == pytest.approx(per_head * simulation.people)
    assert "paid_in" not in rows["statistic"].to_list()
    assert any(note.key == "simulation.no_premiums" for note in simulation.notes)


def test_a_fund_has_the_error_of_a_total_of_households() -> None:
    pop = small(600)
    world = World.of(pop, scenario(BEIJING).law)
    found = simulate(pop, BEIJING, [CAP], behaviour="none", cliffs=False, most=0)
    paid = world.by_home(world.settle().covered)
    asked = found.funds.pick("paid_out", fund="all", scenario="baseline")
    assert asked.estimate == pytest.approx(paid.sum())
    # A total of n households drawn with replacement: n times the standard deviation over the root of n.
    assert asked.se == pytest.approx(np.sqrt(len(paid)) * paid.std(ddof=1))
    before, after = (found.use.value("units", care="inpatient", scenario=one) for one in ("baseline", "oop_cap"))
    assert before == after == (world.family == 0).sum()


def test_every_line_of_every_table_has_an_interval(simulation) -> None:  # type: ignore[no-untyped-def]
    for name, result in simulation.results.items():
        known = result.rows.filter(pl.col("estimate").is_not_null() & (pl.col("kind") != "proportion"))
        # A change for each 10,000 yuan has none where nothing was paid more; a share of nobody has none either.
        known = known.filter(pl.col("statistic") != "change_per_10000")
        assert known["low"].null_count() == 0, name
        assert known["high"].null_count() == 0, name


def test_funds_and_use_are_means_over_populations() -> None:
    several = [small(600, seed) for seed in (1, 2, 3)]
    found = simulate(several, BEIJING, [CAP], behaviour="stated", draws=3, cliffs=False, most=0)
    singles = [simulate(one, BEIJING, [CAP], behaviour="stated", cliffs=False, most=0) for one in several]
    labels = {"fund": "all", "scenario": "oop_cap", "response": "stated"}
    values = [one.funds.value("extra", **labels) for one in singles]
    assert found.funds.value("extra", **labels) == pytest.approx(np.mean(values))
    parts = found.errors["funds"].filter((pl.col("statistic") == "extra") & (pl.col("fund") == "all"))
    row = parts.filter(pl.col("response") == "stated").row(0, named=True)
    assert row["se_populations"] == pytest.approx(np.std(values, ddof=1))
    assert row["se_draws"] > 0
    ratio = {"care": "inpatient", "scenario": "oop_cap", "response": "stated"}
    assert found.use.value("use_ratio", **ratio) == pytest.approx(
        np.mean([one.use.value("use_ratio", **ratio) for one in singles])
    )


def test_without_errors_a_conclusion_that_turns_is_flagged_all_the_same() -> None:
    design = Design(method="none")
    found = simulate(small(), BEIJING, [CAP], behaviour="stated", cliffs=False, most=0, design=design)
    assert found.protection.rows["p"].null_count() == found.protection.rows.height
    change = {
        one: found.protection.value("reform_change", of="mean_spending", scenario="oop_cap", response=one)
        for one in ("none", "stated")
    }
    flagged = "mean_spending" in [one.of for one in found.flags]
    assert flagged == (change["none"] * change["stated"] <= 0)
    for one in found.flags:
        assert one.zero * one.stated <= 1e-9


def test_a_step_between_statuses_closes_or_lowers_a_cliff(simulation) -> None:  # type: ignore[no-untyped-def]
    fates = {(one.scenario, one.fate) for one in simulation.jumps}
    assert ("oop_cap", "changed") in fates
    assert all(one.jump_after_fen == 0 for one in simulation.jumps if one.fate == "closed")
    opened = [one for one in simulation.jumps if one.scenario == "softer_cliff" and one.fate == "opened"]
    # The step is a status with rights of its own, so it stands apart from no status, and from marginal families.
    assert any("monitored" in one.after.groups for one in opened if one.after)


def test_the_households_most_changed_are_explained(simulation) -> None:  # type: ignore[no-untyped-def]
    mine = [one for one in simulation.changed if one.scenario == "oop_cap"]
    assert len(mine) == 3
    gains = [abs(one.difference) for one in mine]
    assert gains == sorted(gains, reverse=True)
    for one in mine:
        moved = sum(new - old for _, old, new in one.payers)
        assert moved == pytest.approx(-one.difference, abs=0.01)
        assert one.told_before.claim_id == one.told_after.claim_id == one.claim_id
        assert one.told_after.own_total_fen < one.told_before.own_total_fen
        assert "oop_cap" in [name for name, _, _ in one.payers]


def test_a_conclusion_that_holds_only_without_response_is_flagged(simulation) -> None:  # type: ignore[no-untyped-def]
    rows = simulation.protection.rows
    assert set(rows["response"].unique()) == {"none", "stated"}
    changes = rows.filter((pl.col("statistic") == "reform_change") & (pl.col("scenario") == "oop_cap"))
    zero = changes.filter(pl.col("response") == "none").sort("of", "definition", "threshold")
    both = changes.filter(pl.col("response") == "stated").sort("of", "definition", "threshold")
    clear = (zero["p"] < 0.05).fill_null(False).to_numpy()
    after = (both["p"] < 0.05).fill_null(False).to_numpy()
    same = (zero["estimate"] * both["estimate"] >= 0).to_numpy()
    wanted = int((clear & (~after | ~same)).sum())
    assert len([one for one in flags_of(simulation.protection) if one.scenario == "oop_cap"]) == wanted
    every = [
        flag for result in (simulation.protection, simulation.payers, simulation.groups) for flag in flags_of(result)
    ]
    assert [one.text("en") for one in simulation.flags] == [one.text("en") for one in every]
    for flag in simulation.flags:
        assert "nonfood" not in flag.text("zh") and flag.text("en") != flag.text("zh")


def test_several_populations_and_draws_widen_the_errors() -> None:
    several = [small(900, seed) for seed in (1, 2, 3)]
    found = simulate(several, BEIJING, [CAP], behaviour="stated", draws=4, cliffs=False, most=0)
    asked = {"of": "mean_spending", "scenario": "oop_cap"}
    stated = found.protection.pick("reform_change", response="stated", **asked)
    parts = found.errors["protection"].filter(
        (pl.col("statistic") == "reform_change") & (pl.col("of") == "mean_spending")
    )
    none, response = (parts.filter(pl.col("response") == name) for name in ("none", "stated"))
    assert none["se_draws"][0] == 0 and response["se_draws"][0] > 0
    assert response["se_populations"][0] > 0
    largest = max(response["se_sampling"][0], response["se_populations"][0])
    assert stated.se == pytest.approx(np.hypot(largest, response["se_draws"][0]))
    singles = [simulate(one, BEIJING, [CAP], cliffs=False, most=0) for one in several]
    mean = np.mean([one.protection.value("reform_change", response="none", **asked) for one in singles])
    assert found.protection.value("reform_change", response="none", **asked) == pytest.approx(mean)
    with pytest.raises(UsageError, match="1 draws"):
        simulate(several, BEIJING, [CAP], draws=1)


def test_weights_count() -> None:
    plain, weighted = (simulate(small(300, weights=w), BEIJING, [CAP], cliffs=False, most=0) for w in (False, True))
    weight = small(300, weights=True).households["weight"].to_numpy()
    assert weighted.protection.pick("mean_paid", scenario="baseline").weighted_n == pytest.approx(weight.sum())
    assert plain.value("mean_paid", scenario="baseline") != weighted.value("mean_paid", scenario="baseline")


def test_premiums_go_to_their_funds_and_regions_are_pooled() -> None:
    reforms = [
        str(EXAMPLES / f"{name}.yaml") for name in ("inclusive_commercial", "provincial_pooling", "several_tiers")
    ]
    found = simulate(small(regions=True), BEIJING, reforms, cliffs=False, most=0)
    funds: dict[tuple[str, str], dict[str, float]] = {}
    for row in found.funds.rows.iter_rows(named=True):
        funds.setdefault((row["scenario"], row["fund"]), {})[row["statistic"]] = row["estimate"]
    commercial = funds["inclusive_commercial", "commercial"]
    assert commercial["paid_in"] + commercial["subsidy"] == pytest.approx(168 * found.people)
    assert commercial["subsidy"] > 0
    # Half of the people live in the country (by household of three, in turn), and pay 300 instead of 500 there.
    rural = (small().people["residence"] == "rural").sum()
    assert funds["several_tiers", "basic"]["paid_in"] == 300 * rural + 500 * (found.people - rural)
    assert found.regions is not None
    assert set(found.regions.rows["scenario"]) == {"provincial_pooling"}
    sums = {name: part["estimate"].sum() for (name,), part in found.regions.rows.group_by("statistic")}
    # Millions of yuan, added up in different orders.
    assert sums["transfer"] == pytest.approx(0, abs=1e-6)
    assert sums["balance_apart"] == pytest.approx(sums["balance_pooled"])
    assert (found.regions.rows["se"] > 0).all()


def test_premiums_that_a_reform_adds_are_borne_by_people_and_purse() -> None:
    pop = small()
    found = simulate(pop, BEIJING, [str(EXAMPLES / "inclusive_commercial.yaml")], cliffs=False, most=0)
    law = {"scenario": "inclusive_commercial", "response": "none"}
    world = World.of(pop, scenario(BEIJING).law)
    before, after = (world.settle(scenario(BEIJING, files).law) for files in ((), (law_file("inclusive_commercial"),)))
    held = pop.spells.filter(pl.col("group").is_in(["tekun", "dibao"]))["person_id"]
    spared = world.batch.register.person_ids.is_in(held.implode()).to_numpy()
    premium = np.where(spared, 0.0, 168.0)
    change = after.own - before.own + premium
    rows = found.groups.rows.filter(pl.col("by").is_null() & (pl.col("response") == "none"))
    told = dict(rows.select("statistic", "estimate").iter_rows())
    # Means of doubles, summed in another order.
    assert told["mean_change"] == pytest.approx(change.mean())
    assert told["worse_off"] == pytest.approx((change > 1).mean()) and told["worse_off"] > 0.5
    assert told["bill_worse_off"] == 0
    assert told["bill_change"] == pytest.approx((after.own - before.own).mean())
    funds = {row["statistic"]: row["estimate"] for row in found.funds.rows.iter_rows(named=True)
             if (row["fund"], row["scenario"], row["response"]) == ("all", *law.values())}  # fmt: skip
    assert funds["extra_paid_in"] == pytest.approx(premium.sum())
    # The insurance lives on its premiums: the public pays those of the poor, and none of the payouts.
    assert funds["extra_subsidy"] == pytest.approx(168.0 * spared.sum()) == pytest.approx(funds["public_cost"])
    assert found.with_premiums is not None
    asked = {"of": "mean_spending", **law}
    per_home = premium.sum() / found.households
    plain = found.protection.value("reform_change", **asked)
    assert found.with_premiums.value("reform_change", **asked) == pytest.approx(plain + per_home)
    price = found.protection.value("change_per_10000", of="overshoot", definition="nonfood", **law)
    moved = found.protection.value("reform_change", of="overshoot", definition="nonfood", **law)
    assert price == pytest.approx(10_000 * moved * found.households / funds["public_cost"])


def law_file(name: str) -> str:
    return str(EXAMPLES / f"{name}.yaml")


def test_a_subsidy_that_a_reform_adds_is_its_cost_where_the_premiums_before_are_known(tmp_path: Path) -> None:
    text = """premiums:
  - {id: all, name: {zh: 全体居民, en: all}, benefit_year: 2024, personal: {value: 450, unit: yuan, trust: unverified},
     subsidy: {value: 800, unit: yuan, trust: unverified}}
"""
    told, untold = tmp_path / "told.yaml", tmp_path / "untold.yaml"
    told.write_text("reform: {before: {personal: 400, subsidy: 700}}\n" + text, encoding="utf-8")
    untold.write_text(text, encoding="utf-8")
    found = simulate(small(600), BEIJING, [str(told), str(untold)], behaviour="none", cliffs=False, most=0)
    law = {"scenario": "told", "response": "none", "fund": "basic"}
    assert found.funds.value("extra_subsidy", **law) == 100 * found.people
    assert found.funds.value("extra_paid_in", **law) == 50 * found.people
    # What people pay more, the public saves.
    assert found.funds.value("public_cost", **law | {"fund": "all"}) == -50 * found.people
    assert [note.key for note in found.notes].count("simulation.premiums_unknown") == 1
    assert "extra_subsidy" not in found.funds.rows.filter(pl.col("scenario") == "untold")["statistic"].to_list()


def test_a_survey_without_claims_is_settled_by_stays_and_visits() -> None:
    survey = pl.DataFrame(
        {
            "household_id": ["a", "a", "b", "c"], "inpatient": [30_000.0, 0.0, 80_000.0, 0.0],
            "outpatient": [500.0, 100.0, 0.0, 3_000.0], "stays": [2, 0, 1, 0], "age": [70, 40, 35, 50],
            "consumption": [40_000.0, 40_000.0, 60_000.0, 30_000.0], "weight": [1.5, 1.5, 1.0, 2.0],
            "group": ["dibao", "dibao", None, None], "year": [2024] * 4,
        }
    )  # fmt: skip
    pop = population_of_survey(survey, Assumed(0.8, 0.6, 0.9))
    world = World.of(pop, scenario(BEIJING).law)
    assert world.batch.height == 2 + 1 + 3
    assert world.batch.frame["in_scope_fen"].sum() == pytest.approx(0.8 * world.batch.frame["total_fen"].sum(), abs=6)
    assert pop.households["size"].to_list() == [2, 1, 1]
    found = simulate(pop, BEIJING, [CAP], draws=3, cliffs=False, most=0)
    change = found.errors["protection"].filter(pl.col("of") == "mean_spending")
    # Another in-scope share, another burden: the assumption is part of the error.
    assert change["se_draws"][0] > 0
    assert any(note.key == "simulation.assumed" for note in found.notes)
    with pytest.raises(InputError, match="neither inpatient nor outpatient"):
        population_of_survey(survey.drop("inpatient", "outpatient"), Assumed(0.8))
    with pytest.raises(UsageError, match="in-scope share"):
        Assumed(0.8, 0.9, 1.0)


def test_the_page_has_every_section_in_both_languages_and_no_machine(simulation, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    for lang, word in (("en", "Winners and losers"), ("zh", "受益与受损")):
        sections = sections_of(simulation, lang)
        page, web = markdown(simulation, sections, lang), html(simulation, sections, lang)
        assert word in page and word in web
        assert len(sections) == 12
        short = markdown(simulation, essentials_of(simulation, lang), lang)
        assert len(short.splitlines()) < 120
        assert str(ROOT) not in page
        if lang == "zh":
            assert not re.search(r"\| (headcount|overshoot|better off)", page)
    files = write_simulation(simulation, tmp_path / "out", "zh")
    assert all(path.stat().st_size for path in files)
    plain = json.loads((tmp_path / "out" / "simulation.json").read_text(encoding="utf-8"))
    assert plain["synthetic"] is True
    assert plain["households_most_changed"][0]["claim_id"]
    rows = pl.read_parquet(tmp_path / "out" / "protection.parquet")
    assert rows.height == simulation.protection.rows.height


def test_the_line_is_the_same_under_all_laws() -> None:
    homes = pl.DataFrame(
        {
            "consumption": [100.0, 200.0, 300.0, 400.0], "size": [1, 1, 1, 1], "food": [20.0] * 4,
            "own_0": [60.0, 0.0, 0.0, 0.0], "own_1": [0.0] * 4, "paid_0": [0.0] * 4, "paid_1": [60.0, 0.0, 0.0, 0.0],
        }
    )  # fmt: skip
    found = protection(homes, [("baseline", "none"), ("free", "none")], line="median:0.3")
    # Median 250, line 75: the first is poor with 40 left, and not with 100.
    assert found.value("net_headcount", scenario="baseline") == 0.25
    assert found.value("reform_change", of="net_headcount", scenario="free") == -0.25
    # 60 yuan more for four people take one in four out: 0.25 people a head for 15 yuan a head.
    assert found.value("change_per_10000", of="net_headcount", scenario="free") == pytest.approx(-0.25 / 15 * 10_000)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_reform_of_a_seed_quotes_it_word_for_word(file: Path) -> None:
    about = read_about(file)
    if about.seed is None:
        pytest.skip("this example comes from no seed")
    if not SEEDS.is_dir():
        pytest.skip("the seed documents are not beside the repository")
    seed = next(SEEDS.glob(f"{about.seed[:3]}_*.txt")).read_text(encoding="utf-8")
    assert about.quote
    assert " ".join(about.quote.split()) in " ".join(seed.split())


def test_a_wrong_word_about_a_reform_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("reform: {sead: '004'}\n", encoding="utf-8")
    with pytest.raises(PolicyError, match="reform/sead"):
        read_about(file)


@pytest.mark.parametrize(("p", "turns"), [(0.001, True), (0.6, False)])
def test_only_a_clear_change_of_sign_is_called_the_opposite(simulation, p: float, turns: bool) -> None:  # type: ignore[no-untyped-def]
    response = pl.col("response")
    rows = simulation.protection.rows.with_columns(
        pl.when(response == "stated").then(0.01).otherwise(-0.01).alias("estimate"),
        pl.when(response == "stated").then(p).otherwise(0.001).alias("p"),
    )
    found = flags_of(replace(simulation.protection, rows=rows))
    assert found
    assert {one.turns for one in found} == {turns}
    assert all(("the opposite" in one.text("en")) is turns for one in found)
