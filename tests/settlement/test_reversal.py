"""Take claims back: what stays is the year without them, and every difference is told."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from worlds import (
    Raw,
    World,
    a_claim,
    claims_frame,
    examples,
    key_of,
    one_tier,
    people_frame,
    percent,
    policy_set,
    spells_frame,
    world_of,
    worlds,
    yuan,
)

from medfloor.settlement import Settlements, settle
from medfloor.settlement.sequence import first_of_stays
from medfloor.settlement.settle import law_of

ENGINES = st.sampled_from(["reference", "kernel"])
KEYS = ["person_id", "benefit_year", "claim_id", "tier"]


def without(rows: list[Raw], gone: set[str]) -> list[Raw]:
    """Give the year without some claims; a stay goes on with its first claim that is left."""
    rows = sorted(rows, key=key_of)
    root = first_of_stays([row["claim_id"] for row in rows], [row["continues"] for row in rows])
    first_left: dict[str, str] = {}
    left = []
    for row in rows:
        if row["claim_id"] in gone:
            continue
        stay = root.get(row["claim_id"], row["claim_id"])
        left.append({**row, "continues": first_left.get(stay)})
        first_left.setdefault(stay, row["claim_id"])
    return left


@st.composite
def reversed_worlds(draw: Any) -> tuple[World, list[Raw], list[Raw]]:
    """Draw a world, its claims, and rows that take some of them back, at once or much later."""
    world = draw(worlds())
    rows = world.claims.to_dicts()
    taken = draw(st.lists(st.sampled_from(rows), max_size=5, unique_by=lambda row: row["claim_id"])) if rows else []
    reversals = [
        {
            "claim_id": f"{draw(st.sampled_from('ax'))}-{row['claim_id']}",
            "person_id": row["person_id"],
            "start_date": row["start_date"],
            "end_date": row["end_date"],
            "settled_date": date.fromisoformat(row["settled_date"])
            + timedelta(days=draw(st.sampled_from([1, 20, 150]))),
            "reverses": row["claim_id"],
        }
        for row in taken
    ]
    return world, rows, reversals


def settled(world: World, rows: list[Raw], **more: Any) -> Settlements:
    return settle(claims_frame(rows), world.people, world.spells, law_of(world.policies), **more)


@examples(25)
@given(reversed_worlds(), ENGINES)
def test_what_stays_is_the_year_without_the_claims_taken_back(case: Any, engine: Any) -> None:
    world, rows, reversals = case
    gone = {row["reverses"] for row in reversals}
    full = settled(world, rows + reversals, engine=engine, trace=True, closing=True)
    plain = settled(world, without(rows, gone), engine="reference", trace=True, closing=True)
    assert full.rejected.height == plain.rejected.height == 0
    stays = full.fen.filter(pl.col("claim_id").is_in(plain.fen["claim_id"].implode()))
    assert_frame_equal(stays.drop("sequence"), plain.fen.drop("sequence"))
    assert full.trace is not None
    assert plain.trace is not None
    assert_frame_equal(full.trace, plain.trace)
    assert full.closing is not None
    assert plain.closing is not None
    known = full.closing.join(plain.closing, on=["person_id", "benefit_year"], how="semi")
    assert_frame_equal(known, plain.closing)


@examples(15)
@given(reversed_worlds(), ENGINES)
def test_a_claim_and_the_row_that_takes_it_back_come_to_nothing(case: Any, engine: Any) -> None:
    world, rows, reversals = case
    full = settled(world, rows + reversals, engine=engine)
    names = {row["claim_id"]: row["reverses"] for row in reversals}
    money = [name for name in full.fen.columns if name.endswith("_fen")]
    pairs = full.fen.with_columns(pl.col("claim_id").replace(names)).filter(
        pl.col("claim_id").is_in(list(names.values()))
    )
    sums = pairs.group_by("claim_id").agg(pl.len(), pl.col(money).sum())
    assert sums.height == len(reversals)
    assert set(sums["len"]) <= {2}
    assert all(sums[name].to_list() == [0] * sums.height for name in money)
    order = full.fen.select("person_id", "benefit_year", "sequence")
    assert order.is_duplicated().sum() == 0


@examples(25)
@given(reversed_worlds(), ENGINES)
def test_differences_are_what_was_first_settled_against_what_holds_now(case: Any, engine: Any) -> None:
    world, rows, reversals = case
    full = settled(world, rows + reversals, engine=engine)
    if not reversals:
        assert full.differences is None
        return
    reversals = sorted(reversals, key=key_of_dates)
    first, now = [], []
    for step in range(len(reversals) + 1):
        here = settled(world, without(rows, {row["reverses"] for row in reversals[:step]}), engine="reference").fen
        since = key_of_dates(reversals[step - 1]) if step else None
        until = key_of_dates(reversals[step]) if step < len(reversals) else None
        born = [
            row["claim_id"]
            for row in rows
            if (since is None or key_of_dates(row) > since) and (until is None or key_of_dates(row) < until)
        ]
        first.append(here.filter(pl.col("claim_id").is_in(born)))
        now.append(here.filter(pl.col("claim_id").is_in([reversals[step]["reverses"]]) if until else pl.lit(True)))
    assert full.differences is not None
    expected = expected_differences(pl.concat(first), pl.concat(now))
    assert full.differences.select(*KEYS, "before_fen", "after_fen", "difference_fen").rows() == expected


def key_of_dates(row: Raw) -> tuple[str, str, str]:
    """Give what decides the order, for rows whose dates may be text."""
    return str(row["settled_date"]), str(row["start_date"]), row["claim_id"]


def expected_differences(first: pl.DataFrame, now: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Compare two settlement tables by plain loops."""
    after = {row["claim_id"]: row for row in now.iter_rows(named=True)}
    found = []
    for row in first.iter_rows(named=True):
        last = after[row["claim_id"]]
        for name in (n for n in first.columns if n.startswith("pay_")):
            if row[name] != last[name]:
                tier = name.removeprefix("pay_").removesuffix("_fen")
                key = (row["person_id"], row["benefit_year"], row["settled_date"], row["claim_id"], tier)
                found.append((key, row[name], last[name]))
    return [(k[0], k[1], k[3], k[4], before, now, now - before) for k, before, now in sorted(found)]


