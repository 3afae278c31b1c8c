"""Join the feeder and the ledger: what waits is settled in one transaction, whoever asks."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from medfloor.errors import ConflictError
from medfloor.service.feeder import Ask
from medfloor.service.logs import where
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
    return Books.of(store, policy) if policy else None


class Loading:
    """Load the kernel, and settle a made-up visit with it once, so that it is compiled before many patients wait.

    A thread does it while pages are answered; the few claims that come meanwhile are reckoned without compiled code
    (`Books.begin_sparingly`), by which the same comes out. `state` is ok, loading, or failed.
    """

    def __init__(self, books: Books | None, log: Any) -> None:
        self.state = "loading"
        self._books, self._log = books, log
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to load beside whatever else is done."""
        self._thread = threading.Thread(target=self.run, name="loading", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Load now; what fails is logged, and shown by the state."""
        try:
            _settle_once(self._books)
        except Exception as error:
            self.state = "failed"
            self._log.error("loading failed", where=where(error))
        else:
            self.state = "ok"

    def end(self) -> None:
        """Wait until nothing is compiled: a process that ends within the compiler may end badly."""
        if self._thread is not None:
            self._thread.join()


def _settle_once(books: Books | None) -> None:
    from medfloor.errors import MedfloorError
    from medfloor.settlement.scope import Person, Visit

    if books is None or books.desk is None:
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
