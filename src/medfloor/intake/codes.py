"""Read codes: ours, and those of the national platform.

Provinces use the same code for different things (9901 is two-disease outpatient care in one and major-disease
outpatient care in another), so a policy may override `med_type` and `hosp_lv`; the longest matching prefix wins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from medfloor.errors import InputError
from medfloor.tables import CARE_TYPES, FACILITY_LEVELS, SCHEMES, SEXES, Column

BLANK = -1
"""The position of a code that says nothing, such as sex 9 (not stated): the cell counts as empty."""

CodeReader = Callable[[str], int | None]
"""Turns a trimmed, lower-case code into its position; None where it is unknown, BLANK where it says nothing."""

MED_TYPE: dict[str, str] = {
    "11": "outpatient",  # ordinary visit
    "12": "outpatient",  # registration
    "13": "outpatient",  # emergency
    "14": "special_outpatient",  # chronic and special diseases
    "19": "outpatient",  # accident
    "21": "inpatient",  # ordinary stay, with the provinces' 2101 and so on
    "22": "inpatient",  # injury
    "23": "inpatient",  # referred out
    "24": "inpatient",  # admitted from emergency
    "25": "inpatient",  # outside the pool's area
    "26": "inpatient",  # single disease
    "52": "inpatient",  # maternity
    "9901": "two_disease",
}
"""National kinds of care by prefix. Pharmacy purchases (41), maternity visits (51) and family planning (53) are left
out: a policy that pays them says as what."""

HOSP_LV: dict[str, str] = {
    "01": "3", "02": "3", "03": "3", "04": "3",
    "05": "2", "06": "2", "07": "2",
    "08": "1", "09": "1", "10": "1",
    "11": "primary",
}  # fmt: skip
"""National hospital grades: 01 to 04 level 3 (special, A, B, C), 05 to 07 level 2, 08 to 10 level 1, 11 no grade."""

_OTHER: dict[str, dict[str, int]] = {
    "sex": {"1": SEXES.index("male"), "2": SEXES.index("female"), "0": BLANK, "9": BLANK},
    "scheme": {"390": SCHEMES.index("resident"), "391": SCHEMES.index("resident"), "310": SCHEMES.index("employee")},
}

_FLAGS = {"yes": 1, "true": 1, "1": 1, "y": 1, "是": 1, "no": 0, "false": 0, "0": 0, "n": 0, "否": 0}


def code_reader(column: Column, overrides: Mapping[str, str] | None = None) -> CodeReader:
    """Make the function that reads one coded column.

    `overrides` maps codes of a place (for care_type and facility_level) to ours; a longer prefix wins over a shorter.

    >>> from medfloor.tables import CLAIMS
    >>> read = code_reader(CLAIMS.column("care_type"), {"9901": "special_outpatient"})
    >>> [CARE_TYPES[read(code)] for code in ("inpatient", "2102", "9901")]
    ['inpatient', 'inpatient', 'special_outpatient']
    """
    ours = {code: position for position, code in enumerate(column.codes)}
    if column.kind == "flag":
        return _FLAGS.get
    if column.name == "care_type":
        table = {**MED_TYPE, **_plain(overrides)}
        return lambda code: ours[code] if code in ours else _longest(table, code, CARE_TYPES)
    if column.name == "facility_level":
        exact, local = HOSP_LV, _plain(overrides)
        return lambda code: _level(code, local, exact, ours)
    national = _OTHER.get(column.name, {})
    return lambda code: ours.get(code, national.get(code))


def plain_code(text: str) -> str:
    """Trim a code, lower its letters, and take the decimals off a whole number that passed through a float.

    >>> plain_code(" Inpatient "), plain_code("3.0")
    ('inpatient', '3')
    """
    code = text.strip().lower()
    return code.split(".")[0] if re.fullmatch(r"[0-9]+\.0+", code) else code


def check_leading_zeros(codes: Iterable[str], place: str, label: str) -> None:
    """Refuse a column of national grades that lost its leading zeros, where 3 (for 03) would pass as level 3's name.

    Raises InputError lost_zeros when two or more of 4 to 9 occur and no code begins with 0.
    """
    seen = set(codes)
    short = sorted(seen & set("456789"))
    if len(short) >= 2 and not any(code.startswith("0") for code in seen):
        raise InputError(
            "lost_zeros",
            f"{place}: {label} holds {' and '.join(short[:2])}, so its grades seem to have lost their leading zeros "
            "(03 is not level 3). Export the column as text.",
        )


def _plain(overrides: Mapping[str, str] | None) -> dict[str, str]:
    return {str(code).strip().lower(): str(ours) for code, ours in (overrides or {}).items()}


def _longest(table: Mapping[str, str], code: str, names: tuple[str, ...]) -> int | None:
    for length in range(len(code), 0, -1):
        if code[:length] in table:
            return names.index(table[code[:length]])
    return None


def _level(code: str, local: Mapping[str, str], exact: Mapping[str, str], ours: Mapping[str, int]) -> int | None:
    found = _longest(local, code, FACILITY_LEVELS)
    # A place's own prefix must not swallow a national two-digit grade by its first digit alone.
    if found is not None and (code in local or code not in exact):
        return found
    if code in ours:
        return ours[code]
    return FACILITY_LEVELS.index(exact[code]) if code in exact else None
