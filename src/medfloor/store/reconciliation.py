"""Compare a hospital's file of a month with the ledger, claim by claim, and resolve what differs.

Both sides are what was advanced in the month less what was taken back in it: ours are the entries that stand on the
statement of the month (or would, if it were drawn now), theirs the rows of the file, where a refund has its own row. A
claim that agrees in what the funds paid, and in every other amount that the file has, makes no item. So to the fen::

    ours - theirs = sum over the items of (ours_fen - theirs_fen)

An item is resolved once, by name; what needs an entry is made through the ledger. The same file again changes nothing.
A later file of the same month takes the place of the one before: its open items are superseded, and what both sides had
agreed to stays agreed as long as nothing about it has changed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from medfloor.errors import ConflictError, NotFoundError, UsageError
from medfloor.money import format_yuan
from medfloor.periods import OFFICE_ZONE
from medfloor.store import audit, ledger
from medfloor.store.accounts import FACILITY, locked
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.engine import Store
from medfloor.store.extracts import Extract, read_extract
from medfloor.store.hospital_file import Side, Unread, read_theirs
from medfloor.store.identity import without_identities
from medfloor.store.keys import Keyring
from medfloor.store.office import office_of
from medfloor.store.postings import SETTLING
from medfloor.store.roles import Actor, require
from medfloor.store.schema import claim, entry, import_reject, import_run, reconciliation, reconciliation_item
from medfloor.store.statements import NOBODY, PEOPLE, advanced, bounds_of, of_month

KINDS: dict[str, str] = {
    "only_ours": "the ledger has the claim in this month, the file has not",
    "only_theirs": "the file has the claim, the ledger has it in no month",
    "other_month": "the file has the claim, the ledger has it in another month",
    "amount_differs": "both have the claim, with other amounts",
    "reversed_here": "the ledger took the claim back in this month, the file did not",
    "reversed_there": "the file took the claim back, the ledger did not in this month",
}
"""Kind of an item -> what it says."""

RESOLUTIONS: dict[str, str] = {
    "settled": "the claim is settled in the ledger; its entry is named",
    "reversed": "the claim is taken back in the ledger; its entry is named",
    "agreed": "both sides agree that nothing is to be done, as with a claim of another month",
    "their_error": "the facility mends its books",
    "superseded": "a later file of the month took the place of this one",
}
"""How an item is resolved -> what that says. The last is never chosen by hand."""


FITTING: dict[str, tuple[str, ...]] = {
    "only_ours": ("reversed", "agreed", "their_error"),
    "only_theirs": ("settled", "agreed", "their_error"),
    "other_month": ("agreed", "their_error"),
    "amount_differs": ("reversed", "agreed", "their_error"),
    "reversed_here": ("settled", "agreed", "their_error"),
    "reversed_there": ("reversed", "agreed", "their_error"),
}
"""Kind of an item -> how it can be resolved."""


@dataclass(frozen=True, slots=True)
class Item:
    """Be one claim in which the books differ; amounts are what the funds paid, None where a side has nothing.

    `detail` says what differs besides (own_total or total, ours / theirs), or where the ledger has a claim that the
    file should not have: other_facility, paid_by_person.
    """

    id: int
    import_id: int
    provider_id: str
    month: str
    claim_id: str
    kind: str
    ours_fen: int | None
    theirs_fen: int | None
    detail: str | None
    state: str
    resolution: str | None
    resolved_by: str | None
    resolved_at: datetime | None
    entry_id: int | None
    note: str | None

    @property
    def difference_fen(self) -> int:
        """Give what our side has beyond theirs."""
        return (self.ours_fen or 0) - (self.theirs_fen or 0)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Be the outcome of one file: rows, what each side comes to, what agrees, and what differs.

    `theirs_fen` sums the rows that could be read; `rejected` were not compared, and are kept enciphered with reasons.
    With `again` the file had been compared before: nothing was changed, and amounts and items are those of then.
    """

    import_id: int
    provider_id: str
    month: str
    rows: int
    rejected: int
    matched: int
    ours_fen: int
    theirs_fen: int
    items: tuple[Item, ...]
    reasons: Mapping[str, int] = field(default_factory=dict)
    again: bool = False

    @property
    def open(self) -> int:
        """Count the items that wait to be resolved."""
        return sum(one.state == "open" for one in self.items)


