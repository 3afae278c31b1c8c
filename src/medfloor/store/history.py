"""Keep facts twice dated: when they held in the world, and when the office believed it.

The facts of one subject (a person, a household, a person's status of one group) are pieces: spans of days, each with
its values, never two on one day. A change lays values over a span, or takes away what stood there. What stood there
before is closed at the moment of the change and stays readable; what lies outside the span is written again. So each
pair of a day and a moment has one answer, and nothing that was once known is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import sqlalchemy as sa

from medfloor.errors import InputError
from medfloor.periods import OPEN_END
from medfloor.store import schema

Way = Literal["replace", "patch", "amend", "void"]
"""What a change does within its span: `replace` all values; `patch` those given and fill gaps with them; `amend` those
given where something is known already; `void` all, so that nothing holds."""

CHUNK = 5_000
"""How many subjects one statement asks for."""


@dataclass(frozen=True)
class Line:
    """Be a kind of fact: its table, the columns that say whose it is, its values, and those that settlement reads."""

    name: str
    table: sa.Table
    keys: tuple[str, ...]
    values: tuple[str, ...]
    counted: frozenset[str]


PERSON = Line(
    "person", schema.person_fact, ("person_id",),
    ("birth_date", "sex", "residence", "household_id", "place", "family_doctor", "deceased_on"),
    frozenset({"birth_date", "sex", "residence", "household_id", "family_doctor"}),
)  # fmt: skip
HOUSEHOLD = Line(
    "household", schema.household, ("household_id",),
    ("place", "size", "income_fen", "consumption_fen", "food_fen", "labour_capacity"),
    frozenset(),
)  # fmt: skip
ENROLMENT = Line(
    "enrolment", schema.enrolment, ("person_id",),
    (
        "benefit_year", "scheme", "insured_class", "continuous_years", "claim_free_years", "premium_fen",
        "subsidy_fen", "subsidy_group", "paid_on",
    ),
    frozenset({"scheme", "insured_class", "continuous_years", "claim_free_years"}),
)  # fmt: skip
SPELL = Line(
    "spell", schema.spell, ("person_id", "group"), ("detail", "recognised_by", "recognised_on"), frozenset()
)  # fmt: skip
BLANKS: dict[str, Any] = {"place": ""}
"""What stands where nothing was said, other than nothing."""

LINES: dict[str, Line] = {line.name: line for line in (PERSON, HOUSEHOLD, ENROLMENT, SPELL)}


@dataclass(frozen=True, slots=True)
class Change:
    """Be one change of one subject over the days from `start` up to, but not including, `end`."""

    key: tuple[str, ...]
    start: date
    end: date
    values: Mapping[str, Any] = field(default_factory=dict)
    way: Way = "patch"
    evidence: str | None = None
    number: int = 0  # the row of a file that asks for it


@dataclass(frozen=True, slots=True)
class Piece:
    """Be what is known of a subject over a span; `id` is None where the store does not have it yet."""

    start: date
    end: date
    values: tuple[Any, ...]
    source: str
    recorded_by: str
    evidence: str | None = None
    import_id: int | None = None
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Touched:
    """Say that what settlement reads of a person changed from a day on: claims since then must be settled again."""

    person_id: str
    from_date: date


@dataclass(frozen=True, slots=True)
class Difference:
    """Be one thing that a change changed: added, changed, ended, or a conflict that was left as it stood."""

    key: tuple[str, ...]
    kind: str
    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Written:
    """Be what came of a list of changes: each outcome (added, changed, ended, unchanged), what differs, who is touched.

    `touched` names people (or households) by the first part of their key, each once, with the first day.
    """

    outcomes: tuple[str, ...]
    differences: tuple[Difference, ...]
    touched: tuple[Touched, ...]
    moment: datetime


def write(
    connection: sa.Connection,
    line: Line,
    changes: Sequence[Change],
    *,
    by: str,
    source: str,
    now: datetime,
    import_id: int | None = None,
) -> Written:
    """Lay changes over what is known, in their order, with a handful of statements for any number of subjects.

    `now` is when the office comes to believe it. Where the clock stands before what is already known, the change counts
    from the latest of it, so that an earlier belief is never overwritten. Raises InputError (`empty_span`).
    """
    owners = sorted({change.key[0] for change in changes})
    lock(connection, line, owners)
    known = current(connection, line, owners)
    moment = _moment(connection, line, owners, now)
    author = Piece(date.min, OPEN_END, (), source, by, import_id=import_id)
    after: dict[tuple[str, ...], list[Piece]] = {}
    outcomes, differences, touched = [], [], dict[str, date]()
    for change in changes:
        pieces = after.get(change.key)
        if pieces is None:
            pieces = known.get(change.key, [])
        laid = lay(line, pieces, change, author)
        after[change.key] = laid.pieces
        outcomes.append(laid.outcome)
        differences += laid.differences
        if laid.touched is not None:
            owner = change.key[0]
            touched[owner] = min(laid.touched, touched.get(owner, OPEN_END))
    _store(connection, line, known, after, moment)
    who = tuple(Touched(owner, day) for owner, day in sorted(touched.items()))
    return Written(tuple(outcomes), tuple(differences), who, moment)


@dataclass(frozen=True, slots=True)
class Laid:
    """Be the pieces of one subject after one change, and what the change did."""

    pieces: list[Piece]
    outcome: str
    differences: list[Difference]
    touched: date | None


def lay(line: Line, pieces: Sequence[Piece], change: Change, author: Piece) -> Laid:
    """Lay one change over the pieces of its subject; pieces that keep their values keep their place.

    Raises InputError (`empty_span`).
    """
    if change.end <= change.start:
        raise InputError(
            "empty_span", f"{line.name}: the span from {change.start} ends on {change.end}, before it begins"
        )
    out: list[Piece] = []
    differences: list[Difference] = []
    touched: list[date] = []
    met = False
    reached = change.start

    def fill(start: date, end: date) -> None:
        values = tuple(change.values.get(name, BLANKS.get(name)) for name in line.values)
        out.append(_new(author, start, end, values, change.evidence))
        differences.append(Difference(change.key, "added", _named(line, change), None, _days(start, end)))
        touched.append(start)

    for piece in sorted(pieces, key=lambda piece: piece.start):
        if piece.end <= change.start or change.end <= piece.start:
            if piece.start >= change.end and reached < change.end and change.way in ("replace", "patch"):
                fill(reached, change.end)
                reached = change.end
            out.append(piece)
            continue
        met = True
        first, last = max(piece.start, change.start), min(piece.end, change.end)
        if reached < first and change.way in ("replace", "patch"):
            fill(reached, first)
        reached = last
        values = _laid_over(line, piece.values, change)
        if values == piece.values:
            out.append(piece)
            continue
        if piece.start < first:
            out.append(_rest(piece, piece.start, first))
        if values is None:
            differences.append(Difference(change.key, "ended", _named(line, change), _days(first, last), None))
            touched.append(first)
        else:
            out.append(_new(author, first, last, values, change.evidence or piece.evidence))
            differences += _changed(line, change.key, piece.values, values)
            if any(
                a != b for name, a, b in zip(line.values, piece.values, values, strict=True) if name in line.counted
            ):
                touched.append(first)
        if last < piece.end:
            out.append(_rest(piece, last, piece.end))
    if reached < change.end and change.way in ("replace", "patch"):
        fill(reached, change.end)
    out.sort(key=lambda piece: piece.start)
    return Laid(out, _outcome(differences, met), differences, min(touched, default=None))


def _laid_over(line: Line, values: tuple[Any, ...], change: Change) -> tuple[Any, ...] | None:
    if change.way == "void":
        return None
    if change.way == "replace":
        return tuple(change.values.get(name, BLANKS.get(name)) for name in line.values)
    return tuple(change.values.get(name, old) for name, old in zip(line.values, values, strict=True))


def _outcome(differences: Sequence[Difference], met: bool) -> str:
    kinds = {difference.kind for difference in differences}
    if not kinds:
        return "unchanged"
    if kinds == {"ended"}:
        return "ended"
    return "added" if kinds == {"added"} and not met else "changed"


def _new(author: Piece, start: date, end: date, values: tuple[Any, ...], evidence: str | None) -> Piece:
    return Piece(start, end, values, author.source, author.recorded_by, evidence, author.import_id)


def _rest(piece: Piece, start: date, end: date) -> Piece:
    """Give the part of a piece that a change leaves as it was, with who brought it."""
    return Piece(start, end, piece.values, piece.source, piece.recorded_by, piece.evidence, piece.import_id)


def _named(line: Line, change: Change) -> str:
    return f"{line.name}:{change.key[1]}" if len(change.key) > 1 else line.name


def _changed(line: Line, key: tuple[str, ...], before: tuple[Any, ...], after: tuple[Any, ...]) -> list[Difference]:
    return [
        Difference(key, "changed", name, _text(old), _text(new))
        for name, old, new in zip(line.values, before, after, strict=True)
        if old != new
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _days(start: date, end: date) -> str:
    """Write a span by its first day and the day on which it no longer holds; an open side is empty."""
    return f"{'' if start == date.min else start}/{'' if end >= OPEN_END else end}"


def lock(connection: sa.Connection, line: Line, owners: Sequence[str]) -> None:
    """Let one writer at a time change the facts of these subjects; SQLite has one writer of all.

    The rows of people are locked in the order of their ids, so that two who lock several never wait for each other.
    """
    if connection.dialect.name != "postgresql":
        return
    if line is HOUSEHOLD:
        connection.execute(sa.text("LOCK TABLE household_fact IN SHARE ROW EXCLUSIVE MODE"))
        return
    column = schema.person.c.person_id
    for chunk in chunks(owners):
        asked = sa.select(column).where(column.in_(chunk)).order_by(column).with_for_update()
        connection.execute(asked).all()


def current(connection: sa.Connection, line: Line, owners: Sequence[str]) -> dict[tuple[str, ...], list[Piece]]:
    """Read what is now believed of some subjects: key -> pieces in order of days."""
    table = line.table
    keys = [table.c[name] for name in line.keys]
    columns = [
        table.c.valid_from, table.c.valid_to, table.c.source, table.c.recorded_by, table.c.evidence, table.c.import_id,
        table.c.id,
    ]  # fmt: skip
    values = [table.c[name] for name in line.values]
    found: dict[tuple[str, ...], list[Piece]] = {}
    n = len(keys)
    for chunk in chunks(owners):
        asked = sa.select(*keys, *columns, *values).where(keys[0].in_(chunk), table.c.known_to.is_(None))
        for row in connection.execute(asked.order_by(*keys, table.c.valid_from)):
            start, end, source, by, evidence, import_id, number = row[n : n + 7]
            piece = Piece(start, end or OPEN_END, tuple(row[n + 7 :]), source, by, evidence, import_id, number)
            found.setdefault(tuple(row[:n]), []).append(piece)
    return found


def _moment(connection: sa.Connection, line: Line, owners: Sequence[str], now: datetime) -> datetime:
    """Give the moment of a change: now, unless something of these subjects was known from later on."""
    table, latest = line.table, now
    for chunk in chunks(owners):
        mine = table.c[line.keys[0]].in_(chunk)
        for column in (table.c.known_from, table.c.known_to):
            found = connection.execute(sa.select(sa.func.max(column, type_=schema.Instant())).where(mine, column > now))
            latest = max(latest, found.scalar() or now)
    return latest


def _store(
    connection: sa.Connection,
    line: Line,
    known: Mapping[tuple[str, ...], Sequence[Piece]],
    after: Mapping[tuple[str, ...], Sequence[Piece]],
    moment: datetime,
) -> None:
    closed: list[int] = []
    rows: list[dict[str, Any]] = []
    for key, pieces in after.items():
        kept = {piece.id for piece in pieces if piece.id is not None}
        closed += [piece.id for piece in known.get(key, ()) if piece.id is not None and piece.id not in kept]
        for piece in pieces:
            if piece.id is None:
                row: dict[str, Any] = dict(zip(line.keys, key, strict=True))
                row.update(zip(line.values, piece.values, strict=True))
                row.update(
                    valid_from=piece.start,
                    valid_to=None if piece.end >= OPEN_END else piece.end,
                    known_from=moment,
                    known_to=None,
                    recorded_by=piece.recorded_by,
                    source=piece.source,
                    evidence=piece.evidence,
                    import_id=piece.import_id,
                )
                rows.append(row)
    table = line.table
    for chunk in chunks(sorted(closed)):
        connection.execute(sa.update(table).where(table.c.id.in_(chunk)).values(known_to=moment))
    if rows:
        connection.execute(sa.insert(table), rows)


def believed(table: sa.Table, known_at: datetime | None) -> sa.ColumnElement[bool]:
    """Give the condition under which a row was believed at a moment; None asks for what is believed now."""
    if known_at is None:
        return table.c.known_to.is_(None)
    return sa.and_(table.c.known_from <= known_at, sa.or_(table.c.known_to.is_(None), table.c.known_to > known_at))


def holding(table: sa.Table, day: date) -> sa.ColumnElement[bool]:
    """Give the condition under which a row holds on a day."""
    return sa.and_(table.c.valid_from <= day, sa.or_(table.c.valid_to.is_(None), table.c.valid_to > day))


def chunks(items: Iterable[Any]) -> Iterable[list[Any]]:
    """Part a list into pieces that one statement can ask for."""
    listed = list(items)
    for start in range(0, len(listed), CHUNK):
        yield listed[start : start + CHUNK]
