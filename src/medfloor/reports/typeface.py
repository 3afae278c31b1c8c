"""Set text in a typeface that holds Chinese on every machine, and break it into lines that fit."""

from __future__ import annotations

import functools
import unicodedata
from pathlib import Path

FAMILIES = (
    "Noto Sans SC",
    "Source Han Sans SC",
    "PingFang SC",
    "Microsoft YaHei",
    "WenQuanYi Micro Hei",
    "DejaVu Sans",
    "sans-serif",
)
"""The shipped face first; then what a browser may have that shows an SVG or HTML file elsewhere."""

BOLD = 1.1
"""How much wider bold letters run, at most."""

FOLDER = Path(__file__).parent / "fonts"

# Shares of the font's size, on the wide side of what Noto Sans has, so that a line is rather too short than too long.
_WIDTH_WIDE = 1.0
_WIDTH_BROAD = 0.95
_WIDTH_CAPITAL = 0.68
_WIDTH_SMALL = 0.61
_WIDTH_THIN = 0.34
_BROAD = frozenset("mwMW%@—…")
_THIN = frozenset("iljtfrI.,;:'|!()[] ")
_NEVER_FIRST = frozenset("，。、；：！？）》」』】〕〉”’%％°·…")
_NEVER_LAST = frozenset("（《「『【〔〈“‘")


@functools.cache
def register() -> None:
    """Make the shipped font known to the renderer, once; figures then need no font of the machine."""
    import vl_convert

    vl_convert.register_font_directory(str(FOLDER))


def pixels(text: str, size: float) -> float:
    """Estimate how wide a line of text is, in pixels; rather too much than too little.

    >>> pixels("大病", 12), round(pixels("ab", 10), 1)
    (24.0, 12.2)
    """
    return size * sum(_em(character) for character in text)


def wrapped(text: str, size: float, width: float) -> list[str]:
    """Break text into lines of at most `width` pixels: at blanks, and between Chinese characters.

    A word that is wider than a line stands on a line of its own. Chinese punctuation never begins a line.

    >>> wrapped("out-of-pocket spending", 10, 100)
    ['out-of-pocket', 'spending']
    >>> wrapped("自付医疗支出占支付能力。", 10, 60)
    ['自付医疗支出', '占支付能力。']
    """
    lines, line = [], ""
    for piece in _pieces(text):
        if line and pixels((line + piece).rstrip(), size) > width:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    lines.append(line.rstrip())
    return lines


def _em(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WFA":
        return _WIDTH_WIDE
    if character in _THIN:
        return _WIDTH_THIN
    if character in _BROAD:
        return _WIDTH_BROAD
    return _WIDTH_CAPITAL if character.isupper() else _WIDTH_SMALL


def _pieces(text: str) -> list[str]:
    """Cut text where a line may end: after a blank, and before and after every Chinese character."""
    pieces: list[str] = []
    for character in text:
        last = pieces[-1][-1:] if pieces else ""
        stays = character in _NEVER_FIRST or last in _NEVER_LAST or character == " "
        word = bool(last) and last != " " and not _is_wide(last) and not _is_wide(character)
        if pieces and (stays or word):
            pieces[-1] += character
        else:
            pieces.append(character)
    return pieces


def _is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in "WF"