def reconcile(
    store: Store, file: str | Path | bytes, provider_id: str, month: str, *, actor: Actor, now: datetime,
    keyring: Keyring,
) -> Reconciliation:  # fmt: skip
    """Compare a facility's file (CSV, Excel, Parquet) of a month (YYYY-MM) with the ledger, and keep what differs.

    Raises InputError where the file cannot be read or lacks claim_id or pay_total, UsageError (`bad_month`),
    ConflictError (`file_other_month`) for a file that was compared as another month's, AccessError (`forbidden`).
    """
    require(actor, "reconcile")
    bounds_of(month)
    if not provider_id or len(provider_id) > 64 or not provider_id.isprintable() or provider_id.startswith("*"):
        raise UsageError("bad_provider", "name the facility by its number, of 1 to 64 printable characters")
    extract = read_extract(file)
    theirs, rejects = read_theirs(extract, provider_id)

    def work(connection: sa.Connection) -> Reconciliation:
        # The facility's account is the lock: two who send the same file at once compare it once.
        locked(connection, [(FACILITY, provider_id, 0)])
        before = _compared_before(connection, provider_id, month, extract.content_hash)
        if before is not None:
            return before
        ours = ours_of(connection, provider_id, month)
        found = _differing(connection, ours, theirs, provider_id)
        import_id = _insert_run(connection, extract, provider_id, month, (len(rejects), len(found)), actor, now)
        _insert_rejects(connection, import_id, extract, rejects, keyring)
        _insert_items(connection, import_id, provider_id, month, found, actor, now)
        audit.record(connection, actor, "reconcile", detail=f"{provider_id} {month} import {import_id}", now=now)
        values = {
            "import_id": import_id, "provider_id": provider_id, "month": month, "ours_fen": _sum(ours),
            "theirs_fen": _sum(theirs), "matched": len(set(ours) | set(theirs)) - len(found),
        }  # fmt: skip
        connection.execute(sa.insert(reconciliation).values(values))
        return reconciliation_of(connection, import_id)

    return store.attempt(work)


def reconciliation_of(connection: sa.Connection, import_id: int) -> Reconciliation:
    """Give the outcome of a file that was compared. Raises NotFoundError (`no_such_import`)."""
    run = connection.execute(
        sa.select(reconciliation, import_run.c.rows_in, import_run.c.rows_rejected)
        .join(import_run, import_run.c.id == reconciliation.c.import_id)
        .where(reconciliation.c.import_id == import_id)
    ).first()
    if run is None:
        raise NotFoundError("no_such_import", f"no file of a facility was compared as import {import_id}")
    reasons = connection.execute(
        sa.select(import_reject.c.reason).where(import_reject.c.import_id == import_id)
    ).scalars()
    return Reconciliation(
        import_id, run.provider_id, run.month, run.rows_in, run.rows_rejected, run.matched, run.ours_fen,
        run.theirs_fen, tuple(items(connection, import_id=import_id)), Counter(reasons),
    )  # fmt: skip


def reconciliations(
    connection: sa.Connection, *, provider_id: str | None = None, month: str | None = None
) -> list[Reconciliation]:
    """List the files that were compared, the latest first; None = all."""
    asked = sa.select(reconciliation.c.import_id).order_by(reconciliation.c.import_id.desc())
    for column, value in ((reconciliation.c.provider_id, provider_id), (reconciliation.c.month, month)):
        if value is not None:
            asked = asked.where(column == value)
    return [reconciliation_of(connection, one) for one in connection.execute(asked).scalars()]


