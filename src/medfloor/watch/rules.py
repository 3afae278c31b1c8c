"""Hold the rules of the signals as data: dated, by place, each number with its source or marked as the office's own."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.words import say

_FILE = Path(__file__).parent / "rules.toml"
KINDS = ("burden", "poverty", "enrolment", "missed_assistance", "absent_care")
"""What an alert is about. Absent care is kept apart: the poor who forgo care look safe in every other signal."""
TRUSTS = ("official", "secondary", "unverified", "office", "yours")
_BOUNDS = {"percent": (0.0, 1000.0), "yuan": (0.0, 1e9), "months": (1.0, 120.0), "count": (0.0, 1e6)}
_NUMBERS = {"window_days": (0, 3660), "again": (1, 10_000), "soon": (0, 10_000), "urgent": (0, 10_000)}
_LISTS = ("groups", "skip", "marginal", "ill", "columns", "codes", "care_types")
_CHOICES = {"per": ("person", "household"), "income": ("all", "residence"), "kind": KINDS}


@dataclass(frozen=True, slots=True)
class Value:
    """Be one number of a rule: with unit (percent, yuan, months, count), source, trust and the words it rests on."""

    name: str
    value: float
    unit: str
    source: str
    trust: str
    quote: str = ""

    @property
    def bp(self) -> int:
        """Give a percentage in basis points."""
        return round(self.value * 100)

    @property
    def fen(self) -> int:
        """Give an amount of yuan in fen."""
        return round(self.value * 100)


@dataclass(frozen=True, slots=True)
class Rule:
    """Be the rule of one signal, as it is in force in a place on a day.

    `place` is the narrowest place that has said anything, `version` the last day on which anything came into force.
    `window_days` is how long a household has no second alert; `again`, `soon` and `urgent` are percent of the line
    (None: never). `lists` and `choices` are what else the signal asks (groups, codes, per person or household).
    """

    signal: str
    kind: str
    place: str
    version: date
    on: bool = True
    window_days: int = 0
    again: int | None = None
    soon: int | None = None
    urgent: int | None = None
    values: Mapping[str, Value] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Name it: place and signal."""
        return f"{self.place}/{self.signal}"

    def __getitem__(self, name: str) -> Value:
        """Give a number of the rule."""
        return self.values[name]

    def listed(self, name: str) -> tuple[str, ...]:
        """Give a list of the rule; empty where it has none."""
        return self.lists.get(name, ())


@dataclass(frozen=True, slots=True)
class Line:
    """Be an amount of money a person and year, that a place has for a year: a poverty line or an income per head.

    `asked` is the year it was wanted for; where `year` is another, or `place` a wider one, it stands in.
    """

    name: str
    place: str
    year: int
    fen: int
    rural_fen: int | None
    urban_fen: int | None
    source: str
    trust: str
    asked: int

    def of(self, residence: str | None) -> int:
        """Give the amount for a residence (rural, urban); where there is none of its own, the amount for all."""
        own = {"rural": self.rural_fen, "urban": self.urban_fen}.get(residence or "")
        return self.fen if own is None else own


