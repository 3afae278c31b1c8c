"""Keep money as integer fen and rates as integer basis points.

A fen is a hundredth of a yuan (or a cent of a dollar): `int` in Python, `int64` in arrays. A basis point (bp) is a
hundredth of a per cent. A product of both, fen times bp, is the unit in which schedules are valued before they are
rounded once, by name.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Literal

MAX_FEN = 900_000_000_000_000
"""The largest amount that medfloor accepts: 9 trillion yuan.

Times 10,000 bp it still fits into a signed 64-bit integer (9.0e18 < 9.22e18)."""

BP = 10_000
"""Basis points in one whole."""

RoundingMode = Literal["half_up", "half_even", "down", "up"]
RoundingPlace = Literal["fen", "jiao", "yuan"]

PLACE_FEN: dict[str, int] = {"fen": 1, "jiao": 10, "yuan": 100}
"""How many fen the rounding place holds."""

MODE_NUMBER: dict[str, int] = {"half_up": 0, "half_even": 1, "down": 2, "up": 3}
"""The number under which compiled code knows a rounding mode."""


def parse_fen(text: str | int | float | Decimal) -> int:
    """Read an amount in yuan as fen.

    Raises ValueError for anything that is not a plain decimal number with at most two decimals (trailing zeros do not
    count). Negative amounts are read; whether they are allowed is for the caller to say.

    >>> parse_fen("1300"), parse_fen("0.05"), parse_fen("-2.5"), parse_fen(1842.6)
    (130000, 5, -250, 184260)
    >>> parse_fen("1.005")
    Traceback (most recent call last):
    ...
    ValueError: 1.005 has more than two decimals
    """
    try:
        amount = Decimal(str(text).strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount of money") from None
    if not amount.is_finite():
        raise ValueError(f"{text!r} is not an amount of money")
    fen = amount * 100
    if fen != fen.to_integral_value():
        raise ValueError(f"{text} has more than two decimals")
    return int(fen)


def format_yuan(fen: int) -> str:
    """Write fen as yuan with two decimals and no grouping.

    >>> format_yuan(184260), format_yuan(-5)
    ('1842.60', '-0.05')
    """
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100}.{fen % 100:02d}"


def group_yuan(fen: int) -> str:
    """Write fen as yuan with two decimals and grouped thousands, for people to read.

    >>> group_yuan(9652500)
    '96,525.00'
    """
    sign, fen = ("-", -fen) if fen < 0 else ("", fen)
    return f"{sign}{fen // 100:,}.{fen % 100:02d}"


def round_fen(value_fen_bp: int, mode: str = "half_up", place: str = "fen") -> int:
    """Round a non-negative value in fen times bp to whole fen, by name and place.

    The place is the unit to which the amount is rounded (fen, jiao, yuan); the result is in fen all the same.

    >>> round_fen(5_000), round_fen(4_999), round_fen(5_000, "half_even"), round_fen(5_000, "down")
    (1, 0, 0, 0)
    >>> round_fen(1_234_567, place="yuan")
    100
    """
    assert value_fen_bp >= 0, "schedules never go below zero"
    unit = BP * PLACE_FEN[place]
    whole, rest = divmod(value_fen_bp, unit)
    if mode == "half_up":
        up = 2 * rest >= unit
    elif mode == "half_even":
        up = 2 * rest > unit or (2 * rest == unit and whole % 2 == 1)
    elif mode == "up":
        up = rest > 0
    elif mode == "down":
        up = False
    else:
        raise ValueError(f"{mode!r} is not a way of rounding; use one of {', '.join(MODE_NUMBER)}")
    return (whole + up) * PLACE_FEN[place]


def split_fen(amount_fen: int, weights: list[int]) -> list[int]:
    """Split an amount by weights without losing a fen (largest remainder; ties go to the earlier part).

    >>> split_fen(100, [1, 1, 1])
    [34, 33, 33]

    Raises ValueError where no weight is positive.
    """
    whole = sum(weights)
    if whole <= 0 or min(weights) < 0:
        raise ValueError("weights must be non-negative and not all zero")
    parts = [amount_fen * weight // whole for weight in weights]
    left = amount_fen - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(amount_fen * weights[i] % whole), i))
    for i in by_remainder[:left]:
        parts[i] += 1
    return parts
