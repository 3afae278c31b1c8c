"""Settle real data: the RAND Health Insurance Experiment, checked against arithmetic that shares no code with ours."""

from __future__ import annotations

import contextlib
import importlib.util
import io
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest

from medfloor.settlement import Settlements

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "rand_hie.py"

RATE = {
    "plan_free": 0.0, "plan_25": 25.0, "plan_mixed": 25.0, "plan_50": 50.0, "plan_95": 95.0, "plan_100": 100.0,
    "plan_individual_deductible": 95.0,
}  # fmt: skip
HIGHEST = RATE | {"plan_mixed": 50.0}

KINDS = ("inpdol", "outpdol", "drugdol", "suppdol", "mentdol")

SHARES = {
    "plan_free": (6_822, 140_902_016, 0),
    "plan_25": (2_363, 38_668_388, 8_134_118),
    "plan_mixed": (1_702, 31_923_636, 6_247_589),
    "plan_50": (1_401, 25_362_972, 7_455_812),
    "plan_95": (2_653, 35_356_932, 20_667_907),
    "plan_100": (1_074, 16_959_706, 10_511_824),
    "plan_individual_deductible": (4_175, 71_091_398, 19_148_895),
}
"""Group -> person-years, spending and what stays with the patients, cents. Kept to regress against."""


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rand_hie", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(example: ModuleType) -> pl.DataFrame:
    read: pl.DataFrame = example.read()
    return read


@pytest.fixture(scope="module")
def settled(example: ModuleType, data: pl.DataFrame) -> Settlements:
    result: Settlements = example.settle_experiment(data)
    return result


def own_by_hand(data: pl.DataFrame) -> Any:
    """Work out in numpy what stays with each person-year: rate times spending, at most the maximum; in cents."""
    group = data["group"].to_numpy()
    cents = {name: np.rint(data[name].to_numpy() * 100) for name in KINDS}
    rate = np.array([RATE[name] for name in group])
    deductible = group == "plan_individual_deductible"
    own = np.zeros(len(data))
    for name, spent in cents.items():
        mine = np.where(deductible & (name == "inpdol"), 0.0, rate)
        mine = np.where((group == "plan_mixed") & (name == "mentdol"), 50.0, mine)
        own += spent - np.floor(spent * (100.0 - mine) / 100.0 + 0.5)
    maximum = np.rint(data["mdeoff"].fill_null(450.0).to_numpy() * 100)
    maximum = np.where(deductible, np.minimum(maximum, 15_000.0), maximum)
    return np.minimum(own, maximum)


def test_every_plan_number_of_the_data_has_a_plan_of_its_own_rate(data: pl.DataFrame) -> None:
    assert data["group"].null_count() == 0
    other = {"plan_individual_deductible"}  # column coins holds its rate for stays
    wrong = data.filter(~pl.col("group").is_in(other)).filter(
        pl.col("coins") != pl.col("group").replace_strict(list(RATE), list(RATE.values()), return_dtype=pl.Float64)
    )
    assert wrong.height == 0
    assert data.filter(pl.col("group").is_in(other))["coins"].unique().to_list() == [0]


def test_the_money_of_all_person_years_is_settled_to_the_cent(data: pl.DataFrame, settled: Settlements) -> None:
    spent = sum(int((data[name] * 100).round().sum()) for name in KINDS)
    assert data.height == 20_190
    assert settled.rejected.height == 0
    assert settled.fen["total_fen"].sum() == settled.money_in_fen == spent
    assert settled.fen["total_fen"].sum() == sum(settled.paid_fen.values()) + settled.fen["own_total_fen"].sum()
    assert (settled.fen["own_total_fen"] >= 0).all()


def test_what_stays_with_each_person_year_is_rate_times_spending_up_to_the_maximum(
    data: pl.DataFrame, settled: Settlements
) -> None:
    ours = settled.fen.group_by("person_id", "benefit_year").agg(pl.col("own_total_fen").sum())
    both = data.select(
        pl.col("zper").cast(pl.String).alias("person_id"),
        (pl.col("year") + 1974).cast(pl.Int32).alias("benefit_year"),
        pl.Series("by_hand", own_by_hand(data)).cast(pl.Int64),
    ).join(ours, on=["person_id", "benefit_year"], how="left")
    assert (both["own_total_fen"].fill_null(0) == both["by_hand"]).all()


def test_free_care_leaves_nothing_and_no_plan_leaves_more_than_its_rate(
    example: ModuleType, data: pl.DataFrame, settled: Settlements
) -> None:
    shares = example.shares_of(data, settled)
    for row in shares.iter_rows(named=True):
        assert 0 <= row["share"] <= HIGHEST[row["group"]] / 100
        assert (row["share"] == 0) == (row["group"] == "plan_free")
    found = {
        row["group"]: (row["person_years"], row["spending_fen"], row["own_fen"]) for row in shares.iter_rows(named=True)
    }
    assert found == SHARES


def test_both_engines_settle_the_experiment_alike(example: ModuleType, data: pl.DataFrame) -> None:
    from medfloor.settlement import settle

    some = data.filter(pl.col("zper") % 20 == 0)
    tables = (example.claims_of(some), example.people_of(some), example.spells_of(some), "us/rand-hie")
    assert settle(*tables, engine="kernel").fen.equals(settle(*tables, engine="reference").fen)


def test_the_table_that_the_example_prints_has_a_row_a_plan(example: ModuleType) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        example.main()
    assert all(name in printed.getvalue() for name, _ in example.NAMES.values())
    assert "upper bounds" in printed.getvalue()