@dataclass(frozen=True, slots=True)
class Rules:
    """Be all rules in force in a place on a day, with the lines of money and the sources by name."""

    place: str
    on: date
    rules: tuple[Rule, ...]
    lines: tuple[Line, ...]
    sources: Mapping[str, str]

    def __getitem__(self, signal: str) -> Rule:
        """Find the rule of a signal."""
        return next(one for one in self.rules if one.signal == signal)

    @property
    def signals(self) -> tuple[str, ...]:
        """List the signals that are on."""
        return tuple(one.signal for one in self.rules if one.on)

    def line(self, name: str, year: int) -> Line:
        """Find a line (`monitoring`, `income`) for a year: the narrowest place, then the latest year up to this one.

        Raises InputError no_line where no place has one for this year or any before.

        >>> load_rules("520102", on=date(2024, 1, 1)).line("monitoring", 2023).place
        '520000'
        """
        for place in _chain(self.place):
            found = [one for one in self.lines if (one.name, one.place) == (name, place) and one.year <= year]
            if found:
                last = max(found, key=lambda one: one.year)
                return Line(last.name, last.place, last.year, last.fen, last.rural_fen, last.urban_fen, last.source,
                            last.trust, year)  # fmt: skip
        raise InputError(
            "no_line", f"the rules of {self.place} have no line {name!r} for {year} or before; add a [[line]] with it"
        )

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give one row a number: the signal, the value, its unit, source, words and trust, and from when it holds."""
        rows = [
            {
                "signal": rule.signal, "title": say(f"watch_signal.{rule.signal}", lang), "on": rule.on,
                "rule": rule.id, "version": rule.version, "window_days": rule.window_days,
                "name": one.name if one else None, "value": one.value if one else None,
                "unit": one.unit if one else None, "source": self.sources.get(one.source, one.source) if one else None,
                "quote": one.quote if one else None, "trust": say(f"watch_trust.{one.trust}", lang) if one else None,
            }
            for rule in self.rules
            for one in rule.values.values() or (None,)
        ]  # fmt: skip
        texts = dict.fromkeys(("name", "unit", "source", "quote", "trust"), pl.String)
        return pl.DataFrame(rows, schema_overrides={**texts, "value": pl.Float64}, infer_schema_length=None)


def load_rules(place: str | os.PathLike[str] = "cn", *, on: date) -> Rules:
    """Load the rules that are in force in a place on a day.

    `place` is a division code (520102), an address of a policy (cn/guizhou), or a TOML file (its ending says so) in the
    form of `rules.toml`, with its own `place` at the top; it is laid over the shipped rules. Wider places are laid
    first, then narrower ones, and of one place the earlier before the later; each says only what it changes. Without
    `trust`, a number of a file is `yours`.

    >>> rules = load_rules("cn", on=date(2025, 6, 1))
    >>> rules["burden_in_scope"]["share_poor"].value, rules["burden_in_scope"]["share_poor"].trust
    (25.0, 'office')

    Raises InputError file_not_found, bad_rules (not TOML in UTF-8, a signal, key or source that there is not, a value
    beyond what is possible); UsageError bad_place (no division code, and not cn or an address in it).
    """
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    # Where the day and the place are equal, what was read later lies above.
    entries = [(one, "rules.toml") for one in data["signal"]]
    lines = [(one, "rules.toml") for one in data["line"]]
    sources = dict(data["sources"])
    name = os.fspath(place)
    if name.endswith(".toml"):
        own, where = _read(Path(name))
        name = str(own["place"])
        entries += [({"place": name, **one}, where) for one in _tables(own, "signal", where)]
        lines += [({"place": name, **one}, where) for one in _tables(own, "line", where)]
        sources |= {str(key): str(text) for key, text in own.get("sources", {}).items()}
    chain = _chain(name)
    known = tuple(dict.fromkeys(str(one["signal"]) for one in data["signal"]))
    found: dict[str, dict[str, Any]] = {}
    entries = [(_entry(one, known, sources, where), where) for one, where in entries]
    live = [(one, where) for one, where in entries if one["place"] in chain and one["from"] <= on]
    for one, where in sorted(live, key=lambda pair: (-chain.index(pair[0]["place"]), pair[0]["from"])):
        _lay(found.setdefault(one["signal"], {}), one, where)
    rules = tuple(_rule(signal, found[signal]) for signal in known if signal in found)
    if not rules:
        raise InputError("bad_rules", f"no rule is in force in {name} on {on}; the first of rules.toml begin later")
    return Rules(name, on, rules, tuple(_line(one, sources, where) for one, where in lines), sources)


def _read(path: Path) -> tuple[dict[str, Any], str]:
    if not path.is_file():
        raise InputError("file_not_found", f"there is no file {path}; give the path of a file of rules (.toml)")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("bad_rules", f"{path.name} is not TOML in UTF-8: {error}") from None
    unknown = sorted(set(data) - {"place", "sources", "signal", "line"})
    if unknown or not isinstance(data.get("place"), str):
        what = f"has {unknown[0]}, which is not known" if unknown else 'lacks a place; write place = "520102"'
        raise InputError("bad_rules", f"{path.name} {what}; there are place, [sources], [[signal]] and [[line]]")
    if not isinstance(data.get("sources", {}), dict):
        raise InputError("bad_rules", f"{path.name}: sources is not a section; write [sources]")
    return data, path.name


def _tables(data: Mapping[str, Any], name: str, where: str) -> Sequence[Mapping[str, Any]]:
    given = data.get(name, [])
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise InputError("bad_rules", f"{where}: {name} is not a list of sections; write [[{name}]]")
    return given


def _chain(place: str) -> list[str]:
    """List a place and all that hold it, the narrowest first.

    >>> _chain("520102"), _chain("cn/guizhou/x")
    (['520102', '520100', '520000', 'cn'], ['cn/guizhou/x', 'cn/guizhou', 'cn'])
    """
    if place.isdigit():
        if len(place) < 6:
            raise UsageError("bad_place", f"{place} is no division code; write its six digits, 520000 say, or cn")
        wider = [place, place[:6], f"{place[:4]}00", f"{place[:2]}0000", "cn"]
        return list(dict.fromkeys(wider))
    parts = place.split("/")
    if parts[0] != "cn" or not all(parts):
        raise UsageError("bad_place", f"{place!r} is no place; write six digits, 520000 say, cn, or cn/guizhou")
    return list(dict.fromkeys([*("/".join(parts[:end]) for end in range(len(parts), 0, -1)), "cn"]))


def _entry(given: Mapping[str, Any], known: Sequence[str], sources: Mapping[str, str], where: str) -> dict[str, Any]:
    """Check one entry and give it with its numbers as values."""
    signal = given.get("signal")
    if signal not in known:
        raise InputError("bad_rules", f"{where}: there is no signal {signal!r}; there are {', '.join(known)}")
    at = f"{where}: {signal}"
    allowed = {"signal", "place", "from", "on", "values", *_NUMBERS, *_LISTS, *_CHOICES}
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise InputError("bad_rules", f"{at}.{unknown[0]} is not known; there are {', '.join(sorted(allowed))}")
    if type(given.get("from")) is not date:
        raise InputError("bad_rules", f"{at}.from is no day; write from = 2025-01-01")
    if not isinstance(given.get("on", True), bool):
        raise InputError("bad_rules", f"{at}.on is {given['on']!r}; write true or false")
    for name, (least, most) in _NUMBERS.items():
        if name in given:
            _number(given[name], least, most, f"{at}.{name}", whole=True)
    for name, among in _CHOICES.items():
        if name in given and given[name] not in among:
            raise InputError("bad_rules", f"{at}.{name} is {given[name]!r}; choose {' or '.join(among)}")
    for name in _LISTS:
        listed = given.get(name, [])
        if not isinstance(listed, list) or not all(isinstance(one, str) and one for one in listed):
            raise InputError("bad_rules", f'{at}.{name} is not a list of texts; write it as ["dibao", "tekun"]')
    values = given.get("values", {})
    if not isinstance(values, dict):
        raise InputError("bad_rules", f"{at}.values is not a section; write [signal.values]")
    return {**given, "values": {name: _value(name, one, sources, f"{at}.{name}") for name, one in values.items()}}


def _value(name: str, given: object, sources: Mapping[str, str], at: str) -> Value:
    if not isinstance(given, dict) or not {"value", "unit"} <= set(given):
        raise InputError("bad_rules", f'{at} needs value and unit; write {name} = {{ value = 25, unit = "percent" }}')
    unit, trust, source = given["unit"], given.get("trust", "yours"), given.get("source", "office")
    if unit not in _BOUNDS:
        raise InputError("bad_rules", f"{at}.unit is {unit!r}; use {', '.join(_BOUNDS)}")
    if trust not in TRUSTS or source not in sources:
        wrong = "trust" if trust not in TRUSTS else "source"
        names = TRUSTS if wrong == "trust" else tuple(sources)
        raise InputError("bad_rules", f"{at}.{wrong} is {given.get(wrong)!r}; there are {', '.join(names)}")
    least, most = _BOUNDS[unit]
    number = _number(given["value"], least, most, at, whole=unit in ("months", "count"))
    return Value(name, number, unit, source, trust, str(given.get("quote", "")))


def _number(value: object, least: float, most: float, at: str, *, whole: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError("bad_rules", f"{at} is {value!r}; write a number")
    if not least <= value <= most or (whole and value != int(value)):
        raise InputError("bad_rules", f"{at} = {value:g} is impossible; it lies between {least:g} and {most:g}")
    return float(value)


def _lay(below: dict[str, Any], above: Mapping[str, Any], where: str) -> None:
    """Lay an entry over what wider places or earlier days say."""
    unknown = sorted(set(above["values"]) - set(below.get("values", {}))) if below else []
    if unknown:
        raise InputError("bad_rules", f"{where}: {above['signal']} has no number {unknown[0]}")
    for name in set(above["values"]) & set(below.get("values", {})):
        unit, other = below["values"][name].unit, above["values"][name].unit
        if unit != other:
            raise InputError("bad_rules", f"{where}: {above['signal']}.{name} is in {unit}, not in {other}")
    version = max(above["from"], below["from"]) if below else above["from"]
    values = {**below.get("values", {}), **above["values"]}
    below.update(above)
    below.update(values=values, **{"from": version})


def _rule(signal: str, said: Mapping[str, Any]) -> Rule:
    if "kind" not in said:
        raise InputError("bad_rules", f"{signal} begins earlier than the shipped rule that it changes; give it a kind")
    again, soon, urgent = (int(said[name]) if name in said else None for name in ("again", "soon", "urgent"))
    return Rule(
        signal,
        said["kind"],
        said["place"],
        said["from"],
        said.get("on", True),
        int(said.get("window_days", 0)),
        again,
        soon,
        urgent,
        values=said["values"],
        lists={name: tuple(said[name]) for name in _LISTS if name in said},
        choices={name: str(said[name]) for name in ("per", "income") if name in said},
    )


def _line(given: Mapping[str, Any], sources: Mapping[str, str], where: str) -> Line:
    at = f"{where}: line {given.get('name')!r}"
    if given.get("name") not in ("monitoring", "income"):
        raise InputError("bad_rules", f"{at} is not known; there are monitoring and income")
    unknown = sorted(set(given) - {"name", "place", "year", "value", "rural", "urban", "source", "trust"})
    if unknown or not {"year", "value"} <= set(given):
        raise InputError("bad_rules", f"{at} needs year and value, and may have rural, urban, source and trust")
    year = int(_number(given["year"], 1978, 2200, f"{at}.year", whole=True))
    fen = {name: round(100 * _number(given[name], 1, 1e7, f"{at}.{name}", whole=False))
           for name in ("value", "rural", "urban") if name in given}  # fmt: skip
    trust, source = given.get("trust", "yours"), given.get("source", "office")
    if trust not in TRUSTS or source not in sources:
        raise InputError("bad_rules", f"{at}: trust {trust!r} or source {source!r} is not known")
    return Line(given["name"], str(given["place"]), year, fen["value"], fen.get("rural"), fen.get("urban"), source,
                trust, year)  # fmt: skip