@examples(12)
@given(worlds(), ENGINES)
def test_reversing_every_claim_leaves_every_accumulator_as_it_began(world: World, engine: Any) -> None:
    rows = world.claims.to_dicts()
    back = [
        {
            **row,
            "claim_id": f"r-{row['claim_id']}",
            "reverses": row["claim_id"],
            "continues": None,
            "settled_date": "2026-12-31",
        }
        for row in rows
    ]
    full = settled(world, rows + back, engine=engine, closing=True)
    assert full.rejected.height == 0
    assert full.fen.height == 2 * len(rows)
    assert full.closing is not None
    layout = full.law.layout
    years = full.fen.select("person_id", "benefit_year").unique()
    assert full.closing.height == years.height
    for name, start in zip(layout.names, layout.initial, strict=True):
        assert full.closing[name].to_list() == [start] * years.height, name
    assert full.closing["last_stay"].null_count() == years.height
    assert all(full.fen[name].sum() == 0 for name in full.fen.columns if name.endswith("_fen"))


CAPPED = one_tier(
    {
        "per": "year",
        "deductible": {"per": "year", "amount": yuan(100_000)},
        "brackets": [{"rate": percent(50)}],
        "pots": ["pot"],
    },
    pots=[{"id": "pot", "cap": yuan(60_000)}],
)


def back(claim_id: str, of: str, day: str, **changes: Any) -> Raw:
    """Make a row that takes a claim back."""
    return a_claim(
        claim_id, 0, day, reverses=of, in_scope=None, total=None, care_type=None, facility_level=None, **changes
    )


def told(*claims: Raw, **more: Any) -> Settlements:
    persons = [{"person_id": "p0"}, {"person_id": "p1"}]
    return settle(claims_frame(claims), people_frame(persons), spells_frame([]), policy_set(CAPPED), **more)