def items(
    connection: sa.Connection, *, provider_id: str | None = None, month: str | None = None, state: str | None = None,
    kind: str | None = None, import_id: int | None = None, after: int | None = None, limit: int | None = None,
) -> list[Item]:  # fmt: skip
    """List items in the order in which they were found; None = all, `after` is the id from which to go on.

    Raises UsageError: bad_month, unknown_state, unknown_kind.
    """
    if month is not None:
        bounds_of(month)
    if state not in (None, "open", "resolved"):
        raise UsageError("unknown_state", f"an item is open or resolved, not {state!r}")
    if kind is not None and kind not in KINDS:
        raise UsageError("unknown_kind", f"an item is {', '.join(KINDS)}, not {kind!r}")
    table = reconciliation_item
    asked = sa.select(*(table.c[one.name] for one in fields(Item))).order_by(table.c.id).limit(limit)
    wanted = {"provider_id": provider_id, "month": month, "state": state, "kind": kind, "import_id": import_id}
    for name, value in wanted.items():
        if value is not None:
            asked = asked.where(table.c[name] == value)
    if after is not None:
        asked = asked.where(table.c.id > after)
    return [Item(*row) for row in connection.execute(asked)]


def item_of(connection: sa.Connection, item_id: int) -> Item:
    """Give one item. Raises NotFoundError (`no_such_item`)."""
    table = reconciliation_item
    row = connection.execute(
        sa.select(*(table.c[one.name] for one in fields(Item))).where(table.c.id == item_id)
    ).first()
    if row is None:
        raise NotFoundError("no_such_item", f"there is no item {item_id} of a reconciliation")
    return Item(*row)


def resolve(
    books: Books, item_id: int, resolution: str, *, note: str | None = None, bill: Bill | None = None,
    actor: Actor, now: datetime,
) -> Item:  # fmt: skip
    """Resolve an item; resolved again in the same way it stays as it is.

    `settled` names the entry of a claim that stands in the ledger; where none does, it settles `bill`, or lets a claim
    that was taken back stand again. `reversed` names the entry that took the claim back, and takes it back where it
    stands. `agreed` and `their_error` need a note. Raises NotFoundError (`no_such_item`), UsageError
    (`unknown_resolution`, `note_missing`), ConflictError: `item_resolved` in another way, `resolution_unfit`,
    `not_settled`, `wrong_bill`, `reversal_above_limit`; and what the ledger raises.
    """
    require(actor, "reconcile")
    if resolution not in RESOLUTIONS or resolution == "superseded":
        named = ", ".join(one for one in RESOLUTIONS if one != "superseded")
        raise UsageError("unknown_resolution", f"an item is resolved as {named}, not {resolution!r}")
    if resolution in ("agreed", "their_error") and not (note and note.strip()):
        raise UsageError("note_missing", f"say in a note why the item is resolved as {resolution}")
    note = without_identities(note) if note else note
    with books.store.reading() as connection:
        one = item_of(connection, item_id)
        stands = _last_entry(connection, one)
        limit = office_of(connection).reversal_limit_fen
    if one.state == "resolved":
        return _same(one, resolution)
    if resolution not in FITTING[one.kind]:
        raise ConflictError(
            "resolution_unfit", f"item {one.id} is {one.kind}, resolved as {', '.join(FITTING[one.kind])}"
        )
    entry_id = None
    if resolution == "settled":
        entry_id = _settled(books, one, stands, bill, note, actor, now)
    elif resolution == "reversed":
        entry_id = _reversed(books, one, stands, limit, note, actor, now)
    return books.store.attempt(
        lambda connection: _resolved(connection, item_id, resolution, entry_id, note, actor, now)
    )


def ours_of(connection: sa.Connection, provider_id: str, month: str) -> dict[str, Side]:
    """Give our side of a month, claim by claim: what stands on the statement, or would if it were drawn now."""
    found: dict[str, Side] = {}
    for one in advanced(connection, *of_month(connection, provider_id, month)):
        side = found.setdefault(one.claim_id, Side())
        side.add(one.pay_fen, one.own_fen, one.pay_fen + one.own_fen, one.kind == "reversal")
    return found


