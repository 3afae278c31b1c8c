"""Read a place: the published figures that a made-up county meets, each with unit, year, source and trust."""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from medfloor.errors import InputError

Trust = Literal[
    "official",
    "official_via_transcription",
    "press",
    "mirror",
    "paper",
    "secondary",
    "derived",
    "seed",
    "assumption",
    "unverified",
]
"""How far a figure can be trusted; the head of places/cn-2025.toml says what each means."""
Rule = Literal["relative", "points", "between", "at_least", "none"]

SHIPPED = "cn-2025"
_FOLDER = Path(__file__).parent / "places"
_SUMMING = {
    "population.age",
    "population.household_sizes",
    "insurance.continuous_years",
    "care.referral",
    "care.visit_levels",
    "care.chronic_levels",
    "scope.outside_parts",
    "cost.diagnoses_child",
    "cost.diagnoses_adult",
    "cost.diagnoses_old",
}
_FREE_PARTS = {
    "population.household_sizes",
    "insurance.continuous_years",
    "use.age",
    "cost.diagnoses_child",
    "cost.diagnoses_adult",
    "cost.diagnoses_old",
}
_MAY_BE_NEGATIVE = {"health.slopes"}
_ABOVE_ZERO = {
    "population.oldest",
    "care.admissions",
    "care.cost_of_stay",
    "care.cost_by_level",
    "care.cost_of_visit",
    "care.cost_of_chronic_visit",
}
_MOST = {"%": 100.0, "sd of logs": 5.0, "elasticity": 5.0, "log odds": 5.0}
"""What a number in a unit can be at most: more is a slip of the pen, and would end in infinite amounts."""
_MAY_EXCEED = {"consumption.of_income"}
_OF_COUNTY = ("id", "name", "people", "sources", "figures")


@dataclass(frozen=True, slots=True)
class Figure:
    """Be one figure of a place: a number, or a number for each of its parts, and where it comes from.

    `values` has one part named "" for a plain number. `rule` says how near a run must come, within `bar`.
    """

    name: str
    values: tuple[tuple[str, float], ...]
    unit: str
    year: int
    source: str
    trust: Trust
    rule: Rule
    bar: float
    note: str = ""

    @property
    def value(self) -> float:
        """Give a figure of one number."""
        assert len(self.values) == 1, f"{self.name} has parts"
        return self.values[0][1]

    @property
    def parts(self) -> dict[str, float]:
        """Give a figure's numbers by part."""
        return dict(self.values)


@dataclass(frozen=True, slots=True)
class Place:
    """Be a place: its figures by name such as `care.admissions`, and the policy under which it is checked.

    `policy` is an address in the library, a path, or the name of a file that is shipped beside the place.

    A province has `counties`: the share of its people (of one), and the place whose figures that county meets.

    `digest` is the SHA-256 of all figures, so that two runs can be told apart by what they were calibrated to.
    """

    id: str
    names: tuple[tuple[str, str], ...]
    year: int
    policy: str
    figures: tuple[Figure, ...]
    sources: tuple[tuple[str, str], ...]
    counties: tuple[tuple[float, Place], ...] = ()

    def figure(self, name: str) -> Figure:
        """Find a figure by its name."""
        return _by_name(self)[name]

    def value(self, name: str) -> float:
        """Give a figure of one number.

        >>> shipped_place().value("population.male")
        51.24
        """
        return self.figure(name).value

    def share(self, name: str) -> float:
        """Give a figure in per cent as a share of one."""
        return self.figure(name).value / 100

    def parts(self, name: str) -> dict[str, float]:
        """Give a figure's numbers by part.

        >>> shipped_place().parts("population.age")["65+"]
        13.5
        """
        return self.figure(name).parts

    def name(self, lang: str) -> str:
        """Name the place in a language."""
        return dict(self.names).get(lang, self.id)

    @property
    def policy_address(self) -> str:
        """Give the policy as `load_policy` takes it."""
        beside = _FOLDER / self.policy
        return str(beside) if beside.is_file() else self.policy

    @property
    def digest(self) -> str:
        """Give the SHA-256 of the figures, and of those of the counties."""
        said: list[Any] = [(f.name, f.values, f.unit, f.year, f.rule, f.bar) for f in self.figures]
        said += [(share, county.digest) for share, county in self.counties]
        return hashlib.sha256(json.dumps([self.id, self.year, said], ensure_ascii=False).encode()).hexdigest()


@functools.cache
def _by_name(place: Place) -> dict[str, Figure]:
    return {figure.name: figure for figure in place.figures}


