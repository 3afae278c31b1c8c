"""Answer who a person is on a day, as it was known at a moment; record, correct and end what is known.

Four kinds of facts are kept (`medfloor.store.history`): of a person, of a household, enrolments and statuses. A day
asks when something held in the world; `known_at` what the office believed then, and left out, what it believes now.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from medfloor import tables
from medfloor.errors import ConflictError, InputError, NotFoundError, UsageError
from medfloor.money import MAX_FEN
from medfloor.periods import OPEN_END, Span
from medfloor.settlement.scope import Person, Spell
from medfloor.store import schema
from medfloor.store.among import among
from medfloor.store.history import (
    ENROLMENT,
    HOUSEHOLD,
    LINES,
    PERSON,
    SPELL,
    Change,
    Line,
    Touched,
    Way,
    Written,
    believed,
    chunks,
    current,
    holding,
    lock,
    write,
)
from medfloor.store.identity import is_identity, mask_identity, mask_name, normalise_identity, without_identities
from medfloor.store.keys import Keyring
from medfloor.store.roles import Actor

DAWN = date.min
"""The first day of what has held since ever."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Be what is known of a person over a span; None = not known."""

    span: Span
    birth_date: date | None
    sex: str | None
    residence: str | None
    household_id: str | None
    place: str
    family_doctor: bool | None
    deceased_on: date | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Be one enrolment; amounts in fen, None = not known."""

    span: Span
    benefit_year: int
    scheme: str
    insured_class: str | None
    continuous_years: int | None
    claim_free_years: int | None
    premium_fen: int | None
    subsidy_fen: int | None
    subsidy_group: str | None
    paid_on: date | None


@dataclass(frozen=True, slots=True)
class Status:
    """Be one status over a span: who recognised it, when, on which evidence, and which department says so."""

    group: str
    span: Span
    detail: str | None
    recognised_by: str | None
    recognised_on: date | None
    source: str
    evidence: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """Be all that is known of one person, on any day."""

    person_id: str
    facts: tuple[Fact, ...]
    enrolments: tuple[Enrolment, ...]
    statuses: tuple[Status, ...]

    def fact(self, day: date) -> Fact | None:
        """Give the facts that hold on a day."""
        return next((fact for fact in self.facts if fact.span.holds(day)), None)

    def enrolment(self, day: date) -> Enrolment | None:
        """Give the enrolment that holds on a day."""
        return next((one for one in self.enrolments if one.span.holds(day)), None)

    @property
    def place(self) -> str:
        """Give the place of the latest days that are known; empty where none is."""
        return self.facts[-1].place if self.facts else ""

    def person(self, day: date) -> Person:
        """Give the person as settlement asks for it, for care that begins on a day.

        Who is enrolled nowhere on that day has the scheme `none`. Birth date and sex are those of the nearest facts
        where none hold on the day, because they do not change.
        """
        fact = self.fact(day)
        lasting = fact or (min(self.facts, key=lambda one: abs(one.span.start - day)) if self.facts else None)
        one = self.enrolment(day)
        return Person(
            self.person_id,
            (fact.household_id if fact else None) or self.person_id,
            lasting.birth_date if lasting else None,
            lasting.sex if lasting else None,
            "none" if one is None else one.scheme,
            fact.residence if fact else None,
            None if one is None else one.insured_class,
            Span(DAWN, OPEN_END) if one is None else one.span,
            None if one is None else one.continuous_years,
            None if one is None else one.claim_free_years,
            bool(fact and fact.family_doctor),
        )

    def spells(self) -> tuple[Spell, ...]:
        """Give the statuses as settlement asks for them; spans of one group that meet are one."""
        out: list[Spell] = []
        for status in sorted(self.statuses, key=lambda one: (one.group, one.span.start)):
            if out and out[-1].group == status.group and out[-1].span.end == status.span.start:
                out[-1] = Spell(status.group, Span(out[-1].span.start, status.span.end))
            else:
                out.append(Spell(status.group, status.span))
        return tuple(out)


@dataclass(frozen=True, slots=True)
class PersonRecord:
    """Be a person on a day, as known at a moment; None = not known. `statuses` are those that hold on the day."""

    person_id: str
    day: date
    known_at: datetime | None
    birth_date: date | None
    sex: str | None
    residence: str | None
    household_id: str | None
    place: str
    family_doctor: bool | None
    deceased_on: date | None
    enrolment: Enrolment | None
    statuses: tuple[Status, ...]


@dataclass(frozen=True, slots=True)
class HouseholdRecord:
    """Be a household on a day, as known at a moment; amounts in fen a year, None = not known. `members` are ids."""

    household_id: str
    day: date
    known_at: datetime | None
    place: str
    size: int | None
    income_fen: int | None
    consumption_fen: int | None
    food_fen: int | None
    labour_capacity: bool | None
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Be the name and identity number of a person, in clear; never written to logs."""

    name: str | None
    identity_number: str | None

    def masked(self) -> Identity:
        """Give what a screen shows by default.

        >>> Identity("张三丰", "11010519491231002X").masked()
        Identity(name='张**', identity_number='110*************2X')
        """
        number = self.identity_number
        return Identity(mask_name(self.name) if self.name else None, mask_identity(number) if number else None)


