"""Read identity numbers of residents: one spelling for each, whether it can be one, and how it is shown masked."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_BLANKS = re.compile(r"[\s\-·•]+")
_LONG = re.compile(r"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")
_ANY = frozenset("*?□×〇")
"""What departments write for a letter that they mask, or that their font lacks."""


def normalise_identity(number: str) -> str:
    """Give an identity number as it is compared: half-width capitals without blanks, fifteen digits as eighteen.

    Numbers of fifteen digits were given until 1999; they get their century and check digit (GB 11643-1999). Any other
    text, such as a passport, stays as it is but for case and blanks.

    >>> normalise_identity(" 11010519491231002x "), normalise_identity("110105491231002")
    ('11010519491231002X', '11010519491231002X')
    """
    text = _BLANKS.sub("", unicodedata.normalize("NFKC", number)).upper()
    if re.fullmatch(r"[0-9]{15}", text):
        body = f"{text[:6]}19{text[6:]}"
        return body + _check_digit(body)
    return text


def is_identity(number: str) -> bool:
    """Say whether a number can be a resident's: eighteen places, a day of the calendar, the right check digit.

    >>> is_identity("11010519491231002X"), is_identity("110105194912310021"), is_identity("E12345678")
    (True, False, False)
    """
    text = normalise_identity(number)
    if not re.fullmatch(r"[0-9]{17}[0-9X]", text) or _check_digit(text[:17]) != text[17]:
        return False
    return birth_date_of(text) is not None


def birth_date_of(number: str) -> date | None:
    """Give the birth date that a resident's number says, or None.

    >>> birth_date_of("11010519491231002X")
    datetime.date(1949, 12, 31)
    """
    text = normalise_identity(number)
    if not re.fullmatch(r"[0-9]{17}[0-9X]", text):
        return None
    try:
        return date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return None


def mask_identity(number: str) -> str:
    """Show an identity number without birth date and order: the first three and the last two places.

    >>> mask_identity("11010519491231002X"), mask_identity("E123")
    ('110*************2X', '****')
    """
    if len(number) < 8:
        return "*" * len(number)
    return number[:3] + "*" * (len(number) - 5) + number[-2:]


def without_identities(text: str) -> str:
    """Give a free text with every identity number in it masked; a text that holds none comes back as it is.

    Notes, reasons and document numbers are kept in clear, and people write numbers into them. Only eighteen places with
    a day of the calendar and the right check digit count, so that other long numbers stay.

    >>> without_identities("民政函〔2026〕8号，11010519491231002x")
    '民政函〔2026〕8号，110*************2x'
    """
    return _LONG.sub(lambda found: mask_identity(found[0]) if is_identity(found[0]) else found[0], text)


def same_name(one: str, other: str) -> bool:
    """Say whether two names can be of one person; blanks, dots and width do not count, `*` stands for any letter.

    >>> same_name("买买提·艾力", "买买提 • 艾力"), same_name("张*", "张三"), same_name("张三", "李四")
    (True, True, False)
    """
    first, second = plain_name(one), plain_name(other)
    if len(first) != len(second):
        return False
    return all(a == b or a in _ANY or b in _ANY for a, b in zip(first, second, strict=True))


def plain_name(name: str) -> str:
    """Give a name as it is compared: without blanks and dots, in half width and small letters.

    >>> plain_name("买买提·艾力") == plain_name("买买提 • 艾力")
    True
    """
    return re.sub(r"[\s·•・.．]+", "", unicodedata.normalize("NFKC", name)).lower()


def is_masked(name: str) -> bool:
    """Say whether letters of a name are left out.

    >>> is_masked("张*"), is_masked("张三")
    (True, False)
    """
    return any(letter in _ANY for letter in plain_name(name))


def mask_name(name: str) -> str:
    """Show a name by its first character.

    >>> mask_name("张三丰"), mask_name("")
    ('张**', '')
    """
    return name[:1] + "*" * min(len(name) - 1, 2) if name else ""


def _check_digit(body: str) -> str:
    return _CHECKS[sum(int(digit) * weight for digit, weight in zip(body, _WEIGHTS, strict=True)) % 11]
