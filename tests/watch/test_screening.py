"""Screen random registers: one household as among all, more spending never silences, and a million people in time."""

from __future__ import annotations

import time
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.watch.homes import Register
from medfloor.watch.rules import load_rules
from medfloor.watch.screening import screen, screen_one

DAY = date(2025, 11, 30)
RULES = load_rules("cn", on=DAY)
GROUPS = ["dibao", "tekun", "monitored", "registered_poor", "dibao_marginal", "illness_poor"]


def county(people: int, seed: int) -> tuple[Register, pl.DataFrame]:
    """Make up people in households with statuses, two years of settlements, and the claims that they were made of."""
    rng = np.random.default_rng(seed)
    ids = "p" + pl.Series(np.arange(people)).cast(pl.String).str.zfill(8)
    houses = "h" + pl.Series(rng.integers(0, max(1, int(people / 2.6)), people)).cast(pl.String).str.zfill(8)
    persons = pl.DataFrame(
        {
            "person_id": ids,
            "household_id": houses,
            "scheme": pl.Series(np.where(rng.random(people) < 0.05, 2, 0), dtype=pl.UInt8),
            "residence": pl.Series((rng.random(people) < 0.6).astype(np.uint8)),
        }
    )
    homes = persons.group_by("household_id", maintain_order=True).agg(pl.len().cast(pl.Int64).alias("size"))
    consumption = (np.exp(rng.normal(10.3, 0.6, homes.height)) * 100).astype(np.int64)
    homes = homes.with_columns(
        pl.Series("income_fen", (np.exp(rng.normal(10.7, 0.8, homes.height)) * 100).astype(np.int64)),
        pl.Series("consumption_fen", consumption),
        pl.Series("food_fen", (consumption * rng.uniform(0.2, 0.5, homes.height)).astype(np.int64)),
        pl.Series("housing_fen", consumption // 10),
        pl.Series("utilities_fen", consumption // 20),
        pl.col("size").alias("adults"),
        pl.lit(0, dtype=pl.Int64).alias("children"),
    )
    bills = 2 * people
    who, year = rng.integers(0, people, bills), rng.choice([2024, 2025], bills)
    total = (np.exp(rng.normal(6, 1.8, bills)) * 100).astype(np.int64)
    own = total * 4 // 10
    days = pl.Series(year - 2024, dtype=pl.Int64) * 366 + pl.Series(rng.integers(0, 360, bills))
    settled = pl.DataFrame(
        {
            "person_id": ids.gather(pl.Series(who)),
            "benefit_year": pl.Series(year, dtype=pl.Int32),
            "settled_date": pl.Series([date(2024, 1, 1)]).extend_constant(date(2024, 1, 1), bills - 1)
            + days.cast(pl.Duration("ms")) * 86_400_000,
            "pay_assistance_fen": np.where(rng.random(bills) < 0.05, own, 0),
            "own_in_scope_fen": own,
            "own_total_fen": own + total // 10,
        }
    ).with_columns(pl.col("settled_date").cast(pl.Date))
    codes = pl.Series(["I10.x", "E11.9", "J06.9", "S72.0"])
    claims = settled.select(
        "person_id",
        pl.col("settled_date").alias("start_date"),
        codes.gather(pl.Series(rng.integers(0, 4, bills))).alias("diagnosis"),
        pl.Series("care_type", rng.integers(0, 4, bills), dtype=pl.UInt8),
    )
    poor = pl.Series(rng.choice(people, max(1, people // 10), replace=False))
    spells = pl.DataFrame(
        {
            "person_id": ids.gather(poor),
            "group": rng.choice(GROUPS, len(poor)),
            "from_date": pl.Series([date(2022, 1, 1)]).extend_constant(date(2022, 1, 1), len(poor) - 1),
        }
    )
    return Register(persons, homes, spells, claims), settled


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_any_household_is_screened_alone_as_among_all(seed: int) -> None:
    register, settled = county(120, seed)
    whole = screen(register, settled, RULES, year=2025, as_of=DAY, claims_until=DAY)
    assert whole.alerts.select("household_id", "signal").is_unique().all(), "one alert a household and signal"
    for name in register.households["household_id"].head(4):
        one = screen_one(register, settled, RULES, household_id=name, standing=whole.standing, year=2025, as_of=DAY)
        assert one.alerts.equals(whole.alerts.filter(pl.col("household_id") == name))
        assert one.households.equals(whole.households.filter(pl.col("household_id") == name))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=10, deadline=None)
def test_more_spending_never_silences_a_burden(seed: int) -> None:
    register, settled = county(120, seed)
    more = settled.with_columns(pl.when(pl.col("benefit_year") == 2025).then(2).otherwise(1).alias("_times"))
    more = more.with_columns(pl.col("own_in_scope_fen", "own_total_fen") * pl.col("_times")).drop("_times")
    keys = ["household_id", "signal"]
    few, many = (
        screen(register, one, RULES, year=2025, as_of=DAY).alerts.filter(pl.col("kind") == "burden").select(keys)
        for one in (settled, more)
    )
    assert few.join(many, on=keys, how="anti").is_empty()


@given(seed=st.integers(0, 10_000), days=st.integers(0, 29))
@settings(max_examples=10, deadline=None)
def test_a_month_later_the_same_county_gives_no_alert_twice(seed: int, days: int) -> None:
    register, settled = county(120, seed)
    settled = settled.filter(pl.col("settled_date") <= DAY)
    first = screen(register, settled, RULES, year=2025, as_of=DAY)
    later = DAY + timedelta(days)
    again = screen(register, settled, RULES, year=2025, as_of=later, known_alerts=first.alerts, claims_until=later)
    # Time alone brings only care that has become absent since.
    assert set(again.alerts["kind"]) <= {"absent_care"}
    same = again.alerts.join(first.alerts, on=["household_id", "signal"], how="semi")
    assert same.is_empty()


@pytest.mark.heavy
def test_a_million_people_are_screened_within_twenty_seconds() -> None:
    register, settled = county(1_000_000, 1)
    begun = time.perf_counter()
    found = screen(register, settled, RULES, year=2025, as_of=DAY)
    assert time.perf_counter() - begun < 20
    assert found.counts["settlements"] == 2_000_000