def person_on(connection: sa.Connection, person_id: str, day: date, known_at: datetime | None = None) -> PersonRecord:
    """Give a person as of a day, as it was known at a moment (None = now).

    Raises NotFoundError (`no_such_person`), also for a person that was not known at that moment.
    """
    found = known(connection, [person_id], known_at).get(person_id)
    if found is None or not (found.facts or found.enrolments or found.statuses):
        raise no_such_person()
    fact = found.fact(day)
    return PersonRecord(
        person_id, day, known_at,
        fact.birth_date if fact else None,
        fact.sex if fact else None,
        fact.residence if fact else None,
        fact.household_id if fact else None,
        fact.place if fact else "",
        fact.family_doctor if fact else None,
        fact.deceased_on if fact else None,
        found.enrolment(day),
        tuple(status for status in found.statuses if status.span.holds(day)),
    )  # fmt: skip


def known(connection: sa.Connection, person_ids: Sequence[str], known_at: datetime | None = None) -> dict[str, Known]:
    """Give all that is known of some people: one statement for up to 5,000 of them.

    Who is not in the register is not in the answer.
    """
    facts: dict[str, list[Fact]] = {}
    enrolments: dict[str, list[Enrolment]] = {}
    statuses: dict[str, list[Status]] = {}
    there: list[str] = []
    for chunk in chunks(dict.fromkeys(person_ids)):
        asked = {"ids": chunk} if known_at is None else {"ids": chunk, "known_at": known_at}
        for kind, owner, _, start, end, *rest in connection.execute(_KNOWN[known_at is None], asked):
            if kind == 0:
                there.append(owner)
                continue
            values = rest[_PARTS[kind]]
            if kind == 1:
                facts.setdefault(owner, []).append(Fact(_span(start, end), *values))
            elif kind == 2:
                enrolments.setdefault(owner, []).append(Enrolment(_span(start, end), *values))
            else:
                statuses.setdefault(owner, []).append(Status(values[0], _span(start, end), *values[1:]))
    return {
        one: Known(one, tuple(facts.get(one, ())), tuple(enrolments.get(one, ())), tuple(statuses.get(one, ())))
        for one in there
    }


def _span(start: date, end: date | None) -> Span:
    return Span(start, end or OPEN_END)


_KINDS: tuple[tuple[sa.Table, tuple[str, ...]], ...] = (
    (schema.person, ()),
    (schema.person_fact, PERSON.values),
    (schema.enrolment, ENROLMENT.values),
    (schema.spell, ("group", *SPELL.values, "source", "evidence")),
)
"""What is read of a person, by the number of its kind; the first says that the person is there."""

_WIDE = [table.c[name] for table, names in _KINDS for name in names]
_ENDS = [sum(len(names) for _, names in _KINDS[: kind + 1]) for kind in range(len(_KINDS))]
_PARTS = [slice(end - len(names), end) for end, (_, names) in zip(_ENDS, _KINDS, strict=True)]
"""Where the values of each kind stand in a wide row."""


def _wide(kind: int, now: bool) -> sa.Select[Any]:
    """Read one kind into rows that have the columns of all kinds, those of the others empty."""
    table, names = _KINDS[kind]
    mine = among(table.c.person_id, "ids")
    own = {table.c[name] for name in names}
    values = [one if one in own else sa.cast(sa.null(), one.type).label(one.name) for one in _WIDE]
    plain = [sa.literal_column(str(kind)).label("kind"), table.c.person_id.label("owner")]
    if kind == 0:
        days = [sa.cast(sa.null(), sa.Date).label(name) for name in ("valid_from", "valid_to")]
        return sa.select(*plain, sa.literal_column("0").label("number"), *days, *values).where(mine)
    when: sa.ColumnElement[bool] = table.c.known_to.is_(None)
    if not now:
        moment = sa.bindparam("known_at", type_=schema.Instant())
        when = sa.and_(table.c.known_from <= moment, sa.or_(table.c.known_to.is_(None), table.c.known_to > moment))
    return sa.select(*plain, table.c.id.label("number"), table.c.valid_from, table.c.valid_to, *values).where(
        mine, when
    )


