"""Ask the reference and the kernel the same: random law and random histories, every row and every column."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

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
from medfloor.settlement import engines
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
    """Settle a world by the reference, by every path of the kernel, and by what the law had answered; compare all."""
    law = law_of(world.policies)
    claims, people, spells = read_all(world.claims, world.people, world.spells, world.policies)
    batch, reversals, refusals = prepare(law, [claims.accepted], people, spells)
    assert batch.height + reversals.height + refusals.rows.height == claims.accepted.height
    truth = run(batch, "reference", trace=True, closing=True)
    assert truth.closing is not None
    ways: list[tuple[Literal["kernel", "few"], int]] = [("kernel", 1), ("kernel", 2), ("few", 1)]
    for engine, threads in ways:
        full = run(batch, engine, trace=True, closing=True, threads=threads)
        assert_same(truth, full)
        np.testing.assert_array_equal(truth.trace_start, full.trace_start)
        np.testing.assert_array_equal(truth.trace, full.trace)
        assert full.closing is not None
        assert_frame_equal(truth.closing, full.closing)
    assert_same(truth, run(batch, "kernel"))
    assert_same(truth, run(batch, "few"))
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


def test_few_claims_are_settled_without_compiled_code_until_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_SPARED", engines._Spared())
    monkeypatch.setattr(engines, "is_loaded", lambda: False)
    monkeypatch.setattr(engines, "is_compiled", lambda: True)
    assert engines.engine_for(engines.FEW_AT_ONCE - 10) == "few"
    assert engines.engine_for(11) == "kernel"  # added up over what the process settles
    assert engines.engine_for(10) == "few"
    monkeypatch.setattr(engines, "is_compiled", lambda: False)
    assert engines.engine_for(10) == "few"  # the compiler takes longer than loading what it made
    monkeypatch.setattr(engines, "is_loaded", lambda: True)
    assert engines.engine_for(1) == "kernel"


def test_threads_are_begun_only_where_each_has_enough_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    class Pool(ThreadPoolExecutor):
        def __init__(self, workers: int) -> None:
            begun.append(workers)
            super().__init__(workers)

    monkeypatch.setattr(engines, "ThreadPoolExecutor", Pool)
    people = [{"person_id": f"p{number}"} for number in range(40)]
    claims = [a_claim(f"c{number}", person_id=f"p{number}") for number in range(40)]
    world = World(load_policy("cn/beijing@2024-01-01"), claims_frame(claims), people_frame(people), spells_frame([]))
    read = read_all(world.claims, world.people, world.spells, world.policies)
    batch, _, _ = prepare(law_of(world.policies), [read[0].accepted], read[1], read[2])
    alone = run(batch, "kernel", threads=8)
    assert not begun
    monkeypatch.setattr(engines, "_WORTH_A_THREAD", 10)
    assert_same(alone, run(batch, "kernel", threads=8))
    assert begun == [5]
