"""Hold settlements against what settlement.md says always holds, with random law and random histories."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import polars as pl
from hypothesis import assume, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from worlds import (
    EDGES_FEN,
    Raw,
    World,
    a_claim,
    amounts,
    claims_frame,
    examples,
    key_of,
    one_tier,
    people_frame,
    percent,
    policy_set,
    spells_frame,
    tilted_laws,
    worlds,
    yuan,
)

from medfloor.money import format_yuan
from medfloor.policy.model import Policy
from medfloor.settlement import Settlements, settle
from medfloor.settlement.batch import Law, prepare
from medfloor.settlement.engines import run
from medfloor.settlement.settle import law_of, read_all

ENGINES = st.sampled_from(["reference", "kernel"])


def settled(world: World, **more: Any) -> Settlements:
    return settle(world.claims, world.people, world.spells, world.policies, **more)


@examples(25)
@given(worlds(), ENGINES)
def test_every_fen_is_paid_or_stays_with_the_patient(world: World, engine: Any) -> None:
    fen = settled(world, engine=engine).fen
    pays = [name for name in fen.columns if name.startswith("pay_") and name != "pay_total_fen"]
    charged = world.claims.select(
        "claim_id", (pl.col("total").cast(pl.Decimal(20, 2)) * 100).cast(pl.Int64).alias("charged")
    )
    fen = fen.join(charged, on="claim_id")
    assert (fen["total_fen"] == fen["charged"]).all()
    assert (fen["pay_total_fen"] == fen.select(pl.sum_horizontal(pays)).to_series()).all()
    assert (fen["total_fen"] == fen["pay_total_fen"] + fen["own_total_fen"]).all()
    assert (fen["own_total_fen"] == fen["own_in_scope_fen"] + fen["own_outside_fen"]).all()
    assert all((fen[name] >= 0).all() for name in (*pays, "own_in_scope_fen", "own_outside_fen", "deductible_fen"))
    assert (fen["own_in_scope_fen"] <= fen["in_scope_fen"]).all()


@examples(25)
@given(worlds(), ENGINES)
def test_no_tier_pays_more_than_reached_it_or_than_its_ceiling_left(world: World, engine: Any) -> None:
    trace = settled(world, engine=engine, trace=True).trace
    assert trace is not None
    assert ((trace["pay_fen"] >= 0) & (trace["pay_fen"] <= trace["base_fen"])).all()
    assert (trace["pay_fen"] <= trace["before_cap_fen"]).all()
    assert (trace["pay_fen"] <= trace["cap_left_fen"]).fill_null(True).all()
    assert ((trace["deductible_fen"] >= 0) & (trace["deductible_fen"] <= trace["base_fen"])).all()


@examples(30)
@given(worlds(), ENGINES)
def test_no_pot_pays_more_than_its_cap(world: World, engine: Any) -> None:
    law = law_of(world.policies)
    claims, people, spells = read_all(world.claims, world.people, world.spells, world.policies)
    batch, _, _ = prepare(law, [claims.accepted], people, spells)
    pay = run(batch, engine).pay
    used: dict[tuple[Any, ...], int] = {}
    for i in range(batch.height):
        for step in batch.rules[batch.profile[i]].steps:
            paid = int(pay[law.layout.tiers.index(step.tier), i])
            for name, cap, shared in step.pots:
                owner = (int(batch.unit[i]) if shared else int(batch.person[i]), shared)
                key = (*owner, int(batch.columns.year[i]), name)
                used[key] = used.get(key, 0) + paid
                column = law.dimensions.columns.index(cap.column) if cap.column else 0
                limit = int(batch.amounts[column, i]) if cap.column and batch.amounts[column, i] >= 0 else cap.fen
                assert paid == 0 or limit < 0 or used[key] <= limit


@examples(25)
@given(worlds(), st.randoms(use_true_random=False), ENGINES)
def test_shuffling_the_rows_of_any_table_changes_no_byte(world: World, random: Any, engine: Any) -> None:
    def shuffled(frame: pl.DataFrame) -> pl.DataFrame:
        return frame[random.sample(range(frame.height), frame.height)]

    one = settled(world, engine=engine, trace=True, closing=True)
    other = settled(
        World(world.policies, shuffled(world.claims), shuffled(world.people), shuffled(world.spells)),
        engine=engine, trace=True, closing=True,
    )  # fmt: skip
    for name in ("fen", "trace", "closing"):
        assert_frame_equal(getattr(one, name), getattr(other, name))


@examples(20)
@given(worlds(), ENGINES)
def test_splitting_by_person_or_household_changes_nothing(world: World, engine: Any) -> None:
    whole = settled(world, engine=engine, trace=True, closing=True)
    law = law_of(world.policies)
    unit = "household_id" if law.layout.household else "person_id"
    homes = world.people.unique("person_id", keep="first", maintain_order=True)
    parts = []
    for (name,), members in homes.group_by(unit, maintain_order=True):
        ids = members["person_id"].implode()
        mine = world.claims.filter(pl.col("person_id").is_in(ids))
        people = world.people.filter(pl.col("person_id").is_in(ids))
        one = settle(mine, people, world.spells, law, engine=engine, trace=True, closing=True)
        parts.append((str(name), one))
    parts.sort(key=lambda part: part[0])
    for what in ("fen", "trace"):
        assert_frame_equal(pl.concat([getattr(part, what) for _, part in parts]), getattr(whole, what))
    closing = pl.concat([part.closing for _, part in parts if part.closing is not None])
    assert whole.closing is not None
    assert_frame_equal(closing.sort("person_id", "benefit_year"), whole.closing)


# --- more care never means less payment -------------------------------------------------------------------------------


def without_cliffs(policy: Policy) -> Policy:
    """Take out of a policy what makes a jump at one more yuan: switches on the total, floors, coarse rounding."""
    raw = policy.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    raw.pop("rounding", None)
    raw = _smooth(raw)
    for tier in raw["tiers"]:
        for part in tier["parts"]:
            part.pop("floor", None)
    return Policy.model_validate(raw)


def _smooth(value: Any) -> Any:
    if isinstance(value, list):
        return [_smooth(item) for item in value]
    if isinstance(value, dict):
        return {
            key: {k: v for k, v in item.items() if k != "total"} if key == "when" else _smooth(item)
            for key, item in value.items()
        }
    return value


@examples(25)
@given(worlds(most_claims=6), amounts(), st.integers(1, 3_000_000), ENGINES)
def test_more_in_scope_never_pays_less_in_all(world: World, base: int, more: int, engine: Any) -> None:
    assume(world.claims.height > 0)
    law = Law.of(policy_set_of(world, without_cliffs))
    rows = sorted(world.claims.to_dicts(), key=key_of)
    last = rows[-1]
    paid = []
    for in_scope in (base, base + 1, base + more):
        parts = [Decimal(last[name]) for name in ("off_catalogue", "over_limit", "first_self_pay")]
        changed = {"in_scope": format_yuan(in_scope), "total": Decimal(in_scope) / 100 + sum(parts)}
        fen = settle(claims_frame([*rows[:-1], last | changed]), world.people, world.spells, law, engine=engine).fen
        paid.append(fen.filter(claim_id=last["claim_id"])["pay_total_fen"].item())
    assert paid == sorted(paid)


def policy_set_of(world: World, change: Any) -> Any:
    """Give the world's law with each version changed."""
    from dataclasses import replace

    return replace(world.policies, versions=tuple(change(version) for version in world.policies.versions))


