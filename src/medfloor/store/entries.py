"""Add entries to chains: each carries the hash of the one before it, so that no one can change the past unseen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from medfloor.store.accounts import SAVED, Account, row_of, save
from medfloor.store.postings import SETTLING, Posting
from medfloor.store.schema import account, claim, entry, posting, watch_pending


@dataclass(frozen=True, slots=True)
class Stamp:
    """Say when and by whom entries are posted, under which law, and by which program."""

    at: datetime
    by: str
    policy: str
    policy_hash: str
    engine: str


@dataclass(slots=True)
class Draft:
    """Be an entry that is to be posted. `append` and `link` fill in number, previous and hash; writing it, the id.

    `input` and `result` are plain values; `cause` is the number, in the same chain, of the entry that led to this one.
    """

    kind: str
    claim_id: str | None
    settled_date: date
    input: Mapping[str, Any]
    result: Mapping[str, Any]
    postings: Sequence[Posting]
    cause: int | None = None
    request_key: str | None = None
    request_hash: str | None = None
    number: int = 0
    id: int = 0
    hash: str = ""
    row: dict[str, Any] = field(default_factory=dict)


def append(connection: sa.Connection, account: Account, drafts: Sequence[Draft], stamp: Stamp) -> list[int]:
    """Post entries to one locked account, write its new head, and give the entries' ids."""
    for draft in drafts:
        link(account, draft, stamp)
    write(connection, drafts, [account])
    return [draft.id for draft in drafts]


def link(account: Account, draft: Draft, stamp: Stamp) -> None:
    """Put a draft behind the last entry of its account; nothing is written yet."""
    assert sum(fen for _, fen in draft.postings) == 0, "postings come to zero"
    given = canonical(draft.input)
    draft.number = account.length + 1
    row = {
        "account_id": account.id, "number": draft.number, "kind": draft.kind, "claim_id": draft.claim_id,
        "cause": draft.cause, "request_key": draft.request_key, "request_hash": draft.request_hash,
        "posted_at": stamp.at, "posted_by": stamp.by, "settled_date": draft.settled_date, "policy": stamp.policy,
        "policy_hash": stamp.policy_hash, "engine": stamp.engine, "input": given, "input_hash": sha256(given),
        "result": canonical(draft.result), "previous": account.head,
    }  # fmt: skip
    draft.hash = row["hash"] = entry_hash(account.key, row, draft.postings)
    draft.row = row
    account.length, account.head = draft.number, draft.hash


def write(
    connection: sa.Connection,
    drafts: Sequence[Draft],
    accounts: Sequence[Account],
    claims: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write linked drafts with the claims they settle and what they make of their accounts, and fill in their ids.

    PostgreSQL gets all of it in one statement, whose text stays the same however many tills settle together: the rows
    travel as JSON, so that the server prepares it once and answers once. A SQLite file is not reached over a wire.
    What a person bears changed with some of them: those are queued, so that the household is screened (store.watching).
    """
    if not drafts:
        return
    entries = [draft.row for draft in drafts]
    if connection.dialect.name == "postgresql":
        written = connection.execute(_AT_ONCE, _as_json(drafts, accounts, claims)).all()
    else:
        if claims:
            connection.execute(_INSERT_CLAIMS, claims)
        written = connection.execute(_INSERT, entries).all()
    ids = {(account_id, number): made for account_id, number, made in written}
    for draft in drafts:
        draft.id = ids[draft.row["account_id"], draft.number]
    if connection.dialect.name != "postgresql":
        rows = [
            {"entry_id": one.id, "party": party, "amount_fen": fen} for one in drafts for party, fen in one.postings
        ]
        if rows:
            connection.execute(_INSERT_POSTINGS, rows)
        queued = [{"entry_id": one.id} for one in drafts if one.kind in _SCREENED]
        if queued:
            connection.execute(_INSERT_PENDING, queued)
        save(connection, accounts)


def entry_hash(key: tuple[str, str, int], row: Mapping[str, Any], postings: Iterable[Posting]) -> str:
    """Hash an entry: its chain, all that it says, what stood before it, and its postings (SHA-256, hex).

    `row` holds the columns of the table by name. Postings count in any order.
    """
    said = [
        *key,
        *(row[name] for name in _PLAIN),
        row["posted_at"].astimezone(UTC).isoformat(timespec="microseconds"),
        row["settled_date"].isoformat(),
        sorted([party, fen] for party, fen in postings),
    ]
    return sha256(canonical(said))


def canonical(value: Any) -> str:
    """Write plain values as JSON in one way only: sorted keys, no spaces, text as it is.

    >>> canonical({"b": 1, "a": ["x"]})
    '{"a":["x"],"b":1}'
    """
    try:
        return orjson.dumps(value, option=_ONE_WAY).decode()
    except orjson.JSONEncodeError:
        # What it does not know: a number beyond 64 bits, a key that is no text.
        return _ENCODER.encode(value)


def sha256(text: str) -> str:
    """Hash a text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


_ONE_WAY = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)

