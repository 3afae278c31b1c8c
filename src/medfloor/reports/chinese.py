"""Set Chinese text as printers do: full-width brackets, per cent at its number, no number parted from its unit."""

from __future__ import annotations

import re

_HAN = "\u2e80-\u303f\u3400-\u9fff\uf900-\ufaff\uff00-\uffef“”"
_BRACKETS = re.compile(rf"(?P<left>[{_HAN}]?)[ ]?\((?P<inside>[^()]*)\)[ ]?(?P<right>[{_HAN}]?)")
_HOLDS_HAN = re.compile(f"[{_HAN}]")
_PER_CENT = re.compile(r"(?<=[0-9]) %")
_UNIT = re.compile(r"(?<=[0-9]) (?=[%‰元万亿人户笔例条个岁年月日次级组层倍])")
_ENGLISH_UNIT = re.compile(r"(?<=[0-9]) (?=%|yuan\b)")


def chinese(text: str) -> str:
    """Give Chinese text with the brackets and the per cent signs that Chinese printers use.

    Brackets stay as they are in what is not Chinese: formulas, standard errors, quotations.

    >>> chinese("发生率 (非食品支出 40 %)变化"), chinese("0.5040 (0.2267)"), chinese("县（虚构） (a/b)")
    ('发生率（非食品支出 40%）变化', '0.5040 (0.2267)', '县（虚构）（a/b）')
    """
    return _PER_CENT.sub("%", _BRACKETS.sub(_bracketed, text))


def together(text: str) -> str:
    r"""Put blanks that do not break between numbers and their units.

    >>> together("费用 1,300.00 元"), together("12 yuan a year")
    ('费用 1,300.00\xa0元', '12\xa0yuan a year')
    """
    return _ENGLISH_UNIT.sub("\xa0", _UNIT.sub("\xa0", text))


def _bracketed(found: re.Match[str]) -> str:
    left, inside, right = found["left"], found["inside"], found["right"]
    if not (left or _HOLDS_HAN.search(inside)):
        return found[0]
    return f"{left}（{inside}）{right}"