def national_total(connection: sa.Connection, provider_id: str, month: str) -> dict[str, Any]:
    """Give our side of a month as the national platform's 3201 asks for it; amounts are Decimals of yuan.

    `fixmedins_setl_cnt` counts settlements and refunds. What the platform asks besides and the ledger does not know
    (insutype, clr_type, setl_optins) is left empty, not invented.
    """
    begins, ends = bounds_of(month)
    lines = advanced(connection, *of_month(connection, provider_id, month))
    pay = sum(one.pay_fen for one in lines)
    return {
        "fixmedins_code": provider_id, "insutype": "", "clr_type": "", "setl_optins": "",
        "stmt_begndate": _day(begins), "stmt_enddate": _day(ends - timedelta(seconds=1)),
        "medfee_sumamt": _yuan(pay + sum(one.own_fen for one in lines)), "fund_pay_sumamt": _yuan(pay),
        "acct_pay": _yuan(0), "fixmedins_setl_cnt": len(lines),
    }  # fmt: skip


def national_detail(connection: sa.Connection, provider_id: str, month: str) -> list[dict[str, Any]]:
    """Give our side of a month as rows of the national platform's 3202, in the order of posting."""
    return [
        {
            "setl_id": one.claim_id if one.kind != "reversal" else f"{one.claim_id}-R",
            "mdtrt_id": one.claim_id, "psn_no": one.person_id, "medfee_sumamt": _yuan(one.pay_fen + one.own_fen),
            "fund_pay_sumamt": _yuan(one.pay_fen), "psn_part_amt": _yuan(one.own_fen), "acct_pay": _yuan(0),
            "refd_setl_flag": "1" if one.kind == "reversal" else "0",
        }
        for one in advanced(connection, *of_month(connection, provider_id, month))
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Different:
    claim_id: str
    kind: str
    ours_fen: int | None
    theirs_fen: int | None
    detail: str | None


def _differing(
    connection: sa.Connection, ours: Mapping[str, Side], theirs: Mapping[str, Side], provider_id: str
) -> list[_Different]:
    """Find the claims in which the two sides differ, in the order of claim_id."""
    known = _known(connection, sorted(set(theirs) - set(ours)))
    found = []
    for claim_id in sorted(set(ours) | set(theirs)):
        mine, other = ours.get(claim_id), theirs.get(claim_id)
        if mine is not None and other is not None:
            kind, detail = _compared(mine, other)
        elif mine is not None:
            # Settled and taken back within the month: a file that leaves out both rows says the same.
            kind, detail = ("reversed_here" if mine.reversed else "only_ours"), None
            if mine.reversed and not mine.pay_fen and not mine.own_fen:
                kind = None
        else:
            assert other is not None
            kind, detail = _only_theirs(other, known.get(claim_id), provider_id)
        if kind is not None:
            found.append(_Different(claim_id, kind, _pay(mine), _pay(other), detail))
    return found


def _pay(side: Side | None) -> int | None:
    return None if side is None else side.pay_fen


def _compared(mine: Side, other: Side) -> tuple[str | None, str | None]:
    if mine.reversed != other.reversed:
        return ("reversed_here" if mine.reversed else "reversed_there"), None
    differ = [
        f"{name} {format_yuan(a)} / {format_yuan(b)}"
        for name, a, b in (("own_total", mine.own_fen, other.own_fen), ("total", mine.total_fen, other.total_fen))
        if a is not None and b is not None and a != b
    ]
    if mine.pay_fen == other.pay_fen and not differ:
        return None, None
    return "amount_differs", "; ".join(differ) or None


def _only_theirs(other: Side, place: str | None, provider_id: str) -> tuple[str | None, str | None]:
    """Classify a claim that the ledger does not have in this month; `place` is where it has it at all."""
    if other.reversed and not other.pay_fen and not other.total_fen:
        return None, None  # settled and refunded within the month, and never sent: it comes to nothing
    if place == PEOPLE:
        return "only_theirs", "paid_by_person"
    if place is not None and place != provider_id:
        return "only_theirs", "other_facility"
    if other.reversed:
        return "reversed_there", None
    return ("only_theirs" if place is None else "other_month"), None


def _known(connection: sa.Connection, claim_ids: Sequence[str]) -> dict[str, str]:
    """Give the facility under which the ledger has claims, in whatever month; PEOPLE for those that people paid."""
    found: dict[str, str] = {}
    for start in range(0, len(claim_ids), 5_000):
        asked = sa.select(claim.c.claim_id, claim.c.provider_id, claim.c.paid_by).where(
            claim.c.claim_id.in_(claim_ids[start : start + 5_000])
        )
        for claim_id, provider, paid_by in connection.execute(asked):
            found[claim_id] = PEOPLE if paid_by == "person" else provider or NOBODY
    return found


def _sum(side: Mapping[str, Side]) -> int:
    return sum(one.pay_fen for one in side.values())


def _compared_before(
    connection: sa.Connection, provider_id: str, month: str, content_hash: str
) -> Reconciliation | None:
    asked = sa.select(import_run.c.id).where(
        import_run.c.kind == "statement", import_run.c.source == provider_id, import_run.c.content_hash == content_hash
    )
    import_id = connection.execute(asked).scalar()
    if import_id is None:
        return None
    found = reconciliation_of(connection, import_id)
    if found.month != month:
        raise ConflictError(
            "file_other_month", f"this file was compared as that of {found.month}; send the file of {month}"
        )
    return replace(found, again=True)


def _insert_run(
    connection: sa.Connection, extract: Extract, provider_id: str, month: str, counts: tuple[int, int], actor: Actor,
    now: datetime,
) -> int:  # fmt: skip
    rows = sum(any(cell is not None for cell in row) for row in extract.rows)
    rejected, differing = counts
    values = {
        "kind": "statement", "source": provider_id, "content_hash": extract.content_hash,
        "as_of": bounds_of(month)[0].astimezone(OFFICE_ZONE).date(), "started_at": now, "finished_at": now,
        "recorded_by": actor.login, "rows_in": rows, "rows_accepted": rows - rejected, "rows_rejected": rejected,
        "rows_changed": differing,
    }  # fmt: skip
    return int(connection.execute(sa.insert(import_run).values(values).returning(import_run.c.id)).scalar_one())


def _insert_rejects(
    connection: sa.Connection, import_id: int, extract: Extract, rejects: Sequence[Unread], keyring: Keyring
) -> None:
    rows = [
        {
            "import_id": import_id, "row": one.row, "reason": one.reason, "detail": one.detail,
            "sealed_row": keyring.seal_row(
                {
                    name: None if cell is None else str(cell)
                    for name, cell in zip(extract.columns, one.cells, strict=True)
                }
            ),
        }
        for one in rejects
    ]  # fmt: skip
    if rows:
        connection.execute(sa.insert(import_reject), rows)


def _insert_items(
    connection: sa.Connection, import_id: int, provider_id: str, month: str, found: Sequence[_Different], actor: Actor,
    now: datetime,
) -> None:  # fmt: skip
    """Write what differs in the place of what an earlier file of the month left; what was agreed stays agreed."""
    before = items(connection, provider_id=provider_id, month=month)
    agreed = {_what(one): one for one in before if one.resolution == "agreed"}
    table = reconciliation_item
    connection.execute(
        sa.update(table)
        .where(table.c.provider_id == provider_id, table.c.month == month, table.c.state == "open")
        .values(
            state="resolved", resolution="superseded", resolved_by=actor.login, resolved_at=now,
            note=f"import {import_id}",
        )
    )  # fmt: skip
    rows = []
    for one in found:
        row = {
            "import_id": import_id, "provider_id": provider_id, "month": month, "claim_id": one.claim_id,
            "kind": one.kind, "ours_fen": one.ours_fen, "theirs_fen": one.theirs_fen, "detail": one.detail,
            "state": "open", "resolution": None, "resolved_by": None, "resolved_at": None, "note": None,
        }  # fmt: skip
        same = agreed.get(_what(one))
        if same is not None:
            row |= {
                "state": "resolved", "resolution": "agreed", "resolved_by": same.resolved_by,
                "resolved_at": same.resolved_at, "note": same.note,
            }  # fmt: skip
        rows.append(row)
    if rows:
        connection.execute(sa.insert(table), rows)


def _what(one: Item | _Different) -> tuple[Any, ...]:
    return one.claim_id, one.kind, one.ours_fen, one.theirs_fen, one.detail


def _same(one: Item, resolution: str) -> Item:
    if one.resolution != resolution:
        raise ConflictError("item_resolved", f"item {one.id} was resolved as {one.resolution} before")
    return one


def _last_entry(connection: sa.Connection, one: Item) -> Any:
    """Give the entry that last settled the claim of an item or took it back; None for a claim never settled."""
    asked = (
        sa.select(entry.c.id, entry.c.kind, entry.c.result, claim.c.provider_id)
        .join(claim, claim.c.claim_id == entry.c.claim_id)
        .where(entry.c.claim_id == one.claim_id, entry.c.kind.in_((*SETTLING, "reversal")))
        .order_by(entry.c.number.desc())
        .limit(1)
    )
    return connection.execute(asked).first()


def _settled(
    books: Books, one: Item, stands: Any, bill: Bill | None, note: str | None, actor: Actor, now: datetime
) -> int:
    """Give the entry that settles the claim of an item, which is made where there is none."""
    if stands is not None and stands.kind in SETTLING and stands.provider_id == one.provider_id:
        return int(stands.id)
    if stands is not None and one.kind == "reversed_here" and bill is None:
        require(actor, "settle")
        reason = note or "reconciliation"
        key = f"reconciliation:{one.id}"
        return ledger.reinstate(books, one.claim_id, key=key, reason=reason, actor=actor, now=now).entry_id
    if bill is None:
        raise ConflictError(
            "not_settled", f"claim {one.claim_id} does not stand in the ledger; give the claim, or settle it first"
        )
    if (bill.claim_id, bill.provider_id, bill.paid_by) != (one.claim_id, one.provider_id, "facility"):
        raise ConflictError("wrong_bill", f"the claim that is given is not {one.claim_id} of {one.provider_id}")
    require(actor, "settle")
    (answer,) = ledger.settle(books, [ledger.Request(bill, f"reconciliation:{one.id}")], actor=actor, now=now)
    if isinstance(answer, ledger.Refused):
        raise answer.error
    return answer.entry_id


def _reversed(
    books: Books, one: Item, stands: Any, limit_fen: int, note: str | None, actor: Actor, now: datetime
) -> int:
    """Give the entry that took the claim of an item back, which is made where the claim stands."""
    if stands is None:
        raise ConflictError("not_settled", f"claim {one.claim_id} is not in the ledger, so it cannot be taken back")
    if stands.kind == "reversal":
        return int(stands.id)
    require(actor, "reverse")
    if sum(json.loads(stands.result)["pay"].values()) > limit_fen:
        raise ConflictError(
            "reversal_above_limit",
            "the funds paid more for this claim than one person may take back; propose its reversal, then resolve",
        )
    reason = note or "reconciliation"
    day = now.astimezone(OFFICE_ZONE).date()
    key = f"reconciliation:{one.id}"
    done = ledger.reverse(books, one.claim_id, key=key, reason=reason, on=day, actor=actor, now=now)
    return done.entry_id


def _resolved(
    connection: sa.Connection, item_id: int, resolution: str, entry_id: int | None, note: str | None, actor: Actor,
    now: datetime,
) -> Item:  # fmt: skip
    """Write down how an item was resolved, once."""
    table = reconciliation_item
    values = {
        "state": "resolved", "resolution": resolution, "resolved_by": actor.login, "resolved_at": now,
        "entry_id": entry_id, "note": note,
    }  # fmt: skip
    done = connection.execute(sa.update(table).where(table.c.id == item_id, table.c.state == "open").values(values))
    if not done.rowcount:
        return _same(item_of(connection, item_id), resolution)
    audit.record(connection, actor, "resolve_item", detail=f"item {item_id} {resolution}", now=now)
    return item_of(connection, item_id)


def _yuan(fen: int) -> Decimal:
    return Decimal(fen).scaleb(-2)


def _day(moment: datetime) -> str:
    return moment.astimezone(OFFICE_ZONE).date().isoformat()
