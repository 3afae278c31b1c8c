"""Make a small population up, for the tests of simulations: random and seeded, in the contract's columns (synthetic)."""

from __future__ import annotations

import numpy as np
import polars as pl

from medfloor.simulation import Population, population_of

BEIJING = "cn/beijing@2024-01-01"


def small(people: int = 2_000, seed: int = 3, *, regions: bool = False, weights: bool = False) -> Population:
    """Give people in households of three, a third of whom had a stay and two thirds visits in 2024."""
    rng = np.random.default_rng(seed)
    ids = [f"p{n:05d}" for n in range(people)]
    homes = np.arange(people) // 3
    births = np.datetime64("1940-01-01") + rng.integers(0, 75 * 365, people).astype("timedelta64[D]")
    folk = pl.DataFrame(
        {
            "person_id": ids,
            "household_id": [f"h{n:05d}" for n in homes],
            "birth_date": births,
            "sex": rng.choice(["male", "female"], people),
            "residence": np.array(["urban", "rural"])[homes % 2],
            "synthetic": True,
        }
    )
    count = homes.max() + 1
    consumption = _cents(np.exp(rng.normal(10.5, 0.6, count)))
    households = pl.DataFrame(
        {
            "household_id": [f"h{n:05d}" for n in range(count)],
            "size": np.bincount(homes),
            "residence": np.array(["urban", "rural"])[np.arange(count) % 2],
            "income": _cents(consumption * 1.3),
            "consumption": consumption,
            "food": _cents(consumption * 0.35),
            "oop_outside": _cents(np.exp(rng.normal(5, 1, count))),
        }
    )
    if regions:
        households = households.with_columns(pl.Series("region", np.array(["north", "south"])[np.arange(count) % 2]))
    if weights:
        households = households.with_columns(pl.Series("weight", rng.uniform(0.5, 2.0, count)))
    return population_of(_claims(ids, rng), folk, households, _spells(ids, rng), name="small")


def _cents(amounts: np.ndarray) -> np.ndarray:
    """Round to the double nearest to whole fen, so that it is written with two decimals."""
    return np.rint(amounts * 100) / 100


def _claims(ids: list[str], rng: np.random.Generator) -> pl.DataFrame:
    number = 2 * len(ids)
    person = rng.integers(0, len(ids), number)
    stay = rng.random(number) < 0.2
    total = _cents(np.minimum(np.exp(rng.normal(np.where(stay, 9.3, 5.5), 1.2)), 900_000))
    outside = _cents(total * rng.uniform(0, 0.3, number))
    day = np.datetime64("2024-01-01") + rng.integers(0, 350, number).astype("timedelta64[D]")
    return pl.DataFrame(
        {
            "claim_id": [f"c{n:06d}" for n in range(number)],
            "person_id": np.array(ids)[person],
            "care_type": np.where(stay, "inpatient", "outpatient"),
            "start_date": day,
            "end_date": day,
            "facility_level": rng.choice(["primary", "1", "2", "3"], number),
            "total": total,
            "off_catalogue": outside,
            "in_scope": _cents(total - outside),
        }
    )


def _spells(ids: list[str], rng: np.random.Generator) -> pl.DataFrame:
    poor = rng.choice(len(ids), len(ids) // 8, replace=False)
    groups = rng.choice(["tekun", "dibao", "dibao_marginal", "monitored"], len(poor))
    return pl.DataFrame({"person_id": np.array(ids)[poor], "group": groups})
