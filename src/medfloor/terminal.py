"""Align columns for a terminal, where a Chinese character is two places wide."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def aligned(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Align rows of cells, the first being the heads; the columns in `right` are set flush right.

    >>> aligned([["name", "fen"], ["北京", "5"]], right=[1])
    ['name  fen', '----  ---', '北京    5']
    """
    widths = [max(width_of(row[column]) for row in rows) for column in range(len(rows[0]))]
    return in_columns([[*rows[0]], ["-" * width for width in widths], *rows[1:]], right)


def in_columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Align rows of cells without heads.

    >>> in_columns([["北京", "15"], ["a", "5"]], right=[1])
    ['北京  15', 'a      5']
    """
    if not rows:
        return []
    widths = [max(width_of(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            _padded(cell, width, place in right) for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def width_of(text: str) -> int:
    """Count the places that a text takes on a terminal.

    >>> width_of("大病 a")
    6
    """
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - width_of(cell))
    return space + cell if right else cell + space
