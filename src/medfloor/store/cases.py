"""Keep the cases of households that were found: every step for good, taken in only as the rule allows, one at a time.

A case is what its steps make of it (`medfloor.watch.cases`). A step is written in the transaction in which the rule was
asked, under the lock of its case, and never changed; each carries the hash of the one before it. What people write into
a step may tell of an illness: it is enciphered and kept apart, and the step holds only its hash, so that it can be
deleted by rule while the step stays.

Recognition is itself the decision of two people (whoever verified or published may not recognise). So it writes the
status `monitored` of the household's members at once, as removal ends what the case began: a second proposal for the
same decision would be four eyes twice. A status that a department brought is left alone, and nothing else ever follows.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import AccessError, ConflictError, InputError, NotFoundError, StoreError, UsageError
from medfloor.periods import OFFICE_ZONE
from medfloor.store import audit
from medfloor.store.accounts import GENESIS
from medfloor.store.engine import Store
from medfloor.store.entries import canonical, sha256
from medfloor.store.history import Touched, believed, chunks, holding
from medfloor.store.identity import without_identities
from medfloor.store.keys import Keyring
from medfloor.store.office import office_of
from medfloor.store.register import household_on, known, record, retract
from medfloor.store.roles import Actor, place_prefix, sees
from medfloor.store.schema import case_event, case_text, household, person_fact, spell, watch_case
from medfloor.watch.calendar import Calendar, shipped_calendar
from medfloor.watch.cases import Case, Event, apply, due_dates, event_of, event_record, replay
from medfloor.watch.cases import open_case as opened
from medfloor.watch.deadlines import CaseRules, Due, load_case_rules
from medfloor.watch.quality import CASE_COLUMNS, case_table, check_cases
from medfloor.watch.rules import load_rules

TEXTS = ("reason", "measure", "given_by")
"""What people write into a step as they like: enciphered, and without identity numbers."""

SEALED = "[sealed]"
"""Stands for a text where no keys were given."""

GONE = "[deleted]"
"""Stands for a text that was deleted by rule."""

_OPENING = 0x6D66_0002
"""The advisory lock of PostgreSQL under which one opens cases at a time."""

_DUE = ("visit", "decision", "help")
"""Deadlines of `due_dates`; the others are days from which on something may happen."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """Be a case as the store has it; `number` is that of its last step, which a next step may expect.

    `due_on` is the first deadline and `due_for` what it is for (visit, decision, help), by the rules of the last step's
    day. `touched` says whose claims must be settled again because the last step changed a status.
    """

    case: Case
    number: int
    due_on: date | None
    due_for: str | None
    changed_at: datetime
    texts_gone: bool = False
    touched: tuple[Touched, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseLine:
    """Be a case in a list."""

    case_id: str
    household_id: str
    place: str
    state: str
    round: int
    category: str | None
    found_on: date
    changed_on: date
    due_on: date | None
    due_for: str | None
    number: int
    changed_at: datetime

    @property
    def cursor(self) -> str:
        """Give where a list goes on after this line."""
        return f"{self.due_on.isoformat() if self.due_on else ''}|{self.case_id}"


def open_case(
    store: Store, keyring: Keyring, household_id: str, event: Event, *, actor: Actor, now: datetime
) -> CaseFile:
    """Open the case of a household that was found by an application, a cadre, a department or an alert.

    A household has one case for all its rounds: one that was removed or refused comes back by the step `re_entered`.
    Raises NotFoundError (`no_such_household`, also outside of the actor's place), ConflictError (`case_exists`), and
    what `add_event` raises of the step.
    """

    def work(connection: sa.Connection) -> CaseFile:
        _check_step(event, actor, now)
        place = home_place(connection, household_id, event.day)
        if not sees(actor, place):
            raise _no_such_household()
        lock_opening(connection)
        if _rows(connection, watch_case.c.household_id == household_id):
            raise ConflictError(
                "case_exists", "the household has a case already; add a step to it (re_entered where it is closed)"
            )
        (made,) = open_many(connection, [(household_id, place, event)], keyring=keyring, now=now)
        audit.record(connection, actor, "open_case", detail=f"case={made.case.case_id}", now=now)
        return made

    return store.attempt(work)


def add_event(
    store: Store,
    keyring: Keyring,
    case_id: str,
    event: Event,
    *,
    actor: Actor,
    now: datetime,
    expected: int | None = None,
) -> CaseFile:
    """Take a step into a case if the rule of the office's place on the step's day allows it.

    `expected` is the number of the last step that the actor saw: when another came meanwhile, nothing is written. The
    permission to decide is asked by whoever calls; that two people decide is asked here, by the rule.

    Raises NotFoundError (`unknown_case`, also outside of the actor's place); ConflictError `case_changed`, and what
    `watch.cases.apply` raises; UsageError `case_day_ahead`, `case_event_incomplete`; AccessError `case_other_actor`.
    """

    def work(connection: sa.Connection) -> CaseFile:
        _check_step(event, actor, now)
        row = _locked(connection, case_id)
        if row is None or not sees(actor, row.place):
            raise unknown_case()
        if expected is not None and expected != row.length:
            raise ConflictError(
                "case_changed", f"case {case_id} has {row.length} steps by now, not {expected}; look at it again"
            )
        (made,) = add_many(connection, [(row, event)], keyring=keyring, now=now)
        touched = _status(connection, made.case, event, actor, now)
        audit.record(connection, actor, "case_event", detail=f"case={case_id} {event.kind}", now=now)
        return replace(made, touched=touched)

    return store.attempt(work)


def case_of(
    connection: sa.Connection, case_id: str, *, actor: Actor | None = None, keyring: Keyring | None = None
) -> CaseFile:
    """Give a case with all its steps; what people wrote stands in it only with the keys.

    Raises NotFoundError (`unknown_case`, also outside of the actor's place), StoreError of `Keyring.decrypt`.
    """
    return _one(connection, watch_case.c.case_id == case_id, actor, keyring)


def case_of_household(
    connection: sa.Connection, household_id: str, *, actor: Actor | None = None, keyring: Keyring | None = None
) -> CaseFile | None:
    """Give the case of a household, or None where it was never found (or is outside of the actor's place)."""
    try:
        return _one(connection, watch_case.c.household_id == household_id, actor, keyring)
    except NotFoundError:
        return None


def cases(
    connection: sa.Connection,
    actor: Actor,
    *,
    state: str | Sequence[str] | None = None,
    place: str | None = None,
    due_before: date | None = None,
    due_from: date | None = None,
    due_for: str | None = None,
    category: str | None = None,
    after: str | None = None,
    limit: int | None = 100,
) -> list[CaseLine]:
    """List cases of the actor's place, what is due first first; `after` is the `cursor` of the line to go on from.

    `due_before` gives those with a deadline before that day: with today, those that are overdue. `due_from` gives those
    with a deadline on that day or later, and `due_for` those whose deadline is for it (visit, decision, help).
    """
    table = watch_case
    found = sa.select(table).where(*_seen(actor, place), *_chosen(state, due_before, due_from, due_for))
    if category is not None:
        found = found.where(table.c.category == category)
    if after is not None:
        found = found.where(_behind(after))
    found = found.order_by(table.c.due_on.is_(None), table.c.due_on, table.c.case_id).limit(limit)
    return [_line(row) for row in connection.execute(found)]


def count_listed(
    connection: sa.Connection,
    actor: Actor,
    *,
    state: str | Sequence[str] | None = None,
    place: str | None = None,
    due_before: date | None = None,
    due_from: date | None = None,
    due_for: str | None = None,
) -> int:
    """Count the cases that `cases` lists."""
    asked = sa.select(sa.func.count()).select_from(watch_case)
    asked = asked.where(*_seen(actor, place), *_chosen(state, due_before, due_from, due_for))
    return int(connection.execute(asked).scalar_one())


def count_cases(connection: sa.Connection, actor: Actor, *, on: date) -> list[tuple[str, str, int, int]]:
    """Count cases of the actor's place: township or county, state, how many, and how many of them are overdue."""
    table = watch_case
    town = sa.func.substr(table.c.place, 1, 9)
    late = sa.func.sum(sa.case((table.c.due_on < on, 1), else_=0))
    asked = sa.select(town, table.c.state, sa.func.count(), late).where(*_seen(actor, None))
    rows = connection.execute(asked.group_by(town, table.c.state).order_by(town, table.c.state))
    return [(place, state, int(number), int(overdue or 0)) for place, state, number, overdue in rows]


def case_rules(connection: sa.Connection, *, on: date) -> CaseRules:
    """Give what binds cases on a day in the place of the office's setting `watch_place`."""
    return load_case_rules(_rules_place(connection), on=on)


def deadlines(connection: sa.Connection, case: Case, *, on: date) -> dict[str, Due]:
    """Say what a case waits for, by the rules of a day (`watch.cases.due_dates`)."""
    return due_dates(case, case_rules(connection, on=on))


def check_office(connection: sa.Connection, actor: Actor, *, on: date) -> pl.DataFrame:
    """Hold all cases of the actor's place against the rules, and the register's incomes against the line.

    Gives the findings of `watch.quality.check_cases`: late steps, early removals, households under the line that nobody
    follows. Without a line of the place, incomes are not looked at. A case is rebuilt from its steps once; until it has
    a further one, what the checks ask of it is remembered.
    """
    table = _table(connection, _seen(actor, None))
    homes = _incomes(connection, actor, on)
    return check_cases(table, case_rules(connection, on=on), shipped_calendar(), on=on, households=homes)


def verify_cases(connection: sa.Connection, keyring: Keyring | None = None) -> list[tuple[str, int, str]]:
    """Verify every chain of steps: (case, step, what is wrong), empty where all is whole.

    Codes: step_missing, link_broken, hash_differs, unreadable, state_differs; with keys, text_differs.
    """
    wrong: list[tuple[str, int, str]] = []
    for some in chunks(_rows(connection)):
        events = _events_of(connection, [row.case_id for row in some])
        for row in some:
            wrong += _verified(row, events.get(row.case_id, []), keyring)
    return wrong


# --- Many at once, within a transaction of the caller ----------------------------------------------------------------


def open_many(
    connection: sa.Connection,
    found: Sequence[tuple[str, str, Event]],
    *,
    now: datetime,
    keyring: Keyring | None = None,
) -> list[CaseFile]:
    """Open cases of households that have none: household, place, event `found`. The caller looked that they have none.

    Without keys the steps hold no text.
    """
    made = [
        (opened(said, case_id=f"k{secrets.token_hex(8)}", household_id=home, place=place), said)
        for home, place, event in found
        for said in (_masked(event),)
    ]
    rules, place = {}, _rules_place(connection)
    for case, event in made:
        rules[case.case_id] = load_case_rules(place, on=event.day)
    rows = []
    for case, _ in made:
        due = _first_due(case, rules[case.case_id], shipped_calendar())
        rows.append({
            "case_id": case.case_id, "household_id": case.household_id, "opened_at": now, "place": case.place,
            "length": 0, "head": GENESIS, **_derived(case, due, now),
        })  # fmt: skip
    if rows:
        connection.execute(watch_case.insert(), rows)
    heads = {case.case_id: (0, GENESIS) for case, _ in made}
    return _write(connection, made, rules, heads, keyring, now)


def add_many(
    connection: sa.Connection,
    steps: Sequence[tuple[Any, Event]],
    *,
    now: datetime,
    keyring: Keyring | None = None,
) -> list[CaseFile]:
    """Take one step into each of some cases, given by their locked rows. Raises what `watch.cases.apply` raises."""
    loaded = load(connection, [row for row, _ in steps], keyring)
    made, rules, heads = [], {}, {}
    place = _rules_place(connection)
    for row, event in steps:
        said = _masked(event)
        rules[row.case_id] = load_case_rules(place, on=event.day)
        made.append((apply(loaded[row.case_id][0], said, rules[row.case_id]), said))
        heads[row.case_id] = (row.length, row.head)
    return _write(connection, made, rules, heads, keyring, now)


def load(connection: sa.Connection, rows: Sequence[Any], keyring: Keyring | None = None) -> dict[str, tuple[Case, Any]]:
    """Rebuild cases from their steps: case_id -> the case and its row of the table."""
    out: dict[str, tuple[Case, Any]] = {}
    for some in chunks(rows):
        events = _events_of(connection, [row.case_id for row in some])
        for row in some:
            steps = [_read(one, keyring) for one in events.get(row.case_id, [])]
            case = replay(steps, case_id=row.case_id, household_id=row.household_id, place=row.place)
            out[row.case_id] = (case, row)
    return out


def _table(connection: sa.Connection, clauses: Sequence[sa.ColumnElement[bool]]) -> pl.DataFrame:
    """Give cases as `case_table` does; only those are rebuilt that are not remembered as they stand."""
    names = ("case_id", "head", "place", "household_id")
    asked = sa.select(*(watch_case.c[name] for name in names)).where(*clauses).order_by(watch_case.c.case_id)
    lines = {row[0]: _REMEMBERED.get(tuple(row)) for row in connection.execute(asked).all()}
    for some in chunks([case_id for case_id, line in lines.items() if line is None]):
        cases = load(connection, _rows(connection, watch_case.c.case_id.in_(some)))
        if len(_REMEMBERED) + len(cases) > _MOST_REMEMBERED:
            _REMEMBERED.clear()
        for line in case_table(case for case, _ in cases.values()).iter_rows():
            row = cases[line[0]][1]
            _REMEMBERED[tuple(getattr(row, name) for name in names)] = lines[line[0]] = line
    return pl.DataFrame(list(lines.values()), schema=CASE_COLUMNS, orient="row")


_MOST_REMEMBERED = 100_000
_REMEMBERED: dict[tuple[Any, ...], tuple[Any, ...]] = {}
"""(case, hash of its last step, place, household) -> its line of `case_table`. The hash is that of the whole chain, so
that a line can only be that of the case as it stands; it holds days and amounts, and nothing that people wrote."""


def cases_of_households(connection: sa.Connection, household_ids: Iterable[str]) -> dict[str, Any]:
    """Lock the cases of some households in the order of their ids, and give their rows by household."""
    found: dict[str, Any] = {}
    for some in chunks(sorted(set(household_ids))):
        asked = sa.select(watch_case).where(watch_case.c.household_id.in_(some)).order_by(watch_case.c.household_id)
        found |= {row.household_id: row for row in connection.execute(asked.with_for_update())}
    return found


def home_place(connection: sa.Connection, household_id: str, day: date) -> str:
    """Give the place of a household on a day; without facts of its own, that of its members.

    Raises NotFoundError (`no_such_household`).
    """
    home = household_on(connection, household_id, day)
    if home.place or not home.members:
        return home.place
    places = (one.fact(day) for one in known(connection, home.members).values())
    return min((fact.place for fact in places if fact is not None and fact.place), default="")


def members_of(connection: sa.Connection, household_ids: Iterable[str]) -> list[str]:
    """List who belongs to households by the latest days that are known now: who is looked at when these are."""
    found: list[str] = []
    later = person_fact.alias("later")
    for some in chunks(sorted(set(household_ids))):
        rows = connection.execute(
            sa.select(person_fact.c.person_id)
            .where(
                person_fact.c.household_id.in_(some),
                person_fact.c.known_to.is_(None),
                ~sa.exists().where(
                    later.c.person_id == person_fact.c.person_id,
                    later.c.known_to.is_(None),
                    later.c.valid_from > person_fact.c.valid_from,
                ),
            )
            .order_by(person_fact.c.person_id)
        )
        found += rows.scalars()
    return list(dict.fromkeys(found))


def lock_opening(connection: sa.Connection) -> None:
    """Let one at a time open cases and raise alerts, so that no household gets two; SQLite has one writer of all."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_OPENING)))


def unknown_case() -> NotFoundError:
    """Say that there is no such case, or none that who asks may see."""
    return NotFoundError("unknown_case", "there is no such case in your place; look at the list of cases")


def day_of(now: datetime) -> date:
    """Give the day of a moment in the office."""
    return now.astimezone(OFFICE_ZONE).date()


# --- Steps in and out ------------------------------------------------------------------------------------------------


def _check_step(event: Event, actor: Actor, now: datetime) -> None:
    if event.actor != actor.login:
        raise AccessError(
            "case_other_actor", "a step is signed by whoever is signed in; leave the actor to the program"
        )
    if event.day > day_of(now):
        raise UsageError("case_day_ahead", f"{event.day} lies ahead; a step is written down once it was done")


def _masked(event: Event) -> Event:
    """Mask identity numbers in what people wrote."""
    reason, measure, given_by = (without_identities(getattr(event, name)) for name in TEXTS)
    return replace(event, reason=reason, measure=measure, given_by=given_by)


def _write(
    connection: sa.Connection,
    made: Sequence[tuple[Case, Event]],
    rules: Mapping[str, CaseRules],
    heads: Mapping[str, tuple[int, str]],
    keyring: Keyring | None,
    now: datetime,
) -> list[CaseFile]:
    """Write the last step of each case, its texts apart, and what the case came to."""
    calendar = shipped_calendar()
    files, rows, texts, moved = [], [], {}, []
    for case, event in made:
        length, head = heads[case.case_id]
        row, sealed = _step(case.case_id, event, length + 1, head, rules[case.case_id].place, keyring, now)
        rows.append(row)
        if sealed is not None:
            texts[case.case_id] = sealed
        due = _first_due(case, rules[case.case_id], calendar)
        values = _derived(case, due, now)
        moved.append({"key_": case.case_id, "length": length + 1, "head": row["hash"], "texts_gone_at": None, **values})
        files.append(CaseFile(case, length + 1, values["due_on"], values["due_for"], now))
    if not rows:
        return files
    returned = sa.insert(case_event).returning(case_event.c.case_id, case_event.c.id)
    ids = {one.case_id: one.id for one in connection.execute(returned, rows)}
    if texts:
        sealed_rows = [{"event_id": ids[case_id], "sealed": sealed} for case_id, sealed in texts.items()]
        connection.execute(case_text.insert(), sealed_rows)
    connection.execute(watch_case.update().where(watch_case.c.case_id == sa.bindparam("key_")), moved)
    return files


def _step(
    case_id: str, event: Event, number: int, previous: str, place: str, keyring: Keyring | None, now: datetime
) -> tuple[dict[str, Any], bytes | None]:
    """Give the row of a step and its sealed texts."""
    said = event_record(event)
    texts = {name: said.pop(name) for name in TEXTS if name in said}
    sealed, sealed_hash = None, None
    if texts:
        assert keyring is not None, "a text without keys"
        said["texts"] = sorted(texts)
        # Without salt, whoever guesses a short text could try its hash after the text was deleted.
        whole = canonical({"salt": secrets.token_hex(16), "texts": texts})
        sealed, sealed_hash = keyring.encrypt(whole), sha256(whole)
    row = {
        "case_id": case_id, "number": number, "kind": event.kind, "day": event.day, "actor": event.actor, "at": now,
        "said": canonical(said), "sealed_hash": sealed_hash, "rules": place, "previous": previous,
    }  # fmt: skip
    row["hash"] = _hash(row)
    return row, sealed


def _hash(row: Mapping[str, Any]) -> str:
    plain = ("case_id", "number", "kind", "actor", "said", "sealed_hash", "rules", "previous")
    moment = row["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return sha256(canonical([*(row[name] for name in plain), row["day"].isoformat(), moment]))


def _read(row: Any, keyring: Keyring | None) -> Event:
    """Read a step, with its texts where there are keys and the texts."""
    said = json.loads(row.said)
    names = said.pop("texts", ())
    if not names:
        return event_of(said)
    if row.sealed is None or keyring is None:
        return event_of({**said, **dict.fromkeys(names, GONE if row.sealed is None else SEALED)})
    whole = keyring.decrypt(row.sealed)
    if sha256(whole) != row.sealed_hash:
        raise StoreError("cipher_broken", f"the text of step {row.number} of a case was exchanged; restore a backup")
    return event_of({**said, **json.loads(whole)["texts"]})


def _derived(case: Case, due: tuple[date, str] | None, now: datetime) -> dict[str, Any]:
    """Give what the row of a case says for lists."""
    return {
        "state": case.state, "round": case.round, "category": case.category, "found_on": case.found_on,
        "changed_on": case.events[-1].day, "due_on": due[0] if due else None, "due_for": due[1] if due else None,
        "changed_at": now,
    }  # fmt: skip


def _first_due(case: Case, rules: CaseRules, calendar: Calendar) -> tuple[date, str] | None:
    waits = due_dates(case, rules, calendar)
    return min(((waits[name].day, name) for name in _DUE if name in waits), default=None)


def _rules_place(connection: sa.Connection) -> str:
    return office_of(connection).watch_place


# --- What a decision does to the register ----------------------------------------------------------------------------


def _status(connection: sa.Connection, case: Case, event: Event, actor: Actor, now: datetime) -> tuple[Touched, ...]:
    """Let the members be monitored from recognition on, and no longer from removal on."""
    if event.kind == "recognised":
        return _begin(connection, case, event, actor, now)
    if event.kind == "removed":
        return _end(connection, case, event, actor, now)
    return ()


def _begin(connection: sa.Connection, case: Case, event: Event, actor: Actor, now: datetime) -> tuple[Touched, ...]:
    try:
        members = household_on(connection, case.household_id, event.day).members
    except NotFoundError:
        return ()
    touched: list[Touched] = []
    for one in known(connection, members).values():
        fact = one.fact(event.day)
        dead = fact is not None and fact.deceased_on is not None and fact.deceased_on <= event.day
        # What a department brought stands, and says who recognised it there.
        held = any(status.group == "monitored" and status.span.end > event.day for status in one.statuses)
        if not dead and not held:
            values = {"detail": event.category, "recognised_by": actor.login, "recognised_on": event.day}
            key = (one.person_id, "monitored")
            done = record(
                connection, "spell", key, values, start=event.day, actor=actor, now=now, evidence=_evidence(case)
            )
            touched += done.touched
            audit.record(
                connection, actor, "record_spell", person_id=one.person_id, detail=f"case={case.case_id}", now=now
            )
    return tuple(touched)


def _end(connection: sa.Connection, case: Case, event: Event, actor: Actor, now: datetime) -> tuple[Touched, ...]:
    # Written down late, a removal does not reach back: what was settled meanwhile stays as it was.
    last = max(event.day, day_of(now))
    asked = sa.select(spell.c.person_id, spell.c.valid_from, spell.c.valid_to).where(
        spell.c.group == "monitored",
        spell.c.evidence == _evidence(case),
        spell.c.known_to.is_(None),
        sa.or_(spell.c.valid_to.is_(None), spell.c.valid_to > last),
    )
    touched: list[Touched] = []
    for person_id, start, stop in connection.execute(asked.order_by(spell.c.person_id)).all():
        key, first = (person_id, "monitored"), max(start, last)
        done = retract(connection, "spell", key, start=first, end=stop, actor=actor, now=now, evidence=_evidence(case))
        touched += done.touched
        audit.record(connection, actor, "end_spell", person_id=person_id, detail=f"case={case.case_id}", now=now)
    return tuple(touched)


def _evidence(case: Case) -> str:
    return f"case {case.case_id}"


# --- Reading ---------------------------------------------------------------------------------------------------------


def _one(
    connection: sa.Connection, which: sa.ColumnElement[bool], actor: Actor | None, keyring: Keyring | None
) -> CaseFile:
    rows = _rows(connection, which)
    if not rows or (actor is not None and not sees(actor, rows[0].place)):
        raise unknown_case()
    case, row = load(connection, rows, keyring)[rows[0].case_id]
    return CaseFile(case, row.length, row.due_on, row.due_for, row.changed_at, row.texts_gone_at is not None)


def _rows(connection: sa.Connection, *clauses: sa.ColumnElement[bool]) -> list[Any]:
    return list(connection.execute(sa.select(watch_case).where(*clauses).order_by(watch_case.c.case_id)))


def _locked(connection: sa.Connection, case_id: str) -> Any:
    return connection.execute(sa.select(watch_case).where(watch_case.c.case_id == case_id).with_for_update()).first()


def _events_of(connection: sa.Connection, case_ids: Sequence[str]) -> dict[str, list[Any]]:
    asked = (
        sa.select(case_event, case_text.c.sealed)
        .outerjoin(case_text, case_text.c.event_id == case_event.c.id)
        .where(case_event.c.case_id.in_(case_ids))
    )
    found: dict[str, list[Any]] = {}
    for row in connection.execute(asked.order_by(case_event.c.case_id, case_event.c.number)):
        found.setdefault(row.case_id, []).append(row)
    return found


def _seen(actor: Actor, place: str | None) -> list[sa.ColumnElement[bool]]:
    clauses = [watch_case.c.place.startswith(place_prefix(one), autoescape=True) for one in (actor.place, place) if one]
    return clauses or [sa.true()]


def _chosen(
    state: str | Sequence[str] | None, due_before: date | None, due_from: date | None, due_for: str | None
) -> list[sa.ColumnElement[bool]]:
    table = watch_case
    clauses: list[sa.ColumnElement[bool]] = []
    if state is not None:
        clauses.append(table.c.state.in_([state] if isinstance(state, str) else list(state)))
    if due_before is not None:
        clauses.append(table.c.due_on < due_before)
    if due_from is not None:
        clauses.append(table.c.due_on >= due_from)
    if due_for is not None:
        clauses.append(table.c.due_for == due_for)
    return clauses


def _behind(cursor: str) -> sa.ColumnElement[bool]:
    """Give what stands behind a line of a list; cases without a deadline stand last."""
    day, _, case_id = cursor.partition("|")
    due, name = watch_case.c.due_on, watch_case.c.case_id
    try:
        last = date.fromisoformat(day) if day else None
    except ValueError:
        raise UsageError("bad_cursor", "this is no place in a list of cases; begin at its first page") from None
    if last is None:
        return sa.and_(due.is_(None), name > case_id)
    return sa.or_(due.is_(None), due > last, sa.and_(due == last, name > case_id))


def _line(row: Any) -> CaseLine:
    return CaseLine(
        row.case_id, row.household_id, row.place, row.state, row.round, row.category, row.found_on, row.changed_on,
        row.due_on, row.due_for, row.length, row.changed_at,
    )  # fmt: skip


def _verified(row: Any, events: Sequence[Any], keyring: Keyring | None) -> list[tuple[str, int, str]]:
    wrong: list[tuple[str, int, str]] = []
    head = GENESIS
    for place, one in enumerate(events, 1):
        if one.number != place:
            wrong.append((row.case_id, one.number, "step_missing"))
        if one.previous != head:
            wrong.append((row.case_id, one.number, "link_broken"))
        if _hash(one._mapping) != one.hash:
            wrong.append((row.case_id, one.number, "hash_differs"))
        head = one.hash
    try:
        steps = [_read(one, None) for one in events]
        case = replay(steps, case_id=row.case_id, household_id=row.household_id, place=row.place)
    except (StoreError, UsageError, ValueError, TypeError, KeyError):
        return [*wrong, (row.case_id, len(events), "unreadable")]
    derived = _derived(case, None, row.changed_at)
    same = all(getattr(row, name) == value for name, value in derived.items() if not name.startswith("due_"))
    if not same or (row.length, row.head) != (len(events), head):
        wrong.append((row.case_id, len(events), "state_differs"))
    for one in events if keyring is not None else ():
        try:
            _read(one, keyring)
        except StoreError:
            wrong.append((row.case_id, one.number, "text_differs"))
    return wrong


def _incomes(connection: sa.Connection, actor: Actor, on: date) -> pl.DataFrame | None:
    """Give income and line a head of households that the checks ask of: at or under the line, or with a removed case.

    Of the others nothing would be found, and they are nearly all of the register.
    """
    office = office_of(connection)
    try:
        line = load_rules(office.place if len(office.place) >= 6 else "cn", on=on).line("monitoring", on.year)
    except InputError:
        return None
    # Asked for only where the household does not say how many it is.
    heads = (
        sa.select(sa.func.count())
        .where(
            person_fact.c.household_id == household.c.household_id,
            believed(person_fact, None), holding(person_fact, on), person_fact.c.deceased_on.is_(None),
        )
        .scalar_subquery()
    )  # fmt: skip
    size = sa.func.coalesce(household.c.size, heads)
    removed = sa.select(watch_case.c.household_id).where(watch_case.c.state == "removed")
    asked = sa.select(household.c.household_id, household.c.income_fen, size).where(
        believed(household, None),
        holding(household, on),
        household.c.income_fen.is_not(None),
        size > 0,
        # A head has so many whole fen, so that less than one fen above the line is at the line.
        sa.or_(household.c.income_fen < (line.fen + 1) * size, household.c.household_id.in_(removed)),
    )
    if actor.place:
        asked = asked.where(household.c.place.startswith(place_prefix(actor.place), autoescape=True))
    rows = [(home, income // heads, line.fen) for home, income, heads in connection.execute(asked).all()]
    kinds = {"household_id": pl.String, "income_head_fen": pl.Int64, "line_head_fen": pl.Int64}
    return pl.DataFrame(rows, schema=kinds, orient="row")


def _no_such_household() -> NotFoundError:
    return NotFoundError("no_such_household", "the register has no such household on that day; check its number")
