"""Cut a history in two anywhere and carry the accumulators over: nothing changes, by any engine, through any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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

from medfloor.errors import InputError
from medfloor.intake import write_table
from medfloor.settlement import Settlements, settle
from medfloor.settlement.balance import to_file_form
from medfloor.settlement.settle import law_of


def with_transfers_from_the_last_stay(claims: pl.DataFrame) -> pl.DataFrame:
    """Let claims continue only the person's inpatient stay right before, the one that accumulators know."""
    rows = sorted(claims.to_dicts(), key=key_of)
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        before = last.get(row["person_id"])
        keep = row["continues"] and before is not None and before["care_type"] == "inpatient"
        row["continues"] = before["claim_id"] if keep and before is not None else None
        last[row["person_id"]] = row
    return claims_frame(rows)


def carried_over(first: Settlements, folder: Path | None, ending: str) -> pl.DataFrame | Path:
    """Give closing accumulators as the next run may get them: a table, or a file."""
    assert first.closing is not None
    if folder is None:
        assert first.closing_yuan is not None
        return first.closing_yuan
    table, money = to_file_form(first.closing, first.law.layout)
    path = folder / f"accumulators.{ending}"
    write_table(table, path, money_columns=[f"{name}_fen" for name in money])
    return path


ENGINES = st.sampled_from(["reference", "kernel"])


@examples(35)
@given(worlds(), st.data())
def test_a_year_cut_after_any_claim_settles_as_if_it_were_whole(
    tmp_path_factory: pytest.TempPathFactory, world: World, data: st.DataObject
) -> None:
    law = law_of(world.policies)
    claims = with_transfers_from_the_last_stay(world.claims)
    whole = settle(claims, world.people, world.spells, law, engine="reference", closing=True)
    cut = data.draw(st.integers(0, claims.height), label="cut")
    ending = data.draw(st.sampled_from(["table", "csv", "parquet"]), label="carried over as")
    folder = None if ending == "table" else tmp_path_factory.mktemp("accumulators")
    first = settle(claims[:cut], world.people, world.spells, law, engine=data.draw(ENGINES), closing=True)
    opening = carried_over(first, folder, ending)
    second = settle(
        claims[cut:], world.people, world.spells, law, engine=data.draw(ENGINES), opening=opening, closing=True
    )
    assert second.rejected.height == 0
    assert second.closing is not None
    assert whole.closing is not None
    assert_frame_equal(second.closing, whole.closing)
    parts = pl.concat([first.fen, second.fen]).drop("sequence").sort("claim_id")
    assert_frame_equal(parts, whole.fen.drop("sequence").sort("claim_id"))


@examples(12)
@given(worlds(), st.data())
def test_engines_agree_on_what_was_opened(world: World, data: st.DataObject) -> None:
    law = law_of(world.policies)
    claims = with_transfers_from_the_last_stay(world.claims)
    cut = data.draw(st.integers(0, claims.height), label="cut")
    first = settle(claims[:cut], world.people, world.spells, law, engine="reference", closing=True)
    results = [
        settle(
            claims[cut:],
            world.people,
            world.spells,
            law,
            engine=engine,
            opening=first.closing_yuan,
            trace=True,
            closing=True,
            threads=2,
        )
        for engine in ("reference", "kernel")
    ]
    truth, fast = results
    assert_frame_equal(truth.fen, fast.fen)
    assert truth.trace is not None
    assert fast.trace is not None
    assert_frame_equal(truth.trace, fast.trace)


YEARLY = one_tier(
    {"per": "year", "deductible": {"per": "year", "amount": yuan(100_000)}, "brackets": [{"rate": percent(50)}]}
)


def closed(law: dict[str, Any], *claims: dict[str, Any], **more: Any) -> pl.DataFrame:
    """Give the closing accumulators of a few claims, yuan."""
    persons = [{"person_id": name} for name in sorted({claim["person_id"] for claim in claims})]
    world = world_of([law], claims, persons, [])
    frame = settle(world.claims, world.people, world.spells, world.policies, closing=True, **more).closing_yuan
    assert frame is not None
    return frame


def test_accumulators_are_yuan_and_name_the_last_stay() -> None:
    frame = closed(YEARLY, a_claim(in_scope_fen=150_001))
    row = frame.row(0, named=True)
    assert (row["person_id"], row["benefit_year"], row["last_stay"]) == ("p0", 2024, "c1")
    assert (row["basic_deductible"], row["basic_eligible"], row["basic_paid"]) == (1000.0, 500.01, 250.01)


