"""Settle again after statuses were corrected: who is owed, who owes, and nothing else."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from worlds import a_claim, claims_frame, examples, people_frame, spell_rows, spells_frame, worlds

from medfloor.settlement import settle
from medfloor.settlement.resettle import Resettlement, resettle

PEOPLE = people_frame([{"person_id": p} for p in ("p0", "p1", "p2")])
DIBAO = {"group": "dibao", "from_date": "2024-01-01"}
NOBODY = spells_frame([])
CLAIMS = claims_frame([a_claim(f"c{k}", 13_000_000, f"2024-0{k + 1}-01", person_id=f"p{k % 2}") for k in range(4)])


def found(before: Any, after: Any, claims: pl.DataFrame = CLAIMS) -> Resettlement:
    return resettle(claims, PEOPLE, before, after, "cn/beijing")


def test_a_backdated_recognition_is_owed_and_a_withdrawn_one_is_owing() -> None:
    poor = spells_frame([{"person_id": "p1", **DIBAO}])
    gained, lost = found(NOBODY, poor), found(poor, NOBODY)
    assert gained.people["direction"].to_list() == ["owed"]
    assert lost.people["direction"].to_list() == ["owes"]
    assert gained.people["difference_fen"].to_list() == [-d for d in lost.people["difference_fen"]]
    assert gained.claims["claim_id"].to_list() == lost.claims["claim_id"].to_list() == ["c1", "c3"]
    # The published case: 98,367.60 becomes 126,760.37 on the first stay.
    first = gained.claims.row(0, named=True)
    assert (first["pay_total_before_fen"], first["pay_total_after_fen"]) == (9_836_760, 12_676_037)
    assert first["difference_fen"] == 2_839_277
    assert first["pay_assistance_before_fen"] == 0
    assert first["pay_assistance_after_fen"] == 1_835_792


def test_the_sum_of_a_person_is_that_of_the_claims() -> None:
    result = found(NOBODY, spells_frame([{"person_id": p, **DIBAO} for p in ("p0", "p1")]))
    sums = result.claims.group_by("person_id", "benefit_year", maintain_order=True).agg(
        pl.len().alias("claims"), pl.col("difference_fen").sum()
    )
    assert_frame_equal(result.people.select("person_id", "benefit_year", "claims", "difference_fen"), sums)
    assert (result.people["after_fen"] - result.people["before_fen"]).to_list() == sums["difference_fen"].to_list()


def test_the_same_statuses_change_nothing() -> None:
    result = found(NOBODY, NOBODY)
    assert result.claims.height == result.people.height == result.rejected.height == 0


def test_a_row_refused_under_either_list_is_refused_and_not_compared() -> None:
    unreadable = spells_frame(
        [{"person_id": "p0", "group": "dibao", "from_date": "2024-13-01"}, {"person_id": "p1", **DIBAO}]
    )
    wrong = CLAIMS.with_columns(
        pl.when(pl.col("claim_id") == "c3").then(pl.lit("x")).otherwise(pl.col("total")).alias("total")
    )
    for before, after in ((unreadable, NOBODY), (NOBODY, unreadable)):
        result = found(before, after, wrong)
        assert result.rejected.select("claim_id", "reason").rows() == [
            ("c0", "bad_spell"),
            ("c2", "bad_spell"),
            ("c3", "bad_amount"),
        ]
        assert result.rejected.columns == [*CLAIMS.columns, "reason", "detail"]
        assert result.claims["claim_id"].to_list() == ["c1"]


@examples(15)
@given(worlds(), st.data())
def test_differences_are_those_of_two_settlements_under_random_law(world: Any, data: st.DataObject) -> None:
    persons = world.people["person_id"].unique().sort().to_list()
    other = spells_frame(data.draw(spell_rows(persons)))
    result = resettle(world.claims, world.people, world.spells, other, world.policies)
    fen = [settle(world.claims, world.people, spells, world.policies).fen for spells in (world.spells, other)]
    pays = [dict(table.select("claim_id", "pay_total_fen").iter_rows()) for table in fen]
    listed = dict(result.claims.select("claim_id", "difference_fen").iter_rows())
    for claim_id, before in pays[0].items():
        assert listed.get(claim_id, 0) == pays[1][claim_id] - before
    assert (
        sum(listed.values()) == result.people["difference_fen"].sum() == sum(pays[1].values()) - sum(pays[0].values())
    )
    backwards = resettle(world.claims, world.people, other, world.spells, world.policies)
    assert backwards.people["difference_fen"].to_list() == [-d for d in result.people["difference_fen"]]
