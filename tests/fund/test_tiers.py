"""One tier or several: what must hold whatever the members are."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import InputError, UsageError
from medfloor.fund.tiers import SCENARIOS, Choosing, Tier, members_file, read_tiers, shipped_tiers, tiering


def test_net_transfers_sum_to_zero_in_every_scenario() -> None:
    found = tiering()
    for groups in (["rural", "urban"], list("12345")):
        rows = found.transfers.filter(pl.col("group").is_in(groups))
        sums = rows.group_by("scenario").agg((pl.col("transfer") * pl.col("share")).sum())
        # Rounding of doubles.
        assert sums["transfer"].abs().max() < 1e-9  # type: ignore[operator]


def test_before_joining_nothing_moves_between_town_and_country_and_after_it_the_country_pays() -> None:
    found = tiering()
    # Rounding of doubles.
    assert found.transfer("before", "rural") == pytest.approx(0, abs=1e-9)
    assert found.transfer("choice", "rural") < 0 < found.transfer("choice", "urban")
    assert found.transfer("choice", "1") < 0 < found.transfer("choice", "5")
    assert "Reverse subsidy" in found.text("en") and "逆向补贴" in found.text("zh")


def test_the_high_tier_draws_the_ill_and_unravels_when_it_must_pay_for_itself() -> None:
    found = tiering()
    high = found.tiers.filter((pl.col("scenario") == "choice") & (pl.col("tier") == "high")).row(0, named=True)
    assert high["risk"] > 1.5 and high["loss_ratio"] > 1
    shares = found.rounds.filter(pl.col("tier") == "high")["share"]
    assert shares[-1] < shares[0]


def test_one_tier_at_the_same_cost_costs_the_same_and_lifting_costs_more() -> None:
    found = tiering()
    # The root is found to a millionth of a millionth of the ratio.
    assert found.value("lift", "same_cost") == pytest.approx(0, abs=1e-6)
    assert found.value("lift", "lifted") > 100
    assert found.scenarios["scenario"].to_list() == list(SCENARIOS)


def test_a_response_makes_the_high_tier_dearer_and_nought_is_a_setting() -> None:
    assert tiering(choosing=Choosing(response=0.05)).value("payment", "high") > tiering().value("payment", "high")
    assert "does not respond" in tiering().text("en")


@settings(max_examples=30, deadline=None)
@given(
    st.floats(0, 1000),
    st.floats(0, 1000),
    st.floats(0.05, 0.9),
    st.floats(0, 0.1),
    st.sampled_from(["utility", "logit"]),
)
def test_shares_come_to_one_and_a_better_tier_for_nothing_is_taken_by_all(
    base: float, more: float, ratio: float, step: float, way: str
) -> None:
    tiers = (Tier("a", base, ratio), Tier("b", base + more, ratio + step))
    found = tiering(tiers, subsidy=500, choosing=Choosing(way=way, rounds=2))
    sums = found.tiers.group_by("scenario").agg(pl.col("share").sum())["share"]
    # Rounding of doubles.
    assert sums.to_list() == pytest.approx([1.0] * len(sums))
    free = tiering((Tier("a", base, ratio), Tier("b", base, ratio + 0.1)), choosing=Choosing(way="utility", rounds=1))
    taken = free.tiers.filter((pl.col("scenario") == "choice") & (pl.col("tier") == "b"))["share"].item()
    assert taken == pytest.approx(1.0)


def test_members_come_from_a_file_and_are_called_yours(tmp_path: Path) -> None:
    _, members, _ = shipped_tiers()
    pl.DataFrame({
        "residence": ["rural" if one == 0 else "urban" for one in members.residence],
        "income": members.income, "cost": members.cost, "share": members.share,
    }).write_csv(tmp_path / "m.csv")  # fmt: skip
    found = tiering(members=members_file(tmp_path / "m.csv"))
    # Numbers went through text with sixteen digits.
    assert found.value("payment", "choice") == pytest.approx(tiering().value("payment", "choice"), rel=1e-9)
    assert found.transfer("choice", "1") == pytest.approx(tiering().transfer("choice", "1"), rel=1e-6)
    assert not found.synthetic and "yours" in found.sources()["trust"].to_list()


@pytest.mark.parametrize("row", ["moon,1,1,1", "rural,-1,1,1", "rural,x,1,1", "rural,1,-1,1", "rural,1,1,0"])
def test_members_that_cannot_be_are_refused(tmp_path: Path, row: str) -> None:
    (tmp_path / "m.csv").write_text(f"residence,income,cost,share\n{row}\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"m\.csv, row 1"):
        members_file(tmp_path / "m.csv")
    (tmp_path / "m.csv").write_text("residence,income\nrural,1\n", encoding="utf-8")
    with pytest.raises(InputError, match="has no cost"):
        members_file(tmp_path / "m.csv")


@pytest.mark.parametrize("texts", [["a=1,0.5"], ["a=1,0.5", "a=2,0.6"], ["a=1", "b=2,0.6"], ["a=1,2", "b=2,3"],
                                   ["a=1,0.6", "b=2,0.5"], ["a=-1,0.5", "b=2,0.6"]])  # fmt: skip
def test_tiers_that_cannot_be_are_refused(texts: list[str]) -> None:
    with pytest.raises(UsageError) as said:
        read_tiers(texts)
    assert said.value.code == "bad_tiers"


@pytest.mark.parametrize("how", [Choosing("hope"), Choosing(aversion=-1), Choosing(rounds=0), Choosing(response=2)])
def test_a_way_of_choosing_that_cannot_be_is_refused(how: Choosing) -> None:
    with pytest.raises(UsageError) as said:
        tiering(choosing=how)
    assert said.value.code == "bad_parameter"
