"""Take in what other departments answered to a list: matched by reference, checked, compared with what was sent.

Rows of the file = added + changed + unchanged + rejected + unanswered, always. An answer is a statement of a department
and no decision of the office: it changes neither the register nor a benefit. Where a household has an open case, a
confirmed answer is written into it as an alert; who decides reads it there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from medfloor.errors import InputError, NotFoundError
from medfloor.periods import OFFICE_ZONE
from medfloor.store import audit, schema
from medfloor.store.cases import add_many, cases_of_households, home_place, lock_opening, open_many
from medfloor.store.departments import Understood
from medfloor.store.engine import Store
from medfloor.store.exchange import found, over
from medfloor.store.exchange_terms import ANSWERS, column_of, result_of
from medfloor.store.extracts import Extract, is_formula, read_extract
from medfloor.store.history import chunks
from medfloor.store.identity import is_identity, normalise_identity, same_name, without_identities
from medfloor.store.keys import Keyring
from medfloor.store.listed import read_rows
from medfloor.store.register import known
from medfloor.store.roles import Actor, require, sees
from medfloor.watch.cases import OPEN, Event

_sent, _row = schema.exchange, schema.exchange_row
_answer, _answer_row = schema.exchange_answer, schema.exchange_answer_row
_LONGEST = 500
_ECHOED = ("household_id", "place", "kinds", "own_in_scope", "days")


@dataclass(frozen=True)
class Answered:
    """Be what became of a file that came back.

    `unanswered` rows have no answer in them. `reasons` counts the rejected rows by reason; `echoes` lists the rows in
    which a column that was sent came back with another value (row of the file, column). `noted` counts the open cases
    that were told, `opened` cases opened, `without_case` households of confirmed answers without an open case. With
    `repeated` the same file was taken in before, and nothing was changed now.
    """

    exchange_id: int
    answer_id: int
    rows_in: int
    added: int
    changed: int
    unchanged: int
    rejected: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    echoes: tuple[tuple[int, str], ...] = ()
    noted: int = 0
    opened: int = 0
    without_case: int = 0
    repeated: bool = False

    @property
    def unanswered(self) -> int:
        """Count the rows without an answer."""
        return self.rows_in - self.added - self.changed - self.unchanged - self.rejected


@dataclass(slots=True)
class _Line:
    """Be one row of the file."""

    number: int
    reference: str | None
    given: dict[str, str]
    answer: dict[str, str]
    reason: str | None = None
    detail: str = ""
    sent: Any = None
    outcome: str = ""

    def refuse(self, reason: str, detail: str) -> None:
        if self.reason is None:
            self.reason, self.detail = reason, detail


def receive(
    store: Store,
    keyring: Keyring,
    file: str | Path | bytes,
    *,
    actor: Actor,
    now: datetime,
    exchange_id: int | None = None,
    as_of: date | None = None,
    open_cases: bool = False,
) -> Answered:
    """Take the answer to a list in, whole or not at all.

    The list is that of `exchange_id`, else that of which the file has most references. `as_of` is the day for which the
    department vouches (default: the day of `now` in China). With `open_cases` a household whose answer is confirmed and
    that never had a case gets one, as found by a department. Raises AccessError (`forbidden`), NotFoundError
    (`no_such_exchange`), ConflictError (`exchange_over`), InputError (`missing_column`, and as `read_extract`).
    """
    require(actor, "exchange_lists")
    if open_cases:
        require(actor, "find_case")
    extract = read_extract(file)
    lines = _lines(extract)
    day = as_of or now.astimezone(OFFICE_ZONE).date()

    def work(connection: sa.Connection) -> Answered:
        head = found(connection, exchange_id or _most(connection, lines), actor)
        before = _taken_before(connection, head.id, extract.content_hash)
        if before is not None:
            return before
        fresh = [replace(line, given=dict(line.given), answer=dict(line.answer)) for line in lines]
        return _take(connection, keyring, head, fresh, extract, actor, now, day, open_cases)

    try:
        return store.attempt(work)
    except IntegrityError:
        # Somebody else took the same file in at the same time, and was first.
        return store.attempt(work)


def answers_of(
    connection: sa.Connection, keyring: Keyring, exchange_id: int, actor: Actor, *, now: datetime
) -> list[dict[str, Any]]:
    """List the last answer to each row of a list: row, person_id, household_id, answered_on, and what was answered.

    `differs` says where the register does not know what the department confirmed (`not_in_register`), or knows what it
    did not confirm (`not_confirmed`). Names and numbers are not given. Raises AccessError (`forbidden`),
    NotFoundError (`no_such_exchange`).
    """
    require(actor, "read_exchanges")
    head = found(connection, exchange_id, actor)
    asked = (
        sa.select(
            _row.c.id, _row.c.row, _row.c.person_id, _row.c.household_id, _answer.c.as_of, _answer_row.c.sealed_row
        )
        .join_from(_answer_row, _row, _answer_row.c.sent_row_id == _row.c.id)
        .join(_answer, _answer.c.id == _answer_row.c.answer_id)
        .where(_row.c.exchange_id == head.id, _answer_row.c.outcome != "rejected")
        .order_by(_answer_row.c.id)
    )
    last = {row.id: row for row in connection.execute(asked)}
    people = known(connection, [row.person_id for row in last.values()], None)
    listed = []
    for row in sorted(last.values(), key=lambda one: one.row):
        said = keyring.open_row(row.sealed_row) if row.sealed_row is not None else {}
        answer = {name: said.get(name) for name in ANSWERS}
        differs = None
        if answer["status"] and row.person_id in people:
            held = any(one.group == answer["status"] and one.span.holds(row.as_of)
                       for one in people[row.person_id].statuses)  # fmt: skip
            if answer["result"] == "confirmed" and not held:
                differs = "not_in_register"
            elif answer["result"] == "not_confirmed" and held:
                differs = "not_confirmed"
        listed.append({"row": row.row, "person_id": row.person_id, "household_id": row.household_id,
                       "answered_on": row.as_of, **answer, "differs": differs})  # fmt: skip
    audit.record_many(
        connection, actor, "read_answers", [one["person_id"] for one in listed], detail=f"exchange={head.id}", now=now
    )
    return listed


def refused_of(connection: sa.Connection, exchange_id: int, actor: Actor) -> list[dict[str, Any]]:
    """List the rows of answers that were refused: answer_id, row, reason, detail. Raises as `answers_of`."""
    require(actor, "read_exchanges")
    head = found(connection, exchange_id, actor)
    asked = (
        sa.select(_answer_row.c.answer_id, _answer_row.c.row, _answer_row.c.reason, _answer_row.c.detail)
        .join_from(_answer_row, _answer)
        .where(_answer.c.exchange_id == head.id, _answer_row.c.outcome == "rejected")
        .order_by(_answer_row.c.id)
    )
    return [dict(row) for row in connection.execute(asked).mappings()]


# --- The file ---------------------------------------------------------------------------------------------------------


def _lines(extract: Extract) -> list[_Line]:
    """Read the rows of the file; what stands in a column that nobody asked for is not looked at."""
    places: dict[str, int] = {}
    for place, name in enumerate(extract.columns):
        ours = column_of(name)
        if ours is None:
            # A head as it was sent has our name in brackets, which comparing leaves away.
            ours = column_of(name.rpartition("(")[2].rstrip(")"))
        if ours in places:
            raise InputError("ambiguous_column", f"the file has the column {ours} twice; keep one of them")
        if ours is not None:
            places[ours] = place
    if "reference" not in places:
        raise InputError(
            "missing_column", "the file has no column 流水号 (reference); send the list back with it, as it was sent"
        )
    given = {ours: places[name] for name, ours in (("status", "group"), ("day", "recognised_on")) if name in places}
    checked = {row.number: row for row in read_rows(extract, Understood(given, extract.columns, ()))}
    lines = []
    for number, cells in enumerate(extract.rows, extract.first):
        if number not in checked:
            continue
        texts = {name: _text(cells[place]) for name, place in places.items() if cells[place] is not None}
        row = checked[number]
        answer = {name: texts[name] for name in ("decision", "measure") if texts.get(name)}
        line = _Line(number, texts.get("reference"), texts, answer)
        if row.reason is not None:
            line.refuse(row.reason, row.detail)
        if "group" in row.values:
            answer["status"] = row.values["group"]
        if "recognised_on" in row.values:
            answer["day"] = str(row.values["recognised_on"])
        if texts.get("result"):
            result = result_of(texts["result"])
            if result is None:
                line.refuse("unknown_code", "the result is none of 属实, 不属实, 无法核实")
            else:
                answer["result"] = result
        for name in ("decision", "measure"):
            text = answer.get(name, "")
            if len(text) > _LONGEST or not text.isprintable() or is_formula(text):
                line.refuse("bad_text", f"{name} is longer than {_LONGEST} letters, cannot be printed, or is a formula")
            elif text:
                answer[name] = without_identities(text)
        lines.append(line)
    return lines


def _text(cell: object) -> str:
    return cell.isoformat() if isinstance(cell, date) else str(cell).strip()


# --- Matched and kept -------------------------------------------------------------------------------------------------


def _most(connection: sa.Connection, lines: Sequence[_Line]) -> int:
    """Find the list of which the file has most references. Raises NotFoundError (`no_such_exchange`)."""
    counts: Counter[int] = Counter()
    for some in chunks(sorted({line.reference for line in lines if line.reference})):
        asked = sa.select(_row.c.exchange_id).where(_row.c.reference.in_(some))
        counts.update(connection.execute(asked).scalars())
    if not counts:
        raise NotFoundError("no_such_exchange", "no reference of the file is of a list that was sent; see 流水号")
    return max(counts, key=lambda one: (counts[one], -one))


def _taken_before(connection: sa.Connection, exchange_id: int, content_hash: str) -> Answered | None:
    asked = sa.select(_answer).where(_answer.c.exchange_id == exchange_id, _answer.c.content_hash == content_hash)
    row = connection.execute(asked).first()
    if row is None:
        return None
    counted = sa.select(_answer_row.c.reason, sa.func.count()).where(
        _answer_row.c.answer_id == row.id, _answer_row.c.outcome == "rejected"
    )
    reasons = {one[0]: one[1] for one in connection.execute(counted.group_by(_answer_row.c.reason))}
    return Answered(
        exchange_id, row.id, row.rows_in, row.rows_added, row.rows_changed, row.rows_unchanged, row.rows_rejected,
        reasons, repeated=True,
    )  # fmt: skip


def _take(
    connection: sa.Connection, keyring: Keyring, head: Any, lines: Sequence[_Line], extract: Extract, actor: Actor,
    now: datetime, day: date, open_cases: bool,
) -> Answered:  # fmt: skip
    sent = {row.reference: row for row in connection.execute(sa.select(_row).where(_row.c.exchange_id == head.id))}
    if any(row.sealed_row is None for row in sent.values()):
        raise over(head.keep_until)
    echoes = _matched(connection, keyring, lines, sent, json.loads(head.manifest)["statuses"])
    _compared(connection, keyring, lines)
    counts = Counter(line.outcome for line in lines)
    made = _answer.insert().values(
        exchange_id=head.id, content_hash=extract.content_hash, as_of=day, rows_in=len(lines),
        rows_added=counts["added"], rows_changed=counts["changed"], rows_unchanged=counts["unchanged"],
        rows_rejected=counts["rejected"], received_by=actor.login, received_at=now,
    )  # fmt: skip
    key = connection.execute(made).inserted_primary_key
    assert key is not None
    answer_id = int(key[0])
    rows = [
        {"answer_id": answer_id, "row": line.number, "sent_row_id": None if line.sent is None else line.sent.id,
         "outcome": line.outcome, "reason": line.reason, "detail": line.detail or None,
         "sealed_row": keyring.seal_row(line.given if line.reason else line.answer)}
        for line in lines if line.outcome
    ]  # fmt: skip
    if rows:
        connection.execute(_answer_row.insert(), rows)
    people = [line.sent.person_id for line in lines if line.outcome in ("added", "changed")]
    told = f"exchange={head.id} answer={answer_id} {head.department}/{head.purpose}"
    audit.record_many(connection, actor, "receive_answer", people or [None], detail=told, now=now)
    noted, opened, without = _tell_cases(connection, keyring, head, lines, actor, now, open_cases)
    return Answered(
        head.id, answer_id, len(lines), counts["added"], counts["changed"], counts["unchanged"], counts["rejected"],
        Counter(line.reason for line in lines if line.reason), tuple(echoes), noted, opened, without,
    )  # fmt: skip


def _matched(
    connection: sa.Connection,
    keyring: Keyring,
    lines: Sequence[_Line],
    sent: Mapping[str, Any],
    statuses: Sequence[str],
) -> list[tuple[int, str]]:
    """Find the row that each line answers, refuse what answers none, and list what came back otherwise than it went."""
    strangers = sorted({line.reference for line in lines if line.reference and line.reference not in sent})
    others: set[str] = set()
    for some in chunks(strangers):
        others.update(connection.execute(sa.select(_row.c.reference).where(_row.c.reference.in_(some))).scalars())
    seen: set[str] = set()
    echoes: list[tuple[int, str]] = []
    for line in lines:
        row = sent.get(line.reference or "")
        if row is None:
            if line.reference in others:
                line.refuse("other_exchange", "the reference is of another list; send each list back by itself")
            else:
                line.refuse("unknown_reference", "no row with this reference was sent")
        elif row.reference in seen:
            line.refuse("repeated_row", "the reference has a row before this one")
        else:
            seen.add(row.reference)
            line.sent = row
            echoes += _echoed(line, keyring.open_row(row.sealed_row))
        if line.answer.get("status") and line.answer["status"] not in statuses:
            line.refuse("not_its_group", f"the list did not ask for the status {line.answer['status'][:32]}")
        if line.reason is not None:
            line.outcome = "rejected"
    return echoes


def _echoed(line: _Line, cells: Mapping[str, str]) -> list[tuple[int, str]]:
    """Refuse a line that is of somebody else now, and list other columns that were changed."""
    number = normalise_identity(line.given.get("identity_number", ""))
    sent = normalise_identity(cells.get("identity_number", ""))
    # What a spreadsheet rounded is no number, and says nothing; the reference does.
    if sent and is_identity(number) and number != sent:
        line.refuse("identity_conflict", "the identity number is not the one that was sent with this reference")
    name = line.given.get("name", "").lstrip("'")
    if name and cells.get("name") and not same_name(name, cells["name"]):
        line.refuse("name_disagrees", "the name is not the one that was sent with this reference")
    return [
        (line.number, column)
        for column in _ECHOED
        if column in line.given and column in cells and not _same(line.given[column], cells[column])
    ]


def _same(one: str, other: str) -> bool:
    if one.lstrip("'") == other:
        return True
    try:
        return float(one.replace(",", "")) == float(other)
    except ValueError:
        return False


def _compared(connection: sa.Connection, keyring: Keyring, lines: Sequence[_Line]) -> None:
    """Say of each answer whether it is new, another one than before, or the same."""
    good = {line.sent.id: line for line in lines if line.sent is not None and line.reason is None}
    before: dict[int, bytes | None] = {}
    for some in chunks(sorted(good)):
        asked = sa.select(_answer_row.c.sent_row_id, _answer_row.c.sealed_row).where(
            _answer_row.c.sent_row_id.in_(some), _answer_row.c.outcome != "rejected"
        )
        before |= {row[0]: row[1] for row in connection.execute(asked.order_by(_answer_row.c.id))}
    for sent_id, line in good.items():
        if not line.answer:
            continue
        earlier = before.get(sent_id)
        if earlier is None:
            line.outcome = "added"
        else:
            line.outcome = "unchanged" if keyring.open_row(earlier) == line.answer else "changed"


# --- Cases ------------------------------------------------------------------------------------------------------------


def _tell_cases(
    connection: sa.Connection, keyring: Keyring, head: Any, lines: Sequence[_Line], actor: Actor, now: datetime,
    open_cases: bool,
) -> tuple[int, int, int]:  # fmt: skip
    """Write confirmed answers that are new into open cases; give how many were told, opened, and had none open."""
    told: dict[str, list[_Line]] = {}
    for line in lines:
        if line.outcome in ("added", "changed") and line.answer.get("result") == "confirmed":
            told.setdefault(line.sent.household_id, []).append(line)
    if not told:
        return 0, 0, 0
    if open_cases:
        lock_opening(connection)
    rows = cases_of_households(connection, told)
    day = now.astimezone(OFFICE_ZONE).date()
    signals = (f"department:{head.department}",)
    steps = [
        (rows[home], Event("alerted", day, actor.login, reason=_reason(head, some), signals=signals))
        for home, some in told.items()
        if home in rows and rows[home].state in OPEN and sees(actor, rows[home].place)
    ]
    add_many(connection, steps, now=now, keyring=keyring)
    new: list[tuple[str, str, Event]] = []
    if open_cases:
        for home, some in told.items():
            if home not in rows:
                event = Event(
                    "found", day, actor.login, reason=_reason(head, some), source="department", signals=signals
                )
                new.append((home, home_place(connection, home, day), event))
        open_many(connection, new, now=now, keyring=keyring)
    return len(steps), len(new), len(told) - len(steps) - len(new)


def _reason(head: Any, lines: Sequence[_Line]) -> str:
    """Say for the file of a case what was answered; it is enciphered there like all reasons."""
    said = []
    for line in lines:
        parts = [line.answer[name] for name in ("status", "decision", "measure", "day") if line.answer.get(name)]
        said.append(f"{line.sent.person_id}: {', '.join(parts)}" if parts else line.sent.person_id)
    return f"{head.department}/{head.purpose}, list {head.id}: {'; '.join(said)}"[:2_000]
