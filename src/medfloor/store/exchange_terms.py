"""Know what may be sent to which department: purpose, grounds, columns, term of keeping (`exchange.toml`)."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medfloor.errors import InputError, UsageError
from medfloor.store.departments import plain

_FILE = Path(__file__).parent / "exchange.toml"
COLUMNS = ("name", "identity_number", "household_id", "place", "kinds", "own_in_scope", "days")
"""What may be sent beside the reference; nothing else is, whatever a file of the office's own says."""
ANSWERS = ("result", "status", "decision", "measure", "day")
"""What the department fills in."""
RESULTS = ("confirmed", "not_confirmed", "unknown")
KINDS = ("burden", "poverty", "enrolment", "missed_assistance", "absent_care")
TRUSTS = ("official", "secondary", "unverified", "office", "yours")
_WHOM = ("members", "alerted", "ages")
_KEYS = {"zh", "en", "kinds", "whom", "ages", "columns", "statuses", "grounds", "term_days"}
_LONGEST = 730


@dataclass(frozen=True, slots=True)
class Ground:
    """Be one ground on which a list is sent: what it says, where it stands, how far it was read."""

    text: str
    source: str
    trust: str
    quote: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Be the terms of one purpose: whom of which households, with which columns, on which grounds, for how long.

    `kinds` are the kinds of alerts that make a household part of it; `whom` says which of its people (members, alerted,
    ages); `statuses` are those that an answer may name.
    """

    department: str
    purpose: str
    zh: str
    en: str
    kinds: tuple[str, ...]
    whom: str
    columns: tuple[str, ...]
    statuses: tuple[str, ...]
    grounds: tuple[Ground, ...]
    term_days: int
    ages: tuple[int, int] | None = None

    @property
    def unread(self) -> tuple[Ground, ...]:
        """List the grounds whose text nobody has read here."""
        return tuple(one for one in self.grounds if one.trust in ("unverified", "office"))

    def title(self, lang: str) -> str:
        """Say what the list is for."""
        return self.zh if lang == "zh" else self.en


def terms_of(department: str, purpose: str | None = None, *, file: str | os.PathLike[str] | None = None) -> Terms:
    """Find the terms of a department's purpose; its only one where none is named. `file` is laid over the shipped ones.

    >>> terms_of("disabled_federation").columns
    ('name', 'identity_number')

    Raises UsageError (unknown_department, unknown_purpose), InputError (file_not_found, bad_terms).
    """
    found = all_terms(file=file)
    mine = [one for one in found if one.department == department]
    if not mine:
        named = sorted({one.department for one in found})
        raise UsageError("unknown_department", f"nothing is sent to {department!r}; there are {', '.join(named)}")
    listed = ", ".join(one.purpose for one in mine)
    if purpose is None and len(mine) > 1:
        raise UsageError("unknown_purpose", f"{department} gets lists for {listed}; name one of them")
    for one in mine:
        if purpose is None or one.purpose == purpose:
            return one
    raise UsageError("unknown_purpose", f"{department} gets no list for {purpose!r}; there are {listed}")


def all_terms(*, file: str | os.PathLike[str] | None = None) -> tuple[Terms, ...]:
    """List the terms of every department and purpose. Raises what `terms_of` raises for a file."""
    data = _shipped()
    grounds = dict(data["grounds"])
    given = {(department, purpose): dict(one) for department, purposes in data["departments"].items()
             for purpose, one in purposes.items()}  # fmt: skip
    where = _FILE.name
    if file is not None:
        own, where = _own(Path(file))
        grounds |= {name: {"trust": "yours", **one} for name, one in own.get("grounds", {}).items()}
        for department, purposes in own.get("departments", {}).items():
            for purpose, one in _sections(purposes, department, where):
                given.setdefault((department, purpose), {}).update(one)
    return tuple(_terms(department, purpose, one, grounds, where) for (department, purpose), one in given.items())


def column_of(name: str) -> str | None:
    """Give our name of a column of a file that came back, by any of its spellings; None where there is none.

    >>> column_of("流水号 (reference)"), column_of("核实结果"), column_of("备注")
    ('reference', 'result', None)
    """
    return _spellings("columns").get(plain(name))


def result_of(text: str) -> str | None:
    """Read an answer: confirmed, not_confirmed or unknown; None for any other word.

    >>> result_of("属实"), result_of("不符合"), result_of("maybe")
    ('confirmed', 'not_confirmed', None)
    """
    return _spellings("result").get(plain(text))


@functools.cache
def _shipped() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


@functools.cache
def _spellings(section: str) -> dict[str, str]:
    words = _shipped()["words"][section]
    return {plain(text): ours for ours, others in words.items() for text in (ours, *others)}


def _own(path: Path) -> tuple[dict[str, Any], str]:
    if not path.is_file():
        raise InputError("file_not_found", f"there is no file {path}; give the path of a file of terms (.toml)")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("bad_terms", f"{path.name} is not TOML in UTF-8: {error}") from None
    unknown = sorted(set(data) - {"grounds", "departments"})
    if unknown:
        raise InputError("bad_terms", f"{path.name} has {unknown[0]}; there are [grounds.NAME] and "
                         "[departments.DEPARTMENT.PURPOSE]")  # fmt: skip
    for part in ("grounds", "departments"):
        _sections(data.get(part, {}), part, path.name)
    return data, path.name


def _sections(given: object, name: str, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
        raise InputError(
            "bad_terms", f"{where}: {name} is not made of sections; write [departments.DEPARTMENT.PURPOSE]"
        )
    return list(given.items())


def _terms(
    department: str, purpose: str, one: Mapping[str, Any], grounds: Mapping[str, Mapping[str, Any]], where: str
) -> Terms:
    at = f"{where}: {department}.{purpose}"
    if set(one) - _KEYS or not _KEYS - {"ages"} <= set(one):
        wrong = sorted((set(one) - _KEYS) or (_KEYS - {"ages"} - set(one)))[0]
        raise InputError("bad_terms", f"{at}.{wrong} is missing or not known; there are {', '.join(sorted(_KEYS))}")
    for name, allowed in (("columns", COLUMNS), ("kinds", KINDS), ("grounds", tuple(grounds)), ("statuses", None)):
        listed = one[name]
        if not isinstance(listed, list) or not all(isinstance(text, str) for text in listed):
            raise InputError("bad_terms", f"{at}.{name} is not a list of texts")
        strange = [text for text in listed if allowed is not None and text not in allowed]
        if strange:
            raise InputError("bad_terms", f"{at}.{name} has {strange[0]!r}; there are {', '.join(allowed or ())}")
    if not one["grounds"]:
        raise InputError("bad_terms", f"{at} has no ground; nothing is sent without one")
    days, ages = one["term_days"], one.get("ages")
    if type(days) is not int or not 1 <= days <= _LONGEST:
        raise InputError("bad_terms", f"{at}.term_days is not a whole number of days from 1 to {_LONGEST}")
    paired = isinstance(ages, list) and len(ages) == 2 and all(type(age) is int for age in ages) and ages[0] <= ages[1]
    if (
        one["whom"] not in _WHOM
        or (one["whom"] == "ages") != paired
        or not all(isinstance(one[k], str) for k in ("zh", "en"))
    ):
        raise InputError(
            "bad_terms", f"{at}: whom is {', '.join(_WHOM)}; with ages, ages = [3, 22]; zh and en are texts"
        )
    return Terms(
        department, purpose, one["zh"], one["en"], tuple(one["kinds"]), one["whom"], tuple(one["columns"]),
        tuple(one["statuses"]), tuple(_ground(name, grounds[name], where) for name in one["grounds"]), days,
        (ages[0], ages[1]) if isinstance(ages, list) else None,
    )  # fmt: skip


def _ground(name: str, one: Mapping[str, Any], where: str) -> Ground:
    whole = {"text", "source", "trust"} <= set(one) <= {"text", "source", "trust", "quote"}
    if not whole or not all(isinstance(text, str) and text for text in one.values()) or one["trust"] not in TRUSTS:
        raise InputError(
            "bad_terms", f"{where}: ground {name} needs text and source, and trust as one of {', '.join(TRUSTS)}"
        )
    return Ground(one["text"], one["source"], one["trust"], one.get("quote", ""))
