"""The engine: one estimator, and groups, differences, errors and intervals of every kind come of it."""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medfloor.errors import UsageError
from medfloor.measures import Design
from medfloor.measures.design import Columns, structure_of
from medfloor.measures.estimate import (
    Bound,
    Statistic,
    errors_of,
    evaluate,
    interval,
    linearised_error,
    simple_error,
    two_sided,
)
from medfloor.measures.influence import Array, Quantity, count, mean, total
from medfloor.measures.rank import Ranking, concentration
from medfloor.measures.sample import Sample, take


def spread_of(columns: Mapping[str, Array]) -> Bound:
    """Estimate a mean, a share, a ratio and an index: the estimator of these tests."""
    y, ranking = columns["y"], Ranking.of(columns["y"])

    def bound(weight: Array) -> Iterator[Statistic]:
        yield Statistic("mean", mean(weight, y), "amount")
        yield Statistic("share", mean(weight, y > 1), "proportion", {"over": 1.0})
        yield Statistic("ratio", total(weight, y) / total(weight, columns["x"]))
        yield Statistic("gini", concentration(ranking, weight, y))
        yield Statistic("weight", count(weight), "count")

    return bound


def village(clusters: int = 30, rows: int = 12, seed: int = 4, **design: Any) -> tuple[pl.DataFrame, Design]:
    """Make a sample of clusters whose households are alike; nothing in it was observed."""
    rng = np.random.default_rng(seed)
    level = rng.normal(0, 0.5, clusters)
    psu = np.repeat(np.arange(clusters), rows)
    frame = pl.DataFrame(
        {
            "y": np.exp(level[psu] + rng.normal(0, 1, clusters * rows)),
            "x": rng.uniform(1, 2, clusters * rows),
            "psu": psu,
            "stratum": psu % 3,
            "weight": rng.uniform(1, 4, clusters * rows),
            "g": rng.choice(["a", "b", "c"], clusters * rows),
        }
    )
    return frame, Design(weight="weight", strata="stratum", psu="psu", **design)


def sampled(frame: pl.DataFrame, design: Design, by: Any = None) -> Sample:
    return take(frame, {"y": "y", "x": "x"}, by=by, design=design)


LABELS = {"over": pl.Float64()}


def found(frame: pl.DataFrame, design: Design, by: Any = None, against: str | None = None) -> pl.DataFrame:
    return evaluate(sampled(frame, design, by), spread_of, labels=LABELS, against=against)


def test_rows_have_one_estimate_each_and_the_columns_of_a_result() -> None:
    frame, design = village()
    rows = found(frame, design, by="g", against="a")
    assert rows.columns[:5] == ["statistic", "over", "by", "group", "against"]
    assert rows.height == 5 * (1 + 3 + 2)
    assert rows["n"].to_list()[:5] == [360] * 5


@pytest.mark.parametrize("statistic", ["mean", "share", "ratio", "gini"])
def test_jackknife_errors_come_near_the_linearised_ones(statistic: str) -> None:
    frame, design = village(clusters=90)
    line, jack = (
        found(frame, Design(**{**slots(design), "method": method})).filter(statistic=statistic)["se"].item()
        for method in ("linearised", "jackknife")
    )
    # Both are right to first order; with 90 clusters the next order is about 1 %.
    assert jack == pytest.approx(line, rel=0.02)


def slots(design: Design) -> dict[str, Any]:
    return {name: getattr(design, name) for name in Design.__slots__}


@pytest.mark.parametrize("method", ["linearised", "jackknife", "bootstrap"])
def test_a_difference_of_groups_is_the_difference_with_its_own_error(method: str) -> None:
    frame, design = village()
    rows = found(frame, Design(**{**slots(design), "method": method, "replicates": 60}), by="g", against="a")
    groups = rows.filter(pl.col("against").is_null(), by="g", statistic="mean")
    off = rows.filter(statistic="mean", against="a", group="b")
    a, b = (groups.filter(group=name)["estimate"].item() for name in "ab")
    assert off["estimate"].item() == pytest.approx(b - a)
    assert off["p"].item() == pytest.approx(two_sided((b - a) / off["se"].item(), off["df"].item()))
    # Households of a village are alike, so that groups within villages move together.
    apart = math.hypot(*(groups.filter(group=name)["se"].item() for name in "ab"))
    assert off["se"].item() < apart


def test_waves_of_the_same_households_differ_by_what_changed() -> None:
    frame, design = village()
    later = frame.with_columns(y=pl.col("y") * 1.1, wave=pl.lit("2"))
    both = pl.concat([frame.with_columns(wave=pl.lit("1")), later])
    rows = found(both, design, by="wave", against="1").filter(statistic="mean")
    off = rows.filter(pl.col("against") == "1")["se"].item()
    single = found(frame, design).filter(statistic="mean")["se"].item()
    # Everything is ten per cent more: the difference is a tenth of the mean, and so is its error.
    assert off == pytest.approx(0.1 * single, rel=1e-9)


def test_a_comparison_with_nobody_is_refused_before_anything_is_worked_out() -> None:
    frame, design = village()
    with pytest.raises(UsageError, match=r"no group 'd' to compare with; there are a, b, c"):
        found(frame, design, by="g", against="d")
    with pytest.raises(UsageError, match="there are no groups"):
        found(frame, design, against="a")


