"""Take settlements back: nothing is edited in place, what follows in the person-year is settled again.

A reversal is a row of claims that names the claim it takes back. For the unit-years that have reversals the year is
replayed in *worlds*: world j is the year with the first j reversals carried out. A claim was first settled in the world
of its day; what is true now is the last world. Their differences are what the fund owes (应补) or is owed (应退).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from medfloor.policy.compile import Layout
from medfloor.settlement.balance import empty_accumulators
from medfloor.settlement.batch import Batch
from medfloor.settlement.engines import Engine, run
from medfloor.settlement.results import OUTSIDE, money_columns, settlement_table
from medfloor.settlement.sequence import segments_of


@dataclass(frozen=True)
class Worlds:
    """Be the replayed unit-years of a batch with reversals.

    `survivors` is the batch without the claims taken back. `first` has, for every claim of a unit-year with reversals,
    what it was first settled at; `removed` what each claim that was taken back stood at when it was. Both are
    settlement tables in fen. `reversals` are the rows that take them back.
    """

    survivors: Batch
    first: pl.DataFrame
    removed: pl.DataFrame
    reversals: pl.DataFrame

    def taken_back(self) -> pl.DataFrame:
        """Give the rows of the claims taken back, and the rows that take them back with every amount negated."""
        money = [*money_columns(self.survivors.law.layout.tiers), *(f"_{name}" for name in OUTSIDE)]
        own = self.reversals.select(
            pl.col("reverses").alias("_of"),
            "claim_id",
            "settled_date",
            pl.col("start_date").alias("_start"),
            *(
                name
                for name in self.reversals.columns
                if name in self.removed.columns and name not in _OWN and name not in money
            ),
        )
        undone = self.removed.with_columns(-pl.col(name) for name in money).rename({"claim_id": "_of"})
        undone = undone.drop((name for name in own.columns if name != "_of"), strict=False).join(
            own, on="_of", how="inner"
        )
        return pl.concat([self.removed, undone.select(self.removed.columns)])

    def years_opened(self, opening: pl.DataFrame | None, layout: Layout) -> pl.DataFrame:
        """Give the opening with a row for each person-year of a claim taken back, so that it closes, be it at zero."""
        opening = empty_accumulators(layout) if opening is None else opening
        years = self.removed.select("person_id", pl.col("benefit_year").cast(pl.Int64)).unique(maintain_order=True)
        fresh = years.join(opening, on=["person_id", "benefit_year"], how="anti")
        start = dict(zip(layout.names, layout.initial, strict=True))
        columns = [
            pl.lit(None if name == "last_stay" else start.get(name, 0), dtype=kind).alias(name)
            for name, kind in opening.schema.items()
            if name not in ("person_id", "benefit_year")
        ]
        return pl.concat([opening, fresh.with_columns(columns).select(opening.columns)])

    def differences(self, final: pl.DataFrame) -> pl.DataFrame:
        """List the claims whose settlement changed after it was first made: per tier, before, after and difference."""
        return differences_between(self.first, final)


DIFFERENCES_ORDER = ("person_id", "benefit_year", "settled_date", "claim_id", "tier")
"""How lists of differences are sorted."""


def differences_between(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Compare two settlement tables in fen claim by claim.

    Gives one row a claim and tier that changed: claim_id, person_id, benefit_year, tier, before_fen, after_fen,
    difference_fen (positive: the fund owes the person, 应补; negative: the person owes, 应退), and one row a claim with
    tier `total`. Claims that only one of the two has are left out.
    """
    tiers = [n for n in after.columns if n.startswith("pay_") and n.endswith("_fen") and n != "pay_total_fen"]
    tiers.append("pay_total_fen")
    lists = []
    for name in tiers:
        old = pl.col(name) if name in before.columns else pl.lit(0, dtype=pl.Int64)
        lists.append(
            after.select("claim_id", "person_id", "benefit_year", "settled_date", pl.col(name).alias("after_fen"))
            .join(before.select("claim_id", old.alias("before_fen")), on="claim_id", how="inner")
            .filter(pl.col("after_fen") != pl.col("before_fen"))
            .with_columns(pl.lit(name.removeprefix("pay_").removesuffix("_fen")).alias("tier"))
        )
    return (
        pl.concat(lists)
        .with_columns((pl.col("after_fen") - pl.col("before_fen")).alias("difference_fen"))
        .select(
            "person_id", "benefit_year", "claim_id", "settled_date", "tier", "before_fen", "after_fen", "difference_fen"
        )
        .sort(DIFFERENCES_ORDER)
    )