@examples(30)
@given(
    tilted_laws(),
    st.lists(st.tuples(amounts(10**9), st.sampled_from(("1", "2", "3"))), min_size=1, max_size=6),
    ENGINES,
)
def test_who_has_a_tilt_never_pays_more_over_the_year(law: Raw, care: list[tuple[int, str]], engine: Any) -> None:
    claims = [
        a_claim(f"{who}{number}", fen, f"2024-03-{number + 1:02}", person_id=who, facility_level=level)
        for number, (fen, level) in enumerate(care)
        for who in ("plain", "tilted")
    ]
    people = people_frame([{"person_id": "plain"}, {"person_id": "tilted"}])
    spells = spells_frame([{"person_id": "tilted", "group": "dibao"}])
    fen = settle(claims_frame(claims), people, spells, policy_set(law), engine=engine).fen
    own = fen.with_columns(pl.col("own_total_fen").cum_sum().over("person_id"))
    plain, tilted = (own.filter(person_id=who)["own_total_fen"] for who in ("plain", "tilted"))
    assert (tilted <= plain).all()


# --- a year's payments telescope --------------------------------------------------------------------------------------

STEPS = st.lists(st.sampled_from(EDGES_FEN), max_size=3, unique=True).map(sorted)
RATES = st.sampled_from([0, 10, 50, 60, 75, 85, 100])


@examples(30)
@given(
    STEPS, st.lists(RATES, min_size=4, max_size=4), st.sampled_from([0, 1, 9_999, 500_000]), st.booleans(),
    st.lists(amounts(10**12), min_size=1, max_size=8),
)  # fmt: skip
def test_payments_of_a_year_are_the_schedule_of_the_years_sum(
    ends: list[int], rates: list[int], deductible: int, absolute: bool, care: list[int]
) -> None:
    brackets = [*({"up_to": yuan(end), "rate": percent(rate)} for end, rate in zip(ends, rates, strict=False))]
    part = {
        "per": "year",
        "origin": "absolute" if absolute else "excess",
        "deductible": {"per": "year", "amount": yuan(deductible)},
        "brackets": [*brackets, {"rate": percent(rates[len(ends)])}],
    }
    claims = [a_claim(f"c{number}", fen, f"2024-03-{number + 1:02}") for number, fen in enumerate(care)]
    people = people_frame([{"person_id": "p0"}])
    lower, upper = (deductible, sum(care)) if absolute else (0, sum(care) - deductible)
    edges = [0, *ends, 10**20]
    worth = sum(
        Decimal(max(0, min(upper, to) - max(lower, since))) * rate / 100
        for since, to, rate in zip(edges[:-1], edges[1:], rates, strict=False)
    )
    for engine in ("reference", "kernel"):
        fen = settle(claims_frame(claims), people, None, policy_set(one_tier(part)), engine=engine).fen
        assert fen["pay_total_fen"].sum() == int(Decimal(worth).quantize(Decimal(1), ROUND_HALF_UP))
        assert fen["deductible_fen"].sum() == min(deductible, sum(care))
