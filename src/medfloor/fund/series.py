"""Read published series: each value with unit, year, source, trust, definition and status; breaks are explicit."""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from medfloor.errors import InputError, UsageError
from medfloor.synthetic.place import Trust
from medfloor.words import knows, say, section

TRUSTS: tuple[str, ...] = (*get_args(Trust), "yours")
"""How far a figure can be trusted; `yours` is a figure that the user gave without saying more."""

Status = Literal["final", "flash", "preliminary"]

_FILE = Path(__file__).parent / "series.toml"
_FIELDS = {
    "unit",
    "source",
    "trust",
    "values",
    "sources",
    "trusts",
    "flash",
    "preliminary",
    "missing",
    "breaks",
    "note",
}


@dataclass(frozen=True, slots=True)
class Point:
    """Be one value of a series: its year, where it comes from, how far it can be trusted, which definition it has.

    Definitions are numbered from 1; a year whose definition differs from the year before begins a new one.
    """

    year: int
    value: float
    source: str
    trust: str
    definition: int
    status: Status


@dataclass(frozen=True, slots=True)
class Change:
    """Be the change of a series (or of a quotient of two) from one year to the next, in logs, within a definition."""

    year: int
    log: float


@dataclass(frozen=True, slots=True)
class Series:
    """Be one published series. `breaks` say in which year a new definition begins, and what changed."""

    name: str
    unit: str
    points: tuple[Point, ...]
    breaks: tuple[tuple[int, str], ...] = ()
    note: str = ""

    def at(self, year: int) -> Point:
        """Give the point of a year.

        Raises InputError missing_year, which names the years that there are.

        >>> shipped_series()["insured"].at(2025).value
        94213.3
        """
        for point in self.points:
            if point.year == year:
                return point
        years = ", ".join(str(point.year) for point in self.points)
        raise InputError("missing_year", f"the series {self.name} has no value for {year}; it has {years}. Give one")

    def value(self, year: int) -> float:
        """Give the value of a year. Raises what `at` raises."""
        return self.at(year).value

    def has(self, year: int) -> bool:
        """Say whether there is a value for a year."""
        return any(point.year == year for point in self.points)

    def definition(self, year: int) -> int:
        """Say by which definition a year counts, whether it has a value or not."""
        return 1 + sum(first <= year for first, _ in self.breaks)

    def until(self, year: int) -> Series:
        """Give the series as it was known at the end of a year."""
        return Series(
            self.name, self.unit, tuple(one for one in self.points if one.year <= year),
            tuple(one for one in self.breaks if one[0] <= year), self.note,
        )  # fmt: skip


