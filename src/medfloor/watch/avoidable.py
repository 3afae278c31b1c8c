"""Find stays that good care outside hospital could have avoided, and their share of stays and of spending."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medfloor.watch.evidence import Condition, Evidence


@dataclass(frozen=True, slots=True, eq=False)
class Avoidable:
    """Be the avoidable stays of a year. Money is fen of whole cost, whoever pays.

    `table` has a row a condition and one for `all`: stays, cost_fen, of_stays and of_spend (per cent of stays and of
    what stays cost). `by_person` has person_id, condition, cost_fen. `spend_fen` is what all stays cost,
    `all_spend_fen` all claims. `own_share` is the avoidable share of spending on stays (per cent); `ceiling_share` the
    smaller of it and the highest published; `ceiling_fen` that share of `spend_fen`: no programme can save more.
    `undiagnosed` are stays without a diagnosis, of which nothing can be said.
    """

    table: pl.DataFrame
    by_person: pl.DataFrame
    spend_fen: int
    all_spend_fen: int
    own_share: float
    ceiling_share: float
    ceiling_fen: int
    stays: int
    undiagnosed: int


def avoidable(claims: pl.DataFrame, ages: pl.DataFrame, evidence: Evidence, *, year: int) -> Avoidable:
    """Look through the stays of a year.

    `claims` has person_id, care_type, start_date, diagnosis and total_fen; `ages` person_id and age. A stay without a
    diagnosis is not avoidable; one of a person without an age counts as of an adult. Counted by the first day.
    """
    claims = claims.filter(pl.col("start_date").dt.year() == year)
    stays = claims.filter(pl.col("care_type") == "inpatient").join(
        ages.select("person_id", "age"), on="person_id", how="left", maintain_order="left"
    )
    spend = int(stays["total_fen"].sum())
    old_enough = (pl.col("age") >= evidence["avoidable_from"]).fill_null(value=True)
    stays = stays.with_columns(pl.when(old_enough).then(_condition(evidence.conditions)).alias("condition"))
    found = stays.filter(pl.col("condition").is_not_null())
    names = [one.name for one in evidence.conditions]
    counts = found.group_by("condition").agg(
        pl.len().cast(pl.Int64).alias("stays"), pl.col("total_fen").sum().alias("cost_fen")
    )
    table = pl.DataFrame({"condition": names}).join(counts, on="condition", how="left", maintain_order="left")
    table = table.with_columns(pl.col("stays", "cost_fen").fill_null(0))
    whole = table.select(pl.lit("all").alias("condition"), pl.col("stays", "cost_fen").sum())
    table = pl.concat([table, whole]).with_columns(
        (100 * pl.col("stays") / max(1, stays.height)).alias("of_stays"),
        (100 * pl.col("cost_fen") / max(1, spend)).alias("of_spend"),
    )
    own = float(table["of_spend"][-1])
    ceiling = min(own, evidence["ceiling"])
    return Avoidable(
        table=table,
        by_person=found.group_by("person_id", "condition").agg(pl.col("total_fen").sum().alias("cost_fen")).sort(
            "person_id", "condition"
        ),
        spend_fen=spend,
        all_spend_fen=int(claims["total_fen"].sum()),
        own_share=own,
        ceiling_share=ceiling,
        ceiling_fen=int(ceiling / 100 * spend),
        stays=stays.height,
        undiagnosed=stays["diagnosis"].null_count(),
    )  # fmt: skip


def _condition(conditions: tuple[Condition, ...]) -> pl.Expr:
    """Name the condition of a diagnosis: that of the longest prefix that fits; null where none does."""
    pairs = sorted(((code, one.name) for one in conditions for code in one.codes), key=lambda pair: -len(pair[0]))
    code = pl.col("diagnosis").str.to_uppercase()
    return pl.coalesce(pl.when(code.str.starts_with(prefix)).then(pl.lit(name)) for prefix, name in pairs)
