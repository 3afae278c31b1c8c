"""Read the numbers that the words of a law say, in Chinese and in English.

`says(case, quote)` answers whether a quotation contains the number that rests on it. The reading is generous where
law is (20万元, 二十万元 and 200,000 are one number; 减半 is 50 %; a patient's share of 20 % is a rate of 80 %), and it
never guesses a number that no word stands for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from medfloor.policy.model import Case

Kind = Literal["amount", "percent", "plain", "unlimited"]


@dataclass(frozen=True)
class Reading:
    """Be one number that a text says: an amount of money, a percentage, a bare number, or no limit (value 0)."""

    kind: Kind
    value: Decimal


def retold(quote: str | None, currency: str = "CNY") -> bool:
    """Say whether a quotation tells a Chinese law again in English, second-hand, instead of in the document's words.

    A law in yuan is written in Chinese; of some only an English retelling is known here. Words in the currency of
    another country are in its own language.

    >>> retold("the top line was gradually canceled"), retold("逐步取消封顶线"), retold("capped at $1,000", "USD")
    (True, False, False)
    """
    return currency == "CNY" and bool(quote) and not re.search("[\u4e00-\u9fff]", quote or "")


def says(case: Case, quote: str) -> bool:
    """Say whether a quotation contains the number of a case.

    A rate counts as said where the patient's share is (20 % for 80). All of a series (`of` with 100 %) needs no number.

    >>> says(Case(value=200000, unit="yuan"), "累计最高支付数额为20万元")
    True
    >>> says(Case(value=80, unit="percent"), "自付20%")
    True
    >>> says(Case(value=85, unit="percent"), "按照80%给予救助")
    False
    """
    readings = read(quote)
    if case.unlimited:
        return any(reading.kind == "unlimited" for reading in readings)
    if case.value is None or (case.of is not None and case.value == 100):
        return True
    value = case.value
    said = {kind: {r.value for r in readings if r.kind == kind} for kind in ("amount", "percent", "plain")}
    if case.unit in ("yuan", "dollar"):
        # A deductible that is lifted (不设起付) is a deductible of nothing.
        none_at_all = value == 0 and any(r.kind == "unlimited" for r in readings)
        return value in said["amount"] | said["plain"] or none_at_all
    if case.unit == "percent":
        return value in said["percent"] | said["plain"] or 100 - value in said["percent"]
    if case.unit == "points":
        return abs(value) in said["percent"] | said["plain"]
    return value in said["plain"] | said["amount"]


def read(text: str) -> list[Reading]:
    """Read every number that a text says, in the order of the patterns.

    >>> [(r.kind, str(r.value)) for r in read("3万元以上至5万元（含）以下40%")]
    [('amount', '30000'), ('amount', '50000'), ('percent', '40')]
    >>> [(r.kind, str(r.value)) for r in read("起付标准减半，百分之七十，十五万元，上不封顶")]
    [('percent', '70'), ('amount', '150000'), ('percent', '50'), ('unlimited', '0')]
    """
    text = text.translate(_WIDE)
    readings: list[Reading] = []
    text = _FRACTION.sub(lambda match: _read_fraction(match, readings), text)
    for match in _NUMBER.finditer(_with_range_scales(text)):
        readings.extend(_read_number(match))
    for pattern, kind, value in _PHRASES:
        if pattern.search(text):
            readings.append(Reading(kind, Decimal(value)))
    return readings


_WIDE = str.maketrans("０１２３４５６７８９％．，", "0123456789%.，")
_DIGITS = {
    digit: number
    for number, digits in enumerate(("零〇", "一壹", "二两贰", "三叁", "四肆", "五伍", "六陆", "七柒", "八捌", "九玖"))
    for digit in digits
}
_SCALES = {"十": 10, "拾": 10, "百": 100, "佰": 100, "千": 1000, "仟": 1000}
_HAN = "零〇一壹二两贰三叁四肆五伍六陆七柒八捌九玖十拾百佰千仟"
_ARABIC = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_ENGLISH_UNITS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_ENGLISH = {word: number for number, word in enumerate(_ENGLISH_UNITS)}
_ENGLISH |= {"fifteen": 15, "twenty": 20, "twenty-five": 25, "thirty": 30, "forty": 40, "fifty": 50, "ninety-five": 95}
_ENGLISH_WORD = "|".join(sorted(_ENGLISH, key=len, reverse=True))

_NUMBER = re.compile(
    rf"(?<![\d.])(?P<number>{_ARABIC}|[{_HAN}]+|\b(?:{_ENGLISH_WORD})\b)\s*"
    r"(?P<scale>亿|百万|千万|万|[wW](?![a-zA-Z])|(?<=\d)[千百]|(?:million|thousand|hundred)\b)?\s*"
    r"(?P<unit>%|个?百分点|percentage points?|per ?cent|points?\b|元|块|yuan|dollars?|成(?![年为人员本立])|倍)?",
    re.IGNORECASE,
)
_SCALE = {"亿": 10**8, "千万": 10**7, "百万": 10**6, "万": 10**4, "w": 10**4, "千": 1000, "百": 100}
_SCALE |= {"million": 10**6, "thousand": 1000, "hundred": 100}
_FRACTION = re.compile(rf"(?P<below>[{_HAN}]+|\d+)分之(?P<above>[{_HAN}]+(?:点[{_HAN}]+)?|\d+(?:\.\d+)?)")
_RANGE = re.compile(rf"(?P<low>{_ARABIC})(?P<dash>\s*[-—–~～至到]\s*)(?P<high>{_ARABIC})\s*(?P<scale>万|亿|%|个百分点)")

_NO_DEDUCTIBLE = r"不设起付|无起付|免起付|取消起付|不计起付|不再设|免收|免缴|免费|不缴费|\bfree\b|no deductible"
_NO_PAYMENT = r"不予支付|不予报销|不支付|\bnothing\b"
_NO_LIMIT = (
    r"不设|不封顶|无封顶|取消.{0,12}(?:封顶|限额|上限|支付限)|不限|无上限|没有上限|无限额|"
    r"\bno (?:limit|cap|ceiling|maximum)|unlimited|uncapped|lifted|"
    r"cancel\w* the (?:cap|top line|ceiling|limit)|\bnone\b"
)
_PHRASES: tuple[tuple[re.Pattern[str], Kind, int], ...] = (
    (re.compile(r"减半|一半|半数|折半|\bhalf\b|\bhalved\b", re.IGNORECASE), "percent", 50),
    (re.compile(r"翻番|加倍|\bdoubled?\b|\btwice\b", re.IGNORECASE), "percent", 200),
    (re.compile(r"全额|全部|全免|\bin full\b|\bfully\b", re.IGNORECASE), "percent", 100),
    (re.compile(f"{_NO_PAYMENT}|{_NO_DEDUCTIBLE}", re.IGNORECASE), "percent", 0),
    (re.compile(_NO_DEDUCTIBLE, re.IGNORECASE), "amount", 0),
    (re.compile(_NO_LIMIT, re.IGNORECASE), "unlimited", 0),
)
"""Words that say a number without a numeral."""


def _with_range_scales(text: str) -> str:
    """Give both ends of a range the scale that stands behind the second: 3-5万元 says 3万-5万元."""
    return _RANGE.sub(lambda m: f"{m['low']}{m['scale']}{m['dash']}{m['high']}{m['scale']}", text)


def _read_fraction(match: re.Match[str], readings: list[Reading]) -> str:
    below = _figure(match["below"])
    whole, _, part = match["above"].partition("点")
    above = _figure(whole)
    if part:
        above += Decimal("0." + "".join(str(_DIGITS.get(digit, 0)) for digit in part))
    if below:
        readings.append(Reading("percent", (above * 100 / below).normalize() + 0))
    return " "


def _read_number(match: re.Match[str]) -> list[Reading]:
    figure = _figure(match["number"])
    scale, unit = (match["scale"] or "").lower(), (match["unit"] or "").lower()
    value = _plain(figure * _SCALE.get(scale, 1))
    if unit == "%" or "cent" in unit or "point" in unit or "百分点" in unit:
        return [Reading("percent", value)]
    if unit == "成":
        return [Reading("percent", _plain(figure * 10))]
    if unit == "倍":
        # 提高一倍 makes it twice as much, 一倍 alone is the amount itself.
        return [Reading("percent", _plain(figure * 100)), Reading("percent", _plain(figure * 100 + 100))]
    if unit or scale:
        return [Reading("amount", value)]
    return [Reading("plain", value)]


def _figure(text: str) -> Decimal:
    """Read an Arabic, English or Chinese numeral.

    >>> [str(_figure(text)) for text in ("30,404", "七十", "十五", "一千三百", "一百零五", "二〇二三", "twenty-five")]
    ['30404', '70', '15', '1300', '105', '2023', '25']
    """
    text = text.lower()
    if text in _ENGLISH:
        return Decimal(_ENGLISH[text])
    if text[0].isascii():
        return Decimal(text.replace(",", ""))
    if not any(character in _SCALES for character in text):
        return Decimal("".join(str(_DIGITS[character]) for character in text))
    total, digit = 0, None
    for character in text:
        if character in _SCALES:
            total += (1 if digit is None else digit) * _SCALES[character]
            digit = None
        else:
            digit = _DIGITS[character] or None
    return Decimal(total + (digit or 0))


def _plain(value: Decimal) -> Decimal:
    """Take needless zeros off without turning 100 into 1E+2."""
    return value.quantize(Decimal(1)) if value == value.to_integral_value() else value.normalize()
