"""Hold the rules of supervision as data: article, words, weight and parameters, with what is known of each."""

from __future__ import annotations

import difflib
import functools
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from medfloor.errors import InputError
from medfloor.tables import SEXES
from medfloor.words import say

_FILE = Path(__file__).parent / "rules.toml"
_SAID = ("article", "words", "source", "trust")


@dataclass(frozen=True, slots=True)
class Setting:
    """Be one parameter of a rule: value, source and trust ("yours" for the user's), and what is possible.

    A `whole` one (days, months, claims) has no fractions.
    """

    rule: str
    name: str
    value: float
    source: str
    trust: str
    least: float
    most: float
    whole: bool

    def unit(self, lang: str) -> str:
        """Say in a language what it counts."""
        return say(f"supervision_unit.{self.rule}_{self.name}", lang)


@dataclass(frozen=True, slots=True)
class Rule:
    """Be one rule: its article, the words of the law that it serves, where they were read, and its parameters.

    `weight` (0 to 1) is how much a yuan under it counts when leads are put in order. `article` is empty where the rule
    is a signal that rests on none.
    """

    name: str
    on: bool
    weight: float
    article: str
    words: str
    source: str
    trust: str
    settings: tuple[Setting, ...] = ()

    def __getitem__(self, name: str) -> float:
        """Give the value of a parameter."""
        return next(one.value for one in self.settings if one.name == name)

    def title(self, lang: str) -> str:
        """Name it in a language."""
        return say(f"supervision_rule.{self.name}", lang)

    def reason(self, lang: str) -> str:
        """Say in a language what it looks for, with its parameters."""
        told = {one.name: shown(one.value) for one in self.settings}
        return say(f"supervision_reason.{self.name}", lang, **told)

    def law(self, lang: str) -> str:
        """Say on which article it rests, and that its number was not checked; or that it rests on none."""
        if not self.article:
            return say("supervision.no_article", lang)
        return say("supervision.article", lang, article=self.article, words=self.words)


