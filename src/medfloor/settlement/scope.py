"""Find out what the law asks about a claim: the version, the benefit year, the class, the age and the statuses held.

There are two ways to the same answer. `facts_of` does it for one claim in plain Python and is normative. `kinds_of`
does it for whole columns at once: it writes the answers to all questions as one number a claim (its kind), so that each
kind is resolved once. A property test asks both the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from medfloor import tables
from medfloor.errors import PolicyError
from medfloor.periods import Span, age_on, benefit_year
from medfloor.policy.compile import CODED, Dimensions
from medfloor.policy.load import PolicySet
from medfloor.policy.model import Policy, StatusDay
from medfloor.policy.resolve import Facts, fits

Ints = npt.NDArray[np.int64]
ALWAYS = Span(date.min, date.max)
FAR = 2_932_896  # 9999-12-31 in days since 1970
DAWN = -719_162  # 0001-01-01


@dataclass(frozen=True, slots=True)
class Person:
    """Be one row of people, as the law sees it; None = not known."""

    person_id: str
    household_id: str
    birth_date: date | None = None
    sex: str | None = None
    scheme: str = "resident"
    residence: str | None = None
    insured_class: str | None = None
    enrolled: Span = ALWAYS
    continuous_years: int | None = None
    claim_free_years: int | None = None
    family_doctor: bool = False


@dataclass(frozen=True, slots=True)
class Spell:
    """Be one interval of a status."""

    group: str
    span: Span


@dataclass(frozen=True, slots=True)
class Visit:
    """Be what a claim says of itself, before the law is asked."""

    care_type: str
    facility_level: str
    start_date: date
    end_date: date
    settled_date: date
    area: str = "local"
    referral: str = "regular"
    diagnosis: str | None = None
    total_fen: int = 0


def year_of(policy: Policy, visit: Visit) -> int:
    """Give the benefit year to which a claim belongs, by the day that the policy names."""
    return benefit_year(getattr(visit, policy.benefit_year.belongs_by), policy.benefit_year.first_day)


def facts_of(policy: Policy, visit: Visit, person: Person, spells: Sequence[Spell]) -> Facts:
    """Collect what the law may ask about one claim.

    Who is not enrolled on the first day of the care counts as not insured (scheme none). The insured class follows from
    age and sex by the policy's own rule where the table does not give it.
    """
    age = None if person.birth_date is None else age_on(person.birth_date, visit.start_date)
    return Facts(
        care_type=visit.care_type,
        facility_level=visit.facility_level,
        area=visit.area,
        referral=visit.referral,
        scheme=person.scheme if person.enrolled.holds(visit.start_date) else "none",
        insured_class=person.insured_class or class_by_rule(policy, age, person.sex),
        residence=person.residence,
        sex=person.sex,
        family_doctor=person.family_doctor,
        age=age,
        continuous_years=person.continuous_years,
        claim_free_years=person.claim_free_years,
        total_fen=visit.total_fen,
        diagnosis=visit.diagnosis,
        benefit_year=year_of(policy, visit),
        held=statuses_held(visit, spells),
    )


def statuses_held(visit: Visit, spells: Sequence[Spell]) -> dict[StatusDay, frozenset[str]]:
    """Give the statuses held, for each way of choosing the day.

    any_day asks for a single day of the stay: who leaves a status during a stay keeps it for this stay, and who gains
    one has it for the whole of it.
    """
    stay = Span.from_days(visit.start_date, visit.end_date)
    return {
        "any_day": frozenset(spell.group for spell in spells if spell.span.meets(stay)),
        "start": frozenset(spell.group for spell in spells if spell.span.holds(visit.start_date)),
        "end": frozenset(spell.group for spell in spells if spell.span.holds(visit.end_date)),
        "settled": frozenset(spell.group for spell in spells if spell.span.holds(visit.settled_date)),
    }


def class_by_rule(policy: Policy, age: int | None, sex: str | None) -> str:
    """Give the insured class that follows from age and sex; working_age where no rule of the policy says more."""
    facts = Facts("inpatient", "1", age=age, sex=sex)
    for rule in policy.classes:
        if fits(rule.when, facts, "none", "any_day"):
            return rule.insured_class
    return "working_age"


@dataclass(frozen=True)
class Columns:
    """Be the claims of a run as columns, n rows, in the order in which they are settled.

    Dates are days since 1970-01-01 (int64). Codes are positions in the tuples of `tables`; residence and sex have -1
    for unknown, insured_class too (then the policy's rule is asked). `age` is -1 where unknown; the years are -1
    where unknown. `prefixes` is a bit mask of the diagnosis prefixes met. `person` points into the spell ranges.
    """

    care_type: npt.NDArray[Any]
    facility_level: npt.NDArray[Any]
    area: npt.NDArray[Any]
    referral: npt.NDArray[Any]
    scheme: npt.NDArray[Any]
    insured_class: npt.NDArray[Any]
    residence: npt.NDArray[Any]
    sex: npt.NDArray[Any]
    family_doctor: npt.NDArray[Any]
    age: npt.NDArray[Any]
    continuous_years: npt.NDArray[Any]
    claim_free_years: npt.NDArray[Any]
    total_fen: Ints
    prefixes: npt.NDArray[Any]
    start: npt.NDArray[Any]
    end: npt.NDArray[Any]
    settled: npt.NDArray[Any]
    version: npt.NDArray[Any]
    year: npt.NDArray[Any]
    person: npt.NDArray[Any]


@dataclass(frozen=True)
class SpellColumns:
    """Be the statuses of all people: those of person p are at first[p] to first[p + 1].

    `since` and `until` are days, until exclusive; `group` is a position in `groups`.
    """

    first: Ints
    group: Ints
    since: Ints
    until: Ints
    groups: tuple[str, ...]


ClassRules = dict[int, npt.NDArray[np.int8]]
"""The insured class by age + 1 and sex + 1, of each version that was asked for it."""


def classes_filled(policies: PolicySet, columns: Columns, known: ClassRules | None = None) -> npt.NDArray[Any]:
    """Fill the insured classes that the table leaves open, by each version's own rule of age and sex.

    `known` remembers what these versions said, for the next batch of claims.
    """
    classes = columns.insured_class.astype(np.int8, copy=True)
    open_rows = np.flatnonzero(classes < 0)
    if len(open_rows):
        known = {} if known is None else known
        for number, version in enumerate(policies.versions):
            if number not in known:
                known[number] = _class_rule(version)
        rule = np.stack([known[number] for number in range(len(policies.versions))])
        ages = np.clip(columns.age[open_rows], -1, 130) + 1
        classes[open_rows] = rule[columns.version[open_rows], ages, columns.sex[open_rows].astype(np.int64) + 1]
    return classes


def _class_rule(version: Policy) -> npt.NDArray[np.int8]:
    """Ask a version for the class of every age from unknown (-1) to 130 and every sex."""
    rule = np.zeros((132, 3), np.int8)
    for age in range(-1, 131):
        for sex in range(-1, 2):
            name = class_by_rule(version, None if age < 0 else age, tables.SEXES[sex] if sex >= 0 else None)
            rule[age + 1, sex + 1] = tables.INSURED_CLASSES.index(name)
    return rule


def kinds_of(
    policies: PolicySet,
    dimensions: Dimensions,
    columns: Columns,
    spells: SpellColumns,
    class_rules: ClassRules | None = None,
) -> tuple[npt.NDArray[np.int32], list[tuple[int, Facts]]]:
    """Give each claim its kind, and for each kind that occurs the version and facts that stand for it.

    `class_rules` remembers what the versions said of ages, for the next batch of claims. Returns (kind of each claim,
    int32; the kinds). All claims of a kind get the same answer from the law.
    """
    digits: list[tuple[npt.NDArray[Any], int]] = []
    asks_class = "insured_class" in dimensions.coded
    version_years, version_year = _version_years(columns)
    digits.append((version_year, len(version_years)))
    coded = {
        "care_type": columns.care_type,
        "facility_level": columns.facility_level,
        "area": columns.area,
        "referral": columns.referral,
        "scheme": columns.scheme,
        "insured_class": classes_filled(policies, columns, class_rules) if asks_class else None,
        "residence": columns.residence,
        "sex": columns.sex,
        "family_doctor": columns.family_doctor,
    }
    for name in dimensions.coded:
        values = coded[name]
        assert values is not None
        if name in ("residence", "sex"):
            digits.append((values + 1, 3))
        else:
            digits.append((values, len(CODED[name]) if name in CODED else 2))
    for bounds, values in (
        (dimensions.age, columns.age),
        (dimensions.continuous_years, columns.continuous_years),
        (dimensions.claim_free_years, columns.claim_free_years),
        (dimensions.total_fen, columns.total_fen),
    ):
        if bounds:
            band = np.searchsorted(np.array(bounds, np.int64), values, side="right").astype(np.int32) + 1
            band[values < 0] = 0
            digits.append((band, len(bounds) + 2))
    if dimensions.prefixes:
        digits.append((columns.prefixes, 1 << len(dimensions.prefixes)))
    for day, names in dimensions.groups:
        digits.append((_held(columns, spells, day, names), 1 << len(names)))
    return _numbered(digits, policies, dimensions, version_years)


def _version_years(columns: Columns) -> tuple[list[tuple[int, int]], npt.NDArray[Any]]:
    if not len(columns.year):
        return [], np.zeros(0, np.int64)
    low = int(columns.year.min())
    span = int(columns.year.max()) - low + 1
    code = columns.version.astype(np.int32) * span + (columns.year - low).astype(np.int32)
    seen = np.zeros(int(code.max()) + 1, bool)
    seen[code] = True
    codes = np.flatnonzero(seen)
    place = np.zeros(len(seen), np.int32)
    place[codes] = np.arange(len(codes), dtype=np.int32)
    return [(int(c) // span, int(c) % span + low) for c in codes], place[code]


def _held(columns: Columns, spells: SpellColumns, day: StatusDay, names: Sequence[str]) -> npt.NDArray[Any]:
    bits = np.zeros(max(1, len(spells.groups)), np.int64)
    for number, name in enumerate(spells.groups):
        if name in names:
            bits[number] = 1 << list(names).index(name)
    first, last = {
        "any_day": (columns.start, columns.end),
        "start": (columns.start, columns.start),
        "end": (columns.end, columns.end),
        "settled": (columns.settled, columns.settled),
    }[day]
    held = np.zeros(len(columns.person), np.int64)
    if len(spells.group) == 0:
        return held
    bit = bits[spells.group]
    if len(held) > FEW:
        from medfloor.settlement import loops

        loops.mark_held(
            columns.person, first.astype(np.int32, copy=False), last.astype(np.int32, copy=False),
            spells.first, spells.since, spells.until, bit, held,
        )  # fmt: skip
        return held
    for i in np.flatnonzero(spells.first[columns.person + 1] > spells.first[columns.person]):
        mine = slice(spells.first[columns.person[i]], spells.first[columns.person[i] + 1])
        here = (spells.since[mine] <= last[i]) & (first[i] < spells.until[mine])
        held[i] = np.bitwise_or.reduce(bit[mine][here], initial=0)
    return held


FEW = 20_000
"""Up to how many claims the plain way is sooner done than compiled code is loaded."""


DENSE = 1 << 24
"""Up to this many possible kinds a table of them is used; beyond it, sorting."""


def _numbered(
    digits: Sequence[tuple[npt.NDArray[Any], int]],
    policies: PolicySet,
    dimensions: Dimensions,
    version_years: Sequence[tuple[int, int]],
) -> tuple[npt.NDArray[np.int32], list[tuple[int, Facts]]]:
    size = 1
    for _, count in digits:
        size *= max(1, count)
    if size >= 1 << 62:
        raise PolicyError(
            "policy_too_wide",
            f"{policies.address} asks about too many groups and diagnoses for one number of 62 bits; use fewer of them",
        )
    code: npt.NDArray[Any] = np.zeros(len(digits[0][0]), np.int64 if size > 1 << 31 else np.int32)
    for values, count in digits:
        code = code * max(1, count) + values.astype(code.dtype, copy=False)
    if size <= DENSE:
        seen = np.zeros(size, bool)
        seen[code] = True
        codes = np.flatnonzero(seen)
        place = np.zeros(size, np.int32)
        place[codes] = np.arange(len(codes), dtype=np.int32)
        kinds = place[code]
    else:
        codes, inverse = np.unique(code, return_inverse=True)
        kinds = inverse.astype(np.int32)
    counts = [count for _, count in digits]
    return kinds, [_facts_for(int(value), counts, policies, dimensions, version_years) for value in codes]


def _facts_for(
    code: int,
    counts: Sequence[int],
    policies: PolicySet,
    dimensions: Dimensions,
    version_years: Sequence[tuple[int, int]],
) -> tuple[int, Facts]:
    """Turn a kind's number back into facts that stand for it."""
    answers: list[int] = []
    for count in reversed(counts):
        code, digit = divmod(code, max(1, count))
        answers.append(digit)
    digit_of = iter(reversed(answers))
    version, year = version_years[next(digit_of)]
    fields: dict[str, Any] = {"benefit_year": year}
    for name in dimensions.coded:
        digit = next(digit_of)
        if name in ("residence", "sex"):
            fields[name] = CODED[name][digit - 1] if digit else None
        elif name == "family_doctor":
            fields[name] = bool(digit)
        else:
            fields[name] = CODED[name][digit]
    for name, bounds in (
        ("age", dimensions.age),
        ("continuous_years", dimensions.continuous_years),
        ("claim_free_years", dimensions.claim_free_years),
        ("total_fen", dimensions.total_fen),
    ):
        if bounds:
            fields[name] = _example(next(digit_of), bounds)
    if fields.get("total_fen", 0) is None:
        fields["total_fen"] = 0
    if dimensions.prefixes:
        # All prefixes that one code meets begin each other, so the longest stands for them.
        fields["diagnosis"] = max(_picked(next(digit_of), dimensions.prefixes), key=len, default=None)
    fields["held"] = {day: frozenset(_picked(next(digit_of), names)) for day, names in dimensions.groups}
    return version, Facts(**fields)


def _example(band: int, bounds: Sequence[int]) -> int | None:
    """Give a value of a band: None for unknown, else the band's least (or one below the first bound)."""
    if band == 0:
        return None
    return bounds[band - 2] if band >= 2 else bounds[0] - 1


def _picked(mask: int, names: Sequence[str]) -> list[str]:
    return [name for number, name in enumerate(names) if mask >> number & 1]


def prefix_masks(codes: Sequence[str | None], prefixes: Sequence[str]) -> list[int]:
    """Give, for each diagnosis, the bit mask of the prefixes that it begins with."""
    return [sum(1 << n for n, prefix in enumerate(prefixes) if (code or "").startswith(prefix)) for code in codes]