def value_text(value: float) -> str:
    """Say the value of a parameter: four digits, and a large one whole, never with an exponent.

    >>> value_text(43380.0), value_text(1.2044), value_text(0.05)
    ('43,380', '1.204', '0.05')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def unit_text(unit: str, lang: str) -> str:
    """Say a unit in a language; one that the catalogue lacks stays as it is.

    >>> unit_text("100 million yuan", "zh"), unit_text("bushels", "zh")
    ('亿元', 'bushels')
    """
    plain = unit.lower().replace("%", "percent").replace("+", "_over")
    key = f"fund_unit.{re.sub('[^a-z0-9]+', '_', plain).strip('_')}"
    return say(key, lang) if knows(key, lang) else unit


def source_text(source: str, lang: str) -> str:
    """Say a source in a language; one that the catalogue lacks, such as one of a place file, stays as it is.

    >>> source_text("no published figure was found; chosen here", "zh")
    '未见公布数据，由本程序设定'
    """
    fitted = re.fullmatch(r"mean yearly change in ([0-9, ]+): fund/series\.toml", source)
    if fitted:
        return say("fund_source.fitted", lang, years=fitted[1])
    key = _source_keys().get(source)
    return say(key, lang) if key else source


def series_text(name: str, lang: str) -> str:
    """Name a series in a language; one that the catalogue lacks stays as it is."""
    key = f"fund_series.{name}"
    return say(key, lang) if knows(key, lang) else name


@functools.cache
def _source_keys() -> dict[str, str]:
    return {text: key for key, text in section("fund_source", "en").items()}


@dataclass(frozen=True, slots=True)
class Book:
    """Be all series of a place, by name, with their sources."""

    id: str
    names: tuple[tuple[str, str], ...]
    series: tuple[Series, ...]
    sources: tuple[tuple[str, str], ...]

    def __getitem__(self, name: str) -> Series:
        """Find a series. Raises UsageError no_such_series, which names those that there are."""
        for one in self.series:
            if one.name == name:
                return one
        known = ", ".join(one.name for one in self.series)
        raise UsageError("no_such_series", f"there is no series {name!r}; there are {known}")

    def name(self, lang: str) -> str:
        """Name the place in a language."""
        return dict(self.names).get(lang, self.id)

    def until(self, year: int) -> Book:
        """Give the book as it could have been read at the end of a year."""
        return Book(self.id, self.names, tuple(one.until(year) for one in self.series), self.sources)

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give every value as a row: series, year, value, unit, source, trust, definition_version, status."""
        sources = dict(self.sources)
        rows = [
            {
                "series": one.name, "year": point.year, "value": point.value, "unit": one.unit,
                "source": source_text(sources[point.source], lang), "trust": point.trust,
                "definition_version": point.definition, "status": point.status,
            }
            for one in self.series
            for point in one.points
        ]  # fmt: skip
        return pl.DataFrame(rows)


@functools.cache
def shipped_series() -> Book:
    """Give the shipped series of the nation.

    >>> round(shipped_series()["spending"].value(2025), 2)
    10678.63
    """
    return book_of(tomllib.loads(_FILE.read_text(encoding="utf-8")), where=_FILE.name)


def book_of(data: Mapping[str, Any], *, where: str, base: Book | None = None) -> Book:
    """Read series from plain data in the form of series.toml; those of `base` stand where they are not replaced.

    Raises InputError bad_series (a field missing or of the wrong kind, a negative value, a source without a title).
    """
    sources = (dict(base.sources) if base else {}) | {
        str(key): str(text) for key, text in _table(data.get("sources", {}), "sources", where).items()
    }
    found = {one.name: one for one in base.series} if base else {}
    for name, given in _table(data.get("series", {}), "series", where).items():
        found[name] = _series(name, _table(given, f"series.{name}", where), sources, where, found.get(name))
    names = _table(data.get("name", {}), "name", where)
    ident = str(data.get("id", base.id if base else "place"))
    if not names:
        names = dict(base.names) if base and "id" not in data else {"zh": ident, "en": ident}
    return Book(ident, tuple((str(k), str(v)) for k, v in names.items()), tuple(found.values()), tuple(sources.items()))


def changes(above: Series, below: Series | None = None, *, since: int, until: int) -> list[Change]:
    """Give the yearly changes in logs of a series, or of its quotient with another, from one year to another.

    A change across a break of either series is left out: it is a change of definition, not of the thing.

    Raises InputError missing_year where a year within is missing.

    >>> book = shipped_series()
    >>> [one.year for one in changes(book["admissions"], book["insured"], since=2020, until=2025)]
    [2021, 2022, 2024, 2025]
    """
    parts = [above] if below is None else [above, below]
    found = []
    for year in range(since + 1, until + 1):
        logs = [math.log(_positive(one, year)) - math.log(_positive(one, year - 1)) for one in parts]
        if all(one.definition(year) == one.definition(year - 1) for one in parts):
            found.append(Change(year, logs[0] - (logs[1] if below is not None else 0.0)))
    if not found:
        raise InputError(
            "missing_year",
            f"{above.name} has no two years of one definition between {since} and {until}; give more years",
        )
    return found


@dataclass(frozen=True, slots=True)
class Growth:
    """Be a growth that was fitted: mean yearly change in logs, its standard error, the scatter of single years.

    Errors of fewer than two changes are not known (NaN). `years` are those whose change was used.
    """

    mean: float
    error: float
    scatter: float
    years: tuple[int, ...]


