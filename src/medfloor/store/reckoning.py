"""Reckon what claims are paid: one claim on top of what the year has used, or a whole year from its beginning.

There are two ways to the same answer, as everywhere in medfloor: the desk (compiled, one claim that comes last in its
year) and the reference engine (a whole year, a household's year, a stay that goes on; and the few claims of a command
for which compiled code is not loaded). Verifying asks the reference engine, so an entry that the desk made, as a
service makes it, is recomputed by the other engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from medfloor.errors import ConflictError, InputError, MedfloorError, MissingValueError, UsageError
from medfloor.money import MAX_FEN
from medfloor.periods import Span
from medfloor.policy.compile import CLAIMS, Layout
from medfloor.policy.resolve import Rules
from medfloor.settlement import reference
from medfloor.settlement.scope import Person, Spell, facts_of
from medfloor.store.accounts import Counters
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.postings import Amounts

Whose = Callable[[Bill], tuple[Person, Sequence[Spell]]]
"""Gives the person and the statuses that hold for a claim."""


@dataclass(frozen=True, slots=True)
class Reckoned:
    """Be one claim reckoned: what was known, what the year had used before, what comes out, what it has used then."""

    bill: Bill
    person: Person
    spells: Sequence[Spell]
    before: Counters
    amounts: Amounts
    after: Counters
    stay: Mapping[str, Any] | None = None

    def input(self) -> dict[str, Any]:
        """Give all that the result follows from, as plain values."""
        said = {
            "claim": self.bill.facts(),
            "person": person_facts(self.person),
            "spells": [[one.group, one.span.start.isoformat(), one.span.end.isoformat()] for one in self.spells],
            "state": self.before,
        }
        return said if self.stay is None else {**said, "stay": self.stay}

    def result(self) -> dict[str, Any]:
        """Give what came out, as plain values."""
        return {**self.amounts.facts(), "state": self.after}


def on_top(books: Books, bill: Bill, person: Person, spells: Sequence[Spell], before: Counters) -> Reckoned:
    """Reckon a claim that comes after all of its year, at the desk or as the desk does. Raises what the desk raises."""
    desk = books.desk
    assert desk is not None and bill.continues is None
    _check_person(bill, person)
    layout = books.law.layout
    account = np.array(layout.initial, np.int64)
    for name, value in before.items():
        account[layout.index(name)] = value
    if books.begin_sparingly():
        parts = (bill.in_scope_fen, bill.first_self_pay_fen, bill.over_limit_fen, bill.off_catalogue_fen)
        desk.check(bill.visit, person, parts, account, bill.extra)
        used = {_owned(layout, name, person.person_id): value for name, value in before.items()}
        return replace(_one(books, bill, person, spells, reference.Account(used)), before=before)
    answer = desk.settle(
        bill.visit, person, spells, in_scope_fen=bill.in_scope_fen, first_self_pay_fen=bill.first_self_pay_fen,
        over_limit_fen=bill.over_limit_fen, off_catalogue_fen=bill.off_catalogue_fen, account=account,
        columns=bill.extra,
    )  # fmt: skip
    now = zip(layout.names, answer.account.tolist(), layout.initial, strict=True)
    after = {name: value for name, value, initial in now if value != initial}
    amounts = Amounts(answer.pay_fen, answer.own_in_scope_fen, answer.own_total_fen, answer.deductible_fen)
    return Reckoned(bill, person, spells, before, amounts, after)


def from_start(books: Books, bills: Iterable[Bill], whose: Whose) -> list[Reckoned]:
    """Reckon the claims of one benefit year from its beginning, in their order.

    Raises InputError (a claim that cannot be settled), MissingValueError (a number that was never published).
    """
    ordered = sorted(bills, key=lambda bill: bill.order)
    if sum(bill.total_fen for bill in ordered) > MAX_FEN:
        raise InputError("amount_too_large", "the claims of this benefit year come to more than 9 trillion yuan")
    account = reference.Account()
    return [_one(books, bill, *whose(bill), account) for bill in ordered]


def again(books: Books, said: Mapping[str, Any]) -> dict[str, Any]:
    """Reckon one entry from its own input, by the reference engine, and give its result as plain values."""
    bill = Bill.from_facts(said["claim"])
    person = person_of(said["person"])
    spells = [Spell(group, Span(date.fromisoformat(a), date.fromisoformat(b))) for group, a, b in said["spells"]]
    layout = books.law.layout
    used = {_owned(layout, name, person.person_id): value for name, value in said["state"].items()}
    account = reference.Account(used)
    stay = said.get("stay")
    if stay is not None:
        assert bill.continues is not None
        account.first_of[bill.continues] = stay["first"]
        for tier, (deductible, borne, paid, admission, same_level, level) in stay["tiers"].items():
            account.stays[tier, stay["first"]] = reference.Stay(
                deductible, borne, bool(paid), admission, same_level, level
            )
    return _one(books, bill, person, spells, account).result()


def person_facts(person: Person) -> dict[str, Any]:
    """Give what the law knows of a person as plain values; what is not known is left out."""
    said: dict[str, Any] = {
        "person_id": person.person_id, "household_id": person.household_id, "scheme": person.scheme,
        "enrolled": [person.enrolled.start.isoformat(), person.enrolled.end.isoformat()],
        "family_doctor": person.family_doctor,
    }  # fmt: skip
    if person.birth_date is not None:
        said["birth_date"] = person.birth_date.isoformat()
    for name in ("sex", "residence", "insured_class", "continuous_years", "claim_free_years"):
        if getattr(person, name) is not None:
            said[name] = getattr(person, name)
    return said


def person_of(said: Mapping[str, Any]) -> Person:
    """Read what `person_facts` gave."""
    since, until = said["enrolled"]
    birth = said.get("birth_date")
    return Person(**{
        **said,
        "enrolled": Span(date.fromisoformat(since), date.fromisoformat(until)),
        "birth_date": None if birth is None else date.fromisoformat(birth),
    })  # fmt: skip


def _check_person(bill: Bill, person: Person) -> None:
    if person.birth_date is not None and person.birth_date > bill.start_date:
        raise InputError(
            "born_after_care", f"start_date {bill.start_date}: the person was born later; mend one of the two dates"
        )


def _one(books: Books, bill: Bill, person: Person, spells: Sequence[Spell], account: reference.Account) -> Reckoned:
    """Reckon one claim on an account of the reference engine, which is changed."""
    _check_person(bill, person)
    unknown = set(bill.extra) - set(books.law.dimensions.columns)
    if unknown:
        raise UsageError("unknown_column", f"the policy reads no column {', '.join(sorted(unknown))}")
    layout = books.law.layout
    claim, rules = _law_for(books, bill, person, spells)
    before = _flat(layout, account)
    stay = None if bill.continues is None else _stay_before(account, bill.continues)
    settled = reference.settle_claim(claim, rules, account)
    basic = "basic" if "basic" in layout.tiers else layout.tiers[0]
    pay = {tier: settled.pay_of(tier) for tier in layout.tiers}
    amounts = Amounts(
        pay,
        settled.own_in_scope_fen,
        bill.total_fen - sum(pay.values()),
        sum(tier.deductible_fen for tier in settled.tiers if tier.step.tier == basic),
    )
    return Reckoned(bill, person, spells, before, amounts, _flat(layout, account), stay)


def _law_for(books: Books, bill: Bill, person: Person, spells: Sequence[Spell]) -> tuple[reference.Claim, Rules]:
    policies = books.law.policies
    index = policies.index_on(bill.settled_date)
    if index is None:
        raise InputError("outside_policy_dates", f"no version of the policy is in force on {bill.settled_date}")
    facts = facts_of(policies.versions[index], bill.visit, person, spells)
    rules, _ = books.rulings.of(index, facts)
    claim = reference.Claim(
        bill.claim_id, bill.person_id, bill.start_date, bill.settled_date, facts, bill.in_scope_fen,
        bill.first_self_pay_fen, bill.over_limit_fen, bill.off_catalogue_fen, bill.continues, bill.extra,
    )  # fmt: skip
    return claim, rules


def _stay_before(account: reference.Account, continues: str) -> dict[str, Any]:
    """Give what the continued stay has borne so far, tier by tier."""
    first = account.first_of.get(continues, continues)
    tiers = {
        tier: [stay.deductible_fen, stay.borne_fen, int(stay.paid), stay.admission, stay.same_level, stay.level]
        for (tier, claim_id), stay in account.stays.items()
        if claim_id == first
    }
    return {"first": first, "tiers": tiers}


def _flat(layout: Layout, account: reference.Account) -> dict[str, int]:
    """Give the counters under one name each; what stands at its start is left out."""
    start = dict(zip(layout.names, layout.initial, strict=True))
    counted = {}
    for (owner, name), value in account.used.items():
        if name in start and name != CLAIMS and value != start[name]:
            counted[f"{name}@{owner}" if owner and layout.household else name] = value
    return counted


def _owned(layout: Layout, name: str, person_id: str) -> tuple[str, str]:
    """Give the owner and the name of a counter, as the reference engine keeps them."""
    if not layout.household:
        return person_id, name
    plain, _, owner = name.partition("@")
    return owner, plain


def refusal(error: MedfloorError) -> MedfloorError:
    """Give an error under the code by which a batch refuses the row."""
    if isinstance(error, MissingValueError):
        return InputError("policy_value_missing", f"the policy cannot settle this claim: {error.message}")
    return error


def erased() -> ConflictError:
    """Say that a year cannot be settled again, because a person of it is no longer in the register."""
    return ConflictError(
        "facts_erased", "a person of this benefit year is no longer in the register; it cannot be settled again"
    )
