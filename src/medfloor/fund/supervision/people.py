"""Hold claims against who the person is: death, sex and age against the diagnosis, two enrolments on one day."""

from __future__ import annotations

from datetime import timedelta

import polars as pl

from medfloor.fund.supervision.leads import as_leads
from medfloor.fund.supervision.reading import Persons
from medfloor.fund.supervision.rules import Rules


def of_persons(live: pl.DataFrame, persons: Persons, rules: Rules) -> list[pl.DataFrame]:
    """Find service after death, and diagnoses that sex or age rules out. Gives leads, a frame a rule."""
    found = []
    if rules["after_death"].on and persons.has_death:
        days = int(rules["after_death"]["days"])
        dead = persons.known.filter(pl.col("death").is_not_null()).select("person_id", "death")
        after = live.join(dead, on="person_id").filter(pl.col("start") > pl.col("death") + timedelta(days=days))
        value = (pl.col("start") - pl.col("death")).dt.total_days()
        found.append(as_leads(after, "after_death", value=value, limit=days))
    codes = live["diagnosis"].drop_nulls().unique()
    if rules["sex_diagnosis"].on:
        for sex, starts in rules.sexes.items():
            against = _beginning(live, codes, starts).join(persons.known, on="person_id")
            # null (no sex known) is neither.
            against = against.filter(pl.col("sex") != sex)
            found.append(as_leads(against, "sex_diagnosis", value=None, limit=None))
    if rules["age_diagnosis"].on:
        for age in rules.ages:
            against = _beginning(live, codes, age.codes).join(persons.known, on="person_id")
            against = against.with_columns(age_on("start").alias("years"))
            against = against.filter(~pl.col("years").is_between(age.first, age.last))
            limit = pl.when(pl.col("years") > age.last).then(age.last).otherwise(age.first)
            found.append(as_leads(against, "age_diagnosis", value=pl.col("years"), limit=limit))
    return found


def enrolled_twice(live: pl.DataFrame, persons: Persons) -> pl.DataFrame:
    """Sum up the claims of people of whom two rows of enrolment share a day: how many, money, the first."""
    return (
        live.join(persons.twice.select("person_id"), on="person_id", how="semi")
        .group_by("person_id")
        .agg(
            pl.col("claim_id").min(), pl.len().alias("claims"), pl.col("total_fen").sum(), pl.col("start").min(),
        )
    )  # fmt: skip


def twice_leads(persons: Persons, claims: pl.DataFrame) -> pl.DataFrame:
    """Make leads of people enrolled twice, with their claims or without any."""
    rows = persons.twice.join(claims, on="person_id", how="left").with_columns(
        pl.lit(None, pl.String).alias("provider_id"), pl.col("total_fen").fill_null(0)
    )
    return as_leads(rows, "double_enrolment", value=None, limit=None, claims=pl.col("claims").fill_null(0))


def age_on(day: str) -> pl.Expr:
    """Give the whole years from birth_date to a day."""
    born, then = pl.col("birth_date"), pl.col(day)
    early = _of_year(then) < _of_year(born)
    return then.dt.year() - born.dt.year() - early.cast(pl.Int32)


def _beginning(live: pl.DataFrame, codes: pl.Series, starts: tuple[str, ...]) -> pl.DataFrame:
    upper = codes.str.to_uppercase()
    wanted = codes.filter([code.startswith(starts) for code in upper.to_list()])
    return live.filter(pl.col("diagnosis").is_in(wanted.implode())) if len(wanted) else live.clear()


def _of_year(day: pl.Expr) -> pl.Expr:
    return day.dt.month().cast(pl.Int32) * 100 + day.dt.day().cast(pl.Int32)