def test_a_person_without_new_claims_keeps_the_accumulators() -> None:
    first = closed(YEARLY, a_claim(), a_claim("c2", person_id="p1"))
    world = world_of([YEARLY], [a_claim("c3", day="2024-05-01")], [{"person_id": "p0"}, {"person_id": "p1"}], [])
    second = settle(world.claims, world.people, None, world.policies, opening=first, closing=True).closing_yuan
    assert second is not None
    assert_frame_equal(second.filter(person_id="p1"), first.filter(person_id="p1"))


def test_accumulators_of_another_year_do_not_count() -> None:
    before = closed(YEARLY, a_claim())
    world = world_of([YEARLY], [a_claim("c2", day="2025-03-01")], [{"person_id": "p0"}], [])
    settled = settle(world.claims, world.people, None, world.policies, opening=before, closing=True)
    assert settled.fen["deductible_fen"].to_list() == [100_000]
    assert settled.closing is not None
    assert settled.closing["benefit_year"].to_list() == [2024, 2025]


def test_accumulators_may_lack_columns_and_have_others() -> None:
    opening = pl.DataFrame(
        {"person_id": ["p0"], "benefit_year": ["2024"], "counter_basic_k0_reached": ["400"], "note": ["x"]}
    )
    world = world_of([YEARLY], [a_claim()], [{"person_id": "p0"}], [])
    settled = settle(world.claims, world.people, None, world.policies, opening=opening)
    assert settled.fen["deductible_fen"].to_list() == [60_000]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"benefit_year": "soon"}, "bad_number"),
        ({"benefit_year": None}, "bad_number"),
        ({"basic_paid": "much"}, "bad_amount"),
        ({"basic_paid": "1.005"}, "bad_amount"),
        ({"basic_paid": -1}, "bad_amount"),
        ({"basic_paid": 0.001}, "bad_amount"),
        ({"basic_paid": 9_000_000_000_001}, "bad_amount"),
    ],
)
def test_accumulators_that_cannot_be_read_are_an_error(changes: dict[str, Any], code: str) -> None:
    opening = pl.DataFrame(
        {"person_id": ["p0"], "benefit_year": ["2024"], "basic_paid": ["1"], **{k: [v] for k, v in changes.items()}}
    )
    world = world_of([YEARLY], [a_claim()], [{"person_id": "p0"}], [])
    with pytest.raises(InputError) as error:
        settle(world.claims, world.people, None, world.policies, opening=opening)
    assert error.value.code == code


def test_accumulators_without_a_person_column_or_with_one_person_twice_are_an_error() -> None:
    world = world_of([YEARLY], [a_claim()], [{"person_id": "p0"}], [])
    for table, code in (
        (pl.DataFrame({"benefit_year": [2024]}), "missing_column"),
        (pl.DataFrame({"person_id": ["p0", "p0"], "benefit_year": [2024, 2024]}), "duplicate_person"),
    ):
        with pytest.raises(InputError) as error:
            settle(world.claims, world.people, None, world.policies, opening=table)
        assert error.value.code == code


@pytest.mark.parametrize("engine", ["reference", "kernel"])
def test_a_transfer_goes_on_in_the_next_file_even_where_no_tier_counts_stays(engine: Any) -> None:
    people = people_frame([{"person_id": "p0"}])
    law = policy_set(YEARLY)
    first = settle(claims_frame([a_claim()]), people, spells_frame([]), law, engine=engine, closing=True)
    second = claims_frame([a_claim("c2", day="2024-03-02", continues="c1")])
    assert settle(second, people, None, law, engine=engine, opening=first.closing_yuan).rejected.height == 0
    refused = settle(second, people, None, law, engine=engine).rejected
    assert refused["reason"].to_list() == ["unknown_continues"]


@pytest.mark.parametrize("engine", ["reference", "kernel"])
def test_the_deductible_of_a_stay_is_borne_once_across_files(engine: Any) -> None:
    stay = {"deductible": {"per": "admission", "amount": yuan(130_000)}, "brackets": [{"rate": percent(50)}]}
    people = people_frame([{"person_id": "p0"}])
    law = policy_set(one_tier(stay))
    chain = [
        a_claim(f"c{k}", in_scope_fen=100_000, day=f"2024-03-0{k}", continues=f"c{k - 1}" if k > 1 else None)
        for k in range(1, 4)
    ]
    opening, borne = None, []
    for claim in chain:
        settled = settle(claims_frame([claim]), people, None, law, engine=engine, opening=opening, closing=True)
        borne += settled.fen["deductible_fen"].to_list()
        opening = settled.closing_yuan
    assert borne == [100_000, 30_000, 0]
