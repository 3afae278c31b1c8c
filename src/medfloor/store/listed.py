"""Read the rows of a department's file: each cell as what its column holds, each row whole or refused with a reason.

No detail of a refusal repeats a cell, because a cell may hold a name or a number.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from medfloor.money import parse_fen
from medfloor.store.departments import Understood, word
from medfloor.store.extracts import Extract, is_formula
from medfloor.store.identity import birth_date_of, is_identity, normalise_identity, without_identities
from medfloor.store.matching import identity_said


@dataclass(slots=True)
class Row:
    """Be one row: its number in the file, what it says by our names (empty cells left out), or why it is refused."""

    number: int
    values: dict[str, Any]
    reason: str | None = None
    detail: str = ""
    person_id: str | None = None
    matched_by: str | None = None
    is_new: bool = False
    changes: list[str] = field(default_factory=list)

    def fresh(self) -> Row:
        """Give the row as it was read, for another try of taking it in."""
        return Row(self.number, dict(self.values), self.reason, self.detail)

    def refuse(self, reason: str, detail: str) -> None:
        """Refuse the row, unless it was refused before."""
        if self.reason is None:
            self.reason, self.detail = reason, detail


class _Fault(Exception):
    def __init__(self, reason: str, what: str) -> None:
        self.reason, self.what = reason, what


def read_rows(extract: Extract, columns: Understood, codes: Mapping[str, str] | None = None) -> list[Row]:
    """Read every row that is not blank. `codes` are a place's own codes of statuses (`7019` -> `dibao`).

    A valid identity number gives birth date and sex where the file does not; where it does, they must agree.
    """
    readers: list[tuple[str, int, str, Callable[[str], Any]]] = []
    for name, place in columns.given.items():
        given = columns.names[place]
        label = name if given == name else f"{given} ({name})"
        readers.append((name, place, label, _reader(name, codes or {})))
    rows = []
    for number, cells in enumerate(extract.rows, extract.first):
        if not any(cell is not None for cell in cells):
            continue
        row = Row(number, {})
        for name, place, label, read in readers:
            cell = cells[place]
            if cell is None:
                continue
            try:
                value = read(cell.isoformat() if isinstance(cell, date) else str(cell).strip())
            except _Fault as fault:
                row.refuse(fault.reason, f"{label} {fault.what}")
                continue
            if value is not None:
                row.values[name] = value
        _complete(row)
        rows.append(row)
    return rows


def _complete(row: Row) -> None:
    """Take birth date and sex from the identity number, and see that all dates of the row agree."""
    values = row.values
    if "group" in values:
        group, _, detail = values.pop("group").partition("/")
        values["group"] = group
        if detail:
            values.setdefault("detail", detail)
    if is_identity(values.get("person_id", "")):
        # Many departments' own number of a person is the identity number; it never becomes an id, which is in clear.
        said = normalise_identity(values.pop("person_id"))
        if values.setdefault("identity_number", said) != said:
            row.refuse("identity_disagrees", "the id is an identity number, and not the one that the row has")
    number = values.get("identity_number")
    if number is not None:
        born, sex = birth_date_of(number), identity_said(number)[1]
        if values.setdefault("birth_date", born) != born:
            row.refuse("identity_disagrees", "the birth date is not the one that the identity number says")
        if values.setdefault("sex", sex) != sex:
            row.refuse("identity_disagrees", "the sex is not the one that the identity number says")
    for first, last in (("from_date", "to_date"), ("enrolled_from", "enrolled_to"), ("birth_date", "deceased_on")):
        if first in values and last in values and values[last] < values[first]:
            row.refuse("end_before_start", f"{last} lies before {first}")


def _reader(name: str, codes: Mapping[str, str]) -> Callable[[str], Any]:
    if name == "group":
        return functools.partial(_group, codes)
    return _READERS[name]


def _identity(text: str) -> str:
    number = normalise_identity(text)
    if not is_identity(number):
        if "E+" in number or re.fullmatch(r"[0-9]{15}000", number):
            raise _Fault(
                "bad_identity_number", "lost its last digits as a number of a spreadsheet; make the column text"
            )
        if not re.fullmatch(r"[0-9]{17}[0-9X]", number):
            raise _Fault("bad_identity_number", "has neither 18 nor 15 digits")
        said = "is no day of the calendar" if birth_date_of(number) is None else "does not fit its check digit"
        raise _Fault("bad_identity_number", said)
    born = birth_date_of(number)
    if born is None or born.year < 1850:
        raise _Fault("bad_identity_number", "says a birth date before 1850")
    return number


def _text(longest: int, text: str) -> str | None:
    if len(text) > longest or not text.isprintable() or is_formula(text):
        raise _Fault("bad_text", f"is longer than {longest} letters, holds what cannot be printed, or is a formula")
    return text or None


def _free(longest: int, text: str) -> str | None:
    kept = _text(longest, text)
    return None if kept is None else without_identities(kept)


def _place(text: str) -> str:
    if not re.fullmatch(r"[0-9]{2,12}", text):
        raise _Fault("bad_text", "is no division code of 2 to 12 digits")
    return text


_DAY = re.compile(
    r"([0-9]{4})(?:[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日|([0-9]{2})([0-9]{2}))"
    r"(?:[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
)


@functools.lru_cache(maxsize=65_536)
def _day_of(text: str) -> date | None:
    found = _DAY.fullmatch(text)
    if found is None:
        return None
    year, *rest = found.groups()
    month, day = (part for part in rest if part is not None)
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _day(text: str) -> date:
    day = _day_of(text)
    if day is None:
        raise _Fault("bad_date", "is not a day such as 2024-03-01, 2024/3/1, 20240301 or 2024年3月1日")
    if not 1850 <= day.year <= 2200:
        raise _Fault("bad_date", "lies before 1850 or after 2200")
    return day


def _long(text: str) -> str | date | None:
    """Read the end of what has none: 长期, 9999-12-31."""
    if text in ("长期", "长期有效", "永久", "至今") or text.startswith(("9999", "2999")):
        return None
    return _day(text)


def _count(largest: int, text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,6})(?:\.0*)?", text)
    if found is None or int(found[1]) > largest:
        raise _Fault("bad_number", f"is not a whole number from 0 to {largest}")
    return int(found[1])


def _year(text: str) -> int:
    year = _count(9999, text.removesuffix("年度").removesuffix("年"))
    if not 1990 <= year <= 2200:
        raise _Fault("bad_number", "is not a year from 1990 to 2200")
    return year


def _money(signed: bool, text: str) -> int:
    plain = text.replace(",", "").removesuffix("元").strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,13}(\.[0-9]*)?", plain):
        raise _Fault("bad_amount", "is not an amount of yuan")
    try:
        fen = parse_fen(plain)
    except ValueError:
        raise _Fault("three_decimals", "has more than two decimals") from None
    if fen < 0 and not signed:
        raise _Fault("negative_amount", "is below zero")
    return fen


def _word(kind: str, text: str) -> str | None:
    # 0 and 9 of the national platform say that the sex was not stated.
    if kind == "sex" and text in ("0", "9", "未知", "未说明"):
        return None
    found = word(kind, text)
    if found is None:
        raise _Fault("unknown_code", "is not one of the words of this column; see docs/register.md")
    return found


def _flag(text: str) -> bool:
    return _word("flag", text) == "yes"


def _detail(text: str) -> str | None:
    return word("detail", text) or _free(64, text)


def _group(codes: Mapping[str, str], text: str) -> str:
    found = codes.get(text) or word("group", text)
    if found is None and re.fullmatch(r"[a-z][a-z_]{1,31}", text):
        found = text  # a status that a policy declares by this name
    if found is None:
        raise _Fault("unknown_status", "is no status that is known; give the place's code as --code CODE=status")
    return found


_sixty_four = functools.partial(_text, 64)
_READERS: dict[str, Callable[[str], Any]] = {
    "person_id": _sixty_four,
    "identity_number": _identity,
    "name": functools.partial(_text, 128),
    "birth_date": _day,
    "sex": functools.partial(_word, "sex"),
    "residence": functools.partial(_word, "residence"),
    "household_id": _sixty_four,
    "place": _place,
    "family_doctor": _flag,
    "deceased_on": _day,
    "scheme": functools.partial(_word, "scheme"),
    "insured_class": functools.partial(_word, "insured_class"),
    "enrolled_from": _day,
    "enrolled_to": _long,
    "continuous_years": functools.partial(_count, 999),
    "claim_free_years": functools.partial(_count, 999),
    "size": functools.partial(_count, 999),
    "income": functools.partial(_money, True),
    "consumption": functools.partial(_money, False),
    "food": functools.partial(_money, False),
    "labour_capacity": _flag,
    "from_date": _day,
    "to_date": _long,
    "benefit_year": _year,
    "premium": functools.partial(_money, False),
    "subsidy": functools.partial(_money, False),
    "subsidy_group": functools.partial(_text, 32),
    "paid_on": _day,
    "detail": _detail,
    "recognised_by": functools.partial(_free, 128),
    "recognised_on": _day,
    "evidence": functools.partial(_free, 200),
}
"""How each column is read; a test sees that departments.toml names no other."""
