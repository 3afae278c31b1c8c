"""Make the cases of a ledger of poor patients out of a county's settlements: who, which disease, how many stays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from medfloor.errors import InputError
from medfloor.studies.chapters import UNKNOWN, chapter_of
from medfloor.studies.county import County

AGES = (("0-19", 0, 19), ("20-39", 20, 39), ("40-59", 40, 59), ("60-80", 60, 80), ("81+", 81, 200))
"""Age bands; the document names only "the elderly aged 60-80", and the others are ours."""

STAYS = ("stays_1", "stays_2", "stays_3", "stays_4")
"""Stays of the person in the span of the data: one, two, three, four and more."""


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """Be cases with what the study groups them by.

    `cases` has one row a case: case_id, person_id, total, in_scope (where known), pay_<tier>, own, and, null where not
    known, sex, age, age_band, chapter, stays_band, income (of the household, a year). `counts` say what was left out:
    other_care, not_poor, no_cost.
    """

    cases: pl.DataFrame
    counts: Mapping[str, int]


def ledger_of(county: County, *, people: str, case: str) -> Ledger:
    """Choose and make the cases.

    `people`: "poor" keeps care during which the patient held a status (all care where the county has no statuses),
    "all" keeps everyone's. `case`: a "stay" (inpatient claims), any "claim", or a "person" (all claims of a person as
    one, with the chapter of the costliest). Cases without cost are left out.

    Raises InputError no_cases.
    """
    paid = county.paid.with_columns(chapter_of(county.paid["diagnosis"]) if _diagnosed(county) else _given(county.paid))
    known = paid["care_type"].null_count() < paid.height
    stays = paid.filter(pl.col("care_type") == "inpatient") if known else paid
    counted = (stays if known else stays.clear()).group_by("person_id").len("stays")
    kept = stays if case == "stay" else paid
    counts = {"other_care": paid.height - kept.height}
    if people == "poor" and county.statuses is not None:
        poor = kept.join(county.with_status(), on="claim_id", how="semi", maintain_order="left")
        counts["not_poor"] = kept.height - poor.height
        kept = poor
    costly = kept.filter(pl.col("total") > 0)
    counts["no_cost"] = kept.height - costly.height
    if costly.is_empty():
        raise InputError(
            "no_cases",
            f"of {paid.height:,} settlements none is a case of this study (a stay, with a cost, of somebody with a "
            "status); widen it with --set people=all or --set case=claim",
        )
    cases = _by_person(costly, county) if case == "person" else costly.rename({"claim_id": "case_id"})
    return Ledger(_described(cases, county, counted), counts)


def _diagnosed(county: County) -> bool:
    return county.paid["diagnosis"].null_count() < county.paid.height


def _given(paid: pl.DataFrame) -> pl.Expr:
    """Take groups of diseases that the settlements carry in words, where there is no code."""
    return (pl.col("disease").cast(pl.String) if "disease" in paid.columns else pl.lit(UNKNOWN)).alias("chapter")


def _by_person(claims: pl.DataFrame, county: County) -> pl.DataFrame:
    sums = [
        "total",
        "own",
        *(f"pay_{tier}" for tier in county.tiers),
        *(["in_scope"] if "in_scope" in claims.columns else []),
    ]
    first = ["chapter", "day", "start", *(["income"] if "income" in claims.columns else [])]
    dearest = claims.sort("total", "claim_id", descending=[True, False])
    return (
        dearest.group_by("person_id", maintain_order=True)
        .agg(
            pl.col("person_id").first().alias("case_id"),
            *(pl.col(one).sum() for one in sums),
            *(pl.col(one).first() for one in first),
        )
        .sort("case_id")
    )


def _described(cases: pl.DataFrame, county: County, stays: pl.DataFrame) -> pl.DataFrame:
    """Add sex, age, number of stays and income, as far as they are known."""
    cases = cases.join(stays, on="person_id", how="left", maintain_order="left")
    cases = cases.with_columns(_stays_band().alias("stays_band"))
    told = (
        []
        if county.people is None
        else [one for one in ("sex", "birth_date", "household_id") if one in county.people.columns]
    )
    if county.people is not None:
        cases = cases.drop([one for one in told if one in cases.columns])
        cases = cases.join(county.people.select("person_id", *told), on="person_id", how="left", maintain_order="left")
    cases = _with_income(cases, county)
    for name in ("sex", "household_id"):
        if name not in cases.columns:
            cases = cases.with_columns(pl.lit(None, pl.String).alias(name))
    if "birth_date" in cases.columns:
        # Whole years on the day: a birthday later in the year has not been yet.
        born, day = pl.col("birth_date"), pl.col("day")
        before = _day_of_year(born) > _day_of_year(day)
        age = day.dt.year() - born.dt.year() - before.cast(pl.Int32)
    elif "age" in cases.columns:
        age = pl.col("age").cast(pl.Int32, strict=False)
    else:
        age = pl.lit(None, pl.Int32)
    return cases.with_columns(age.alias("age")).with_columns(_age_band().alias("age_band"))


def _day_of_year(day: pl.Expr) -> pl.Expr:
    return day.dt.month().cast(pl.Int32) * 100 + day.dt.day()


def _with_income(cases: pl.DataFrame, county: County) -> pl.DataFrame:
    if "income" in cases.columns:
        return cases
    homes = county.households
    if homes is None or "income" not in homes.columns or "household_id" not in cases.columns:
        return cases.with_columns(pl.lit(None, pl.Float64).alias("income"))
    return cases.join(homes.select("household_id", "income"), on="household_id", how="left", maintain_order="left")


def _stays_band() -> pl.Expr:
    place = pl.col("stays").clip(1, len(STAYS)).cast(pl.Int64)
    return pl.when(pl.col("stays") > 0).then(
        place.replace_strict(dict(enumerate(STAYS, 1)), default=None, return_dtype=pl.String)
    )


def _age_band() -> pl.Expr:
    band = pl.lit(None, pl.String)
    for name, low, high in AGES:
        band = pl.when(pl.col("age").is_between(low, high)).then(pl.lit(name)).otherwise(band)
    return band
