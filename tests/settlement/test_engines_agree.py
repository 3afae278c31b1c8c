"""Ask the reference and the kernel the same: random law and random histories, every row and every column."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from worlds import (
    World,
    a_claim,
    claim_rows,
    claims_frame,
    curve_worlds,
    examples,
    one_tier,
    people_frame,
    people_rows,
    percent,
    spell_rows,
    spells_frame,
    stay_worlds,
    world_of,
    worlds,
)

from medfloor.errors import MissingValueError
from medfloor.policy.load import load_policy
from medfloor.settlement.batch import Batch, prepare
from medfloor.settlement.engines import Outcome, run
from medfloor.settlement.settle import law_of, read_all

SHIPPED = (
    "cn/beijing",
    "cn/jiangxi/nanchang",
    "cn/heilongjiang/jiamusi",
    "cn/neimenggu/ulanqab",
    "cn/shandong@2014-04-01",
    "cn/shanghai/huhuibao",
    "us/rand-hie",
)


def settle_by_every_way(world: World) -> tuple[Batch, Outcome]:
    """Settle a world by the reference and by every path of the kernel, and hold all they give against each other."""
    law = law_of(world.policies)
    claims, people, spells = read_all(world.claims, world.people, world.spells, world.policies)
    batch, reversals, refusals = prepare(law, [claims.accepted], people, spells)
    assert batch.height + reversals.height + refusals.rows.height == claims.accepted.height
    truth = run(batch, "reference", trace=True, closing=True)
    assert truth.closing is not None
    for threads in (1, 2):
        full = run(batch, "kernel", trace=True, closing=True, threads=threads)
        assert_same(truth, full)
        np.testing.assert_array_equal(truth.trace_start, full.trace_start)
        np.testing.assert_array_equal(truth.trace, full.trace)
        assert full.closing is not None
        assert_frame_equal(truth.closing, full.closing)
    assert_same(truth, run(batch, "kernel"))
    return batch, truth


def assert_same(one: Outcome, other: Outcome) -> None:
    """Compare what two engines say of each claim, exactly."""
    for name in ("pay", "own_in_scope", "deductible"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


@examples(110)
@given(worlds())
def test_reference_and_kernel_agree_on_random_law_and_histories(world: World) -> None:
    settle_by_every_way(world)


@examples(30)
@given(worlds(homes=("h",)))
def test_reference_and_kernel_agree_where_households_share_counters(world: World) -> None:
    settle_by_every_way(world)


@examples(80)
@given(curve_worlds())
def test_reference_and_kernel_agree_on_schedules_over_the_year(world: World) -> None:
    settle_by_every_way(world)


@examples(80)
@given(stay_worlds())
def test_reference_and_kernel_agree_on_transfers_and_repeats(world: World) -> None:
    settle_by_every_way(world)


@examples(8)
@pytest.mark.parametrize("address", SHIPPED)
@given(data=st.data())
def test_reference_and_kernel_agree_under_shipped_policies(address: str, data: st.DataObject) -> None:
    policies = load_policy(address)
    people = data.draw(people_rows())
    persons = sorted({row["person_id"] for row in people})
    groups = ("tekun", "dibao", "dibao_marginal", "orphan", "monitored")
    claims = claims_frame(data.draw(claim_rows(persons)))
    if address == "cn/shanghai/huhuibao":
        claims = claims.with_columns(pl.col("paid_elsewhere").alias("pay_basic"))
    spells = spells_frame(data.draw(spell_rows(persons, groups)))
    try:
        settle_by_every_way(World(policies, claims, people_frame(people), spells))
    except MissingValueError:  # every claim drawn needs a number that was never published
        reject()


def test_a_file_without_rows_settles_to_nothing() -> None:
    world = World(load_policy("cn/beijing"), claims_frame([]), people_frame([]), spells_frame([]))
    batch, outcome = settle_by_every_way(world)
    assert batch.height == 0
    assert outcome.closing is not None
    assert outcome.closing.height == 0


def test_a_claim_that_no_tier_looks_at_stays_with_the_patient_whole() -> None:
    law = one_tier({"when": {"sex": "male"}, "brackets": [{"rate": percent(80)}]})
    batch, outcome = settle_by_every_way(world_of([law], [a_claim(in_scope_fen=1000)], [{"person_id": "p0"}], []))
    assert batch.height == 1
    assert outcome.own_in_scope.tolist() == [1000]
    assert outcome.trace.shape == (0, 10)
