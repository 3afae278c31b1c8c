"""Tables made ready to be measured: what is taken, what is left out and counted, what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design
from medfloor.measures.sample import MISSING_GROUP, frame_of, take

HOMES = {"oop": [1.0, 2.0, 3.0], "size": [2, 1, 4], "place": ["town", None, "country"]}


@pytest.mark.parametrize(
    "table",
    [
        HOMES,
        pl.DataFrame(HOMES),
        pl.DataFrame(HOMES).lazy(),
        pl.DataFrame(HOMES).to_arrow(),
        pl.DataFrame(HOMES).to_pandas(),
        [{"oop": 1.0}, {"oop": 2.0}, {"oop": 3.0}],
    ],
)
def test_any_table_is_taken(table: Any) -> None:
    assert take(table, {"oop": "oop"})["oop"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("table", [7, "households.csv", {"a": [1, 2], "b": [1]}, object()])
def test_what_is_no_table_is_refused(table: Any) -> None:
    with pytest.raises(InputError, match=r"is not a table|no rows"):
        frame_of(table)


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(InputError, match="the table has no rows"):
        frame_of(pl.DataFrame({"oop": []}))


def test_the_design_is_read_off_the_columns_of_the_contract() -> None:
    frame = {"oop": [1.0, 2.0], "weight": [2.0, 3.0], "stratum": ["a", "a"], "psu": [1, 2], "fpc": [10, 10]}
    sample = take(frame, {"oop": "oop"})
    assert sample.design == Design(weight="weight", strata="stratum", psu="psu", fpc="fpc")
    assert sample.weight.tolist() == [2, 3] and sample.structure.size == 2
    assert take(frame, {"oop": "oop"}, design=Design()).weight.tolist() == [1, 1]


def test_people_are_households_times_their_size() -> None:
    sample = take({**HOMES, "weight": [1.0, 10.0, 1.0]}, {"oop": "oop"}, unit="person")
    assert sample.weight.tolist() == [2, 10, 4]
    assert "weight × size" in sample.weighted_by.say("en")


def test_rows_that_miss_a_value_are_counted_and_stay_in_the_design() -> None:
    frame = {"a": [1.0, None, 3.0, math.nan], "b": [1.0, 2.0, None, 4.0], "psu": [1, 2, 3, 4]}
    sample = take(frame, {"a": "a", "b": "b"})
    assert sample.special == {"missing": 3} and len(sample) == 1
    assert sample.structure.size == 4


def test_columns_may_be_expressions_and_truth_values() -> None:
    sample = take(HOMES, {"a": pl.col("oop") / pl.col("size"), "b": pl.col("oop") > 1, "c": pl.lit(7.0), "d": None})
    assert sample["a"].tolist() == [0.5, 2.0, 0.75] and sample["b"].tolist() == [0, 1, 1]
    assert sample["c"].tolist() == [7, 7, 7] and not sample.has("d")


def test_groups_stand_in_the_order_of_their_values_and_the_missing_last() -> None:
    frame = {
        "y": [1.0] * 4,
        "place": ["b", None, "a", "b"],
        "year": [2010, 2008, 2010, 2008],
        "code": ["10", "9", "10", "9"],
    }
    place, year, code = take(frame, {"y": "y"}, by=["place", "year", "code", "place"]).groupings
    assert place.labels == ("a", "b", MISSING_GROUP) and place.code.tolist() == [1, 2, 0, 1]
    assert year.labels == ("2008", "2010") and code.labels == ("9", "10")


def test_a_group_whose_rows_all_miss_a_value_is_not_there() -> None:
    (place,) = take({"y": [1.0, None], "place": ["a", "b"]}, {"y": "y"}, by="place").groupings
    assert place.labels == ("a",)


def test_an_identity_is_no_group() -> None:
    with pytest.raises(UsageError, match="5,001 different values"):
        take({"y": np.ones(5001), "id": np.arange(5001)}, {"y": "y"}, by="id")


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"oop": ["1", "2", "3"]}, "not_numeric", "holds String"),
        ({"oop": [1.0, math.inf, 3.0]}, "infinite_value", "row 2"),
        ({"oop": [None, None, None]}, "no_rows", "none of 3 rows"),
        ({"weight": [1.0, -2.0, 1.0]}, "negative_weight", "weight of row 2 is -2"),
        ({"weight": [0.0, 0.0, 0.0]}, "no_weight", "every weight is zero"),
        ({"weight": [1.0, math.inf, 1.0]}, "infinite_value", "row 2"),
        ({"psu": [1, None, 2]}, "missing_design", "row 2"),
        ({"psu": [1.0, math.nan, 2.0]}, "missing_design", "row 2"),
        ({"stratum": ["a", None, "b"]}, "missing_design", "row 2"),
        ({"fpc": [9.0, None, 9.0]}, "bad_fpc", "empty"),
    ],
)
def test_what_cannot_be_measured_is_refused_by_name(change: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        take({**HOMES, **change}, {"oop": "oop"})
    assert caught.value.code == code


def test_a_household_without_members_is_refused_where_people_are_counted() -> None:
    frame = {**HOMES, "size": [1, 0, 2]}
    with pytest.raises(InputError, match="has 0 in row 2"):
        take(frame, {"oop": "oop"}, unit="person")
    assert take(frame, {"oop": "oop"}).weight.tolist() == [1, 1, 1]


def test_a_size_that_amounts_are_divided_by_is_above_zero_also_where_households_are_counted() -> None:
    with pytest.raises(InputError, match="column members has -2 in row 2") as caught:
        take({**HOMES, "members": [1, -2, 2]}, {"oop": "oop", "size": "members"})
    assert caught.value.code == "bad_size"


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"oop": [1.0, -1e300, 3.0]}, "infinite_value", r"has -1e\+300, too large to be squared, in row 2"),
        ({"oop": [1.0, 1e300, -1e300]}, "infinite_value", "in row 2"),
        ({"weight": [1.0, 1e300, 1.0]}, "infinite_value", "too large"),
        ({"weight": [1e-300] * 3}, "no_weight", "next to nothing"),
    ],
)
def test_numbers_whose_squares_leave_the_doubles_are_refused(change: dict[str, Any], code: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        take({**HOMES, **change}, {"oop": "oop"})
    assert caught.value.code == code


def test_a_column_that_is_not_there_is_answered_with_the_nearest_and_the_mapping() -> None:
    with pytest.raises(InputError, match=r"no column 'opp'.* the nearest is oop.* oop=<your column>"):
        take(HOMES, {"oop": "opp"})
    with pytest.raises(InputError, match="cannot be worked out"):
        take(HOMES, {"oop": pl.col("nowhere") * 2})


def test_columns_are_not_copied_where_all_rows_stay() -> None:
    frame = pl.DataFrame({"y": np.arange(5.0), "weight": np.ones(5)})
    sample = take(frame, {"y": "y"})
    assert np.shares_memory(sample["y"], frame["y"].to_numpy())
    assert np.shares_memory(sample.weight, frame["weight"].to_numpy())


def test_what_is_kept_of_the_table_follows_rows_that_are_taken_out_later() -> None:
    sample = take({"a": [1.0, None, 3.0, 4.0]}, {"a": "a"}, design=Design())
    fewer = sample.only(sample["a"] != 3)
    assert fewer.kept is not None
    assert fewer.kept.tolist() == [True, False, False, True]
    assert fewer["a"].tolist() == [1, 4]