def replay(batch: Batch, reversals: pl.DataFrame, engine: Engine, opening: pl.DataFrame | None) -> Worlds | None:
    """Replay the unit-years that have reversals; None where there are none."""
    if reversals.height == 0:
        return None
    frame = batch.frame.select("claim_id", "settled_date", "start_date").with_columns(
        pl.Series("_segment", np.repeat(np.arange(len(batch.segments.unit)), np.diff(batch.segments.start))),
        pl.Series("_at", np.arange(batch.height)),
    )
    target = frame.select(pl.col("claim_id").alias("reverses"), "_segment", "_at")
    back = reversals.join(target, on="reverses", how="inner").sort("_segment", "settled_date", "start_date", "claim_id")
    back = back.with_columns((pl.int_range(1, pl.len() + 1).over("_segment")).alias("_number"))
    gone = np.zeros(batch.height, np.int64)  # the number of the reversal that takes a claim back; 0 = none
    gone[back["_at"].to_numpy()] = back["_number"].to_numpy()
    busy = frame.filter(pl.col("_segment").is_in(back["_segment"].unique().implode()))
    rows = busy["_at"].to_numpy()
    seen = _reversals_before(busy, back)
    most = int(back["_number"].max())  # type: ignore[arg-type]
    firsts: list[pl.DataFrame] = []
    removed: list[pl.DataFrame] = []
    for world in range(most + 1):
        here = rows[(gone[rows] == 0) | (gone[rows] > world)]
        part = subset(batch, here)
        table = settlement_table(part, run(part, engine, opening=opening))
        seen_here = seen[np.isin(rows, here)]
        firsts.append(table.filter(pl.Series(seen_here == world)))
        removed.append(table.filter(pl.Series(gone[here] == world + 1)))
    survivors = subset(batch, np.flatnonzero(gone == 0))
    return Worlds(survivors, pl.concat(firsts), pl.concat(removed), reversals)


_OWN = {"claim_id", "person_id", "settled_date", "start_date", "reverses"}


def _reversals_before(busy: pl.DataFrame, back: pl.DataFrame) -> npt.NDArray[np.int64]:
    """Count, for each claim, the reversals of its unit-year that were made before it was settled."""
    events = pl.concat(
        [
            busy.select("_segment", "settled_date", "start_date", "claim_id", pl.lit(0).alias("_is"), "_at"),
            back.select(
                "_segment",
                "settled_date",
                "start_date",
                "claim_id",
                pl.lit(1).alias("_is"),
                pl.lit(-1).cast(pl.Int64).alias("_at"),
            ),
        ]
    ).sort("_segment", "settled_date", "start_date", "claim_id")
    events = events.with_columns(pl.col("_is").cum_sum().over("_segment").alias("_seen"))
    claims = events.filter(pl.col("_is") == 0).sort("_at")
    return claims["_seen"].cast(pl.Int64).to_numpy()


def subset(batch: Batch, rows: npt.NDArray[Any]) -> Batch:
    """Give the batch of some of its claims, in the same order."""
    columns = replace(
        batch.columns,
        **{
            name: values[rows] if len(values) == batch.height else values
            for name, values in ((n, getattr(batch.columns, n)) for n in batch.columns.__dataclass_fields__)
        },
    )
    unit = batch.unit[rows]
    return replace(
        batch,
        frame=batch.frame[rows],
        columns=columns,
        person=batch.person[rows],
        unit=unit,
        segments=segments_of(unit, columns.year),
        profile=batch.profile[rows],
        amounts=batch.amounts[:, rows],
        stay_of=batch.stay_of[rows] if len(batch.stay_of) else batch.stay_of,
    )
