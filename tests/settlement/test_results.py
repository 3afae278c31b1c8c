"""Settlement tables: the contract's columns, the national platform's, and what is carried through beside them."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from worlds import a_claim, claims_frame, examples, one_tier, people_frame, percent, policy_set, worlds

from medfloor.settlement import settle
from medfloor.settlement.results import NATIONAL_FUNDS, NATIONAL_MONEY, money_columns
from medfloor.tables import SETTLEMENT_KEYS, SETTLEMENT_SUMS

HALF = policy_set(one_tier({"brackets": [{"rate": [percent(50)]}]}))


def settle_one(columns: Any = "ours", **carried: Any) -> Any:
    claims = claims_frame([a_claim()]).with_columns(pl.lit(value).alias(name) for name, value in carried.items())
    return settle(claims, people_frame([{"person_id": "p0"}]), None, HALF, columns=columns)


@examples(30)
@given(worlds())
def test_every_row_adds_up_in_both_spellings_under_random_law(world: Any) -> None:
    settled = settle(world.claims, world.people, world.spells, world.policies, columns="national")
    fen, national = settled.fen, settled.national_fen
    assert national is not None
    pays = [f"pay_{tier}_fen" for tier in settled.tiers]
    assert fen.filter(pl.col("pay_total_fen") != pl.sum_horizontal(pays)).height == 0
    assert fen.filter(pl.col("total_fen") != pl.col("pay_total_fen") + pl.col("own_total_fen")).height == 0
    own = pl.col("own_in_scope_fen") + pl.col("own_outside_fen")
    assert fen.filter(pl.col("own_total_fen") != own).height == 0
    assert fen.filter(pl.min_horizontal(money_columns(settled.tiers)) < 0).height == 0
    assert national.height == fen.height
    funds = pl.sum_horizontal("hifp_pay_fen", "hifmi_pay_fen", "maf_pay_fen", "othfund_pay_fen")
    assert national.filter(pl.col("fund_pay_sumamt_fen") != funds).height == 0
    whole = pl.col("fund_pay_sumamt_fen") + pl.col("psn_part_amt_fen")
    assert national.filter(pl.col("medfee_sumamt_fen") != whole).height == 0
    parts = ("fulamt_ownpay_amt_fen", "overlmt_selfpay_fen", "preselfpay_amt_fen", "inscp_scp_amt_fen")
    assert national.filter(pl.col("medfee_sumamt_fen") != pl.sum_horizontal(parts)).height == 0
    assert national.filter(~pl.col("pool_prop_selfpay").is_between(0, 1)).height == 0
    assert [name for name in national.columns if name.endswith("_fen")] == list(NATIONAL_MONEY)
    for tier, field in NATIONAL_FUNDS.items():
        if tier in settled.tiers:
            assert national[f"{field}_fen"].to_list() == fen[f"pay_{tier}_fen"].to_list()


def test_the_columns_stand_in_the_order_of_the_contract_and_carried_ones_behind() -> None:
    settled = settle_one(note="x")
    carried = ["paid_elsewhere", "own_limit", "note"]
    assert settled.settlements.columns == [*SETTLEMENT_KEYS, "pay_basic", *SETTLEMENT_SUMS, *carried]


@pytest.mark.parametrize("columns", ["ours", "national"])
@pytest.mark.parametrize(
    ("name", "value"), [("own_fen", 7), ("_x", "y"), ("payment_fen", 1), ("group", "z"), ("_fen", 3)]
)
def test_a_carried_column_is_not_taken_for_ours(columns: str, name: str, value: Any) -> None:
    settled = settle_one(columns, **{name: value})
    table = settled.national_fen if columns == "national" else settled.fen
    assert table[name].to_list() == [value]
    if columns == "ours":
        assert settled.settlements[name].to_list() == [value]


@pytest.mark.parametrize("name", ["sequence", "pay_basic", "benefit_year", "own_total", "own_total_fen", "deductible"])
def test_settlements_can_be_fed_in_again_and_their_old_columns_give_way(name: str) -> None:
    settled = settle_one(**{name: "old"})
    assert "old" not in settled.settlements.select(pl.all().cast(pl.String)).row(0)
    assert settled.settlements["own_total"].to_list() == [500.0]


@pytest.mark.parametrize("name", ["hifp_pay", "act_pay_dedc", "year", "balc", "psn_part_amt_fen"])
def test_fields_of_setlinfo_in_an_extract_give_way_to_those_settled_now(name: str) -> None:
    table = settle_one("national", **{name: "old"}).national_fen
    assert "old" not in table.select(pl.all().cast(pl.String)).row(0)


def test_sums_in_yuan_are_exact_to_the_fen() -> None:
    settled = settle(claims_frame([a_claim(in_scope_fen=29)]), people_frame([{"person_id": "p0"}]), None, HALF)
    assert settled.settlements.select("total", "pay_basic", "own_total").row(0) == (0.29, 0.15, 0.14)


def test_processors_are_counted_where_the_system_does_not_say_which_are_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    from medfloor.settlement.settle import processors

    assert processors() >= 1
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert processors() == os.cpu_count()
