"""Write amounts as postings that come to zero: which party, which sign.

Burdens are positive: what a cost finally costs a party. What a party laid out or took is negative. For one settlement::

    person          + own_total     what stays with the person
    fund:<tier>     + pay           what each fund bears
    facility        - own_total     the cash that the facility took from the person
    advance         - pay_total     what the facility advanced for the funds (or the person: claim.paid_by)

A *difference* moves burden between the funds and the person, and leaves the till of the facility alone::

    fund:<tier>     + d             d > 0: the fund owes the person (应补); d < 0: the person owes (应退)
    person          - sum of d

A *reversal* takes back all that a claim stands at: its settlement and the differences since. A *payment* of what is
owed is money, no burden::

    arrears         + a             a > 0: was paid to the person; a < 0: came back from them
    bank            - a

A *clearing* pays a facility what it advanced: advance + amount, facility - amount, on the facility's own account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("settlement", "correction", "reinstatement", "reversal", "difference", "payment", "clearing")
"""What an entry can be. The first three settle a claim: for the first time, in place of another, after a reversal
that was itself taken back."""

SETTLING = ("settlement", "correction", "reinstatement")
"""The kinds after which a claim stands."""

Posting = tuple[str, int]
"""A party and an amount in fen."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Be what one claim was settled at, in fen; `pay` has the tiers of the policy."""

    pay: Mapping[str, int]
    own_in_scope_fen: int
    own_total_fen: int
    deductible_fen: int

    @property
    def pay_total_fen(self) -> int:
        """Give the sum of all payments."""
        return sum(self.pay.values())

    @property
    def own_outside_fen(self) -> int:
        """Give what stays with the person outside the insurance's scope."""
        return self.own_total_fen - self.own_in_scope_fen

    def facts(self) -> dict[str, Any]:
        """Give the amounts as plain values; tiers that pay nothing are left out.

        >>> Amounts({"basic": 70, "assistance": 0}, 20, 30, 10).facts()["pay"]
        {'basic': 70}
        """
        return {
            "pay": {tier: fen for tier, fen in self.pay.items() if fen},
            "own_in_scope": self.own_in_scope_fen,
            "own_outside": self.own_outside_fen,
            "own_total": self.own_total_fen,
            "deductible": self.deductible_fen,
        }

    @classmethod
    def from_facts(cls, said: Mapping[str, Any]) -> Amounts:
        """Read what `facts` gave."""
        return cls(said["pay"], said["own_in_scope"], said["own_total"], said["deductible"])


def of_settlement(now: Amounts) -> list[Posting]:
    """Give the postings of a claim that is settled.

    >>> of_settlement(Amounts({"basic": 70, "assistance": 0}, 20, 30, 10))
    [('person', 30), ('fund:basic', 70), ('facility', -30), ('advance', -70)]
    """
    return _kept(
        [
            ("person", now.own_total_fen),
            *_funds(now.pay),
            ("facility", -now.own_total_fen),
            ("advance", -now.pay_total_fen),
        ]
    )


def of_difference(before: Amounts, now: Amounts) -> list[Posting]:
    """Give the postings that move a settled claim to other amounts.

    >>> of_difference(Amounts({"basic": 70}, 20, 30, 10), Amounts({"basic": 75}, 15, 25, 5))
    [('fund:basic', 5), ('person', -5)]
    """
    moved = {tier: now.pay.get(tier, 0) - before.pay.get(tier, 0) for tier in {**before.pay, **now.pay}}
    return _kept([*_funds(moved), ("person", -sum(moved.values()))])


def of_reversal(first: Amounts, now: Amounts) -> list[Posting]:
    """Give the postings that take a claim back: settled at `first`, moved to `now` by differences since.

    >>> of_reversal(Amounts({"basic": 70}, 20, 30, 10), Amounts({"basic": 75}, 15, 25, 5))
    [('person', -25), ('fund:basic', -75), ('facility', 30), ('advance', 70)]
    """
    taken = [(party, -fen) for party, fen in _funds(now.pay)]
    return _kept(
        [("person", -now.own_total_fen), *taken, ("facility", first.own_total_fen), ("advance", first.pay_total_fen)]
    )


def of_payment(amount_fen: int) -> list[Posting]:
    """Give the postings of money paid to the person (above zero) or returned by them (below).

    >>> of_payment(-5)
    [('arrears', -5), ('bank', 5)]
    """
    return _kept([("arrears", amount_fen), ("bank", -amount_fen)])


def of_clearing(amount_fen: int) -> list[Posting]:
    """Give the postings of a facility's account that is paid what it advanced.

    >>> of_clearing(70)
    [('advance', 70), ('facility', -70)]
    """
    return _kept([("advance", amount_fen), ("facility", -amount_fen)])


def _funds(pay: Mapping[str, int]) -> list[Posting]:
    return [(f"fund:{tier}", fen) for tier, fen in pay.items()]


def _kept(postings: Iterable[Posting]) -> list[Posting]:
    """Leave out what is zero; see that the rest comes to zero."""
    kept = [(party, fen) for party, fen in postings if fen]
    assert sum(fen for _, fen in kept) == 0, "postings come to zero"
    return kept
