"""Hold the hours that contracts ask for against those that doctors have: load, and how many contracts can be met."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from medfloor.watch.contracts import KINDS, Served
from medfloor.watch.evidence import Evidence


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """Be the load of contracts in hours a year.

    `hours` are what the contracted are owed, `capacity` what the doctors have (None: no doctors are known), `load`
    their ratio, `doctors_needed` how many doctors of the usual hours the contracts take, `feasible` the number of
    contracts like today's that fit (never more than there are people). `by_doctor` has one row a doctor with contracts,
    hours, capacity, load and feasible; empty where contracts name none.
    """

    contracts: int
    hours: float
    capacity: float | None
    doctors: int | None
    doctors_needed: float
    load: float | None
    feasible: int | None
    by_group: pl.DataFrame
    by_doctor: pl.DataFrame


def hours_of(evidence: Evidence) -> pl.Expr:
    """Give the hours a year that a person is owed."""
    return pl.sum_horizontal(pl.col(f"owed_{kind}") * (evidence[f"{kind}_minutes"] / 60) for kind in KINDS)


def workload(found: Served, evidence: Evidence, doctors: pl.DataFrame | None = None) -> Workload:
    """Measure the load; `doctors` has doctor_id and hours (a year, for contracts; empty: the usual).

    >>> from medfloor.watch.contracts import served
    >>> from medfloor.watch.evidence import shipped_evidence
    >>> from datetime import date
    >>> people = pl.DataFrame({"person_id": ["p1", "p2"], "birth_date": [date(1950, 1, 1), date(1980, 1, 1)],
    ...     "hypertension": [True, False], "family_doctor": [True, True]})
    >>> load = workload(served(people, shipped_evidence(), year=2025), shipped_evidence())
    >>> round(load.hours, 2), load.capacity
    (2.33, None)
    """
    signed = found.people.filter(pl.col("contracted")).with_columns(hours_of(evidence).alias("hours"))
    hours = float(signed["hours"].sum())
    usual = evidence["doctor_hours"]
    by_doctor = _by_doctor(signed, doctors, usual)
    capacity = None if doctors is None else float(doctors["hours"].fill_null(usual).sum())
    feasible = None
    if capacity is not None:
        # Contracts like today's: where nobody has signed, those of all people, who are what there would be.
        among = signed if hours > 0 else found.people.with_columns(hours_of(evidence).alias("hours"))
        each = float(among["hours"].sum()) / max(1, among.height)
        feasible = min(found.people.height, int(capacity / each)) if each > 0 else found.people.height
    return Workload(
        contracts=signed.height,
        hours=hours,
        capacity=capacity,
        doctors=None if doctors is None else doctors.height,
        doctors_needed=hours / usual if usual > 0 else float("inf"),
        load=None if not capacity else hours / capacity,
        feasible=feasible,
        by_group=_by_group(signed, evidence, found.not_asked),
        by_doctor=by_doctor,
    )


def _by_group(signed: pl.DataFrame, evidence: Evidence, not_asked: tuple[str, ...]) -> pl.DataFrame:
    """Give contracts and hours by group; a person of two groups counts in both, so that they do not add up."""
    rows = [
        (one.name, here.height, one.follow_up, one.exam, float(here["hours"].sum()))
        for one in evidence.groups
        if one.name not in not_asked
        for here in [signed.filter(pl.col(one.name))]
    ]
    schema = {"group": pl.String, "contracts": pl.Int64, "follow_up": pl.Int64, "exam": pl.Int64, "hours": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _by_doctor(signed: pl.DataFrame, doctors: pl.DataFrame | None, usual: float) -> pl.DataFrame:
    schema = {
        "doctor_id": pl.String, "contracts": pl.Int64, "hours": pl.Float64, "capacity": pl.Float64, "load": pl.Float64,
        "feasible": pl.Int64,
    }  # fmt: skip
    if doctors is None or "doctor_id" not in signed.columns:
        return pl.DataFrame(schema=schema)
    asked = signed.filter(pl.col("doctor_id").is_not_null()).group_by("doctor_id").agg(
        pl.len().cast(pl.Int64).alias("contracts"), pl.col("hours").sum()
    )  # fmt: skip
    frame = doctors.select("doctor_id", pl.col("hours").fill_null(usual).alias("capacity")).join(
        asked, on="doctor_id", how="left", maintain_order="left"
    )
    frame = frame.with_columns(pl.col("contracts").fill_null(0), pl.col("hours").fill_null(0.0))
    each = pl.col("hours") / pl.col("contracts")
    return frame.with_columns(
        pl.when(pl.col("capacity") > 0).then(pl.col("hours") / pl.col("capacity")).alias("load"),
        pl.when(pl.col("hours") > 0).then((pl.col("capacity") / each).floor()).cast(pl.Int64).alias("feasible"),
    ).select(list(schema))
