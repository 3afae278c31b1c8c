"""Hold the small parts of the kernel against plain Python, up to the largest amounts."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from worlds import (
    World,
    a_claim,
    claims_frame,
    examples,
    one_tier,
    people_frame,
    percent,
    policy_set,
    spells_frame,
    world_of,
    worlds,
    yuan,
)

from medfloor.money import BP, MAX_FEN, MODE_NUMBER, PLACE_FEN, format_yuan, round_fen
from medfloor.settlement import settle
from medfloor.settlement.kernel import _rounded, _share_of, _worth

HUGE = st.one_of(st.integers(0, 100_000), st.integers(0, MAX_FEN), st.integers(MAX_FEN - 9, MAX_FEN))


@examples(300)
@given(
    st.one_of(st.integers(0, 10**7), st.integers(0, MAX_FEN * BP), st.integers(0, 10**9).map(lambda n: n * 5_000)),
    st.sampled_from(sorted(MODE_NUMBER)),
    st.sampled_from(sorted(PLACE_FEN)),
)
def test_the_kernel_rounds_like_money(value: int, mode: str, place: str) -> None:
    assert _rounded(np.int64(value), MODE_NUMBER[mode], PLACE_FEN[place]) == round_fen(value, mode, place)


@examples(200)
@given(HUGE, st.integers(0, 10 * BP))
def test_a_share_of_the_largest_amount_does_not_wrap(amount: int, share_bp: int) -> None:
    assert _share_of(np.int64(amount), np.int64(share_bp)) == min(MAX_FEN, (amount * share_bp + BP // 2) // BP)


@examples(200)
@given(
    st.lists(st.tuples(HUGE.filter(bool), st.integers(0, BP)), max_size=4, unique_by=lambda b: b[0]),
    st.integers(0, BP),
    HUGE,
)
def test_a_schedule_is_worth_the_sum_of_its_stretches(inner: list[tuple[int, int]], first: int, position: int) -> None:
    inner.sort()
    starts = [0, *(start for start, _ in inner)]
    rates = [first, *(rate for _, rate in inner)]
    worth, rows = 0, []
    for number, start in enumerate(starts):
        if number:
            worth += (start - starts[number - 1]) * rates[number - 1]
        rows.append((start, worth, rates[number]))
    ends = [*starts[1:], 10 * MAX_FEN]
    plain = sum(max(0, min(position, end) - start) * rate for start, end, rate in zip(starts, ends, rates, strict=True))
    # Rows of another profile lie around the schedule's own.
    table = np.array([(0, 0, 7), *rows, (0, 0, 9)], np.int64)
    assert _worth(table, 1, len(rows), np.int64(position)) == plain


def by_both(*claims: dict[str, Any], law: dict[str, Any], **more: Any) -> pl.DataFrame:
    """Settle by the reference and by the kernel, and give what both say."""
    persons = people_frame([{"person_id": name} for name in ("p0", "p1")])
    results = [
        settle(claims_frame(claims), persons, None, policy_set(law), engine=engine, closing=True, trace=True, **more)
        for engine in ("reference", "kernel")
    ]
    truth, fast = results
    assert_frame_equal(truth.fen, fast.fen)
    assert truth.trace is not None
    assert fast.trace is not None
    assert_frame_equal(truth.trace, fast.trace)
    assert_frame_equal(truth.rejected, fast.rejected)
    return truth.rejected if truth.rejected.height else truth.fen


@pytest.mark.parametrize("per", ["claim", "year"])
@pytest.mark.parametrize("origin", ["excess", "absolute"])
def test_the_largest_claim_paid_in_full_does_not_wrap(per: str, origin: str) -> None:
    brackets = [{"up_to": yuan(MAX_FEN - 1), "rate": percent("99.99")}, {"rate": percent(100)}]
    law = one_tier(
        {
            "per": per,
            "origin": origin,
            "brackets": brackets,
            "deductible": {"per": "year", "amount": yuan(1)},
            "floor": {"share": percent(100), "of": "total_less_deductible"},
        },
        ceilings=[{"id": "most", "share": percent(100), "give_back": ["basic"]}],
    )
    fen = by_both(a_claim(in_scope_fen=MAX_FEN), law=law)
    assert fen["pay_total_fen"].to_list() == [MAX_FEN - 1]


def test_years_whose_sum_leaves_the_range_are_refused_and_all_else_is_settled() -> None:
    law = one_tier({"per": "year", "brackets": [{"rate": percent(100)}]})
    half = MAX_FEN // 2
    fits = [a_claim("c1", half), a_claim("c2", MAX_FEN - half, "2024-03-02")]
    assert by_both(*fits, law=law)["pay_total_fen"].sum() == MAX_FEN
    other = [a_claim("c3", 1, "2024-03-03"), a_claim("c4", 5, person_id="p1"), a_claim("c5", MAX_FEN, "2025-03-01")]
    rejected = by_both(*fits, *other, law=law)
    assert rejected.select("claim_id", "reason").rows() == [(name, "amount_too_large") for name in ("c1", "c2", "c3")]


def test_a_household_is_summed_as_one_where_it_shares_counters() -> None:
    law = one_tier({"per": "year", "brackets": [{"rate": percent(100)}]})
    law["tiers"][0]["accumulate"] = "household"
    people = people_frame([{"person_id": name, "household_id": "h"} for name in ("p0", "p1")])
    claims = claims_frame([a_claim("c1", MAX_FEN), a_claim("c2", 1, person_id="p1")])
    rejected = settle(claims, people, spells_frame([]), policy_set(law)).rejected
    assert rejected["reason"].to_list() == ["amount_too_large"] * 2
    assert "household" in rejected["detail"][0]


def test_what_accumulators_bring_counts_towards_the_largest_sum() -> None:
    law = one_tier({"per": "year", "brackets": [{"rate": percent(100)}]})
    opening = pl.DataFrame(
        {"person_id": ["p0"], "benefit_year": [2024], "counter_basic_k0_reached": [format_yuan(MAX_FEN - 100)]}
    )
    assert by_both(a_claim(in_scope_fen=100), law=law, opening=opening)["pay_total_fen"].to_list() == [100]
    rejected = by_both(a_claim(in_scope_fen=101), law=law, opening=opening)
    assert rejected["reason"].to_list() == ["amount_too_large"]


def test_sums_over_many_huge_claims_are_exact() -> None:
    count = 20_000
    ids = [f"p{n}" for n in range(count)]
    claims = pl.DataFrame({"claim_id": ids, "person_id": ids}).with_columns(
        care_type=pl.lit("inpatient"), facility_level=pl.lit("3"),
        start_date=pl.lit("2024-03-01"), end_date=pl.lit("2024-03-01"),
        total=pl.lit(format_yuan(MAX_FEN)), in_scope=pl.lit(format_yuan(MAX_FEN)),
    )  # fmt: skip
    law = policy_set(one_tier({"brackets": [{"rate": percent(100)}]}))
    settled = settle(claims, pl.DataFrame({"person_id": ids}), None, law, engine="kernel")
    assert settled.paid_fen == {"basic": count * MAX_FEN}
    assert settled.money_in_fen == count * MAX_FEN


def test_amounts_of_columns_are_read_exactly_or_refused() -> None:
    part = {"pays": "given", "given": "paid_elsewhere"}
    people = people_frame([{"person_id": "p0"}])
    cells = ["0.07", " 12.30 ", "", None, "-1", "1.005", "much", "9000000000000.01", "9000000000000"]
    claims = claims_frame(
        [a_claim(f"c{n}", 10_000, f"2024-03-{n + 1:02}", paid_elsewhere=cell) for n, cell in enumerate(cells)]
    )
    settled = settle(claims, people, None, policy_set(one_tier(part)))
    assert settled.fen["pay_basic_fen"].to_list() == [7, 1_230, 0, 0, 10_000]
    assert settled.rejected.select("claim_id", "reason").rows() == [(f"c{n}", "bad_amount") for n in (4, 5, 6, 7)]
    floats = claims.filter(pl.col("claim_id").is_in(["c0", "c1"])).with_columns(
        paid_elsewhere=pl.Series([0.07, 1842.6])
    )
    assert settle(floats, people, None, policy_set(one_tier(part))).fen["pay_basic_fen"].to_list() == [7, 10_000]


def test_an_amount_of_a_persons_column_that_cannot_be_read_refuses_the_persons_claims() -> None:
    law = one_tier(
        {
            "deductible": {"per": "claim", "amount": {"column": "own_deductible", **yuan(0)}},
            "brackets": [{"rate": percent(50)}],
        }
    )
    people = [{"person_id": "p0", "own_deductible": "a lot"}, {"person_id": "p1", "own_deductible": "1"}]
    world = world_of([law], [a_claim(), a_claim("c2", person_id="p1")], people, [])
    settled = settle(world.claims, world.people, None, world.policies)
    assert settled.rejected["claim_id"].to_list() == ["c1"]
    assert "own_deductible" in settled.rejected["detail"][0]
    assert settled.fen["pay_basic_fen"].to_list() == [49_950]


@examples(8)
@given(worlds(), st.integers(1, 7))
def test_any_number_of_threads_gives_the_same(world: World, threads: int) -> None:
    one = settle(world.claims, world.people, world.spells, world.policies, engine="kernel", threads=threads)
    truth = settle(world.claims, world.people, world.spells, world.policies, engine="reference")
    assert_frame_equal(one.fen, truth.fen)