@functools.cache
def shipped_place(name: str = SHIPPED) -> Place:
    """Give a shipped place.

    Raises InputError bad_place for a name that is not shipped.

    >>> shipped_place().year
    2025
    """
    file = _FOLDER / f"{name}.toml"
    if not file.is_file():
        there = ", ".join(sorted(path.stem for path in _FOLDER.glob("*.toml")))
        raise InputError("bad_place", f"no place {name!r} is shipped; there is {there}")
    return _place_of(tomllib.loads(file.read_text(encoding="utf-8")), {}, f"{name}.toml")


def place_from(text: str, *, where: str = "the place file") -> Place:
    """Read a place of one's own: TOML that replaces figures of a shipped place, or all of them.

    The file may say `id`, `year`, `policy`, `name.zh`, `name.en`, `[sources]`, and `[figures.<subject>.<name>]` with
    value (or values by part), unit, year, source and trust, and optionally bar and note; `extends` names the shipped
    place that has the rest. Unit and parts are those of the figure that is replaced. A province lists `[[counties]]`,
    each with `id`, `people` (its share of the province, %), optionally `name`, `sources`, and `figures` of its own;
    what a county does not replace is the province's.

    Raises InputError: bad_place (not TOML, a field missing or of the wrong kind, shares that do not come to 100),
    unknown_figure.

    >>> place = place_from('''
    ... id = "my-county"
    ... [sources]
    ... mine = "Yearbook of my county, table 3"
    ... [figures.population.male]
    ... value = 50.2
    ... unit = "%"
    ... year = 2024
    ... source = "mine"
    ... trust = "official"
    ... ''')
    >>> place.value("population.male"), place.value("population.urban")
    (50.2, 63.89)
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("bad_place", f"{where} is not TOML: {error}") from None
    base = shipped_place(str(data.get("extends", SHIPPED)))
    given = data.pop("counties", [])
    place = _place_of(data, {figure.name: figure for figure in base.figures}, where, base)
    return replace(place, counties=_counties(given, place, where))


def _counties(given: Any, province: Place, where: str) -> tuple[tuple[float, Place], ...]:
    """Read the counties of a province, whose shares of its people come to 100."""
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise InputError("bad_place", f"{where}: write each county of a province as a table [[counties]]")
    known = {figure.name: figure for figure in province.figures}
    found: list[tuple[float, Place]] = []
    for number, one in enumerate(given, 1):
        here = f"{where}: counties[{number}]"
        for key in one:
            if key not in _OF_COUNTY:
                raise InputError("bad_place", f"{here}: {key} is no field of a county; use {', '.join(_OF_COUNTY)}")
        share = _number(one.get("people", 0), f"{here}.people", "")
        if share == 0:
            raise InputError("bad_place", f"{here}.people is missing or 0; give its share of the province's people, %")
        county = _place_of({key: one[key] for key in one if key != "people"}, known, here, province)
        found.append((share, county))
    ids = [county.id for _, county in found]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise InputError("bad_place", f"{where}: two counties have the id {twice[0]!r}; give each an id of its own")
    whole = sum(share for share, _ in found)
    if found and abs(whole - 100) > 0.05:
        raise InputError("bad_place", f"{where}: the people of its counties come to {whole:g}, not to 100")
    return tuple((share / whole, county) for share, county in found)


def _place_of(data: Mapping[str, Any], known: Mapping[str, Figure], where: str, base: Place | None = None) -> Place:
    allowed = {"schema", "extends", "id", "year", "policy", "name", "sources", "figures"}
    for key in data:
        if key not in allowed:
            fields = ", ".join(sorted({*allowed, "counties"}))
            raise InputError("bad_place", f"{where}: {key} is no field of a place; use {fields}")
    if base is not None and "id" not in data:
        raise InputError("bad_place", f'{where}: give the place an id of its own, such as id = "my-county"')
    sources = dict(base.sources if base else ()) | _texts(data.get("sources", {}), "sources", where)
    figures = dict(known)
    for subject, named in _table(data.get("figures", {}), "figures", where).items():
        for name, given in _table(named, f"figures.{subject}", where).items():
            full = f"{subject}.{name}"
            if known and full not in known:
                near = difflib.get_close_matches(full, known, 1, 0.0)
                raise InputError("unknown_figure", f"{where}: there is no figure {full}; the nearest is {near[0]}")
            figures[full] = _figure(full, _table(given, f"figures.{full}", where), sources, known.get(full), where)
    names = dict(base.names if base else ()) | _texts(data.get("name", {}), "name", where)
    if base is not None and "name" not in data:
        names = {"zh": str(data["id"]), "en": str(data["id"])}
    return Place(
        id=_text(data.get("id"), "id", where),
        names=tuple(names.items()),
        year=_year(data.get("year", base.year if base else None), "year", where),
        policy=_text(data.get("policy", base.policy if base else None), "policy", where),
        figures=tuple(figures.values()),
        sources=tuple(sources.items()),
    )


def _figure(
    name: str, given: Mapping[str, Any], sources: Mapping[str, str], known: Figure | None, where: str
) -> Figure:
    place = f"{where}: figures.{name}"
    fields = {"value", "values", "unit", "year", "source", "trust", "bar", "note"}
    for key in given:
        if key not in fields:
            raise InputError("bad_place", f"{place} has no field {key}; use {', '.join(sorted(fields))}")
    if ("value" in given) == ("values" in given):
        raise InputError("bad_place", f"{place} needs either value or values")
    raw = {"": given["value"]} if "value" in given else _table(given["values"], f"figures.{name}.values", where)
    values = tuple((part, _number(number, f"{place}.{part or 'value'}", name)) for part, number in raw.items())
    unit = _text(given.get("unit"), f"figures.{name}.unit", where)
    if known is not None:
        if unit != known.unit:
            raise InputError("bad_place", f"{place} is in {unit!r}; give it in {known.unit!r}")
        if name not in _FREE_PARTS and tuple(part for part, _ in values) != tuple(part for part, _ in known.values):
            raise InputError("bad_place", f"{place} needs the parts {', '.join(p for p, _ in known.values) or 'value'}")
    if name in _SUMMING and abs(sum(number for _, number in values) - 100) > 0.05:
        raise InputError("bad_place", f"{place}: its parts come to {sum(n for _, n in values):g}, not to 100")
    most = _MOST.get(unit, math.inf) if name not in _MAY_EXCEED else math.inf
    for part, number in values:
        if abs(number) > most:
            raise InputError("bad_place", f"{place}.{part or 'value'}: {number:g} is beyond {most:g} {unit}")
    source = _text(given.get("source"), f"figures.{name}.source", where)
    if source not in sources:
        raise InputError("bad_place", f"{place}: source {source!r} is not under [sources]")
    trust: Any = given.get("trust")
    if trust not in get_args(Trust):
        raise InputError("bad_place", f"{place}: trust {trust!r} is none of {', '.join(get_args(Trust))}")
    rule, bar = (known.rule, known.bar) if known is not None and "bar" not in given else _bar(given.get("bar"), place)
    note = str(given.get("note", ""))
    return Figure(
        name, values, unit, _year(given.get("year"), f"figures.{name}", where), source, trust, rule, bar, note
    )


def _bar(given: Any, place: str) -> tuple[Rule, float]:
    if given is None:
        return "none", 0.0
    if not isinstance(given, dict) or len(given) != 1 or next(iter(given)) not in get_args(Rule):
        raise InputError("bad_place", f"{place}: write bar as one of {{ relative = 0.01 }}, {{ points = 1 }}, "
                         "{ at_least = 5 }, { between = true }")  # fmt: skip
    rule, size = next(iter(given.items()))
    return rule, 0.0 if rule in ("between", "none") else _number(size, f"{place}.bar", "")


def _table(given: Any, name: str, where: str) -> Mapping[str, Any]:
    if not isinstance(given, dict):
        raise InputError("bad_place", f"{where}: {name} is not a table of fields")
    return given


def _texts(given: Any, name: str, where: str) -> dict[str, str]:
    return {key: _text(text, f"{name}.{key}", where) for key, text in _table(given, name, where).items()}


def _text(given: Any, name: str, where: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise InputError("bad_place", f"{where}: {name} is missing, or no text")
    return given


def _year(given: Any, name: str, where: str) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not 1900 <= given <= 2200:
        raise InputError("bad_place", f"{where}: {name} needs a year such as 2025")
    return given


def _number(given: Any, place: str, name: str) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not math.isfinite(given):
        raise InputError("bad_place", f"{place}: {given!r} is not a number")
    if given < 0 and name not in _MAY_BE_NEGATIVE:
        raise InputError("bad_place", f"{place}: {given} is below zero")
    if given == 0 and name in _ABOVE_ZERO:
        raise InputError("bad_place", f"{place}: 0 leaves nothing to be made; give a number above zero")
    return float(given)