def _all_kinds(now: bool) -> sa.CompoundSelect[Any]:
    """Make the statement that reads all kinds; it is made once, so that it is compiled once."""
    every = sa.union_all(*(_wide(kind, now) for kind in range(len(_KINDS))))
    # By their places, because the kinds name their columns differently: kind, owner, first day, number of the row.
    return every.order_by(*(sa.literal_column(place) for place in ("1", "2", "4", "3")))


_KNOWN = {now: _all_kinds(now) for now in (True, False)}
_THERE = sa.select(schema.person.c.person_id).where(among(schema.person.c.person_id, "ids"))


def household_on(
    connection: sa.Connection, household_id: str, day: date, known_at: datetime | None = None
) -> HouseholdRecord:
    """Give a household and its members as of a day, as it was known at a moment (None = now).

    Raises NotFoundError (`no_such_household`) where neither facts nor members were known.
    """
    table, people = schema.household, schema.person_fact
    row = connection.execute(
        sa.select(*(table.c[name] for name in HOUSEHOLD.values)).where(
            table.c.household_id == household_id, believed(table, known_at), holding(table, day)
        )
    ).first()
    members = connection.execute(
        sa.select(people.c.person_id)
        .where(people.c.household_id == household_id, believed(people, known_at), holding(people, day))
        .order_by(people.c.person_id)
    ).scalars()
    found = tuple(members)
    if row is None and not found:
        raise NotFoundError("no_such_household", "the register has no such household on that day; check its number")
    values: tuple[Any, ...] = tuple(row) if row is not None else ("", None, None, None, None, None)
    facts = dict(zip(HOUSEHOLD.values, values, strict=True))
    return HouseholdRecord(household_id, day, known_at, **facts, members=found)


def find(connection: sa.Connection, keyring: Keyring, identity_number: str) -> str | None:
    """Give the id of the person with an identity number, or None; any of its spellings will do."""
    column = schema.person.c.identity_lookup
    asked = sa.select(schema.person.c.person_id).where(column == keyring.lookup(identity_number))
    found: str | None = connection.execute(asked).scalar()
    return found


def identity_of(connection: sa.Connection, keyring: Keyring, person_id: str) -> Identity:
    """Read the name and identity number of a person. Raises NotFoundError (`no_such_person`)."""
    table = schema.person
    row = connection.execute(
        sa.select(table.c.name_cipher, table.c.identity_cipher).where(table.c.person_id == person_id)
    ).first()
    if row is None:
        raise no_such_person()
    name, number = row
    return Identity(keyring.decrypt(name) if name else None, keyring.decrypt(number) if number else None)


def add_person(
    connection: sa.Connection,
    keyring: Keyring,
    *,
    now: datetime,
    person_id: str | None = None,
    name: str | None = None,
    identity_number: str | None = None,
) -> str:
    """Take a person into the register, without facts yet, and give the id; an id is drawn at random if none is given.

    Raises InputError (`bad_identity_number`), ConflictError (`person_exists`) where the id or the number is there.
    """
    number = None if identity_number is None else normalise_identity(identity_number)
    if number is not None and not is_identity(number):
        raise InputError("bad_identity_number", "the identity number cannot be one; check its digits")
    person_id = person_id or new_person_id()
    _check_id("person_id", person_id)
    table = schema.person
    lookup = None if number is None else keyring.lookup(number)
    same = table.c.person_id == person_id
    if lookup is not None:
        same = sa.or_(same, table.c.identity_lookup == lookup)
    if connection.execute(sa.select(table.c.person_id).where(same)).first() is not None:
        raise ConflictError(
            "person_exists", "the register has a person of this id or identity number; look it up first"
        )
    connection.execute(
        sa.insert(table).values(
            person_id=person_id,
            identity_cipher=None if number is None else keyring.encrypt(number),
            identity_lookup=lookup,
            name_cipher=None if not name else keyring.encrypt(name),
            created_at=now,
        )
    )
    return person_id


def new_person_id() -> str:
    """Draw an id for a person; it says nothing of who it is."""
    return f"p{secrets.token_hex(8)}"


