"""Cross tables and the test of Rao and Scott."""

from __future__ import annotations

import math

import polars as pl
import pytest
from test_survey import DESIGNS, SAME, both_designs, peer, synthetic

from medfloor.errors import InputError, UsageError
from medfloor.measures import Design
from medfloor.measures.crosstab import crosstab, rao_scott


@pytest.mark.parametrize("name", DESIGNS)
def test_svy_finds_the_same_test(name: str) -> None:
    theirs, ours = both_designs(name)
    frame = synthetic()
    stats = peer(frame, **theirs).categorical.tabulate("g", "h").stats
    row = rao_scott(frame, rows="g", columns="h", design=ours).pick("rao_scott_f").rows.row(0, named=True)
    assert row["estimate"] == pytest.approx(stats.f.value, rel=SAME)
    assert row["df"] == pytest.approx(stats.f.df_num, rel=SAME)
    assert row["denominator_df"] == pytest.approx(stats.f.df_den, rel=SAME)
    assert row["p"] == pytest.approx(stats.f.p_value, rel=1e-8)  # a tail of an F distribution, worked out by others


def test_svy_finds_the_same_cells() -> None:
    theirs, ours = DESIGNS["both"]
    frame = synthetic()
    cells = peer(frame, **theirs).categorical.tabulate("g", "h").estimates
    expected = {(cell.rowvar, cell.colvar): (cell.est, cell.se, cell.lci, cell.uci) for cell in cells}
    found = crosstab(frame, rows="g", columns="h", design=ours).rows.filter(statistic="share_of_all")
    assert found.height == len(expected) == 6
    for row in found.iter_rows(named=True):
        told = (row["estimate"], row["se"], row["low"], row["high"])
        assert told == pytest.approx(expected[row["row"], row["column"]], rel=SAME)


def test_a_second_stage_is_in_the_errors_of_the_cells() -> None:
    # svy 0.35's tabulate leaves the second stage out, its prop does not: cells are compared with the latter.
    theirs, ours = both_designs("two_stages")
    frame = synthetic().with_columns(both=pl.col("g") + pl.col("h"))
    expected = peer(frame, **theirs).estimation.prop("both").to_polars().sort("both")
    found = crosstab(frame, rows="g", columns="h", design=ours).rows.filter(statistic="share_of_all")
    assert found.sort("row", "column")["se"].to_list() == pytest.approx(expected["se"].to_list(), rel=SAME)


def test_shares_of_rows_and_columns_add_up_to_one() -> None:
    frame = synthetic()
    design = Design(weight="w", psu="psu")
    for share, label in (("row", "row"), ("column", "column")):
        found = crosstab(frame, rows="g", columns="h", share=share, design=design).rows
        sums = found.filter(statistic=f"share_of_{share}").group_by(label).agg(pl.col("estimate").sum())
        assert sums["estimate"].to_list() == pytest.approx([1.0] * sums.height)


def test_a_missing_class_leaves_a_row_out_and_is_counted() -> None:
    found = crosstab({"a": ["x", "y", None, "x"], "b": [1, 2, 1, 2]}, rows="a", columns="b")
    assert found.special["missing"] == 1 and found.value("share_of_all", row="x", column="1") == pytest.approx(1 / 3)


def test_a_table_with_one_class_has_no_test() -> None:
    assert rao_scott({"a": ["x", "x"], "b": [1, 2]}, rows="a", columns="b").rows.is_empty()


def test_misuse_is_named() -> None:
    with pytest.raises(UsageError, match="use all, row or column"):
        crosstab({"a": [1, 2], "b": [1, 2]}, rows="a", columns="b", share="cell")
    with pytest.raises(UsageError, match="60 classes"):
        crosstab({"a": list(range(60)), "b": [1, 2] * 30}, rows="a", columns="b")
    with pytest.raises(InputError, match="missing in every row"):
        crosstab({"a": [None, None], "b": [1, 2]}, rows="a", columns="b")


def test_classes_that_are_no_number_are_missing_and_no_class() -> None:
    frame = {"a": [1.0, 2.0, math.nan, 2.0, 1.0], "b": ["x", "y", "x", "x", "y"]}
    found = crosstab(frame, rows="a", columns="b")
    assert set(found.rows["row"].drop_nulls()) == {"1.0", "2.0"}
    assert found.special["missing"] == 1