def test_no_errors_are_made_where_none_are_asked_for() -> None:
    def bind(columns: Mapping[str, Array]) -> Bound:
        def never() -> Array:
            raise AssertionError

        def bound(weight: Array) -> Iterator[Statistic]:
            yield Statistic("total", total(weight, never, 1.0))

        return bound

    frame, design = village()
    rows = evaluate(sampled(frame, Design(**{**slots(design), "method": "none"})), bind)
    assert rows["estimate"].item() == 1 and rows["se"].item() is None


def test_influences_are_let_go_after_use() -> None:
    alive: list[weakref.ref[Any]] = []

    def bind(columns: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            for _ in range(4):
                column = columns["y"] * 2
                alive.append(weakref.ref(column))
                yield Statistic("total", total(weight, column))
                del column
                # At most the statistic before this one is still held.
                assert sum(one() is not None for one in alive) <= 1

        return bound

    frame, design = village()
    assert evaluate(sampled(frame, design), bind).height == 4


def test_a_statistic_without_a_linearised_error_has_one_by_replicates() -> None:
    def bind(columns: Mapping[str, Array]) -> Bound:
        def bound(weight: Array) -> Iterator[Statistic]:
            yield Statistic("largest", Quantity(float(columns["y"][weight > 0].max())), known=False)

        return bound

    frame, design = village()
    assert evaluate(sampled(frame, design), bind)["se"].item() is None
    boot = Design(**{**slots(design), "method": "bootstrap", "replicates": 50})
    assert evaluate(sampled(frame, boot), bind)["se"].item() > 0


def test_replicates_know_the_design_effect_too() -> None:
    frame, design = village(clusters=90)
    line, jack = (
        found(frame, Design(**{**slots(design), "method": method})).filter(statistic="mean")["deff"].item()
        for method in ("linearised", "jackknife")
    )
    assert line > 1 and jack == pytest.approx(line, rel=0.05)  # twice the relative difference of the errors


def test_a_group_without_weight_is_not_there_and_one_of_a_single_row_has_no_error() -> None:
    frame = pl.DataFrame({"y": [1.0, 2, 3, 4], "x": [1.0] * 4, "w": [1.0, 1, 0, 1], "g": ["a", "a", "b", "c"]})
    rows = found(frame, Design(weight="w"), by="g").filter(statistic="mean", by="g")
    assert rows["group"].to_list() == ["a", "c"]
    assert rows["n"].to_list() == [2, 1]
    assert rows.filter(group="c")["low"].item() is None  # no degree of freedom, no interval


@settings(max_examples=30)
@given(st.floats(0.001, 0.999), st.floats(0, 0.5), st.integers(1, 100), st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_of_a_proportion_lies_in_0_to_1_around_it(p: float, se: float, df: int, level: float) -> None:
    low, high = interval(p, se, df, level, "proportion")
    # The logit and its inverse lose a few last places; far out they end at 0 and 1 themselves.
    assert 0 <= low <= p * (1 + 1e-12) and p * (1 - 1e-12) <= high <= 1


def test_an_interval_needs_an_error_and_a_degree_of_freedom() -> None:
    for value, error, df, kind in ((1.0, math.nan, 5, "index"), (1.0, 0.1, 0, "index"), (0.0, 0.0, 5, "proportion")):
        assert all(math.isnan(end) for end in interval(value, error, df, 0.95, kind))  # type: ignore[arg-type]


def test_proportions_near_the_ends_do_not_overflow() -> None:
    low, high = interval(1e-9, 0.01, 3, 0.95, "proportion")
    assert low == 0 and high == 1


def test_the_simple_error_is_that_of_rows_that_count_once() -> None:
    y = np.array([1.0, 5.0, 2.0, 9.0])
    for weight in (np.ones(4), np.full(4, 7.5)):
        assert simple_error(mean(weight, y), weight) == pytest.approx(y.std(ddof=1) / 2)
        error, simple = linearised_error(mean(weight, y), weight, structure_of(4, Columns(), "adjust"))
        assert error == pytest.approx(simple)
    assert math.isnan(simple_error(Quantity(math.nan), np.ones(4)))
    assert math.isnan(simple_error(mean(np.ones(1), np.ones(1)), np.ones(1)))


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({}, ["influence functions", "30 clusters in 3 strata"]),
        ({"method": "jackknife"}, ["one cluster left out at a time"]),
        ({"method": "bootstrap", "replicates": 40}, ["bootstrap of 40 replicates", "seed 20201123"]),
        ({"method": "none"}, ["none asked for"]),
    ],
)
def test_errors_are_told_in_words(design: dict[str, Any], said: list[str]) -> None:
    frame, made = village(**design)
    words = errors_of(sampled(frame, made)).say("en")
    assert all(one in words for one in said)
    assert errors_of(sampled(frame, made)).say("zh")


def test_a_difference_counts_the_rows_of_both_groups() -> None:
    frame, design = village()
    rows = found(frame, design, by="g", against="a").filter(pl.col("against").is_not_null(), group="b")
    both = frame.filter(pl.col("g").is_in(["a", "b"]))
    assert set(rows["n"]) == {both.height}
    assert rows["weighted_n"].to_list() == pytest.approx([both["weight"].sum()] * rows.height)