def growth(found: list[Change]) -> Growth:
    """Fit a constant growth to yearly changes.

    >>> fitted = growth([Change(2021, 0.02), Change(2022, 0.04)])
    >>> round(fitted.mean, 3), round(fitted.error, 3)
    (0.03, 0.01)
    """
    logs = np.array([one.log for one in found])
    scatter = float(logs.std(ddof=1)) if len(logs) > 1 else math.nan
    return Growth(float(logs.mean()), scatter / math.sqrt(len(logs)), scatter, tuple(one.year for one in found))


def _positive(series: Series, year: int) -> float:
    value = series.value(year)
    if value <= 0:
        raise InputError("bad_series", f"series {series.name}, {year}: {value:g} has no growth; give a number above 0")
    return value


def _series(
    name: str, given: Mapping[str, Any], sources: Mapping[str, str], where: str, known: Series | None
) -> Series:
    place = f"{where}: series.{name}"
    for key in given:
        if key not in _FIELDS:
            raise InputError("bad_series", f"{place} has no field {key}; use {', '.join(sorted(_FIELDS))}")
    values = {_year(key, place): _number(value, f"{place}.values.{key}") for key, value in _of(given, "values", place)}
    if not values:
        raise InputError("bad_series", f"{place} has no values; write values = {{ 2025 = 1.0 }}")
    unit = str(given.get("unit", known.unit if known else ""))
    if known is not None and unit != known.unit:
        raise InputError("bad_series", f"{place} is in {unit!r}; give it in {known.unit!r}")
    own = {_year(key, place): str(text) for key, text in _of(given, "sources", place)}
    trusts = {_year(key, place): str(text) for key, text in _of(given, "trusts", place)}
    breaks = tuple(sorted((_year(key, place), str(text)) for key, text in _of(given, "breaks", place)))
    marked = {mark: _years(given.get(mark, []), mark, place) for mark in ("flash", "preliminary", "missing")}
    points = []
    for year, value in sorted(values.items()):
        source = own.get(year, str(given.get("source", "")))
        trust = trusts.get(year, str(given.get("trust", "")))
        if source not in sources:
            raise InputError("bad_series", f"{place}, {year}: source {source!r} is not under [sources]")
        if trust not in TRUSTS:
            raise InputError("bad_series", f"{place}, {year}: trust {trust!r} is none of {', '.join(TRUSTS)}")
        status: Status = "flash" if year in marked["flash"] else "final"
        if year in marked["preliminary"]:
            status = "preliminary"
        points.append(Point(year, value, source, trust, 1 + sum(first <= year for first, _ in breaks), status))
    return Series(name, unit, tuple(points), breaks, str(given.get("note", "")))


def _years(given: Any, name: str, place: str) -> set[int]:
    if not isinstance(given, list) or any(isinstance(one, bool) or not isinstance(one, int) for one in given):
        raise InputError("bad_series", f"{place}.{name} is no list of years; write {name} = [2025]")
    return set(given)


def _of(given: Mapping[str, Any], name: str, place: str) -> list[tuple[str, Any]]:
    return list(_table(given.get(name, {}), name, place).items())


def _table(given: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise InputError("bad_series", f"{where}: {name} is not a table of fields")
    return given


def _year(given: str, place: str) -> int:
    if not (given.isdigit() and 1950 <= int(given) <= 2200):
        raise InputError("bad_series", f"{place}: {given!r} is no year such as 2025")
    return int(given)


def _number(given: Any, place: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
        raise InputError("bad_series", f"{place}: {given!r} is not a number")
    if given < 0 and ".cumulative." in place:
        raise InputError("negative_reserve", f"{place}: a reserve of {given:g} is below zero; give what is there, or 0")
    if given < 0:
        raise InputError("bad_series", f"{place}: {given:g} is below zero")
    return float(given)