def record(
    connection: sa.Connection,
    kind: str,
    key: str | tuple[str, ...],
    values: Mapping[str, Any],
    *,
    start: date,
    end: date | None = None,
    actor: Actor,
    now: datetime,
    source: str = "office",
    evidence: str | None = None,
) -> Written:
    """Record what holds from `start` up to, but not including, `end` (None = still running), over what stood there.

    `kind` is person, household, enrolment or spell; `key` the person's or household's id, for a spell (id, group).
    Values are those of the table of the kind, amounts in fen; what is left out is not known. What is recorded for a day
    before `now` is backdated: `touched` of the answer says whose claims must be settled again, from which day. Raises
    UsageError (`unknown_fact`), InputError (`bad_fact`, `empty_span`), NotFoundError (`no_such_person`).

    >>> from datetime import UTC
    >>> from medfloor.store import open_store, new_keys, upgrade
    >>> store, keys, now = open_store("sqlite:///:memory:"), new_keys(), datetime(2026, 3, 2, tzinfo=UTC)
    >>> _ = upgrade(store)
    >>> clerk = Actor("clerk1", "county_clerk", "150981")
    >>> with store.writing() as connection:
    ...     one = add_person(connection, keys, now=now, person_id="p1")
    ...     done = record(connection, "spell", ("p1", "dibao"), {}, start=date(2026, 1, 1), actor=clerk, now=now)
    >>> done.outcomes, done.touched
    (('added',), (Touched(person_id='p1', from_date=datetime.date(2026, 1, 1)),))
    """
    return _change(connection, kind, key, "replace", values, start, end, actor, now, source, evidence)


def correct(
    connection: sa.Connection,
    kind: str,
    key: str | tuple[str, ...],
    values: Mapping[str, Any],
    *,
    start: date = DAWN,
    end: date | None = None,
    actor: Actor,
    now: datetime,
    source: str = "office",
    evidence: str | None = None,
) -> Written:
    """Correct some values wherever something is known within the span; what was believed before stays readable.

    Raises as `record`, and NotFoundError (`nothing_recorded`) where nothing is known within the span.
    """
    _expect(connection, kind, key, start, end)
    return _change(connection, kind, key, "amend", values, start, end, actor, now, source, evidence)


def end(
    connection: sa.Connection,
    kind: str,
    key: str | tuple[str, ...],
    *,
    day: date,
    actor: Actor,
    now: datetime,
    source: str = "office",
    evidence: str | None = None,
) -> Written:
    """End what is known: from `day` on nothing holds any more. The days before stay as they are.

    Raises NotFoundError (`nothing_recorded`) where nothing holds on the day or after it.
    """
    _expect(connection, kind, key, day, None)
    return _change(connection, kind, key, "void", {}, day, None, actor, now, source, evidence)


def retract(
    connection: sa.Connection,
    kind: str,
    key: str | tuple[str, ...],
    *,
    start: date = DAWN,
    end: date | None = None,
    actor: Actor,
    now: datetime,
    source: str = "office",
    evidence: str | None = None,
) -> Written:
    """Take back what was recorded for a span: it never held. Raises as `end`."""
    _expect(connection, kind, key, start, end)
    return _change(connection, kind, key, "void", {}, start, end, actor, now, source, evidence)


def _change(
    connection: sa.Connection,
    kind: str,
    key: str | tuple[str, ...],
    way: Way,
    values: Mapping[str, Any],
    start: date,
    end: date | None,
    actor: Actor,
    now: datetime,
    source: str,
    evidence: str | None,
) -> Written:
    line, whose = _whose(kind, key)
    check_values(line, values, whole=way == "replace")
    if line is not HOUSEHOLD and whose[0] not in set(connection.execute(_THERE, {"ids": [whose[0]]}).scalars()):
        raise no_such_person()
    said = {name: without_identities(values[name]) for name in _FREE & values.keys() if values[name]}
    about = None if evidence is None else without_identities(evidence)
    change = Change(whose, start, end or OPEN_END, {**values, **said}, way, about)
    return write(connection, line, [change], by=actor.login, source=source, now=now)


def _expect(connection: sa.Connection, kind: str, key: str | tuple[str, ...], start: date, end: date | None) -> None:
    """Go on only if something is known within a span; the subject is locked first, so that the answer stands."""
    line, whose = _whose(kind, key)
    lock(connection, line, [whose[0]])
    span = Span(start, end or OPEN_END)
    pieces = current(connection, line, [whose[0]]).get(whose, [])
    if not any(span.meets(Span(piece.start, piece.end)) for piece in pieces):
        raise NotFoundError("nothing_recorded", f"nothing of this kind ({kind}) is recorded within these days")


