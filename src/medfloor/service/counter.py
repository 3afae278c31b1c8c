"""Join the feeder and the ledger: what waits is settled in one transaction, whoever asks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from medfloor.errors import ConflictError
from medfloor.service.feeder import Ask
from medfloor.service.metrics import Metrics
from medfloor.store.engine import Store
from medfloor.store.office import office_of

if TYPE_CHECKING:
    from medfloor.store.books import Books


def open_books(store: Store) -> Books | None:
    """Open the books under the office's policy; None while it has chosen none. Raises PolicyError."""
    from medfloor.store.books import Books

    with store.reading() as connection:
        policy = office_of(connection).policy
    if not policy:
        return None
    books = Books.of(store, policy)
    _warm(books)
    return books


def _warm(books: Books) -> None:
    """Settle a made-up visit once, so that the kernel is compiled before the first patient waits for it."""
    from medfloor.errors import MedfloorError
    from medfloor.settlement.scope import Person, Visit

    if books.desk is None:
        return
    day = books.law.policies.versions[-1].from_
    visit = Visit("inpatient", "2", day, day, day, total_fen=10_000)
    # A law that lacks a number for such a visit says so when it matters.
    with contextlib.suppress(MedfloorError):
        books.desk.settle(visit, Person("warm", "warm"), [], in_scope_fen=10_000)


def policy_of(books: Books | None) -> str | None:
    """Give the address of the policy that is in use; of one that is a file its name only."""
    return books.address.replace("\\", "/").rpartition("/")[2] if books else None


def post_to(books: Books | None, metrics: Metrics) -> Callable[[Sequence[Ask]], Sequence[Any]]:
    """Give what a feeder posts with: it settles all requests in one transaction; each says `by` whom it is asked.

    An answer is what `ledger.settle` gives: Posted or Refused; or an exception where the transaction failed.
    """
    from medfloor.store.ledger import Posted, settle

    def post(asks: Sequence[Ask]) -> Sequence[Any]:
        if books is None:
            return [_no_policy()] * len(asks)
        try:
            answers: Sequence[Any] = settle(books, [ask.request for ask in asks], actor=asks[-1].actor, now=asks[-1].at)
        except Exception as error:
            answers = [error] * len(asks)
        for answer in answers:
            if isinstance(answer, Posted):
                metrics.settled("again" if answer.again else "posted")
            else:
                metrics.settled("failed" if isinstance(answer, Exception) else "refused")
        return answers

    return post


def _no_policy() -> ConflictError:
    return ConflictError("no_policy_chosen", "the office has chosen no policy yet; `medfloor admin init --policy` does")
