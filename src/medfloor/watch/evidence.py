"""Read what is known of prevention (`prevention.toml`): groups, contacts, limits, avoidable stays, effects, costs."""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medfloor.errors import InputError

_FILE = Path(__file__).with_name("prevention.toml")
TRUSTS = ("official", "secondary", "paper", "unverified", "office", "yours")
PROGRAMMES = ("usual", "intensive")
"""The kinds of delivered follow-up whose effect was measured."""


@dataclass(frozen=True, slots=True)
class Group:
    """Be one group of people and what is owed in a year to one of it who is contracted."""

    name: str
    ages: tuple[int, int]
    flags: tuple[str, ...]
    diagnoses: tuple[str, ...]
    statuses: tuple[str, ...]
    follow_up: int
    exam: int
    source: str
    trust: str


@dataclass(frozen=True, slots=True)
class Condition:
    """Be one condition whose stays count as avoidable, by prefixes of ICD-10."""

    name: str
    codes: tuple[str, ...]
    source: str
    trust: str


@dataclass(frozen=True, slots=True)
class Effect:
    """Be what a programme does to the stays of some conditions in some groups: a relative risk with its interval."""

    programme: str
    study: str
    rr: float
    low: float
    high: float
    conditions: tuple[str, ...]
    groups: tuple[str, ...]
    source: str
    trust: str


@dataclass(frozen=True, slots=True)
class Number:
    """Be one number with unit, source and trust."""

    name: str
    value: float
    unit: str
    source: str
    trust: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Be all of it. `sources` are by key."""

    groups: tuple[Group, ...]
    conditions: tuple[Condition, ...]
    effects: tuple[Effect, ...]
    numbers: Mapping[str, Number]
    sources: Mapping[str, str]

    def __getitem__(self, name: str) -> float:
        return self.numbers[name].value

    def group(self, name: str) -> Group:
        """Find a group."""
        return next(one for one in self.groups if one.name == name)

    def effect(self, programme: str) -> Effect:
        """Find the effect of a programme."""
        return next(one for one in self.effects if one.programme == programme)


@functools.cache
def shipped_evidence() -> Evidence:
    """Give what is shipped.

    >>> shipped_evidence().effect("signing").rr, shipped_evidence().effect("usual").rr
    (1.0, 0.9)
    """
    return _evidence_of(tomllib.loads(_FILE.read_text(encoding="utf-8")))


def evidence_from(text: str, *, where: str = "the file") -> Evidence:
    r"""Replace numbers of what is shipped by an office's own, written as `[numbers]` with `name = number`.

    What is replaced has the trust `yours`. Raises InputError bad_rules.

    >>> evidence_from("[numbers]\nhour_cost = 45").numbers["hour_cost"].trust
    'yours'
    """
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError("bad_rules", f"{where} is not TOML: {error}") from None
    known = shipped_evidence()
    if extra := sorted(given.keys() - {"numbers"}):
        raise InputError("bad_rules", f"{where}: {extra[0]} is not known; give [numbers] with name = number")
    numbers = dict(known.numbers)
    for name, value in given.get("numbers", {}).items():
        if name not in numbers:
            raise InputError("bad_rules", f"{where}: there is no number {name!r}; there are {', '.join(numbers)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
            raise InputError("bad_rules", f"{where}: {name} = {value!r} is not a number from 0")
        numbers[name] = replace(numbers[name], value=float(value), source=where, trust="yours")
    ceiling = numbers["ceiling"].value
    if ceiling > known["ceiling"]:
        raise InputError(
            "bad_rules", f"{where}: ceiling = {ceiling:g} is above {known['ceiling']:g} %, the highest published"
        )
    if numbers["delay_least"].value > numbers["delay_most"].value:
        raise InputError("bad_rules", f"{where}: delay_least is above delay_most")
    return replace(known, numbers=numbers)


def _evidence_of(given: Mapping[str, Any]) -> Evidence:
    return Evidence(
        tuple(
            Group(
                one["name"], tuple(one.get("ages", (0, 200))), tuple(one.get("flags", ())),
                tuple(one.get("diagnoses", ())), tuple(one.get("statuses", ())), one["follow_up"], one["exam"],
                one["source"], one["trust"],
            )
            for one in given["group"]
        ),
        tuple(Condition(one["name"], tuple(one["codes"]), one["source"], one["trust"]) for one in given["condition"]),
        tuple(
            Effect(
                one["programme"], one["study"], one["rr"], one["low"], one["high"], tuple(one["conditions"]),
                tuple(one["groups"]), one["source"], one["trust"],
            )
            for one in given["effect"]
        ),
        {
            name: Number(name, float(one["value"]), one["unit"], one["source"], one["trust"])
            for name, one in given["numbers"].items()
        },
        given["sources"],
    )  # fmt: skip
