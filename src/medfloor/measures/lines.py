"""Give poverty lines: published ones by name and year, relative ones, each with where it comes from."""

from __future__ import annotations

import difflib
import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from medfloor.errors import UsageError
from medfloor.measures.capacity import FLOORS, SocietalLine
from medfloor.measures.influence import Array
from medfloor.measures.rank import quantiles
from medfloor.words import Phrase

Trust = Literal["official", "secondary", "unverified"]
"""How far a line can be trusted, as the numbers of policies: see lines.toml."""

Centre = Literal["median", "mean"]

OWN = Phrase("lines.own")


@dataclass(frozen=True, slots=True)
class Line:
    """Be one poverty line: what a person has in a period, in the table's currency, and where it comes from.

    `name` stands beside estimates; `words` tell it whole. `year` is the year of its prices, or the base year of its
    dollars; `about` says that it was published as about so much.

    >>> Line(1883.5459).name
    '1883.5459'
    """

    value: float
    name: str = ""
    words: Phrase = OWN
    year: int | None = None
    source: str = ""
    trust: Trust | None = None
    about: bool = False

    def __post_init__(self) -> None:
        """Refuse a line that nobody can be below, and name and tell a plain number by itself."""
        _check_value(self.value)
        if not self.name:
            object.__setattr__(self, "name", f"{self.value:.12g}")
        if self.words == OWN:
            object.__setattr__(self, "words", Phrase.of("lines.number", value=told(self.value)))


@dataclass(frozen=True, slots=True)
class RelativeLine:
    """Be a line that is a share of the median or mean per person of whom a measure counts.

    It is estimated from the sample, so that standard errors include it (`medfloor.measures.poverty.estimated_line`).

    >>> RelativeLine(0.6).name, RelativeLine(0.5, "mean").name
    ('median:0.6', 'mean:0.5')
    """

    share: float
    of: Centre = "median"

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if self.of not in ("median", "mean"):
            raise UsageError(
                "no_such_line", f"a relative line is a share of the median or the mean, not of {self.of!r}"
            )
        if not 0 < self.share <= 10:
            raise UsageError("bad_line", f"{self.share} is not a share of the {self.of}; write 0.6 for 60 %")

    @property
    def name(self) -> str:
        """Name it beside estimates."""
        return f"{self.of}:{self.share:g}"

    def value(self, values: Array, weight: Array) -> float:
        """Give the line for values per person and weights of people.

        >>> import numpy as np
        >>> RelativeLine(0.5).value(np.array([1.0, 4.0, 9.0]), np.ones(3))
        2.0
        """
        if self.of == "median":
            return self.share * float(quantiles(values, weight, [0.5])[0])
        return self.share * float(weight @ values) / float(weight.sum())

    def words(self, value: float) -> Phrase:
        """Tell it, with its value in this sample."""
        return Phrase.of(
            "lines.relative", share=f"{100 * self.share:g}", of=Phrase(f"lines.{self.of}"), value=told(value)
        )


AnyLine: TypeAlias = Line | RelativeLine | SocietalLine


def poverty_line(name: str, *, year: int | None = None, ppp: float | None = None, days: float = 365) -> Line:
    """Give a published poverty line by its name, for a table's currency and period.

    China's rural lines (`cn-1978`, `cn-2008`, `cn-2010`: the standard of that year) are yuan a person and year at the
    prices of `year`, which must be given and published. The World Bank's (`wb-2.15`, `wb-3.00`, ...) are international
    dollars a person and day; `ppp` is how many units of the table's currency, at the survey's prices, buy one
    international dollar of the line's base year (1 where the table is in such dollars). No PPP is shipped: take it from
    the World Bank for your country and year. `days` is how many days the table's amounts cover. `poverty_lines` lists
    all, with source and trust.

    Raises UsageError: no_such_line, no_such_year (it lists the published ones), no_ppp, bad_ppp.

    >>> found = poverty_line("cn-2010", year=2014)
    >>> found.value, found.trust
    (2800.0, 'official')
    >>> round(poverty_line("wb-2.15", ppp=4.0).value, 2)
    3139.0
    """
    if not days > 0:
        raise UsageError(
            "bad_ppp", f"days {days} must be above zero: how many days the table's amounts cover (365: a year)"
        )
    entry = _entry(name)
    in_dollars = entry["unit"] != "yuan"
    if in_dollars and ppp is None:
        raise UsageError(
            "no_ppp",
            f"{name} is in international dollars of {entry['values'][0]['year']}; give ppp, the units of the table's "
            "currency that buy one of them at the survey's prices (1 if the table is in them)",
        )
    if not in_dollars and ppp is not None:
        raise UsageError("bad_ppp", f"{name} is in yuan and needs no ppp; give the year of its prices")
    if ppp is not None and not ppp > 0:
        raise UsageError("bad_ppp", f"ppp {ppp} must be above zero")
    published = _published(name, entry, year)
    value = float(published["value"]) * (ppp or 1.0) * days / float(entry["period"])
    source = _data()["sources"][published["source"]]
    words = Phrase.of(
        "lines.dollars" if in_dollars else "lines.yuan",
        name=Phrase(f"line_name.{name}"),
        value=Phrase.of("lines.about", value=told(value)) if published.get("about") else told(value),
        year=published["year"],
        ppp=f"{ppp:g}" if ppp is not None else "",
        days=f"{days:g}",
        trust=Phrase(f"trust.{published['trust']}"),
    )
    label = name if in_dollars else f"{name}@{published['year']}"
    return Line(value, label, words, published["year"], source, published["trust"], bool(published.get("about")))


