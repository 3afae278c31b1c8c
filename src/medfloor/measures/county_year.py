"""Measure a county's year: who is insured, what was claimed and paid, what households bear."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from medfloor.errors import InputError, MedfloorError
from medfloor.measures.burden import burden
from medfloor.measures.concentration import concentration
from medfloor.measures.design import Design
from medfloor.measures.impoverishing import LineLike
from medfloor.measures.result import Result
from medfloor.measures.stages import stages_of
from medfloor.measures.tiers import by_tier

NONE = "none"
"""The status of who holds none."""

DEFINITIONS = (("budget", 0.1), ("budget", 0.25), ("nonfood", 0.4), ("who", 0.4))
"""Definitions of catastrophic spending and their thresholds, where the households have what they need."""

_NEEDS = {"budget": (), "nonfood": ("food",), "who": ("food",)}


@dataclass(frozen=True, slots=True, eq=False)
class CountyYear:
    """Be what was measured of a county in one benefit year; a part is None (or empty) where the tables lack it.

    `insured` has a row by way (`by`: all, scheme, residence, status) and group: people, insured, share. `care` has a
    row by way (all, care_type, facility_level, status) and group: claims, people, total, in_scope, one pay_<tier> a
    tier, own, real_ratio (paid of the total), scope_ratio (paid of what is in scope). `catastrophic` has a result for
    each definition and threshold, `impoverishing`, `concentration` and `curve` (own spending in the end, by
    consumption a head), `burden` by status. `undone` says what could not be measured, with the code of the error.
    """

    year: int
    tiers: tuple[str, ...]
    insured: pl.DataFrame | None
    care: pl.DataFrame
    catastrophic: tuple[tuple[str, float, Result], ...] = ()
    impoverishing: Result | None = None
    concentration: Result | None = None
    curve: Result | None = None
    burden: Result | None = None
    households: int = 0
    undone: tuple[tuple[str, str], ...] = ()


def county_year(
    paid: pl.DataFrame,
    *,
    tiers: Sequence[str],
    people: pl.DataFrame | None = None,
    statuses: pl.DataFrame | None = None,
    households: pl.DataFrame | None = None,
    groups: Sequence[str] = (),
    line: LineLike = "median:0.5",
    year: int | None = None,
) -> CountyYear:
    """Measure one benefit year of a county.

    `paid` has claim_id, person_id, total, pay_<tier>, own, and where known in_scope, benefit_year, start, day,
    care_type, facility_level (what `studies.county` reads). `people` has person_id, household_id, scheme and residence,
    `statuses` person_id, group, from_date, to_date; `groups` are the statuses that count, the most needy first: who
    holds several counts under the first. `households` has household_id, consumption, size and what definitions need.

    Raises InputError no_claims where the year has none.

    >>> paid = pl.DataFrame({"claim_id": ["a"], "person_id": ["p"], "total": [100.0], "pay_basic": [60.0],
    ...     "own": [40.0], "benefit_year": [2025], "day": [date(2025, 3, 1)], "start": [date(2025, 3, 1)]})
    >>> county_year(paid, tiers=["basic"]).care["real_ratio"].to_list()
    [0.6]
    """
    paid, chosen = _of_year(paid, year)
    undone: list[tuple[str, str]] = []
    held = _statuses_on(paid, statuses, groups)
    care = pl.concat([_care(paid.join(held, on="claim_id", how="left"), way, tiers) for way in _ways(paid, statuses)])

    def tried(name: str, make: Callable[[], Result]) -> Result | None:
        try:
            return make()
        except MedfloorError as error:
            undone.append((name, error.code))
            return None

    homes = _homes(households)
    catastrophic: list[tuple[str, float, Result]] = []
    impoverishing = evenness = curve = None
    if homes is not None and people is not None:
        common: dict[str, Any] = {"people": people, "tiers": list(tiers), "unknown": "leave_out"}
        if "oop_outside" in homes.columns:
            common["besides"] = "oop_outside"
        for definition, threshold in DEFINITIONS:
            if set(_NEEDS[definition]) <= set(homes.columns):
                asked = {"of": "catastrophic", "definition": definition, "thresholds": [threshold], **common}
                found = tried("catastrophic", lambda asked=asked: by_tier(homes, paid, **asked))  # type: ignore[misc]
                catastrophic += [(definition, threshold, found)] if found is not None else []
        impoverishing = tried("impoverishing", lambda: by_tier(homes, paid, of="impoverishing", line=line, **common))
        evenness = tried("concentration", lambda: by_tier(homes, paid, of="concentration", **common))
        curve = tried("curve", lambda: _curve(homes, paid, common))
    cases = paid.join(held, on="claim_id", how="left").filter(pl.col("total") > 0)
    by = "status" if statuses is not None else None
    cases = cases.with_columns(pl.col("status").fill_null(NONE))
    relief = tried(
        "burden",
        lambda: burden(
            cases, reference="mean", tiers=[f"pay_{one}" for one in tiers], by=by,
            design=Design(psu="person_id") if cases["person_id"].n_unique() < cases.height else Design(),
        ),
    )  # fmt: skip
    return CountyYear(
        chosen, tuple(tiers), _insured(people, statuses, groups, chosen), care, tuple(catastrophic), impoverishing,
        evenness, curve, relief, 0 if homes is None else homes.height, tuple(dict.fromkeys(undone)),
    )  # fmt: skip


def _of_year(paid: pl.DataFrame, year: int | None) -> tuple[pl.DataFrame, int]:
    known = pl.col("benefit_year").cast(pl.Int64) if "benefit_year" in paid.columns else pl.col("day").dt.year()
    years = paid.select(known.cast(pl.Int64).alias("year"))["year"]
    chosen = year if year is not None else years.max()
    rows = paid.filter(years == chosen) if chosen is not None else paid.clear()
    if rows.is_empty() or not isinstance(chosen, int):
        there = ", ".join(str(one) for one in sorted(years.drop_nulls().unique().to_list())) or "none"
        raise InputError("no_claims", f"there are no settled claims of {year or 'any year'}; years there: {there}")
    return rows, chosen


def _ways(paid: pl.DataFrame, statuses: pl.DataFrame | None) -> list[str | None]:
    ways: list[str | None] = [None]
    for name in ("care_type", "facility_level"):
        if name in paid.columns and paid[name].null_count() < paid.height:
            ways.append(name)
    return [*ways, "status"] if statuses is not None else ways


def _statuses_on(paid: pl.DataFrame, statuses: pl.DataFrame | None, groups: Sequence[str]) -> pl.DataFrame:
    """Give claim_id and the first status that was held during the care."""
    if statuses is None:
        return paid.select("claim_id").clear().with_columns(status=pl.lit(None, pl.String))
    order = {name: place for place, name in enumerate(groups)}
    held = statuses.filter(pl.col("group").is_in(list(groups)))
    both = paid.select("claim_id", "person_id", "start", "day").join(held, on="person_id")
    inside = (pl.col("from_date").is_null() | (pl.col("from_date") <= pl.col("day"))) & (
        pl.col("to_date").is_null() | (pl.col("to_date") >= pl.col("start"))
    )
    return _first(both.filter(inside.fill_null(value=True)), "claim_id", order)


def _first(held: pl.DataFrame, key: str, order: dict[str, int]) -> pl.DataFrame:
    ranked = held.with_columns(pl.col("group").replace_strict(order, return_dtype=pl.Int64).alias("_rank"))
    return ranked.sort("_rank", key).unique(key, keep="first", maintain_order=True).select(
        key, pl.col("group").alias("status")
    )  # fmt: skip


def _care(paid: pl.DataFrame, way: str | None, tiers: Sequence[str]) -> pl.DataFrame:
    scope = pl.col("in_scope").cast(pl.Float64) if "in_scope" in paid.columns else pl.lit(None, pl.Float64)
    pays = [pl.col(f"pay_{one}").cast(pl.Float64).sum() for one in tiers]
    group = pl.lit(None, pl.String) if way is None else pl.col(way).cast(pl.String)
    group = group.fill_null(NONE) if way == "status" else group
    rows = paid.with_columns(group.alias("group"), scope.alias("_scope"))
    rows = rows.group_by("group").agg(
        pl.len().cast(pl.Int64).alias("claims"), pl.col("person_id").n_unique().cast(pl.Int64).alias("people"),
        pl.col("total").sum(), pl.col("_scope").sum().alias("in_scope"), *pays, pl.col("own").sum(),
        pl.col("_scope").null_count().alias("_unknown"),
    )  # fmt: skip
    spent = pl.sum_horizontal(f"pay_{one}" for one in tiers)
    known = (pl.col("_unknown") == 0) & (pl.col("in_scope") > 0)
    return rows.select(
        pl.lit("all" if way is None else way).alias("by"), "group", "claims", "people", "total",
        pl.when(known).then("in_scope").alias("in_scope"), *(f"pay_{one}" for one in tiers), "own",
        pl.when(pl.col("total") > 0).then(spent / pl.col("total")).alias("real_ratio"),
        pl.when(known).then(spent / pl.col("in_scope")).alias("scope_ratio"),
    ).sort("group", nulls_last=True)  # fmt: skip


def _homes(households: pl.DataFrame | None) -> pl.DataFrame | None:
    """Keep the columns that are there; none where consumption or size lacks altogether."""
    if households is None or not {"consumption", "size", "household_id"} <= set(households.columns):
        return None
    known = [name for name in households.columns if households[name].null_count() < households.height]
    return households.select(known) if {"consumption", "size"} <= set(known) else None


def _curve(homes: pl.DataFrame, paid: pl.DataFrame, common: dict[str, Any]) -> Result:
    stages = stages_of(homes, paid, **common)
    last = f"stage_{len(stages.names) - 1}"
    return concentration(stages.frame.with_columns(pl.col(last).alias("oop")), rank_by="person", unit="person")


def _insured(
    people: pl.DataFrame | None, statuses: pl.DataFrame | None, groups: Sequence[str], year: int
) -> pl.DataFrame | None:
    """Count people and the insured: all, by scheme, by residence, by status held on some day of the year."""
    if people is None or "scheme" not in people.columns:
        return None
    first, last = date(year, 1, 1), date(year, 12, 31)
    covered = pl.col("scheme").is_not_null() & (pl.col("scheme") != "none")
    for name, late in (
        ("enrolled_from", pl.col("enrolled_from") > last),
        ("enrolled_to", pl.col("enrolled_to") < first),
    ):
        if name in people.columns and people.schema[name] == pl.Date:
            covered &= ~late.fill_null(value=False)
    rows = people.with_columns(covered.alias("_insured"))
    ways = [pl.lit("all").alias("by"), pl.lit(None, pl.String).alias("group")]
    found = [_counted(rows.with_columns(ways))]
    for name in ("scheme", "residence"):
        if name in people.columns and people[name].null_count() < people.height:
            found.append(_counted(rows.with_columns(by=pl.lit(name), group=pl.col(name))))
    if statuses is not None:
        held = statuses.filter(
            pl.col("group").is_in(list(groups))
            & (pl.col("from_date").is_null() | (pl.col("from_date") <= last))
            & (pl.col("to_date").is_null() | (pl.col("to_date") >= first))
        )
        status = _first(held, "person_id", {name: place for place, name in enumerate(groups)})
        poor = rows.join(status, on="person_id", how="inner").with_columns(by=pl.lit("status"), group=pl.col("status"))
        found.append(_counted(poor))
    return pl.concat(found)


def _counted(rows: pl.DataFrame) -> pl.DataFrame:
    counted = rows.group_by("by", "group").agg(
        pl.len().cast(pl.Int64).alias("people"), pl.col("_insured").sum().cast(pl.Int64).alias("insured")
    )
    return counted.with_columns((pl.col("insured") / pl.col("people")).alias("share")).sort("group", nulls_last=True)
