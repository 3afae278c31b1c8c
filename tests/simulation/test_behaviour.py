"""How use responds: arc elasticities, the same chance under all laws, conclusions that hold only without response."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_small import BEIJING, small

from medfloor.errors import InputError, UsageError
from medfloor.simulation import World, bills_of, scenario, scenarios_of, stated
from medfloor.simulation.behaviour import arc_ratio, copies_of, prices_of
from medfloor.simulation.compare import Kept

ROOT = Path(__file__).resolve().parents[2]
CAP = ROOT / "examples" / "reforms" / "oop_cap.yaml"


@settings(max_examples=50)
@given(st.floats(-0.95, 0.0), st.floats(0.001, 1.0), st.floats(0.0, 1.0))
def test_the_arc_elasticity_comes_back_out_of_the_ratio(elasticity: float, before: float, after: float) -> None:
    ratio = float(arc_ratio(elasticity, np.array([before]), np.array([after]))[0])
    left = (ratio - 1) / (ratio + 1)
    # A ratio of doubles near one loses some digits of its difference from one.
    assert left == pytest.approx(elasticity * (after - before) / (after + before), abs=1e-9)
    assert ratio >= 1 - 1e-12 if after <= before else ratio <= 1 + 1e-12


def test_the_shipped_elasticities_are_those_of_the_notes() -> None:
    shipped = stated()
    assert (shipped.inpatient.value, shipped.inpatient.low, shipped.inpatient.high) == (-0.372, -0.517, -0.226)
    assert (shipped.outpatient.value, shipped.outpatient.low, shipped.outpatient.high) == (-0.519, -0.703, -0.336)
    assert all(
        one.source and one.trust and one.unit for one in (shipped.inpatient, shipped.outpatient, shipped.forgone)
    )


def test_a_law_that_changes_nothing_changes_no_use() -> None:
    world = World.of(small(600), scenario(BEIJING).law)
    prices = prices_of(world)
    assert (copies_of(world, prices, world.under(scenario(BEIJING).law), stated(), seed=1) == 1).all()


def test_elasticities_of_zero_are_no_response() -> None:
    world = World.of(small(600), scenario(BEIJING).law)
    none = replace(
        stated(), **{name: replace(getattr(stated(), name), value=0.0) for name in ("inpatient", "outpatient")}
    )
    found = bills_of(world, scenarios_of(BEIJING, [str(CAP)]), none)
    assert (found["oop_cap", "none"].own == found["oop_cap", "stated"].own).all()


def test_draws_of_responses_find_the_same_with_what_was_kept_of_earlier_ones() -> None:
    world = World.of(small(600), scenario(BEIJING).law)
    laws, kept = scenarios_of(BEIJING, [str(CAP)]), Kept()
    rng = np.random.default_rng(1)
    for behaviour in (stated(), stated().drawn(rng), stated().drawn(rng)):
        again, anew = bills_of(world, laws, behaviour, kept=kept), bills_of(world, laws, behaviour)
        assert again.keys() == anew.keys()
        for key, bills in anew.items():
            assert (again[key].paid == bills.paid).all()
            assert (again[key].total == bills.total).all()
    assert list(kept.laws) == ["baseline", "oop_cap"]


def test_cheaper_care_is_used_more_and_the_more_the_more_elastic() -> None:
    world = World.of(small(2_000), scenario(BEIJING).law)
    prices = prices_of(world)
    batch = world.under(scenario(BEIJING, [CAP]).law)
    base = stated()
    strong = replace(
        base, inpatient=replace(base.inpatient, value=-0.9), outpatient=replace(base.outpatient, value=-0.9)
    )
    few, many = (copies_of(world, prices, batch, one, seed=5) for one in (base, strong))
    assert (few >= 1).all()
    # The same random numbers: whatever comes back under the weak response does under the strong one.
    assert (many >= few).all() and many.sum() > few.sum()


def test_dearer_care_is_forgone(tmp_path: Path) -> None:
    file = tmp_path / "dearer.yaml"
    file.write_text("change:\n  tiers/basic/parts/stay_adult/brackets/0/rate: 10\n", encoding="utf-8")
    world = World.of(small(2_000), scenario(BEIJING).law)
    copies = copies_of(world, prices_of(world), world.under(scenario(BEIJING, [file]).law), stated(), seed=5)
    stays = world.family == 0
    assert copies[stays].sum() < stays.sum()
    # Visits cost what they did; few of them move, for assistance pays on top of basic insurance in one year.
    assert abs(copies[~stays].sum() - (~stays).sum()) <= 0.01 * (~stays).sum()


def test_the_mean_response_is_what_the_elasticity_says() -> None:
    world = World.of(small(6_000), scenario(BEIJING).law)
    prices = prices_of(world)
    batch = world.under(scenario(BEIJING, [CAP]).law)
    draws = [copies_of(world, prices, batch, stated(), seed=seed).sum() for seed in range(20)]
    # 12,000 claims with an extra one each with a chance of a few per cent: twenty draws of it have a standard error of
    # some five claims; six times that is 30.
    from medfloor.settlement.engines import run

    pay = run(batch, "kernel").pay.sum(axis=0)
    cells = len(prices.own)
    total = np.bincount(prices.cell, world.batch.frame["total_fen"].to_numpy(), minlength=cells)
    own = total - np.bincount(prices.cell, pay, minlength=cells)
    after = np.divide(own, total, out=np.zeros(cells), where=total > 0)
    elasticity = np.where(prices.family == 0, -0.372, -0.519)
    expected = arc_ratio(elasticity, prices.own, after)[prices.cell].sum()
    assert np.mean(draws) == pytest.approx(expected, abs=30)


def test_forgone_care_of_the_poor_comes_back_only_where_it_is_stated_and_cheaper() -> None:
    world = World.of(small(3_000), scenario(BEIJING).law)
    prices = prices_of(world)
    file = ROOT / "examples" / "reforms" / "softer_cliff.yaml"
    batch = world.under(scenario(BEIJING, [file]).law)
    base = stated()
    back = replace(base, forgone=replace(base.forgone, value=0.3))
    without, with_it = (copies_of(world, prices, batch, one, seed=5) for one in (base, back))
    more = with_it > without
    assert more.any()
    assert prices.poor[prices.cell][more].all()


def test_forgone_care_is_assumed_by_a_number_and_held_in_draws() -> None:
    assumed = stated(forgone=0.2)
    rng = np.random.default_rng(1)
    assert assumed.drawn(rng).forgone.value == assumed.forgone.value == 0.2
    assert "20 %" in assumed.words().say("en") and "用户假定" in assumed.words().say("zh")
    # As shipped nothing comes back, in draws neither, and that is said.
    assert stated().drawn(rng).forgone.value == 0
    assert "no figure was found" in stated().words().say("en")
    for wrong in (-0.1, 9.0, float("nan")):
        with pytest.raises(UsageError, match="forgone care"):
            stated(forgone=wrong)


def test_a_wrong_file_of_elasticities_says_what_is_wrong(tmp_path: Path) -> None:
    text = (ROOT / "src/medfloor/simulation/elasticities.toml").read_text(encoding="utf-8")
    for wrong in (text.replace("-0.372", "0.372"), text.replace("[forgone]", "[other]"), "nonsense ="):
        file = tmp_path / f"{len(wrong)}.toml"
        file.write_text(wrong, encoding="utf-8")
        with pytest.raises(InputError, match="cannot be used"):
            stated(file)
