"""The same people under one law after another: what comes out is what settling each from the start would give."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from made_small import BEIJING, small

from medfloor.errors import InputError, MissingValueError, UsageError
from medfloor.settlement import engines, settle
from medfloor.settlement.batch import Batch
from medfloor.settlement.engines import Outcome
from medfloor.simulation import World, aims_of, population_of, read_population, run, scenario, scenarios_of

ROOT = Path(__file__).resolve().parents[2]
REFORMS = [
    file
    for file in sorted((ROOT / "examples" / "reforms").glob("*.yaml"))
    if BEIJING in file.read_text(encoding="utf-8")
]


@pytest.fixture(scope="module")
def world() -> World:
    return World.of(small(), scenario(BEIJING).law)


@pytest.mark.parametrize("file", REFORMS, ids=lambda file: file.stem)
def test_a_reform_in_place_gives_what_settling_anew_gives(world: World, file: Path) -> None:
    one = scenario(BEIJING, [file])
    bills = world.settle(one.law)
    pop = world.population
    fen = settle(pop.claims, pop.people, pop.spells, one.law).fen
    paid = fen.group_by("person_id").agg(pl.col(f"pay_{tier}_fen").sum() for tier in bills.tiers)
    ids = pl.DataFrame({"person_id": world.batch.register.person_ids})
    paid = ids.join(paid, on="person_id", how="left", maintain_order="left").fill_null(0)
    for tier in bills.tiers:
        # Both are whole fen, so they agree exactly when rounded to the fen.
        assert (np.rint(bills.of_tier(tier) * 100) == paid[f"pay_{tier}_fen"].to_numpy()).all()


def test_every_yuan_is_paid_by_somebody(world: World) -> None:
    bills = world.settle()
    whole = float(world.batch.frame["total_fen"].sum()) / 100
    # Sums of doubles of 4,000 claims: a hundredth of a fen is far above their rounding.
    assert bills.covered.sum() + bills.own.sum() == pytest.approx(whole, abs=1e-4)
    assert bills.by_family.sum() == pytest.approx(bills.covered.sum(), abs=1e-4)


def test_what_care_costs_is_added_up_once_for_all_laws_but_not_for_other_claims(world: World) -> None:
    base, reformed = world.settle(), world.settle(scenario(BEIJING, REFORMS[:1]).law)
    assert reformed.total is base.total and reformed.units is base.units
    twice = world.bills(world.responding(world.batch, np.zeros(world.batch.height, np.int64) + 2))
    # Each claim twice is twice the same doubles, which is exact.
    assert (twice.total == 2 * base.total).all() and (twice.units == 2 * base.units).all()
    assert (world.settle().total == base.total).all()


def test_a_law_that_counts_by_household_sorts_anew_and_keeps_the_people(world: World, tmp_path: Path) -> None:
    file = tmp_path / "by_household.yaml"
    file.write_text("tiers:\n  - {id: critical_illness, accumulate: household}\n", encoding="utf-8")
    one = scenario(BEIJING, [file])
    assert one.law.layout.household
    bills = world.settle(one.law)
    pop = world.population
    fen = settle(pop.claims, pop.people, pop.spells, one.law).fen
    assert round(bills.covered.sum() * 100) == fen["pay_total_fen"].sum()
    own = fen.group_by("person_id").agg(pl.col("own_total_fen").sum())
    ids = pl.DataFrame({"person_id": world.batch.register.person_ids})
    own = ids.join(own, on="person_id", how="left", maintain_order="left").fill_null(0)
    assert (np.rint(bills.own * 100) == own["own_total_fen"].to_numpy()).all()


def test_what_was_taken_back_is_no_care(tmp_path: Path) -> None:
    pop = small(60)
    assert isinstance(pop.claims, pl.DataFrame)
    first = pop.claims.row(0, named=True)
    back = pl.DataFrame([first | {"claim_id": "z-back", "total": 0.0, "off_catalogue": 0.0, "in_scope": 0.0}])
    claims = pl.concat([pop.claims, back.select(pop.claims.columns)]).with_columns(
        pl.when(pl.col("claim_id") == "z-back").then(pl.lit(first["claim_id"])).alias("reverses")
    )
    world = World.of(population_of(claims, pop.people, pop.households), scenario(BEIJING).law)
    assert world.batch.height == pop.claims.height - 1


def test_claims_of_two_years_need_a_choice() -> None:
    pop = small(60)
    assert isinstance(pop.claims, pl.DataFrame)
    later = pop.claims.with_columns(
        pl.format("y{}", "claim_id").alias("claim_id"),
        *(pl.col(d).dt.offset_by("1y") for d in ("start_date", "end_date")),
    )
    both = population_of(pl.concat([pop.claims, later]), pop.people, pop.households)
    with pytest.raises(UsageError, match="2024, 2025; choose one"):
        World.of(both, scenario(BEIJING).law)
    chosen = population_of(pl.concat([pop.claims, later]), pop.people, pop.households, year=2025)
    assert World.of(chosen, scenario(BEIJING).law).batch.height == later.height
    with pytest.raises(UsageError, match="no claim ends in 2030"):
        World.of(population_of(pop.claims, pop.people, pop.households, year=2030), scenario(BEIJING).law)


def test_a_claim_that_cannot_be_settled_is_left_out_under_every_law() -> None:
    pop = small(60)
    assert isinstance(pop.claims, pl.DataFrame)
    claims = pop.claims.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("nobody")).otherwise("person_id").alias("person_id")
    )
    world = World.of(population_of(claims, pop.people, pop.households), scenario(BEIJING).law)
    assert world.refused == {"unknown_person": 1}
    assert world.batch.height == claims.height - 1


def test_a_reform_without_its_number_says_which(world: World, tmp_path: Path) -> None:
    file = tmp_path / "unknown.yaml"
    file.write_text("change:\n  pots/inpatient/cap: {unit: yuan, value: null}\n", encoding="utf-8")
    with pytest.raises(MissingValueError, match="pots/inpatient/cap"):
        world.settle(scenario(BEIJING, [file]).law)


def test_a_folder_of_csv_and_one_of_parquet_give_the_same(tmp_path: Path) -> None:
    pop = small(90)
    assert isinstance(pop.claims, pl.DataFrame)
    assert pop.spells is not None
    tables = {"claims": pop.claims, "people": pop.people, "households": pop.households, "spells": pop.spells}
    for ending in ("csv", "parquet"):
        (tmp_path / ending).mkdir()
        for name, frame in tables.items():
            if ending == "csv":
                frame.write_csv(tmp_path / ending / f"{name}.csv")
            else:
                frame.write_parquet(tmp_path / ending / f"{name}.parquet")
    law = scenario(BEIJING).law
    one, other = (World.of(read_population(tmp_path / ending), law) for ending in ("csv", "parquet"))
    assert (one.settle().own == other.settle().own).all()
    assert one.population.synthetic and other.population.synthetic
    joined = World.of(read_population(f"{tmp_path / 'csv'}+{tmp_path / 'parquet'}"), law)
    assert joined.settle().own.sum() == pytest.approx(2 * one.settle().own.sum())
    assert sorted(joined.homes["region"].unique()) == ["csv", "parquet"]
    (tmp_path / "csv" / "people.csv").unlink()
    with pytest.raises(InputError, match=r"no people\.parquet or people\.csv"):
        read_population(tmp_path / "csv")


def test_scenarios_have_names_of_their_own() -> None:
    cap, half = (str(ROOT / "examples" / "reforms" / f"{name}.yaml") for name in ("oop_cap", "half_deductible"))
    found = scenarios_of(BEIJING, [cap, f"{cap}+{half}"])
    assert [one.name for one in found] == ["baseline", "oop_cap", "oop_cap+half_deductible"]
    with pytest.raises(UsageError, match="two scenarios are called oop_cap"):
        scenarios_of(BEIJING, [cap, cap])
    with pytest.raises(UsageError, match="no reform was given"):
        scenarios_of(BEIJING, [])


def test_aims_are_what_the_measures_say(world: World) -> None:
    from medfloor.measures import catastrophic, impoverishing

    own = world.by_home(world.settle().own) + world.homes["oop_outside"].to_numpy()
    homes = world.homes.with_columns(pl.Series("oop", own))
    aims = aims_of(world.homes, own, line=9_000.0)
    found = catastrophic(homes, definition="nonfood", thresholds=[0.4], rank_weighted=False)
    poor = impoverishing(homes, line=9_000.0, ranked=False)
    # Equal up to the order in which doubles are added.
    assert aims["headcount"] == pytest.approx(found.value("headcount"), rel=1e-12)
    assert aims["overshoot"] == pytest.approx(found.value("overshoot"), rel=1e-12)
    assert aims["poverty"] == pytest.approx(poor.value("net_headcount"), rel=1e-12)
    assert aims["poverty-gap"] == pytest.approx(poor.value("net_gap"), rel=1e-12)


def test_a_world_planned_for_few_settlements_does_not_go_on_so_beyond_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def told(batch: Batch, engine: Literal["auto", "few"], **more: int) -> Outcome:
        asked.append(engine)
        return engines.run(batch, "kernel")

    monkeypatch.setattr(engines, "_SPARED", engines._Spared())
    for room in (engines, run):
        monkeypatch.setattr(room, "is_loaded", lambda: False)
    monkeypatch.setattr(run, "run", told)
    world = run.World.of(small(300), scenario(BEIJING).law, often=2)
    bills = [world.settle() for _ in range(3)]
    assert asked == ["few", "few", "auto"]
    monkeypatch.setattr(run, "is_loaded", lambda: True)
    world.settle()
    assert asked[3:] == ["auto"]
    assert all((one.paid == bills[0].paid).all() for one in bills)


def test_what_was_paid_is_known_of_the_law_that_was_settled_last() -> None:
    world = run.World.of(small(300), scenario(BEIJING).law)
    outcome = world.outcome(world.batch)
    assert (world.paid(world.batch) == outcome.pay.sum(axis=0)).all()
    assert world.last[0][0] is world.batch
    doubled = world.responding(world.batch, np.full(world.batch.height, 2))
    assert world.paid(doubled).shape == (2 * world.batch.height,)
    assert world.last[0][0] is world.batch  # claims put together anew are not kept


@pytest.mark.parametrize("loaded", [True, False])
@pytest.mark.parametrize(("people", "engine"), [(300, "few"), (600, "kernel")])
def test_claims_that_stand_twice_are_settled_by_one_engine_whatever_is_loaded(
    people: int, engine: str, loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Stays of one id are one stay to the reference and two to the kernel.
    asked: list[str] = []

    def told(batch: Batch, engine: Literal["few", "kernel"], **more: int) -> Outcome:
        asked.append(engine)
        return engines.run(batch, engine)

    world = run.World.of(small(people), scenario(BEIJING).law)
    monkeypatch.setattr(run, "is_loaded", lambda: loaded)
    monkeypatch.setattr(engines, "is_loaded", lambda: loaded)
    monkeypatch.setattr(run, "run", told)
    world.bills(world.responding(world.batch, np.arange(world.batch.height) % 3))
    assert asked == [engine]
