"""Say how many have blood pressure and sugar in range at the last follow-up, and of how many it is not known."""

from __future__ import annotations

from datetime import date

import polars as pl

from medfloor.watch.contracts import Served
from medfloor.watch.evidence import Evidence

_OLD = 65


def control(found: Served, measurements: pl.DataFrame | None, evidence: Evidence, *, year: int) -> pl.DataFrame | None:
    """Count controlled people by illness and by who they are: all, contracted, served in full.

    `measurements` has person_id, date, systolic, diastolic (mmHg) and glucose (fasting, mmol/L). The last measurement
    of the year that has the values counts. Rows: illness, who, people, measured, controlled, of_measured and of_all
    (per cent). A person who was not measured is not controlled: of_all counts him as not in range. None where there are
    no measurements, or nobody can be told to be ill.
    """
    if measurements is None:
        return None
    within = measurements.filter(pl.col("date").is_between(date(year, 1, 1), date(year, 12, 31)))
    rows = []
    for illness, names in (("hypertension", ("systolic", "diastolic")), ("diabetes", ("glucose",))):
        if illness in found.not_asked:
            continue
        full = within.filter(pl.all_horizontal(pl.col(name).is_not_null() for name in names))
        # Of two on one day the worse counts, so that the order of rows does not.
        last = full.sort("person_id", "date", *names).group_by("person_id", maintain_order=True).last()
        ill = found.people.filter(pl.col(illness)).join(
            last.select("person_id", *names), on="person_id", how="left", maintain_order="left"
        )
        in_range = _in_range(illness, evidence)
        ill = ill.with_columns(pl.col(names[0]).is_not_null().alias("measured"), in_range.alias("controlled"))
        for who, here in _whom(ill, found.contacts_known):
            measured, good = int(here["measured"].sum()), int(here["controlled"].sum())
            rows.append((illness, who, here.height, measured, good, _share(good, measured), _share(good, here.height)))
    schema = {
        "illness": pl.String, "who": pl.String, "people": pl.Int64, "measured": pl.Int64, "controlled": pl.Int64,
        "of_measured": pl.Float64, "of_all": pl.Float64,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema, orient="row") if rows else None


def _in_range(illness: str, evidence: Evidence) -> pl.Expr:
    if illness == "diabetes":
        return (pl.col("glucose") < evidence["glucose"]).fill_null(value=False)
    top = pl.when(pl.col("age") >= _OLD).then(evidence["systolic_old"]).otherwise(evidence["systolic"])
    return ((pl.col("systolic") < top) & (pl.col("diastolic") < evidence["diastolic"])).fill_null(value=False)


def _whom(ill: pl.DataFrame, contacts_known: bool) -> list[tuple[str, pl.DataFrame]]:
    rows = [("all", ill), ("contracted", ill.filter(pl.col("contracted")))]
    if contacts_known:
        in_full = (pl.col("had_follow_up") >= pl.col("owed_follow_up")) & (pl.col("had_exam") >= pl.col("owed_exam"))
        rows.append(("served", ill.filter(pl.col("contracted") & in_full)))
    return rows


def _share(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None