def _whose(kind: str, key: str | tuple[str, ...]) -> tuple[Line, tuple[str, ...]]:
    if kind not in LINES:
        raise UsageError("unknown_fact", f"there is no kind of fact {kind!r}; there are {', '.join(LINES)}")
    line = LINES[kind]
    whose = (key,) if isinstance(key, str) else tuple(key)
    if len(whose) != len(line.keys):
        raise UsageError("unknown_fact", f"a {kind} is named by {' and '.join(line.keys)}")
    for name, text in zip(line.keys, whose, strict=True):
        _check_id(name, text)
    return line, whose


_CODES: dict[str, tuple[str, ...]] = {
    "sex": tables.SEXES,
    "residence": tables.RESIDENCES,
    "scheme": tables.SCHEMES,
    "insured_class": tables.INSURED_CLASSES,
}
_FREE = frozenset({"detail", "recognised_by"})
"""Values in which people may write what they like."""

_LENGTHS = {"household_id": 64, "place": 12, "subsidy_group": 32, "detail": 64, "recognised_by": 128}
_COUNTS = {"size": 999, "benefit_year": 9999, "continuous_years": 999, "claim_free_years": 999}
_REQUIRED = {"enrolment": ("benefit_year", "scheme")}


def check_values(line: Line, values: Mapping[str, Any], *, whole: bool = False) -> None:
    """Go on only if values can stand in a table; `whole` asks for those that may not be missing too.

    Raises UsageError (`unknown_fact`), InputError (`bad_fact`); no message holds the value.
    """
    for name in values:
        if name not in line.values:
            known_names = ", ".join(line.values)
            raise UsageError("unknown_fact", f"a {line.name} has no value {name}; it has {known_names}")
    for name in _REQUIRED.get(line.name, ()) if whole else ():
        if values.get(name) is None:
            raise InputError("bad_fact", f"{name} of a {line.name} is missing")
    for name, value in values.items():
        if value is not None and not _fits(line, name, value):
            raise InputError("bad_fact", f"{name} of a {line.name} cannot have this value; see docs/register.md")
        if name == "household_id" and value is not None:
            _check_not_a_number(name, value)
        if value is None and name in _REQUIRED.get(line.name, ()):
            raise InputError("bad_fact", f"{name} of a {line.name} is missing")


def _fits(line: Line, name: str, value: Any) -> bool:
    if name in _CODES:
        return value in _CODES[name]
    if name in _LENGTHS:
        fits = isinstance(value, str) and len(value) <= _LENGTHS[name] and "\x00" not in value
        return fits and (name != "place" or value.isdigit() or not value)
    if name in _COUNTS:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _COUNTS[name]
    if name.endswith("_fen"):
        # A farm or a shop may end its year with a loss.
        least = -MAX_FEN if name == "income_fen" else 0
        return isinstance(value, int) and not isinstance(value, bool) and least <= value <= MAX_FEN
    if isinstance(line.table.c[name].type, sa.Boolean):
        return isinstance(value, bool)
    return isinstance(value, date) and not isinstance(value, datetime)


def _check_id(name: str, text: str) -> None:
    longest = 32 if name == "group" else 64
    if not 0 < len(text) <= longest or text != text.strip() or not text.isprintable():
        raise InputError("bad_fact", f"{name} must be 1 to {longest} letters without blanks around them")
    _check_not_a_number(name, text)


def _check_not_a_number(name: str, text: str) -> None:
    if is_identity(text):
        raise InputError("identity_as_id", f"{name} is an identity number; ids stand in clear, so give another")


def no_such_person() -> NotFoundError:
    """Say that the register has no such person, or none that who asks may see."""
    return NotFoundError("no_such_person", "the register has no such person; check the id, or add the person first")


def by_place(place: str) -> sa.ColumnElement[bool]:
    """Give the condition under which current facts of a person belong to a place (what its code begins)."""
    return schema.person_fact.c.place.startswith(place, autoescape=True)


def set_identities(connection: sa.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write names or identity numbers, enciphered, of people that are there: dicts of b_id and columns of `person`."""
    by_columns: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        by_columns.setdefault(tuple(sorted(row)), []).append(dict(row))
    for names, batch in by_columns.items():
        changed: dict[str, Any] = {name: sa.bindparam(name) for name in names if name != "b_id"}
        table = schema.person
        connection.execute(sa.update(table).where(table.c.person_id == sa.bindparam("b_id")).values(changed), batch)


__all__ = [
    "DAWN",
    "Enrolment",
    "Fact",
    "HouseholdRecord",
    "Identity",
    "Known",
    "PersonRecord",
    "Status",
    "Touched",
    "add_person",
    "by_place",
    "check_values",
    "correct",
    "end",
    "find",
    "household_on",
    "identity_of",
    "known",
    "new_person_id",
    "person_on",
    "record",
    "retract",
    "set_identities",
]
