"""A county counted from its settlements: what the law pays there is what the projection starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from medfloor.errors import InputError, UsageError
from medfloor.fund import contrast, county, project
from medfloor.fund.county import _settled
from medfloor.settlement import settle
from medfloor.synthetic import shipped_place, synthesise


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    made = synthesise(1500, seed=4)
    return {"claims": made.claims, "people": made.people, "spells": made.spells}


@pytest.fixture(scope="module")
def law() -> str:
    return shipped_place().policy_address


@pytest.fixture(scope="module")
def reform(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("reform") / "generous.yaml"
    file.write_text("change:\n  tiers/basic/parts/stay/brackets/only/rate: {plus: 5}\n", encoding="utf-8")
    return str(file)


def members_of(basis: Any) -> Any:
    return ((basis.people * basis.share)[..., None] * basis.assisted)[None]


def test_the_base_year_pays_to_the_yuan_what_was_settled(tables: dict[str, Any], law: str) -> None:
    basis = county(tables, law)
    done = settle(tables["claims"], tables["people"], tables["spells"], law)
    residents = tables["people"].filter(pl.col("scheme") == "resident").select("person_id")
    mine = done.settlements.join(residents, on="person_id")
    expected = basis.cells.expected(members_of(basis))[0].sum(axis=(1, 2))
    for place, tier in enumerate(("basic", "critical_illness", "assistance")):
        # Sums of doubles in another order.
        assert expected[place] == pytest.approx(mine[f"pay_{tier}"].sum(), rel=1e-9)
    assert members_of(basis).sum() == pytest.approx(residents.height)


def test_a_reform_changes_the_outgo_and_nothing_else_about_the_start(
    tables: dict[str, Any], law: str, reform: str
) -> None:
    before, after = county(tables, law), county(tables, law, reforms=[reform])
    assert after.scenario == "generous"
    runs = [project(one, years=5, paths=20) for one in (before, after)]
    found = contrast(*runs).frame.filter((pl.col("fund") == "basic") & (pl.col("year") == 2030))
    change = dict(zip(found["item"], found["change"], strict=True))
    assert change["outgo"] > 0
    assert runs[0].people.equals(runs[1].people)
    assert runs[0].value("subsidy", 2028) == runs[1].value("subsidy", 2028)


def test_settlements_that_are_there_give_what_settling_gives(tables: dict[str, Any], law: str) -> None:
    done = settle(tables["claims"], tables["people"], tables["spells"], law)
    settled, counted = county(tables, law), county(tables, law, settled=done.settlements)
    one, other = (basis.cells.expected(members_of(basis)) for basis in (settled, counted))
    assert one == pytest.approx(other)


def test_made_up_people_are_said_to_be_made_up(tables: dict[str, Any], law: str) -> None:
    outlook = project(county(tables, law), years=2, paths=10)
    assert outlook.synthetic
    assert "人口为合成数据" in outlook.text("zh")


def test_chance_of_single_claims_is_larger_in_a_small_place(tables: dict[str, Any], law: str) -> None:
    basis = county(tables, law)
    # A thousand people: the notes have 14 % for stays alone.
    assert 0.03 < basis.parameters.value("shock.random") < 0.3


def test_every_tier_goes_to_a_fund_and_kinds_are_told_apart(tables: dict[str, Any], law: str) -> None:
    from medfloor.settlement.settle import law_of

    frame, tiers = _settled(tables, law_of(law), None, 2025)
    assert set(tiers) == {"basic", "critical_illness", "assistance"}
    assert set(frame["kind"].unique()) == {0, 1, 2}


def test_a_year_without_claims_and_people_without_claims_are_refused(tables: dict[str, Any], law: str) -> None:
    with pytest.raises(UsageError, match="there are 2025"):
        county(tables, law, year=2019)
    others = tables["people"].with_columns(pl.format("x{}", "person_id").alias("person_id"))
    with pytest.raises(InputError):
        county(tables | {"people": others, "spells": None}, law)


def test_a_reserve_of_ones_own_is_taken(tables: dict[str, Any], law: str) -> None:
    basis = county(tables, law, given={"reserve.start": 3.0})
    outgo = basis.cells.expected(members_of(basis))[0, :2].sum()
    assert basis.reserve[0] == pytest.approx(outgo / 4)
    assert Path(law).suffix == ".yaml"
