"""Settle one claim at the counter: in process, with the person's accumulators, in microseconds.

`Desk` holds a policy made ready. The law for each kind of claim is resolved once and kept; a settlement is then a
call of the kernel on one row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from medfloor import tables
from medfloor.errors import InputError, UsageError
from medfloor.money import MAX_FEN
from medfloor.policy.compile import Profiles, profiles_of
from medfloor.policy.load import PolicySet
from medfloor.policy.resolve import Facts, Rules, resolve
from medfloor.settlement.batch import Law
from medfloor.settlement.columns import STAY_COLUMNS
from medfloor.settlement.scope import Person, Spell, Visit, facts_of

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answer:
    """Be one claim settled: what each tier pays, and the account after it; amounts in fen.

    `account` has the counters in the order of `Desk.counters`; pass it back with the person's next claim of the year.
    """

    pay_fen: dict[str, int]
    own_in_scope_fen: int
    own_total_fen: int
    deductible_fen: int
    benefit_year: int
    account: Ints


class Desk:
    """Settle single claims under one policy that counts by person; raise UsageError for one that counts by household.

    >>> from datetime import date
    >>> desk = Desk.of("cn/beijing")
    >>> visit = Visit("inpatient", "3", date(2024, 3, 1), date(2024, 3, 10), date(2024, 3, 10), total_fen=15_000_000)
    >>> answer = desk.settle(visit, Person("p1", "h1"), [], in_scope_fen=13_000_000, off_catalogue_fen=2_000_000)
    >>> answer.pay_fen["basic"]
    9652500
    """

    def __init__(self, law: Law) -> None:
        if law.layout.household:
            raise UsageError(
                "household_policy",
                f"{law.policies.address} counts by household, and a desk sees one person's claims; use `settle`",
            )
        self.law = law
        self.counters = law.layout.names
        self.rulings = Rulings(law)
        self._initial = np.array(law.layout.initial, np.int64)
        self._shared = np.array(law.layout.shared, bool)
        self._basic = law.layout.tiers.index("basic") if "basic" in law.layout.tiers else 0
        self._one = np.array([0, 1], np.int64)
        self._zero32 = np.zeros(1, np.int32)
        self._no32 = np.zeros(0, np.int32)
        self._no_trace = np.zeros((0, 10), np.int64)
        self._zero64 = np.zeros(1, np.int64)
        self._stays = np.zeros((1, max(1, len(law.layout.stay_tiers)), len(STAY_COLUMNS)), np.int64)

    @classmethod
    def of(cls, policy: str | PolicySet) -> Desk:
        """Make a desk for a policy, by address or loaded."""
        from medfloor.settlement.settle import law_of

        return cls(law_of(policy))

    def settle(
        self,
        visit: Visit,
        person: Person,
        spells: Sequence[Spell],
        *,
        in_scope_fen: int,
        first_self_pay_fen: int = 0,
        over_limit_fen: int = 0,
        off_catalogue_fen: int = 0,
        account: Ints | None = None,
        columns: Mapping[str, int] | None = None,
    ) -> Answer:
        """Settle one claim on top of an account (None = nothing used this year); the account given is not changed.

        `columns` are the amounts of input columns that the policy reads (`Law.dimensions.columns`), in fen. A stay that
        continues another (a transfer) needs the whole year: use `settle` of this room. Raises InputError where codes
        are not ours, amounts are negative, too large or do not add up to the visit's total, the account is of another
        policy, or no version is in force.
        """
        total = in_scope_fen + first_self_pay_fen + over_limit_fen + off_catalogue_fen
        parts = (in_scope_fen, first_self_pay_fen, over_limit_fen, off_catalogue_fen)
        self.check(visit, person, parts, account, columns or {})
        outside = np.array([[first_self_pay_fen], [over_limit_fen], [off_catalogue_fen]], np.int64)
        index = self.law.policies.index_on(visit.settled_date)
        if index is None:
            raise InputError("outside_policy_dates", f"no version of the policy is in force on {visit.settled_date}")
        policy = self.law.policies.versions[index]
        facts = facts_of(policy, visit, person, spells)
        _, profiles = self.rulings.of(index, facts)
        names = self.law.dimensions.columns
        brought = np.array([[(columns or {}).get(name, -1)] for name in names], np.int64).reshape(len(names), 1)
        used = (self._initial if account is None else account).reshape(1, -1).copy()
        pay = np.empty((len(self.law.layout.tiers), 1), np.int64)
        own = np.empty(1, np.int64)
        deductible = np.empty(1, np.int64)
        from medfloor.settlement.kernel import settle_segments

        settle_segments(
            0, 1, self._one, self._zero32, np.array([in_scope_fen], np.int64), outside, brought, self._no32, self._no32,
            profiles.first, profiles.steps, profiles.brackets, profiles.pots, profiles.repeats, profiles.rounding,
            profiles.ceilings, profiles.ceiling_rows, self._initial, self._shared, self._one, used, self._stays, 1,
            self._basic, self._zero64, self._no_trace, pay, own, deductible,
        )  # fmt: skip
        paid = pay[:, 0].tolist()
        return Answer(
            dict(zip(self.law.layout.tiers, paid, strict=True)),
            int(own[0]),
            total - sum(paid),
            int(deductible[0]),
            facts.benefit_year,
            used[0],
        )

    def check(
        self, visit: Visit, person: Person, parts: tuple[int, ...], account: Ints | None, columns: Mapping[str, int]
    ) -> None:
        """See that compiled code, which checks nothing, gets codes, amounts and an account that it can count with.

        `parts` are the amounts of `settle` in their order, in fen. Raises what `settle` raises of them.
        """
        _check_codes(visit, person)
        total = sum(parts)
        if min(parts) < 0:
            raise InputError("negative_amount", f"a part of the total is {min(parts)} fen; amounts are not below zero")
        if total != visit.total_fen:
            raise InputError("parts_not_total", f"total {visit.total_fen} fen is not the sum of its parts, {total} fen")
        used = 0
        if account is not None:
            if account.shape != self._initial.shape or account.dtype != np.int64 or (account < self._initial).any():
                raise InputError("other_account", "the account is not one that a desk of this policy gave back")
            used = int(account.max(initial=0))
        if used + total > MAX_FEN:
            raise InputError(
                "amount_too_large",
                f"total {total} fen on top of {used} fen used this year is beyond 9 trillion yuan; check the unit",
            )
        for name, fen in columns.items():
            if name not in self.law.dimensions.columns:
                known = ", ".join(self.law.dimensions.columns) or "none"
                raise UsageError("unknown_column", f"the policy reads no column {name}; it reads: {known}")
            if not 0 <= fen <= MAX_FEN:
                raise InputError(
                    "bad_amount", f"{name} is {fen} fen; the policy reads an amount from 0 to 9 trillion yuan"
                )


class Rulings:
    """Keep the law of each kind of claim, resolved once; one for all who ask about the same law.

    >>> from medfloor.settlement.settle import law_of
    >>> rules, _ = Rulings(law_of("cn/beijing@2024-06-01")).of(0, Facts("inpatient", "1", benefit_year=2024))
    >>> rules.steps[0].tier
    'basic'
    """

    def __init__(self, law: Law) -> None:
        self.law = law
        self._known: dict[tuple[Any, ...], tuple[Rules, Profiles]] = {}

    def of(self, version: int, facts: Facts) -> tuple[Rules, Profiles]:
        """Give the law for these facts, in words and as arrays; what was resolved before is kept.

        Raises MissingValueError where the law asks for a number that was never published.
        """
        key = (
            version, facts.care_type, facts.facility_level, facts.area, facts.referral, facts.scheme,
            facts.insured_class,
            facts.residence, facts.sex, facts.family_doctor, facts.benefit_year,
            _band(facts.age, self.law.dimensions.age),
            _band(facts.continuous_years, self.law.dimensions.continuous_years),
            _band(facts.claim_free_years, self.law.dimensions.claim_free_years),
            _band(facts.total_fen, self.law.dimensions.total_fen),
            tuple(p for p in self.law.dimensions.prefixes if (facts.diagnosis or "").startswith(p)),
            tuple(facts.held.values()),
        )  # fmt: skip
        found = self._known.get(key)
        if found is None:
            rules = resolve(self.law.policies.versions[version], facts)
            found = (rules, profiles_of([rules], self.law.layout, self.law.dimensions.columns))
            self._known[key] = found
        return found


def _check_codes(visit: Visit, person: Person) -> None:
    """See that codes are ours, and that the visit does not end before it starts; raise InputError."""
    if visit.care_type not in tables.CARE_TYPES:
        raise InputError(
            "unknown_care_type", f"care_type {visit.care_type!r} is none of {', '.join(tables.CARE_TYPES)}"
        )
    if visit.facility_level not in tables.FACILITY_LEVELS:
        levels = ", ".join(tables.FACILITY_LEVELS)
        raise InputError("unknown_facility_level", f"facility_level {visit.facility_level!r} is none of {levels}")
    if visit.end_date < visit.start_date:
        raise InputError("end_before_start", f"end_date is {visit.end_date}, before start_date {visit.start_date}")
    for name, value, codes in (
        ("area", visit.area, tables.AREAS),
        ("referral", visit.referral, tables.REFERRALS),
        ("scheme", person.scheme, tables.SCHEMES),
        ("sex", person.sex, (None, *tables.SEXES)),
        ("residence", person.residence, (None, *tables.RESIDENCES)),
        ("insured_class", person.insured_class, (None, *tables.INSURED_CLASSES)),
    ):
        if value not in codes:
            known = ", ".join(code for code in codes if code)
            raise InputError("unknown_code", f"{name} {value!r} is none of {known}")


def _band(value: int | None, bounds: Sequence[int]) -> int:
    """Give the number of bounds that a value reaches; -1 where it is unknown."""
    return -1 if value is None else sum(value >= bound for bound in bounds)
