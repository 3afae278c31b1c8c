"""The trace: one row a claim and tier, which leads from what came in to what was paid."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given
from worlds import (
    a_claim,
    claims_frame,
    examples,
    one_tier,
    people_frame,
    percent,
    policy_set,
    spells_frame,
    worlds,
    yuan,
)

from medfloor.settlement import settle

COLUMNS = ("claim_id", "tier", "group", "base_fen", "deductible_fen", "eligible_fen")
ENDING = ("before_cap_fen", "cap_left_fen", "pay_fen", "source")
CAPPED = one_tier(
    {
        "pots": ["pot"],
        "deductible": {"per": "claim", "amount": [yuan(10_000)]},
        "brackets": [{"up_to": [yuan(50_000)], "rate": [percent(50)]}, {"rate": [percent(80)]}],
    },
    pots=[{"id": "pot", "cap": [yuan(60_000)]}],
)


def trace_of(policy: Any, *claims: Any, people: Any = ({"person_id": "p0"},)) -> pl.DataFrame:
    settled = settle(claims_frame(claims), people_frame(people), None, policy_set(policy), trace=True)
    assert settled.trace is not None
    return settled.trace


def test_a_row_leads_from_the_base_to_the_payment() -> None:
    trace = trace_of(CAPPED, a_claim("c1", 70_000), a_claim("c2", 70_000, "2024-03-02"))
    assert trace.columns == [*COLUMNS, "bracket_1_fen", "bracket_2_fen", *ENDING]
    # 60,000 is eligible: 50,000 at 50 % and 10,000 at 80 % are 33,000, of a pot of 60,000; then 27,000 are left.
    rows = trace.drop("source", "group", "tier").rows()
    assert rows[0] == ("c1", 70_000, 10_000, 60_000, 50_000, 10_000, 33_000, 60_000, 33_000)
    assert rows[1] == ("c2", 70_000, 10_000, 60_000, 50_000, 10_000, 33_000, 27_000, 27_000)


def test_brackets_of_a_year_go_on_where_the_last_claim_ended() -> None:
    year = one_tier(
        {"per": "year", "brackets": [{"up_to": [yuan(50_000)], "rate": [percent(50)]}, {"rate": [percent(80)]}]}
    )
    trace = trace_of(year, a_claim("c1", 30_000), a_claim("c2", 30_000, "2024-03-02"))
    assert trace.select("bracket_1_fen", "bracket_2_fen").rows() == [(30_000, 0), (20_000, 10_000)]
    assert trace["cap_left_fen"].to_list() == [None, None]


def test_the_columns_are_those_of_the_law_whoever_is_settled() -> None:
    men = {"when": {"sex": "male"}, "brackets": [{"rate": [percent(50)]}], "id": "men"}
    women = {"when": {"sex": "female"}, "brackets": CAPPED["tiers"][0]["parts"][0]["brackets"], "id": "women"}
    law = {"tiers": [{"id": "basic", "parts": [men, women]}]}
    seen = [trace_of(law, a_claim(), people=[{"person_id": "p0", "sex": sex}]).columns for sex in ("male", "female")]
    seen.append(trace_of(law, people=[{"person_id": "p0"}]).columns)
    assert seen == [[*COLUMNS, "bracket_1_fen", "bracket_2_fen", *ENDING]] * 3


@examples(30)
@given(worlds())
def test_the_trace_adds_up_to_every_settlement_under_random_law(world: Any) -> None:
    settled = settle(world.claims, world.people, world.spells, world.policies, trace=True)
    trace = settled.trace
    assert trace is not None
    paid = trace.group_by("claim_id", "tier").agg(pl.col("pay_fen").sum())
    long = settled.fen.unpivot([f"pay_{tier}_fen" for tier in settled.tiers], index="claim_id", value_name="fen")
    long = long.with_columns(pl.col("variable").str.strip_prefix("pay_").str.strip_suffix("_fen").alias("tier"))
    both = long.join(paid, on=["claim_id", "tier"], how="left").with_columns(pl.col("pay_fen").fill_null(0))
    ceilings = any(
        version.ceilings for version in world.policies.versions
    )  # what a tier gives back is not in its trace
    wrong = both.filter(pl.col("fen") > pl.col("pay_fen") if ceilings else pl.col("fen") != pl.col("pay_fen"))
    assert wrong.height == 0
    limited = trace.filter(pl.col("cap_left_fen").is_not_null())
    assert limited.filter(pl.col("pay_fen") > pl.col("cap_left_fen")).height == 0
    assert (
        trace.filter(pl.any_horizontal(pl.col("base_fen", "deductible_fen", "eligible_fen", "pay_fen") < 0)).height == 0
    )
    assert set(trace["claim_id"]) <= set(settled.fen["claim_id"])


def test_the_status_that_was_used_is_named() -> None:
    settled = settle(
        claims_frame([a_claim("c1", 13_000_000), a_claim("c2", 13_000_000, person_id="p1")]),
        people_frame([{"person_id": "p0"}, {"person_id": "p1"}]),
        spells_frame([{"person_id": "p1", "group": "dibao", "from_date": "2024-01-01"}]),
        "cn/beijing",
        trace=True,
    )
    assert settled.trace is not None
    groups = settled.trace.filter(pl.col("tier") == "critical_illness").select("claim_id", "group").rows()
    assert groups == [("c1", "none"), ("c2", "dibao")]
    assert settled.trace["source"].str.len_chars().min() > 5