def test_a_reversal_resettles_what_follows_and_says_who_is_owed() -> None:
    one, two = a_claim("c1", 150_000), a_claim("c2", 50_000, "2024-04-01")
    full = told(one, two, back("r1", "c1", "2024-05-01"))
    pays = dict(full.fen.select("claim_id", "pay_basic_fen").iter_rows())
    assert pays == {"c1": 25_000, "c2": 0, "r1": -25_000}
    assert full.fen["sequence"].to_list() == [1, 2, 3]
    assert full.differences is not None
    assert full.differences.select("claim_id", "tier", "before_fen", "after_fen", "difference_fen").rows() == [
        ("c2", "basic", 25_000, 0, -25_000),
        ("c2", "total", 25_000, 0, -25_000),
    ]


def test_a_late_claim_after_a_reversal_is_first_settled_without_what_was_taken_back() -> None:
    late = a_claim("c3", 200_000, "2024-06-01")
    full = told(a_claim("c1", 150_000), back("r1", "c1", "2024-05-01"), late)
    assert full.fen.filter(claim_id="c3")["pay_basic_fen"].to_list() == [50_000]
    assert full.differences is not None
    assert full.differences.height == 0


def test_a_claim_settled_before_a_reversal_keeps_what_it_was_first_paid_in_the_differences() -> None:
    claims = [a_claim("c1", 220_000), a_claim("c2", 100_000, "2024-03-05"), a_claim("c3", 100_000, "2024-03-09")]
    full = told(*claims, back("r1", "c1", "2024-03-07"), back("r2", "c2", "2024-03-11"))
    # c1 pays 60,000 and exhausts the pot; c2 gets nothing, then, after r1, still nothing (the deductible); c3 is first
    # settled after r1 (50,000), and bears the deductible once c2 is gone too.
    assert full.differences is not None
    assert full.differences.filter(tier="total").select("claim_id", "before_fen", "after_fen").rows() == [
        ("c3", 50_000, 0)
    ]


def test_a_stay_goes_on_where_its_middle_part_is_taken_back() -> None:
    law = one_tier({"deductible": {"per": "admission", "amount": yuan(130_000)}, "brackets": [{"rate": percent(50)}]})
    claims = [
        a_claim("c1", 100_000),
        a_claim("c2", 100_000, "2024-03-02", continues="c1"),
        a_claim("c3", 100_000, "2024-03-03", continues="c2"),
        back("r1", "c2", "2024-03-04"),
    ]
    world = world_of([law], claims, [{"person_id": "p0"}], [])
    for engine in ("reference", "kernel"):
        full = settle(world.claims, world.people, None, world.policies, engine=engine).fen
        assert dict(full.select("claim_id", "deductible_fen").iter_rows())["c3"] == 30_000


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([back("r1", "c9", "2024-05-01")], "unknown_reversed"),
        ([back("r1", "c1", "2024-05-01", person_id="p1")], "reversed_other_person"),
        ([back("r1", "c1", "2024-02-01")], "reversal_too_early"),
        ([back("b1", "c1", "2024-03-01")], "reversal_too_early"),
        ([back("r1", "c1", "2024-05-01"), back("r2", "c1", "2024-06-01")], "reversed_twice"),
        ([back("r1", "c1", "2024-05-01"), back("r2", "r1", "2024-06-01")], "unknown_reversed"),
    ],
)
def test_a_reversal_that_cannot_be_carried_out_is_refused(rows: list[Raw], reason: str) -> None:
    full = told(a_claim("c1", 150_000), *rows)
    assert full.rejected["reason"].to_list() == [reason]
    assert full.rejected["claim_id"].to_list() == [rows[-1]["claim_id"]]
    assert full.fen.height == len(rows)


def test_a_reversal_of_a_refused_claim_is_refused_too() -> None:
    full = told(a_claim("c1", 150_000, person_id="stranger"), back("r1", "c1", "2024-05-01", person_id="stranger"))
    assert full.rejected["reason"].to_list() == ["unknown_person", "unknown_person"]
    full = told(a_claim("c1", continues="c0"), back("r1", "c1", "2024-05-01"))
    assert full.rejected["reason"].to_list() == ["unknown_continues", "unknown_reversed"]
