"""Settle a file of claims: read it, refuse what cannot be settled, settle the rest piece by piece, and keep account.

Each row is settled or refused by itself. The request key of a row follows from what it says, so a file that is sent
twice, or again after a server broke off, settles nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import ConflictError, InputError, NotFoundError
from medfloor.intake import read_claims
from medfloor.service.access import Acting
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.looking import note
from medfloor.service.running import Running
from medfloor.service.settling import books_of
from medfloor.store import audit, batches, ledger
from medfloor.store.bills import Bill, bills_of
from medfloor.store.entries import canonical, sha256
from medfloor.store.extracts import read_extract
from medfloor.store.identity import without_identities

PIECE = 100
MOST_ROWS = 50_000
_NOBODY = "person_id: the register has no such person; add the person first"
GONE_SECONDS = 60
"""A batch whose work was not seen for so long has broken off; the same file sent again goes on with it."""


@dataclass(frozen=True, slots=True)
class Work:
    """Be the rows of a batch that wait to be settled: bills with their row of the file, and what the file said."""

    number: int
    bills: Sequence[tuple[int, Bill]]
    cells: Mapping[int, Mapping[str, Any]]


def take(run: Running, acting: Acting, content: bytes) -> tuple[int, Work | None]:
    """Read a file of claims and open its batch; the work is None where the same file was taken before.

    Rows that cannot be read are refused here. Raises InputError of `read_extract` and `read_claims`, `too_many_rows`.
    """
    books = books_of(run)
    extract = read_extract(content)
    if len(extract.rows) > MOST_ROWS:
        raise InputError("file_too_large", f"the file has more than {MOST_ROWS:,} rows; send it in parts")
    named = [name for name in extract.columns if name]
    cells = {
        number: {name: _text(cell) for name, cell in zip(extract.columns, row, strict=True) if name}
        for number, row in enumerate(extract.rows)
        if any(cell is not None for cell in row)
    }
    frame = pl.DataFrame(
        {name: [row[name] for row in cells.values()] for name in named}, schema=dict.fromkeys(named, pl.String)
    )
    numbers = list(cells)
    codes = books.law.policies.versions[-1].codes
    read = read_claims(frame, med_type=codes.med_type, hosp_lv=codes.hosp_lv)
    rejects: list[batches.Reject] = []
    for row, reason, detail in zip(read.rejected_rows, read.rejected["reason"], read.rejected["detail"], strict=True):
        number = numbers[row]
        rejects.append((number + extract.first, reason, without_identities(detail), cells[number]))
    mine, back = _bills(read.accepted, books.law.dimensions.columns, numbers)
    for number, bill_error in back:
        rejects.append((number + extract.first, bill_error.code, bill_error.message, cells[number]))
    money = read.money_in_fen
    refused = money - sum(bill.total_fen for _, bill in mine)

    def begin(connection: sa.Connection) -> tuple[int, bool]:
        before = batches.find_batch(connection, extract.content_hash, acting.actor.login)
        if before is not None:
            since = acting.now - timedelta(seconds=GONE_SECONDS)
            if not batches.begin_again(connection, before, unseen_since=since, now=acting.now):
                return before, False
            opened = before
        else:
            opened = batches.open_batch(
                connection, extract.content_hash, rows_in=len(cells), money_in_fen=money, actor=acting.actor,
                now=acting.now,
            )  # fmt: skip
        batches.add_answers(connection, opened, (), rejects, keyring=run.keyring, refused_fen=refused, now=acting.now)
        audit.record(
            connection, acting.actor, "settle_batch", now=acting.now, detail=f"import={opened}",
            request_id=acting.request_id,
        )  # fmt: skip
        return opened, True

    number, fresh = _begun(run, begin)
    if not fresh:
        return number, None
    kept = {row + extract.first: cells[row] for row, _ in mine}
    return number, Work(number, [(row + extract.first, bill) for row, bill in mine], kept)


def settle_all(run: Running, acting: Acting, work: Work) -> None:
    """Settle the rows of a batch in pieces; after each it is written down how far it is."""
    books = books_of(run)
    for start in range(0, len(work.bills), PIECE):
        piece = work.bills[start : start + PIECE]
        requests = [ledger.Request(bill, _key(bill), by=acting.actor, within=True) for _, bill in piece]
        answers = ledger.settle(books, requests, actor=acting.actor, now=run.clock())
        posted = [one for one in answers if not isinstance(one, ledger.Refused)]
        refused = [
            (row, bill, one) for (row, bill), one in zip(piece, answers, strict=True) if isinstance(one, ledger.Refused)
        ]
        outside = [bill.person_id for _, bill, one in refused if one.code == "no_such_person"]
        if outside:
            note(run, acting, "outside_place", dict.fromkeys(outside), detail="settle")
        _keep(run, work, posted, refused)
    run.store.attempt(lambda connection: batches.finish(connection, work.number, now=run.clock()))


def batch(run: Running, acting: Acting, number: int) -> batches.Batch:
    """Give a batch of one's own. Raises NotFoundError (`no_such_import`) for another's."""
    with run.store.reading() as connection:
        found = batches.batch_of(connection, number)
    if found.by != acting.actor.login:
        raise NotFoundError("no_such_import", "you have sent no such batch")
    return found


def _keep(run: Running, work: Work, posted: list[ledger.Posted], refused: list[tuple[int, Bill, Any]]) -> None:
    rejects = [(row, *_told(one), work.cells[row]) for row, _, one in refused]
    money = sum(bill.total_fen for _, bill, _ in refused)
    run.store.attempt(
        lambda connection: batches.add_answers(
            connection, work.number, posted, rejects, keyring=run.keyring, refused_fen=money, now=run.clock()
        )
    )


def _told(refused: ledger.Refused) -> tuple[str, str]:
    """Give code and detail of a refusal; somebody outside of the place is told like somebody who is not there."""
    if refused.code == "no_such_person":
        return "unknown_person", _NOBODY
    return refused.code, without_identities(refused.error.message)


def _bills(
    accepted: pl.DataFrame, columns: Sequence[str], numbers: Sequence[int]
) -> tuple[list[tuple[int, Bill]], list[tuple[int, InputError]]]:
    """Make the bills of the rows that can be read, and refuse the rows that ask for something else."""
    bills: list[tuple[int, Bill]] = []
    refused: list[tuple[int, InputError]] = []
    if accepted["reverses"].null_count() == accepted.height and accepted["claim_id"].str.contains(ID_PATTERN).all():
        try:
            made, _ = bills_of(accepted, columns)
            return [(numbers[row], one) for row, one in zip(accepted["row"], made, strict=True)], []
        except InputError:
            pass  # some row holds what is no amount; each is looked at for itself
    for at, row in enumerate(accepted["row"]):
        number = numbers[row]
        try:
            if not re.fullmatch(ID_PATTERN, accepted["claim_id"][at]):
                raise InputError("bad_claim_id", "claim_id: 1 to 64 letters, digits and . _ : @ -, a letter first")
            made, back = bills_of(accepted[at : at + 1], columns)
            if back:
                raise InputError(
                    "reversal_in_batch", "reverses: a claim is taken back on its own page, with the reason"
                )
            bills.append((number, made[0]))
        except InputError as error:
            refused.append((number, error))
    return bills, refused


def _begun(run: Running, begin: Any) -> tuple[int, bool]:
    """Open the batch; of two who send the same file at once the second finds the first one's."""
    try:
        found: tuple[int, bool] = run.store.attempt(begin)
    except (sa.exc.IntegrityError, ConflictError):
        found = run.store.attempt(begin)
    return found


def _key(bill: Bill) -> str:
    return f"batch:{sha256(canonical(bill.facts()))}"


def _text(cell: Any) -> str | None:
    """Give a cell as text; what a workbook holds as a number of no fraction is one without a point."""
    if cell is None:
        return None
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip() or None