def poverty_lines() -> list[Line]:
    """List every published line as it stands: China's in yuan a year, the World Bank's in dollars a day.

    >>> [line.name for line in poverty_lines()][-3:]
    ['wb-3.00', 'wb-4.20', 'wb-8.30']
    """
    return [
        poverty_line(entry["name"], year=one["year"])
        if entry["unit"] == "yuan"
        else poverty_line(entry["name"], ppp=1.0, days=1)
        for entry in _data()["line"]
        for one in entry["values"]
    ]


def read_line(text: str, *, year: int | None = None, ppp: float | None = None, days: float = 365) -> AnyLine | None:
    """Read a line as people write it; None where it is none of them and may be a column.

    A number (1883.5), a share of the median or mean (median:0.6, mean:50%), a published line (cn-2010 with `year`, or
    cn-2010@2018; wb-2.15 with `ppp` and `days`), or the societal line of a base year (societal-2017 with `ppp` and
    `days`). Raises what `poverty_line` raises; UsageError bad_line.

    >>> read_line("median:60%"), read_line("cn-2010@2015").value, read_line("pline")
    (RelativeLine(share=0.6, of='median'), 2855.0, None)
    """
    plain = text.strip()
    number = _number(plain)
    if number is not None:
        return Line(number)
    head, colon, share = plain.partition(":")
    if colon and head in ("median", "mean"):
        part = _number(share.removesuffix("%"))
        if part is None:
            raise UsageError("bad_line", f"{plain!r} is not a share of the {head}; write {head}:0.6 or {head}:60%")
        return RelativeLine(
            round(part / 100, 12) if share.endswith("%") else part, "mean" if head == "mean" else "median"
        )
    if plain.startswith("societal-"):
        base = plain.removeprefix("societal-")
        if ppp is None:
            raise UsageError("no_ppp", f"{plain} is in international dollars; give ppp (1 if the table is in them)")
        return SocietalLine.of(int(base) if base.isdecimal() else 0, ppp=ppp, days=days)
    head, at, when = plain.partition("@")
    if at and when.isdecimal():
        plain, year = head, int(when)
    if plain not in _names() and not plain.startswith(("cn-", "wb-")):
        return None
    # Of several lines, each takes what belongs to it: yuan lines the year, lines in dollars the conversion.
    if _entry(plain)["unit"] == "yuan":
        return poverty_line(plain, year=year, days=days)
    return poverty_line(plain, ppp=ppp, days=days)


def name_of_line(line: AnyLine) -> str:
    """Name a line beside estimates.

    >>> name_of_line(SocietalLine.of(2017)), name_of_line(Line(2300.0))
    ('societal-2017', '2300')
    """
    if isinstance(line, SocietalLine):
        return f"societal-{line.base}" if line.base in FLOORS else "societal"
    return line.name


def value_of(line: AnyLine, values: Array, weight: Array) -> tuple[float, Phrase]:
    """Give a line's value and words; `values` per person and weights of people, which an estimated line needs."""
    if isinstance(line, Line):
        return line.value, line.words
    if isinstance(line, SocietalLine):
        median = float(quantiles(values, weight, [0.5])[0])
        return line.at(median), line.words(median)
    value = line.value(values, weight)
    return value, line.words(value)


def told(value: float) -> str:
    """Write the value of a line for people."""
    return f"{value:,.2f}"


def _check_value(value: float) -> None:
    if not 0 < value < float("inf"):
        raise UsageError("bad_line", f"a poverty line of {value} is not above zero")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@functools.cache
def _data() -> Mapping[str, Any]:
    with (Path(__file__).parent / "lines.toml").open("rb") as file:
        return tomllib.load(file)


def _names() -> list[str]:
    return [entry["name"] for entry in _data()["line"]]


def _entry(name: str) -> Mapping[str, Any]:
    for entry in _data()["line"]:
        if entry["name"] == name:
            found: Mapping[str, Any] = entry
            return found
    near = difflib.get_close_matches(name, _names(), 1, 0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError("no_such_line", f"there is no poverty line {name!r}; {hint}There are {', '.join(_names())}")


def _published(name: str, entry: Mapping[str, Any], year: int | None) -> Mapping[str, Any]:
    values = entry["values"]
    years = ", ".join(str(one["year"]) for one in values)
    if year is None and len(values) > 1:
        raise UsageError("no_such_year", f"{name} differs by year; give the year of the survey's prices: {years}")
    found: list[Mapping[str, Any]] = [one for one in values if year is None or one["year"] == year]
    if not found:
        raise UsageError(
            "no_such_year",
            f"no value of {name} for {year} is known here; there are {years}. Give the value itself if you know it.",
        )
    return found[0]
