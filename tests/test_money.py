"""Read, write, round and split money."""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medfloor.money import BP, MAX_FEN, PLACE_FEN, format_yuan, group_yuan, parse_fen, round_fen, split_fen

AMOUNTS = st.integers(-MAX_FEN, MAX_FEN)


@given(AMOUNTS)
def test_what_is_written_is_read_back(fen: int) -> None:
    assert parse_fen(format_yuan(fen)) == fen
    assert parse_fen(group_yuan(fen).replace(",", "")) == fen


@given(AMOUNTS)
def test_a_float_of_yuan_holds_every_fen_up_to_the_largest_amount(fen: int) -> None:
    assert parse_fen(fen / 100) == fen
    assert round(fen / 100 * 100) == fen


@pytest.mark.parametrize("text", ["0.001", "1.005", "abc", "", "1,000", "nan", "inf", "-inf", "1e-3", "¥5", "0x1"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount of money|two decimals"):
        parse_fen(text)


@pytest.mark.parametrize(
    ("text", "fen"), [("1.50000", 150), (" 7 ", 700), ("+1", 100), ("1e3", 100_000), ("-0.01", -1), (0, 0)]
)
def test_plain_decimal_numbers_are_read(text: str | int, fen: int) -> None:
    assert parse_fen(text) == fen


WAYS = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}


@given(st.integers(0, MAX_FEN * BP), st.sampled_from(sorted(WAYS)), st.sampled_from(sorted(PLACE_FEN)))
def test_rounding_is_that_of_decimal_arithmetic(value: int, mode: str, place: str) -> None:
    unit = BP * PLACE_FEN[place]
    assert (
        round_fen(value, mode, place)
        == int((Decimal(value) / unit).quantize(Decimal(1), WAYS[mode])) * PLACE_FEN[place]
    )


@given(st.integers(0, 2_000), st.sampled_from(sorted(WAYS)), st.sampled_from(sorted(PLACE_FEN)))
def test_rounding_at_the_half_follows_its_name(halves: int, mode: str, place: str) -> None:
    unit = BP * PLACE_FEN[place]
    for value in (halves * unit // 2 - 1, halves * unit // 2, halves * unit // 2 + 1):
        if value >= 0:
            exact = Fraction(value, unit)
            rounded = Fraction(round_fen(value, mode, place), PLACE_FEN[place])
            assert abs(rounded - exact) <= (Fraction(1, 2) if mode.startswith("half") else Fraction(unit - 1, unit))
            assert (rounded <= exact) if mode == "down" else (rounded >= exact) if mode == "up" else True


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from(sorted(WAYS)), st.sampled_from(sorted(PLACE_FEN)))
def test_rounding_never_turns_more_into_less(one: int, other: int, mode: str, place: str) -> None:
    one, other = sorted((one, other))
    assert round_fen(one, mode, place) <= round_fen(other, mode, place)


def test_the_product_of_the_largest_amount_and_one_whole_fits_into_64_bits() -> None:
    assert MAX_FEN * BP + BP // 2 < 2**63
    assert round_fen(MAX_FEN * BP) == MAX_FEN


def test_rounding_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="half_up"):
        round_fen(1, "nearest")
    with pytest.raises(AssertionError):
        round_fen(-1)


@given(st.integers(0, MAX_FEN), st.lists(st.integers(0, 10**6), min_size=1, max_size=9).filter(any))
def test_splitting_loses_no_fen_and_is_within_one_of_the_share(amount: int, weights: list[int]) -> None:
    parts = split_fen(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        share = Fraction(amount * weight, sum(weights))
        assert math.floor(share) <= part <= math.ceil(share)


@pytest.mark.parametrize("weights", [[], [0, 0], [2, -1]])
def test_splitting_by_nothing_is_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        split_fen(100, weights)