_PLAIN = (
    "number", "kind", "claim_id", "cause", "request_key", "request_hash", "posted_by", "policy", "policy_hash",
    "engine", "input_hash", "result", "previous",
)  # fmt: skip

_INSERT_CLAIMS = sa.insert(claim)
_INSERT = sa.insert(entry).returning(entry.c.account_id, entry.c.number, entry.c.id)
_INSERT_POSTINGS = sa.insert(posting)
_INSERT_PENDING = sa.insert(watch_pending)

_SCREENED = (*SETTLING, "difference", "reversal")
"""Kinds of entries after which a household is screened."""


def _as_json(
    drafts: Sequence[Draft], accounts: Sequence[Account], claims: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Give the rows of `_AT_ONCE`; a posting names its entry by account and number, for it has no id yet."""
    postings = [
        {"account_id": one.row["account_id"], "number": one.number, "party": party, "amount_fen": fen}
        for one in drafts
        for party, fen in one.postings
    ]
    rows = {"claims": claims, "entries": [one.row for one in drafts], "postings": postings}
    said: dict[str, Any] = {name: orjson.dumps(listed).decode() for name, listed in rows.items()}
    heads = orjson.dumps([row_of(one) for one in accounts]).decode()
    return {**said, "accounts": heads, "most": len(accounts)}


def _rows_of(parameter: str, columns: Sequence[sa.Column[Any]]) -> str:
    """Write the part of a statement that reads typed rows from a parameter of JSON."""
    typed = ", ".join(f'"{one.name}" {one.type.compile(postgresql.dialect())}' for one in columns)  # type: ignore[no-untyped-call]
    return f"json_to_recordset(CAST(:{parameter} AS json)) AS r({typed})"


def _insert_from(table: sa.Table, parameter: str) -> str:
    columns = [one for one in table.c if one.name != "id"]
    names = ", ".join(f'"{one.name}"' for one in columns)
    return f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {_rows_of(parameter, columns)}"


def _move_from(parameter: str) -> str:
    # The limit tells the planner that these are few: it then finds the accounts by their key and reads no others.
    columns = [account.c.id, *(account.c[name] for name in SAVED)]
    few = f"SELECT * FROM {_rows_of(parameter, columns)} LIMIT :most"
    moved = ", ".join(f"{name} = r.{name}" for name in SAVED)
    return f"UPDATE account SET {moved} FROM ({few}) AS r WHERE account.id = r.id"


_PARTS = [entry.c.account_id, entry.c.number, posting.c.party, posting.c.amount_fen]

_AT_ONCE = sa.text(
    f"WITH brought AS ({_insert_from(claim, 'claims')}), "
    f"posted AS ({_insert_from(entry, 'entries')} RETURNING id, account_id, number, kind), "
    f"parted AS (INSERT INTO posting (entry_id, party, amount_fen) SELECT posted.id, r.party, r.amount_fen "
    f"FROM {_rows_of('postings', _PARTS)} JOIN posted USING (account_id, number)), "
    f"queued AS (INSERT INTO watch_pending (entry_id) SELECT id FROM posted WHERE kind IN {_SCREENED!r}), "
    f"moved AS ({_move_from('accounts')}) SELECT account_id, number, id FROM posted"
)
