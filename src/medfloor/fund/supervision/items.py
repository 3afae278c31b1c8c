"""Hold charge lines against a catalogue: sex, age, how much a day, and the highest price."""

from __future__ import annotations

import polars as pl

from medfloor.fund.supervision.leads import as_leads
from medfloor.fund.supervision.people import age_on
from medfloor.fund.supervision.reading import Persons, lines_numbers
from medfloor.fund.supervision.rules import Rules
from medfloor.intake import Scan, collect
from medfloor.tables import CARE_TYPES

_INPATIENT = CARE_TYPES.index("inpatient")


def of_lines(
    live: pl.DataFrame, lines: Scan, catalogue: pl.DataFrame, persons: Persons | None, rules: Rules
) -> list[pl.DataFrame]:
    """Find items of the other sex or another age, above the limit of a day, and above the highest price.

    Lines whose claim is not among `live` are another part's, or of a refused claim. Gives leads, a frame a rule; money
    is what lies above the limit, or the whole line where the item should not be there at all.
    """
    rows = _restricted(live, lines, catalogue)
    found = []
    if rules["price_limit"].on:
        dear = rows.filter(pl.col("price") > pl.col("price_limit") + 0.005)
        over = (pl.col("price") - pl.col("price_limit")) * pl.col("quantity")
        found.append(_lead(dear, "price_limit", over, pl.col("price"), pl.col("price_limit")))
    if rules["day_limit"].on:
        found.append(_over_the_day(rows))
    if persons is not None:
        rows = rows.join(persons.known, on="person_id", how="left")
        if rules["sex_item"].on:
            # Without a known sex the comparison is null, and no lead.
            wrong = rows.filter(pl.col("sex") != pl.col("sex_right"))
            found.append(_lead(wrong, "sex_item", pl.col("cost"), None, None))
        if rules["age_item"].on:
            aged = rows.with_columns(age_on("start").alias("years"))
            young, old = pl.col("years") < pl.col("age_from"), pl.col("years") > pl.col("age_to")
            aged = aged.filter(young.fill_null(False) | old.fill_null(False))
            limit = pl.when(old.fill_null(False)).then(pl.col("age_to")).otherwise(pl.col("age_from"))
            found.append(_lead(aged, "age_item", pl.col("cost"), pl.col("years"), limit))
    return found


def _restricted(live: pl.DataFrame, lines: Scan, catalogue: pl.DataFrame) -> pl.DataFrame:
    """Join the lines of restricted items with their claims; the file of lines is read in batches and never held."""
    schema = lines.schema
    day = pl.lit(None, pl.Date)
    if "item_date" in schema:
        given = pl.col("item_date")
        text = isinstance(schema["item_date"], pl.String)
        day = given.str.to_date("%Y-%m-%d", strict=False) if text else given.cast(pl.Date)
    code, claim = (pl.col(name).cast(pl.String).str.strip_chars() for name in ("item_code", "claim_id"))
    named = lines.frame.select(claim.alias("claim_id"), code.alias("item"), *lines_numbers(schema), day.alias("day"))
    query = (
        named.join(catalogue.lazy().rename({"item_code": "item", "sex": "sex_right"}), on="item")
        .with_columns(
            pl.coalesce("unit_price", pl.col("amount") / pl.col("quantity")).alias("price"),
            pl.coalesce("amount", pl.col("unit_price") * pl.col("quantity")).alias("cost"),
        )
        .filter(
            pl.any_horizontal(pl.col("sex_right", "age_from", "age_to", "day_limit").is_not_null())
            | (pl.col("price") > pl.col("price_limit"))
        )
        .join(live.lazy().select("claim_id", "person_id", "provider_id", "care", "start", "end"), on="claim_id")
    )
    return collect(lines, query)


def _over_the_day(rows: pl.DataFrame) -> pl.DataFrame:
    """Find items of which a person got more on a day, or over the days of a claim, than the limit of a day allows."""
    limited = rows.filter(pl.col("day_limit").is_not_null(), pl.col("quantity").is_not_null())
    days = (pl.col("end") - pl.col("start")).dt.total_days() + 1
    limited = limited.with_columns(
        pl.when(pl.col("day").is_null()).then(pl.col("claim_id")).otherwise(pl.lit("")).alias("alone"),
        (pl.col("day_limit") * pl.when(pl.col("day").is_null()).then(days).otherwise(1)).alias("allowed"),
    )
    sums = limited.group_by("person_id", "item", "day", "alone", maintain_order=True).agg(
        pl.col("claim_id").first(),
        pl.col("claim_id").unique(maintain_order=True).slice(1).str.join(";").replace("", None).alias("others"),
        pl.col("claim_id").n_unique().alias("claims"),
        pl.col("provider_id").first(),
        pl.col("start").first(),
        pl.col("allowed").max(),
        pl.col("quantity").sum(),
        pl.col("cost").sum(),
    )
    over = sums.filter(pl.col("quantity") > pl.col("allowed") * (1 + 1e-9))
    beyond = pl.col("cost") * (1 - pl.col("allowed") / pl.col("quantity"))
    return _lead(
        over, "day_limit", beyond, pl.col("quantity"), pl.col("allowed"), others="others", claims=pl.col("claims")
    )


def _lead(
    rows: pl.DataFrame,
    rule: str,
    yuan: pl.Expr,
    value: pl.Expr | None,
    limit: pl.Expr | None,
    *,
    others: str | None = None,
    claims: pl.Expr | None = None,
) -> pl.DataFrame:
    money = (yuan.fill_null(0.0).fill_nan(0.0) * 100).round().cast(pl.Int64)
    return as_leads(rows, rule, value=value, limit=limit, money=money, item="item", others=others, claims=claims)
