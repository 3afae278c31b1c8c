"""Can a printed percentage be k of n: against counting all k, and over the figures of a study."""

from __future__ import annotations

import re
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal, localcontext

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protection_cases import check

from medfloor.errors import InputError, UsageError
from medfloor.measures import consistency, consistent
from medfloor.measures.seed_004 import PRINTED

ROUNDINGS = {"half-up": ROUND_HALF_UP, "half-even": ROUND_HALF_EVEN, "truncation": ROUND_DOWN}
PARAMS = "(40.37,696),(15.80,696),(12.55,417),(22.70,696),(9.83,417),(17.24,696),(25.66,417),(36.48,1113),(14.22,1113)"


@pytest.mark.parametrize("kind", [str, float])
def test_two_figures_of_the_study_are_impossible(kind: type) -> None:
    printed = re.findall(r"\(([\d.]+),(\d+)\)", PARAMS)
    check("I09_grim_seed004", *[float(bool(consistent(kind(percent), int(n)))) for percent, n in printed])


def test_catastrophic_spending_of_the_study_is_120_of_696_and_107_of_417() -> None:
    assert (consistent("17.24", 696), consistent("25.66", 417)) == ((120,), (107,))
    check("I04_seed004_che", round(100 * 120 / 696, 2), round(100 * 107 / 417, 2))


def test_the_printed_table_names_the_nearest_values_and_the_missing_part() -> None:
    names, percents, n, part_of = (list(one) for one in zip(*PRINTED, strict=True))
    found = consistency({"label": names, "percent": percents, "n": n, "part_of": part_of})
    assert found.special == {"percentages": 9, "impossible": 2, "impossible_totals": 1}
    wrong = found.rows.filter(statistic="consistent", verdict="impossible")
    assert wrong.select("percent", "n", "below", "above").rows() == [
        ("12.55", 417, "52 (12.47)", "53 (12.71)"),
        ("14.22", 1113, "158 (14.20)", "159 (14.29)"),
    ]
    # 40.37 % of 696 are 281, and 36.48 % of 1,113 are 406: the study's non-registered have 125 of 417.
    pooled = found.rows.filter(statistic="pooled").select("label", "verdict", "counts").rows()
    assert pooled == [("chronic disease, both", "possible", "125 / 417"), ("major disease, both", "impossible", None)]


def brute(percent: str, n: int, rounding: str) -> tuple[int, ...]:
    """Try every k, with decimals long enough to be exact where it matters."""
    printed = Decimal(percent)
    unit = Decimal(1).scaleb(printed.as_tuple().exponent)  # type: ignore[arg-type]
    with localcontext() as context:
        context.prec = 60
        return tuple(k for k in range(n + 1) if (Decimal(100 * k) / n).quantize(unit, ROUNDINGS[rounding]) == printed)


@settings(max_examples=200)
@given(st.integers(0, 2), st.integers(1, 420), st.data())
def test_every_rounding_finds_the_counts_that_trying_all_finds(decimals: int, n: int, data: st.DataObject) -> None:
    percent = str(Decimal(data.draw(st.integers(0, 100 * 10**decimals))).scaleb(-decimals))
    every = set()
    for rounding in ROUNDINGS:
        expected = brute(percent, n, rounding)
        assert consistent(percent, n, rounding=rounding) == expected  # type: ignore[arg-type]
        every |= set(expected)
    assert set(consistent(percent, n)) == every


