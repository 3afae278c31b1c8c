"""Be what may be spent: by all tiers together, and by single funds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from medfloor.errors import UsageError
from medfloor.simulation.trial import Figures

Amount = float | Literal["same"]
Budget = Amount | Mapping[str, Amount]
"""One amount for all tiers together, or amounts by fund: a tier, tiers joined with +, or `all`."""

ALL = "all"


@dataclass(frozen=True, slots=True)
class Fund:
    """Be one fund with a limit: its name as asked for, its tiers, and what it may pay a year in yuan."""

    name: str
    tiers: tuple[str, ...]
    limit: float

    def paid(self, figures: Figures) -> float:
        """Give what its tiers pay under a package; a tier that a law does not have pays nothing."""
        return sum(paid for tier, paid in zip(figures.tiers, figures.paid, strict=True) if tier in self.tiers)


@dataclass(frozen=True, slots=True)
class Limits:
    """Be what all tiers together may pay a year (`total`), and what single funds may."""

    total: float
    funds: tuple[Fund, ...] = ()

    def within(self, figures: Figures) -> bool:
        """Say whether a package keeps every limit."""
        return figures.cost <= self.total and all(one.paid(figures) <= one.limit for one in self.funds)

    def share(self, figures: Figures) -> float:
        """Give the part of the tightest limit that a package uses; at most 1 where it keeps all."""
        pairs = [(figures.cost, self.total), *((one.paid(figures), one.limit) for one in self.funds)]
        return max(paid / limit if limit > 0 else 1.0 + paid for paid, limit in pairs)

    def elsewhere(self, here: Figures, there: Figures) -> Limits:
        """Give the limits for other people: each in the proportion that it has to the law as it is here."""

        def moved(limit: float, before: float, now: float) -> float:
            return limit * now / before if before > 0 else limit

        funds = [replace(one, limit=moved(one.limit, one.paid(here), one.paid(there))) for one in self.funds]
        return Limits(moved(self.total, here.cost, there.cost), tuple(funds))


def limits_of(budget: Budget, now: Figures) -> Limits:
    """Read a budget against what each tier pays now. `now` has every tier's sum.

    Where only funds are limited and they hold all tiers, their sum is the limit of all together.

    Raises UsageError bad_budget.

    >>> now = Figures({}, 100.0, ("basic", "assistance"), (80.0, 20.0))
    >>> found = limits_of({"all": "same", "assistance": 15.0}, now)
    >>> found.total, found.funds[0].limit, found.within(now), found.share(now)
    (100.0, 15.0, False, 1.3333333333333333)
    """
    asked = dict(budget) if isinstance(budget, Mapping) else {ALL: budget}
    funds = tuple(
        Fund(name, tiers, _amount(name, amount, Fund(name, tiers, 0.0).paid(now)))
        for name, amount in asked.items()
        if name != ALL
        for tiers in [_tiers(name, now.tiers)]
    )
    if ALL in asked:
        return Limits(_amount(ALL, asked[ALL], now.cost), funds)
    held = [tier for one in funds for tier in one.tiers]
    missing = sorted(set(now.tiers) - set(held))
    if missing or len(set(held)) < len(held):
        why = f"no fund holds {', '.join(missing)}" if missing else "a tier stands in two funds"
        raise UsageError("bad_budget", f"{why}; give a budget of all tiers too, such as `same` or `all=15000000`")
    return Limits(sum(one.limit for one in funds), funds)


def read_budget(asked: Sequence[str]) -> Budget:
    """Read budgets as they are written: `same`, `15000000`, `assistance=same`, `basic+critical_illness=12000000`.

    Raises UsageError bad_budget.

    >>> read_budget(["same", "assistance=1,500,000"])
    {'all': 'same', 'assistance': 1500000.0}
    """
    found: dict[str, Amount] = {}
    for name, amount in _read(asked):
        if name in found:
            raise UsageError("bad_budget", f"--budget names {name} twice; give each limit once")
        found[name] = amount
    return found


def _read(asked: Sequence[str]) -> Iterator[tuple[str, Amount]]:
    for one in asked:
        name, mark, text = one.rpartition("=")
        name, text = (name.strip() if mark else ALL), text.strip()
        if text == "same" and name:
            yield name, "same"
            continue
        try:
            amount = float(text.replace(",", ""))
        except ValueError:
            amount = math.nan
        if not name or math.isnan(amount):
            raise UsageError(
                "bad_budget", f"--budget {one}: give `same`, yuan a year for these people, or TIER=same or TIER=YUAN"
            )
        yield name, amount


def _tiers(name: str, known: Sequence[str]) -> tuple[str, ...]:
    tiers = tuple(one.strip() for one in name.split("+"))
    strange = [one for one in tiers if one not in known]
    if strange:
        raise UsageError(
            "bad_budget", f"there is no tier {', '.join(strange)}; the policy has {', '.join(known)}, and `all` is all"
        )
    return tuple(dict.fromkeys(tiers))


def _amount(name: str, amount: Amount, now: float) -> float:
    if amount == "same":
        return now
    if not math.isfinite(amount) or amount < 0:
        raise UsageError(
            "bad_budget", f"a budget of {amount} for {name}: give `same`, or yuan a year for these people, from 0"
        )
    return float(amount)
