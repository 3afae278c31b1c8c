"""Rows that an estimator can use, and the count of those that it cannot."""

from __future__ import annotations

import polars as pl
import pytest

from medfloor.errors import UsageError
from medfloor.evaluation.sample import take

TABLE = pl.DataFrame(
    {
        "y": [1.0, 2.0, float("inf"), 4.0, 5.0, 6.0],
        "w": [1.0, 0.0, 1.0, None, -2.0, 3.0],
        "id": ["a", "a", "b", "b", "c", "c"],
        "year": [2012, 2014, 2012, 2014, 2012, 2018],
        "sex": ["f", "m", "f", "m", "f", "m"],
    }
)


def test_rows_without_a_weight_above_zero_are_left_out_and_counted() -> None:
    sample = take(TABLE, numbers={"y": "y"}, unit="id", time="year", weight="w")
    assert sample.frame["y"].to_list() == [1.0, 6.0]
    assert [(one.reason, one.of, one.rows, one.units) for one in sample.drops] == [
        ("missing", "y", 1, 0),
        ("no_weight", "w", 3, 1),
    ]
    assert sum(one.rows for one in sample.drops) + sample.frame.height == TABLE.height


def test_waves_are_numbered_from_one_without_gaps_among_the_rows_kept() -> None:
    sample = take(TABLE, numbers={"y": "y"}, unit="id", time="year")
    assert sample.waves == (2012.0, 2014.0, 2018.0)
    assert sample.frame["period"].to_list() == [1, 2, 2, 1, 3]


def test_a_category_becomes_a_column_for_each_level_but_the_first() -> None:
    sample = take(TABLE, numbers={"y": "y"}, covariates=["i.sex"])
    assert sample.covariates == ("x0",)
    assert sample.names["x0"] == "sex=m"
    assert sample.frame["x0"].to_list() == [0.0, 1.0, 1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"numbers": {"y": "sex"}}, "not_numbers"),
        ({"numbers": {"y": "yy"}}, "unknown_column"),
        ({"numbers": {"y": "y"}, "unit": "sex", "time": "year"}, "repeated_rows"),
    ],
    ids=["text", "unknown", "repeated"],
)
def test_what_cannot_be_taken_is_refused(asked: dict[str, object], code: str) -> None:
    with pytest.raises(UsageError) as refused:
        take(TABLE, **asked)  # type: ignore[arg-type]
    assert refused.value.code == code