@settings(max_examples=100)
@given(st.integers(1, 5000), st.data())
def test_what_was_printed_from_a_count_is_possible(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    with localcontext() as context:
        context.prec = 60
        share = Decimal(100 * k) / n
        for decimals in (0, 1, 2, 4):
            for rule in ROUNDINGS.values():
                assert k in consistent(str(share.quantize(Decimal(1).scaleb(-decimals), rule)), n)


@pytest.mark.parametrize(
    ("percent", "n", "counts"),
    [("100.00", 7, (7,)), ("0.00", 7, (0,)), ("100.01", 7, ()), ("-0.01", 7, ()), ("250", 7, ()), ("50", 1, ())],
)
def test_shares_stay_between_nothing_and_all(percent: str, n: int, counts: tuple[int, ...]) -> None:
    assert consistent(percent, n) == counts


def test_decimals_come_from_the_text_or_are_given() -> None:
    # 15.8 may be 15.75 to 15.85; 15.80 is one of 696 only.
    assert consistent("15.8", 7000) != consistent("15.80", 7000)
    assert consistent(15.8, 7000, decimals=2) == consistent("15.80", 7000)
    assert consistent("15.80 %", 696) == consistent("15.80％", 696) == (110,)
    with pytest.raises(UsageError, match="more than 1 decimals"):
        consistent("15.80", 696, decimals=1)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"percent": ["abc"], "n": [7]}, "bad_percent"),
        ({"percent": [None], "n": [7]}, "no_rows"),
        ({"percent": [float("nan")], "n": [7]}, "no_rows"),
        ({"percent": ["1e1"], "n": [7]}, "bad_percent"),
        ({"percent": ["50"], "n": [0]}, "bad_n"),
        ({"percent": ["50"], "n": [2.5]}, "bad_n"),
        ({"percent": ["50"], "n": [None]}, "no_rows"),
        ({"percent": ["50"]}, "missing_column"),
        ({"percent": ["50"], "n": [2], "label": ["a"], "part_of": ["b"]}, "bad_part"),
        (
            {"percent": ["50", "50", "50"], "n": [2, 4, 4], "label": ["a", "b", "b"], "part_of": ["b", None, None]},
            "bad_part",
        ),
        ({"percent": ["50", "50"], "n": [4, 2], "label": ["a", "b"], "part_of": ["b", None]}, "bad_part"),
    ],
)
def test_what_is_no_percentage_or_no_n_is_refused(given: dict[str, list[object]], code: str) -> None:
    with pytest.raises(InputError) as caught:
        consistency(given)
    assert caught.value.code == code


def test_unknown_roundings_and_decimals_are_refused() -> None:
    with pytest.raises(UsageError, match="half-up"):
        consistent("50", 2, rounding="up")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="half-up"):
        consistency({"percent": ["50"], "n": [2]}, rounding="up")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="between 0 and 6"):
        consistent("50", 2, decimals=7)


def test_parts_that_cannot_add_up_make_a_total_impossible() -> None:
    parts = {"label": ["a", "b", "all"], "n": [10, 10, 20], "part_of": ["all", "all", None]}
    right = consistency({**parts, "percent": ["10", "30", "20"]}).rows.filter(statistic="pooled")
    wrong = consistency({**parts, "percent": ["10", "30", "25"]}).rows.filter(statistic="pooled")
    assert (right["verdict"].item(), wrong["verdict"].item()) == ("possible", "impossible")


def test_the_result_reads_well_and_has_no_error() -> None:
    found = consistency({"percent": ["12.55"], "n": [417]})
    assert "impossible" in found.text("en") and "不可能" in found.text("zh")
    assert found.rows["se"].item() is None and found.rows["low"].item() is None
    assert isinstance(found.to_frame("zh"), pl.DataFrame)


def test_a_hundred_thousand_rows_are_no_loop() -> None:
    frame = pl.DataFrame({"percent": [f"{place / 100:.2f}" for place in range(10_000)] * 10}).with_columns(
        n=pl.int_range(1, pl.len() + 1)
    )
    found = consistency(frame)
    assert found.rows.height == 100_000
    # From n = 10,000 on every percentage of two decimals has a count.
    assert found.rows.filter(pl.col("n") > 10_000)["verdict"].unique().to_list() == ["possible"]


def test_a_row_where_nothing_was_printed_is_left_out_and_counted() -> None:
    found = consistency({"percent": ["12.55", None, " ", "40.37"], "n": [417, 5, 5, None]})
    assert found.rows["percent"].to_list() == ["12.55"]
    assert (found.special["percentages"], found.special["missing"]) == (1, 3)


def test_halves_go_to_the_even_figure_both_ways() -> None:
    # Of 200, an odd count is half a per cent: 1 is 0.5 and goes to 0, 3 is 1.5 and goes to 2, 5 is 2.5 and goes to 2.
    found = {percent: consistent(percent, 200, rounding="half-even") for percent in ("0", "1", "2", "3")}
    assert found == {"0": (0, 1), "1": (2,), "2": (3, 4, 5), "3": (6,)}


def test_what_is_left_for_the_other_part_is_all_that_the_figures_allow() -> None:
    whole, part = consistent("50", 800), consistent("50", 400)
    left = {one - other for one in whole for other in part if 0 <= one - other <= 400}
    table = {"label": ["both", "one"], "percent": ["50", "50"], "n": [800, 400], "part_of": [None, "both"]}
    pooled = consistency(table).rows.filter(statistic="pooled")
    assert pooled["counts"].to_list() == [f"{min(left)}-{max(left)} / 400"]
    assert pooled["estimate"].to_list() == [len(left)]


def test_below_nothing_there_is_no_nearest_count() -> None:
    row = consistency({"percent": ["-0.01"], "n": [100]}).rows.row(0, named=True)
    assert (row["verdict"], row["below"], row["above"]) == ("impossible", None, "0 (0.00)")