@dataclass(frozen=True, slots=True)
class Age:
    """Be an age, in whole years, that diagnoses beginning with `codes` are expected at: from and to, both included."""

    codes: tuple[str, ...]
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Rules:
    """Be all rules, and the diagnoses that a sex or an age rules out."""

    all: tuple[Rule, ...]
    sexes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    ages: tuple[Age, ...] = ()

    def __getitem__(self, name: str) -> Rule:
        """Find a rule by its name."""
        return next(one for one in self.all if one.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """List the names of the rules that are on."""
        return tuple(one.name for one in self.all if one.on)

    def to_frame(self, lang: str = "en") -> pl.DataFrame:
        """Give every rule, and every parameter of it, as a row with article, source and trust."""
        rows = []
        for rule in self.all:
            known = {
                "rule": rule.name, "title": rule.title(lang), "on": rule.on, "weight": rule.weight,
                "article": rule.law(lang), "source": source_of(rule.source, lang),
                "trust": trust_of(rule.trust, lang), "reason": rule.reason(lang),
            }  # fmt: skip
            for one in rule.settings or (None,):
                rows.append(
                    known
                    | {
                        "parameter": one.name if one else None,
                        "value": one.value if one else None,
                        "unit": one.unit(lang) if one else None,
                        "value_source": source_of(one.source, lang) if one else None,
                        "value_trust": trust_of(one.trust, lang) if one else None,
                    }
                )
        texts = dict.fromkeys(("parameter", "unit", "value_source", "value_trust"), pl.String)
        return pl.DataFrame(rows, schema_overrides={**texts, "value": pl.Float64, "weight": pl.Float64})


def source_of(source: str, lang: str) -> str:
    """Say where an article or a value was read.

    >>> source_of("ours", "en")
    'chosen here'
    """
    return say(f"supervision_source.{source}", lang)


def trust_of(trust: str, lang: str) -> str:
    """Say how far a source is trusted."""
    return say(f"supervision_trust.{trust}", lang)


def shown(value: float) -> str:
    """Write a number whole, where others would turn to powers of ten.

    >>> shown(150_000.0), shown(2.5)
    ('150,000', '2.5')
    """
    return f"{value:,.0f}" if value == int(value) else f"{value:,}"


@functools.cache
def shipped_rules() -> Rules:
    """Give the shipped rules.

    >>> shipped_rules()["readmission"]["days"]
    7.0
    """
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    diagnoses = data.pop("diagnoses")
    rules = []
    for name, given in data.items():
        settings = tuple(
            Setting(
                name,
                key,
                float(one["value"]),
                one["source"],
                one["trust"],
                float(one["bounds"][0]),
                float(one["bounds"][1]),
                one.get("whole", False),
            )
            for key, one in given.items()
            if isinstance(one, dict)
        )
        said = {key: given[key] for key in _SAID}
        rules.append(Rule(name, given.get("on", True), given["weight"], settings=settings, **said))
    return _with_diagnoses(Rules(tuple(rules)), diagnoses, "rules.toml")


def read_rules(path: str | os.PathLike[str] | None = None) -> Rules:
    """Read a file of rules (TOML) and lay it over the shipped ones; None gives those.

    A section named like a rule may set `on`, `weight` and the rule's parameters, which are then marked as the user's;
    `[diagnoses]` takes the place of the shipped one. Raises InputError file_not_found, bad_rules (not TOML in UTF-8, a
    rule or parameter that there is not, a value beyond its bounds).
    """
    if path is None:
        return shipped_rules()
    place = Path(path)
    if not place.is_file():
        raise InputError("file_not_found", f"there is no file {path}; give the path of a file of rules (.toml)")
    try:
        data = tomllib.loads(place.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError("bad_rules", f"{path} is not TOML in UTF-8: {error}") from None
    return changed(shipped_rules(), data, place.name)


def changed(rules: Rules, data: Mapping[str, Any], where: str = "rules") -> Rules:
    """Lay changes over rules, as `read_rules` does for a file.

    >>> changed(shipped_rules(), {"readmission": {"days": 10}})["readmission"]["days"]
    10.0

    Raises InputError bad_rules.
    """
    found = {one.name: one for one in rules.all}
    for name, given in data.items():
        if name == "diagnoses":
            continue
        if name not in found:
            near = difflib.get_close_matches(name, found, 1, 0.0)
            raise InputError("bad_rules", f"{where}: there is no rule [{name}]; the nearest is [{near[0]}]")
        if not isinstance(given, dict):
            raise InputError("bad_rules", f"{where}: {name} is not a section; write [{name}] and its values below it")
        found[name] = _changed(found[name], given, where)
    made = replace(rules, all=tuple(found.values()))
    return _with_diagnoses(made, data["diagnoses"], where) if "diagnoses" in data else made


def _changed(rule: Rule, given: Mapping[str, Any], where: str) -> Rule:
    settings = {one.name: one for one in rule.settings}
    on, weight = rule.on, rule.weight
    for name, value in given.items():
        place = f"{where}: {rule.name}.{name}"
        if name == "on":
            if not isinstance(value, bool):
                raise InputError("bad_rules", f"{place} is {value!r}; write true or false")
            on = value
        elif name == "weight":
            weight = _number(value, 0, 1, place)
        elif name in settings:
            old = settings[name]
            number = _number(value, old.least, old.most, place)
            if old.whole and number != int(number):
                raise InputError("bad_rules", f"{place} = {value:g} is no whole number; write {int(number)}, say")
            settings[name] = replace(old, value=number, source="yours", trust="yours")
        else:
            known = ", ".join(("on", "weight", *settings))
            raise InputError("bad_rules", f"{place}: there is no such parameter; there are {known}")
    return replace(rule, on=on, weight=weight, settings=tuple(settings.values()))


def _number(value: object, least: float, most: float, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise InputError("bad_rules", f"{place} is {value!r}; write a number")
    if not least <= value <= most:
        raise InputError(
            "bad_rules", f"{place} = {shown(value)} is impossible; it lies between {shown(least)} and {shown(most)}"
        )
    return float(value)


def _with_diagnoses(rules: Rules, data: Any, where: str) -> Rules:
    if not isinstance(data, dict):
        raise InputError("bad_rules", f"{where}: diagnoses is not a section; write [diagnoses]")
    unknown = sorted(set(data) - {*SEXES, "ages", "source", "trust"})
    if unknown:
        raise InputError("bad_rules", f"{where}: diagnoses.{unknown[0]} is not known; there are female, male and ages")
    sexes = {sex: _codes(data.get(sex, []), f"{where}: diagnoses.{sex}") for sex in SEXES}
    ages, place = [], f"{where}: diagnoses.ages"
    for one in data.get("ages", []):
        if not isinstance(one, dict) or set(one) != {"codes", "from", "to"}:
            raise InputError("bad_rules", f"{place}: each has codes, from and to, and nothing else")
        first, last = (int(_number(one[end], 0, 130, f"{place}.{end}")) for end in ("from", "to"))
        if last < first:
            raise InputError("bad_rules", f"{place}: to {last} lies before from {first}")
        ages.append(Age(_codes(one["codes"], f"{place}.codes"), first, last))
    return replace(rules, sexes=sexes, ages=tuple(ages))


def _codes(value: object, place: str) -> tuple[str, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(one, str) for one in value):
        raise InputError("bad_rules", f'{place} is not a list of texts; write it as ["N40", "N41"]')
    if "" in value:
        raise InputError("bad_rules", f"{place} has an empty code, which every diagnosis begins with; leave it out")
    return tuple(value)
