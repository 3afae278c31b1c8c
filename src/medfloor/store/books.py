"""Hold what settling needs and keeps warm: the store, the law, the program's version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from medfloor import __version__
from medfloor.errors import InputError
from medfloor.policy.load import PolicySet
from medfloor.settlement.batch import Law
from medfloor.settlement.engines import few, is_loaded
from medfloor.settlement.online import Desk, Rulings
from medfloor.settlement.scope import year_of
from medfloor.settlement.settle import law_of
from medfloor.store.bills import Bill
from medfloor.store.engine import Store
from medfloor.store.entries import Stamp, canonical, sha256


@dataclass(frozen=True)
class Books:
    """Be a store together with the law under which it settles; one for a program, shared by its threads.

    `desk` is None where the policy counts by household: then every claim is settled with its household's year.
    `policy_hash` is that of the law itself, so that a number changed in a file is seen.

    >>> from medfloor.store.engine import open_store
    >>> books = Books.of(open_store("sqlite:///:memory:"), "cn/beijing")
    >>> books.address, len(books.policy_hash), books.household
    ('cn/beijing', 64, False)
    """

    store: Store
    law: Law
    desk: Desk | None
    rulings: Rulings
    policy_hash: str
    engine: str
    _turns: Iterator[int] = field(default_factory=count, repr=False)

    @classmethod
    def of(cls, store: Store, policy: str | PolicySet | Law) -> Books:
        """Open the books under a policy, by address or loaded. Raises PolicyError for one that cannot be loaded."""
        law = law_of(policy)
        desk = None if law.layout.household else Desk(law)
        rulings = Rulings(law) if desk is None else desk.rulings
        return cls(store, law, desk, rulings, hash_of(law.policies), f"medfloor {__version__}")

    @property
    def address(self) -> str:
        """Give the policy's address."""
        return self.law.policies.address

    @property
    def household(self) -> bool:
        """Say whether the policy counts by household."""
        return self.law.layout.household

    def begin_sparingly(self) -> bool:
        """Say whether the next claim is one of the few for which compiled code would not be loaded; count it.

        A service loads it before it serves, so that none is there.
        """
        return not is_loaded() and next(self._turns) < few()

    def stamp(self, actor: Any, now: datetime) -> Stamp:
        """Say who posts now, under this law. `actor` has a `login`."""
        return Stamp(now, actor.login, self.address, self.policy_hash, self.engine)

    def benefit_year(self, bill: Bill) -> int:
        """Give the benefit year to which the policy counts a claim. Raises InputError outside_policy_dates."""
        index = self.law.policies.index_on(bill.settled_date)
        if index is None:
            raise InputError("outside_policy_dates", f"no version of the policy is in force on {bill.settled_date}")
        return year_of(self.law.policies.versions[index], bill.visit)


def hash_of(policies: PolicySet) -> str:
    """Hash the law as it was read, with all that it extends and every reform in it (SHA-256, hex)."""
    return sha256(canonical([version.model_dump(mode="json", by_alias=True) for version in policies.versions]))
