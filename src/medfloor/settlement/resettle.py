"""Settle again after statuses were corrected: who is owed (应补), and who owes (应退).

A backdated recognition changes what past claims should have been paid. The same claims are settled under the statuses
as they were and as they are now; what differs is listed claim by claim and person by person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from medfloor.policy.load import PolicySet
from medfloor.settlement.batch import Law
from medfloor.settlement.engines import Engine
from medfloor.settlement.settle import Settlements, Table, law_of, settle


@dataclass(frozen=True)
class Resettlement:
    """Be the outcome: `claims` one row a claim that changed, `people` one row a person-year, money in fen.

    claims: person_id, benefit_year, claim_id, settled_date, per tier `pay_<tier>_before_fen`, `_after_fen`, the same
    for pay_total, difference_fen (positive: owed to the person) and direction (owed, owes). people: person_id,
    benefit_year, claims, before_fen, after_fen, difference_fen, direction. `rejected` has the rows refused under either
    list of statuses, as they came, in the order of the input: what was refused once cannot be compared.
    """

    claims: pl.DataFrame
    people: pl.DataFrame
    rejected: pl.DataFrame
    before: Settlements
    after: Settlements


def resettle(
    claims: Table,
    people: Table,
    spells_before: Table | None,
    spells_after: Table | None,
    policy: str | PolicySet | Law,
    *,
    reforms: Sequence[str | Path] = (),
    engine: Engine = "auto",
    opening: Table | None = None,
) -> Resettlement:
    """Settle claims under two lists of statuses and list what differs.

    Raises what `settle` raises.
    """
    law = law_of(policy, reforms)
    before = settle(claims, people, spells_before, law, engine=engine, opening=opening)
    after = settle(claims, people, spells_after, law, engine=engine, opening=opening)
    names = [f"pay_{tier}_fen" for tier in law.layout.tiers] + ["pay_total_fen"]
    keys = ["person_id", "benefit_year", "claim_id", "settled_date"]
    pairs = before.fen.select(*keys, *(pl.col(n).alias(_side(n, "before")) for n in names)).join(
        after.fen.select("claim_id", *(pl.col(n).alias(_side(n, "after")) for n in names)), on="claim_id", how="inner"
    )
    changed = pairs.filter(pl.any_horizontal(pl.col(_side(n, "before")) != pl.col(_side(n, "after")) for n in names))
    changed = changed.with_columns(
        (pl.col("pay_total_after_fen") - pl.col("pay_total_before_fen")).alias("difference_fen")
    ).with_columns(_direction())
    ordered = [_side(name, side) for name in names for side in ("before", "after")]
    changed = changed.select(*keys, *ordered, "difference_fen", "direction").sort(keys[0], keys[1], keys[3], keys[2])
    by_person = (
        changed.group_by("person_id", "benefit_year", maintain_order=True)
        .agg(
            pl.len().alias("claims"),
            pl.col("pay_total_before_fen").sum().alias("before_fen"),
            pl.col("pay_total_after_fen").sum().alias("after_fen"),
            pl.col("difference_fen").sum(),
        )
        .with_columns(_direction())
    )
    return Resettlement(changed, by_person, _refused_once(before, after), before, after)


def _refused_once(before: Settlements, after: Settlements) -> pl.DataFrame:
    """Join the rows refused under either list, in the order of the input; of two reasons the later list's stands."""
    only_before = ~before.rejected_rows.is_in(after.rejected_rows.implode())
    rejected = pl.concat([after.rejected, before.rejected.filter(only_before)])
    rows = pl.concat([after.rejected_rows, before.rejected_rows.filter(only_before)])
    return rejected[rows.arg_sort()]


def _side(name: str, side: str) -> str:
    return f"{name.removesuffix('_fen')}_{side}_fen"


def _direction() -> pl.Expr:
    difference = pl.col("difference_fen")
    return (
        pl.when(difference > 0).then(pl.lit("owed")).when(difference < 0).then(pl.lit("owes")).otherwise(pl.lit("none"))
    ).alias("direction")
