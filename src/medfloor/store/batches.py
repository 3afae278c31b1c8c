"""Keep what became of a file of claims: how far it is, which claims it settled, which rows were refused and why.

A batch is an import of the kind `claims`; its source is who sent it, so the same file of the same clerk is the same
batch. Refused rows stay sealed, as those of every import. What the file itself said (its money, when its work was last
seen) stands among its differences under the kind `stated`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from medfloor.errors import NotFoundError
from medfloor.store.keys import Keyring
from medfloor.store.ledger import Posted
from medfloor.store.postings import SETTLING
from medfloor.store.roles import Actor
from medfloor.store.schema import claim, entry, import_difference, import_reject, import_run, posting

KIND = "claims"

Reject = tuple[int, str, str, Mapping[str, Any]]
"""Number of the row, code of the reason, detail, and the cells as they came."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Be how far a file of claims is. rows_in = settled + repeated + refused once it is finished.

    `money_in_fen` and `money_refused_fen` are what the file says; `settled_fen`, `paid_fen` and `own_fen` what the
    ledger says of the claims that it settled, once it is finished.
    """

    number: int
    by: str
    started_at: datetime
    finished_at: datetime | None
    seen_at: datetime | None
    rows_in: int
    settled: int
    repeated: int
    refused: int
    money_in_fen: int
    money_refused_fen: int
    settled_fen: int
    paid_fen: int

    @property
    def done(self) -> int:
        """Give how many rows have an answer."""
        return self.settled + self.repeated + self.refused

    @property
    def own_fen(self) -> int:
        """Give what stays with the people."""
        return self.settled_fen - self.paid_fen

    @property
    def reconciles(self) -> bool:
        """Say whether rows and money of the file come out of what was settled and what was refused, to the fen."""
        return self.done == self.rows_in and self.money_in_fen == self.settled_fen + self.money_refused_fen


def find_batch(connection: sa.Connection, content_hash: str, by: str) -> int | None:
    """Find the batch that the same file of the same person made."""
    found: int | None = connection.execute(
        sa.select(import_run.c.id).where(
            import_run.c.kind == KIND, import_run.c.source == by, import_run.c.content_hash == content_hash
        )
    ).scalar()
    return found


def open_batch(
    connection: sa.Connection, content_hash: str, *, rows_in: int, money_in_fen: int, actor: Actor, now: datetime
) -> int:
    """Open a batch, and give its number. The store refuses a second one of the same file and person."""
    row = {
        "kind": KIND, "source": actor.login, "content_hash": content_hash, "started_at": now,
        "recorded_by": actor.login, "rows_in": rows_in,
    }  # fmt: skip
    made = connection.execute(sa.insert(import_run).values(row)).inserted_primary_key
    assert made is not None, "a row has a number"
    number = int(made[0])
    said = {"money_in_fen": str(money_in_fen), "money_refused_fen": "0", "seen_at": now.isoformat()}
    said |= {"settled_fen": "0", "paid_fen": "0"}
    rows = [{"import_id": number, "kind": "stated", "field": name, "after": value} for name, value in said.items()]
    connection.execute(sa.insert(import_difference), rows)
    return number


def begin_again(connection: sa.Connection, number: int, *, unseen_since: datetime, now: datetime) -> bool:
    """Clear a batch whose work broke off, so that its file can be worked on from the start; False: it is at work."""
    batch = batch_of(connection, number)
    if batch.finished_at is not None or (batch.seen_at is not None and batch.seen_at > unseen_since):
        return False
    connection.execute(sa.delete(import_reject).where(import_reject.c.import_id == number))
    connection.execute(
        sa.delete(import_difference).where(
            import_difference.c.import_id == number, import_difference.c.kind != "stated"
        )
    )
    counts = dict.fromkeys(("rows_accepted", "rows_rejected", "rows_added", "rows_unchanged"), 0)
    connection.execute(sa.update(import_run).where(import_run.c.id == number).values(counts))
    _state(connection, number, "money_refused_fen", "0")
    _state(connection, number, "seen_at", now.isoformat())
    return True


def add_answers(
    connection: sa.Connection,
    number: int,
    posted: Sequence[Posted],
    rejects: Sequence[Reject],
    *,
    keyring: Keyring,
    refused_fen: int,
    now: datetime,
) -> None:
    """Write down what became of some rows."""
    run = import_run
    new = sum(not one.again for one in posted)
    connection.execute(
        sa.update(run)
        .where(run.c.id == number)
        .values(
            rows_accepted=run.c.rows_accepted + len(posted), rows_added=run.c.rows_added + new,
            rows_unchanged=run.c.rows_unchanged + len(posted) - new, rows_rejected=run.c.rows_rejected + len(rejects),
        )
    )  # fmt: skip
    if posted:
        rows = [
            {
                "import_id": number, "person_id": one.person_id, "kind": "unchanged" if one.again else "added",
                "field": "claim", "after": one.claim_id,
            }
            for one in posted
        ]  # fmt: skip
        connection.execute(sa.insert(import_difference), rows)
    if rejects:
        kept = [
            {
                "import_id": number, "row": row, "reason": reason, "detail": detail,
                "sealed_row": keyring.seal_row(cells),
            }
            for row, reason, detail, cells in rejects
        ]  # fmt: skip
        connection.execute(sa.insert(import_reject), kept)
    if refused_fen:
        before = int(_stated(connection, number).get("money_refused_fen", "0"))
        _state(connection, number, "money_refused_fen", str(before + refused_fen))
    _state(connection, number, "seen_at", now.isoformat())


def finish(connection: sa.Connection, number: int, *, now: datetime) -> None:
    """Say that a batch is through, and state what the ledger says of the claims that it settled."""
    mine = sa.select(import_difference.c.after).where(
        import_difference.c.import_id == number, import_difference.c.field == "claim"
    )
    total = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(claim.c.total_fen), 0)).where(claim.c.claim_id.in_(mine))
    ).scalar_one()
    # What the funds first paid: differences that come later are told by the claims themselves.
    paid = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(posting.c.amount_fen), 0))
        .join(entry, entry.c.id == posting.c.entry_id)
        .where(entry.c.claim_id.in_(mine), entry.c.kind.in_(SETTLING), posting.c.party.like("fund:%"))
    ).scalar_one()
    _state(connection, number, "settled_fen", str(int(total)))
    _state(connection, number, "paid_fen", str(int(paid)))
    connection.execute(sa.update(import_run).where(import_run.c.id == number).values(finished_at=now))


def batch_of(connection: sa.Connection, number: int) -> Batch:
    """Give how far a batch is. Raises NotFoundError (`no_such_import`)."""
    row = connection.execute(sa.select(import_run).where(import_run.c.id == number, import_run.c.kind == KIND)).first()
    if row is None:
        raise NotFoundError("no_such_import", f"there is no batch {number}")
    stated = _stated(connection, number)
    seen = stated.get("seen_at")
    return Batch(
        row.id, row.recorded_by, row.started_at, row.finished_at, datetime.fromisoformat(seen) if seen else None,
        row.rows_in, row.rows_added, row.rows_unchanged, row.rows_rejected, int(stated.get("money_in_fen", "0")),
        int(stated.get("money_refused_fen", "0")), int(stated.get("settled_fen", "0")),
        int(stated.get("paid_fen", "0")),
    )  # fmt: skip


def settled_of(connection: sa.Connection, number: int, *, skip: int = 0, limit: int = 50) -> list[Any]:
    """List the claims that a batch settled: kind (added, unchanged), claim_id, person_id, total_fen, settled_date."""
    difference = import_difference
    return list(
        connection.execute(
            sa.select(difference.c.kind, claim.c.claim_id, claim.c.person_id, claim.c.total_fen, claim.c.settled_date)
            .join(claim, claim.c.claim_id == difference.c.after)
            .where(difference.c.import_id == number, difference.c.field == "claim")
            .order_by(difference.c.id)
            .offset(skip)
            .limit(limit)
        ).all()
    )


def newest_batches(connection: sa.Connection, by: str, *, limit: int = 10) -> list[Any]:
    """List somebody's batches, the newest first: id, started_at, finished_at, rows_in, rows_added, rows_rejected."""
    run = import_run
    asked = sa.select(
        run.c.id, run.c.started_at, run.c.finished_at, run.c.rows_in, run.c.rows_added, run.c.rows_rejected
    )
    mine = asked.where(run.c.kind == KIND, run.c.recorded_by == by).order_by(run.c.id.desc()).limit(limit)
    return list(connection.execute(mine).all())


def count_reasons(connection: sa.Connection, number: int) -> list[tuple[str, int]]:
    """Count the refused rows of a batch by reason, the most frequent first."""
    refused = import_reject
    asked = (
        sa.select(refused.c.reason, sa.func.count().label("rows"))
        .where(refused.c.import_id == number)
        .group_by(refused.c.reason)
        .order_by(sa.desc("rows"), refused.c.reason)
    )
    return [(reason, int(rows)) for reason, rows in connection.execute(asked)]


def _stated(connection: sa.Connection, number: int) -> dict[str, str]:
    said: Iterable[Any] = connection.execute(
        sa.select(import_difference.c.field, import_difference.c.after).where(
            import_difference.c.import_id == number, import_difference.c.kind == "stated"
        )
    )
    return {field: after or "" for field, after in said}


def _state(connection: sa.Connection, number: int, name: str, value: str) -> None:
    table = import_difference
    connection.execute(
        sa.update(table)
        .where(table.c.import_id == number, table.c.kind == "stated", table.c.field == name)
        .values(after=value)
    )
