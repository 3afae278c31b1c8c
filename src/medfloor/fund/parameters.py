"""Hold the parameters of a projection: each with value, unit, year, source, trust, range and bounds."""

from __future__ import annotations

import difflib
import functools
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.fund.series import TRUSTS, source_text, unit_text
from medfloor.words import knows, say

_FILE = Path(__file__).parent / "parameters.toml"
_FIELDS = {"value", "unit", "year", "source", "trust", "range", "bounds", "note"}
LEVELS = ("centre", "province", "city", "county")
"""Who pays the subsidy of the public purse."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Be one parameter: value in its unit (NaN until worked out), year, source, trust.

    `low` and `high` are what sensitivity tries (NaN: not moved), `least` and `most` the bounds of what is possible.
    """

    name: str
    value: float
    unit: str
    year: int
    source: str
    trust: str
    low: float
    high: float
    least: float
    most: float
    note: str = ""

    def title(self, lang: str) -> str:
        """Name it in a language."""
        key = f"fund_parameter.{self.name.replace('.', '_')}"
        return say(key, lang) if knows(key, lang) else self.name

    def said(self, lang: str) -> str:
        """Give its note in a language."""
        key = f"fund_note.{self.name.replace('.', '_')}"
        return say(key, lang) if knows(key, lang) and self.note else self.note


@dataclass(frozen=True, slots=True)
class Parameters:
    """Be all parameters of a projection, by name."""

    all: tuple[Parameter, ...]

    def __getitem__(self, name: str) -> Parameter:
        """Find a parameter. Raises UsageError no_such_parameter, which names the nearest."""
        for one in self.all:
            if one.name == name:
                return one
        near = difflib.get_close_matches(name, [one.name for one in self.all], 1, 0.0)
        raise UsageError("no_such_parameter", f"there is no parameter {name!r}; the nearest is {near[0]}")

    def value(self, name: str) -> float:
        """Give a value in its unit.

        >>> shipped_parameters().value("growth.long_run")
        4.5
        """
        found = self[name].value
        assert not math.isnan(found), f"{name} was not worked out"
        return found

    def share(self, name: str) -> float:
        """Give a value in per cent as a share of one."""
        return self.value(name) / 100

    def with_value(self, name: str, value: float, **said: Any) -> Parameters:
        """Give the same parameters with one changed, and with what is said of it (source, trust, year, low, high).

        Raises UsageError no_such_parameter, and bad_parameter for a value beyond its bounds.
        """
        old = self[name]
        if not math.isfinite(value) or not old.least <= value <= old.most:
            raise UsageError(
                "bad_parameter",
                f"{name} = {value:g} is impossible; it lies between {old.least:g} and {old.most:g} ({old.unit})",
            )
        new = replace(old, value=float(value), **said)
        return Parameters(tuple(new if one.name == name else one for one in self.all))

    def with_yours(self, given: Mapping[str, float]) -> Parameters:
        """Give the same with values of the user's, which say that they are; they have no range of their own.

        >>> shipped_parameters().with_yours({"growth.long_run": 3.0})["growth.long_run"].trust
        'yours'
        """
        found = self
        for name, value in given.items():
            found = found.with_value(name, value, source="yours", trust="yours", low=math.nan, high=math.nan)
        return found.checked() if given else found

    def checked(self) -> Parameters:
        """Give them back where they can be together.

        Raises UsageError fiscal_split where the shares of the subsidy do not come to 100.
        """
        whole = sum(self.value(f"fiscal.{level}") for level in LEVELS)
        if abs(whole - 100) > 0.01:
            raise UsageError(
                "fiscal_split",
                f"the shares of the subsidy ({', '.join(f'fiscal.{level}' for level in LEVELS)}) come to {whole:g}, "
                "not to 100; set all of them",
            )
        return self

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give every parameter as a row with what is known about it."""
        rows = [
            {
                "parameter": one.name, "title": one.title(lang), "value": one.value,
                "unit": unit_text(one.unit, lang), "year": one.year,
                "source": source_text(one.source, lang), "trust": one.trust, "low": one.low, "high": one.high,
                "note": one.said(lang),
            }
            for one in self.all
        ]  # fmt: skip
        numbers = ("value", "low", "high")
        return pl.DataFrame(rows).with_columns(pl.when(pl.col(n).is_finite()).then(pl.col(n)).alias(n) for n in numbers)


@functools.cache
def shipped_parameters() -> Parameters:
    """Give the shipped parameters; those that follow from series are not worked out yet."""
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    sources = data.pop("sources")
    found = []
    for subject, named in data.items():
        for name, given in named.items():
            assert set(given) <= _FIELDS, f"{subject}.{name}"
            low, high = given.get("range", (math.nan, math.nan))
            least, most = given["bounds"]
            assert given["trust"] in TRUSTS
            found.append(
                Parameter(
                    f"{subject}.{name}",
                    float(given.get("value", math.nan)),
                    given["unit"],
                    given["year"],
                    sources[given["source"]],
                    given["trust"],
                    float(low),
                    float(high),
                    float(least),
                    float(most),
                    given.get("note", ""),
                )
            )
    return Parameters(tuple(found))


def parameters_of(data: Mapping[str, Any], base: Parameters, sources: Mapping[str, str], *, where: str) -> Parameters:
    """Lay the table [parameters] of a place file over parameters: each a number, or a table with value and source.

    Raises UsageError no_such_parameter, bad_parameter; InputError bad_series for what is no number or no known source.
    """
    found = base
    for name, given in _flat(data):
        place = f"{where}: parameters.{name}"
        known = found[name]
        table = given if isinstance(given, Mapping) else {"value": given}
        value = table.get("value")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError("bad_series", f"{place}: {value!r} is not a number")
        if not set(table) <= _FIELDS:
            raise InputError("bad_series", f"{place}: use {', '.join(sorted(_FIELDS))} and nothing else")
        if table.get("unit", known.unit) != known.unit:
            raise InputError("bad_series", f"{place} is in {table['unit']!r}; give it in {known.unit!r}")
        source, trust = str(table.get("source", "yours")), str(table.get("trust", "yours"))
        if "source" in table and source not in sources:
            raise InputError("bad_series", f"{place}: source {source!r} is not under [sources]")
        if trust not in TRUSTS:
            raise InputError("bad_series", f"{place}: trust {trust!r} is none of {', '.join(TRUSTS)}")
        said: dict[str, Any] = {"source": sources.get(source, source), "trust": trust}
        if "year" in table:
            if isinstance(table["year"], bool) or not isinstance(table["year"], int):
                raise InputError("bad_series", f"{place}: {table['year']!r} is no year such as 2025")
            said["year"] = table["year"]
        found = found.with_value(name, float(value), **said)
    return found


def assignments(texts: Sequence[str]) -> dict[str, float]:
    """Read what --set was given: NAME=VALUE each.

    Raises UsageError bad_parameter.

    >>> assignments(["growth.long_run=3"])
    {'growth.long_run': 3.0}
    """
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise UsageError("bad_parameter", f"{text!r} is not NAME=VALUE with a number; write growth.long_run=3")
    return found


def _flat(data: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """List [parameters.growth.long_run] and "growth.long_run" = alike."""
    for name, given in data.items():
        if "." in name or not isinstance(given, Mapping):
            yield name, given
        else:
            yield from ((f"{name}.{inner}", one) for inner, one in given.items())
