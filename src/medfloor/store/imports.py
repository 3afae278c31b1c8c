"""Take files of departments into the register: matched, checked, compared with what is known.

Rows in = rows accepted + rows refused, always. A file that was taken in before changes nothing. What a department
leaves empty is not erased; who is missing from its list is ended only if the list is said to be whole.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from medfloor.errors import NotFoundError, UsageError
from medfloor.periods import OFFICE_ZONE, OPEN_END
from medfloor.policy.load import PolicySet, load_policy
from medfloor.store import audit, schema
from medfloor.store.departments import Department, Understood, department, understand
from medfloor.store.engine import Store
from medfloor.store.extracts import Extract, read_extract
from medfloor.store.history import ENROLMENT, HOUSEHOLD, PERSON, SPELL, Change, Difference, Line, Touched, chunks, write
from medfloor.store.identity import is_identity, is_masked, plain_name
from medfloor.store.insured import Standing, dues
from medfloor.store.keys import Keyring
from medfloor.store.listed import Row, read_rows
from medfloor.store.matching import Asked, match, misnamed
from medfloor.store.office import office_of
from medfloor.store.register import DAWN, Known, known, new_person_id, set_identities
from medfloor.store.roles import Actor, place_prefix, require, sees


@dataclass(frozen=True)
class ImportReport:
    """Be what became of a file.

    `columns` maps the file's names of columns to ours, `ignored` are those that nothing was made of, `not_taken` those
    that this department may not state. `reasons` counts the refused rows by reason, `matched` the accepted ones by how
    their person was found. With `repeated` the same file was taken in before, under `import_id`: the counts are those
    of that time, and nothing was changed now. `held_back` counts who is missing from a whole list but was not ended,
    because refused rows may be theirs. `touched` are people whose claims must be settled again.
    """

    import_id: int | None
    kind: str
    source: str
    as_of: date
    rows_in: int
    accepted: int
    rejected: int
    added: int
    changed: int
    ended: int
    unchanged: int
    repeated: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    not_taken: tuple[str, ...] = ()
    reasons: Mapping[str, int] = field(default_factory=dict)
    matched: Mapping[str, int] = field(default_factory=dict)
    conflicts: int = 0
    held_back: int = 0
    touched: tuple[Touched, ...] = ()


@dataclass(frozen=True)
class _Terms:
    """Be what was asked for an import."""

    kind: str
    department: Department
    actor: Actor
    now: datetime
    as_of: date
    full: bool
    place: str
    group: str | None
    policies: PolicySet | None


@dataclass
class _Run:
    """Be an import under way: its terms, its connection, and what it found so far."""

    terms: _Terms
    connection: sa.Connection
    keyring: Keyring
    import_id: int
    not_taken: set[str] = field(default_factory=set)
    differences: list[Difference] = field(default_factory=list)
    touched: dict[str, date] = field(default_factory=dict)
    ended: int = 0
    held_back: int = 0

    def write(
        self, line: Line, changes: Sequence[tuple[Row | None, Change]], *, new: frozenset[str] = frozenset()
    ) -> None:
        """Lay changes over what is known, and note at each row what became of it. Who is `new` is not touched."""
        if not changes:
            return
        done = write(
            self.connection, line, [change for _, change in changes],
            by=self.terms.actor.login, source=self.terms.department.name, now=self.terms.now, import_id=self.import_id,
        )  # fmt: skip
        for (row, _), outcome in zip(changes, done.outcomes, strict=True):
            if row is not None:
                row.changes.append(outcome)
            elif outcome != "unchanged":
                self.ended += 1
        # Of who is new one line says all; its facts are not listed one by one.
        self.differences += [one for one in done.differences if one.key[0] not in new]
        for one in done.touched:
            if one.person_id not in new and line is not HOUSEHOLD:
                self.touched[one.person_id] = min(one.from_date, self.touched.get(one.person_id, OPEN_END))


class _OnlyLooked(Exception):
    """Carry the report of an import that was only tried out of its transaction, which is rolled back."""

    def __init__(self, report: ImportReport) -> None:
        self.report = report


def import_file(
    store: Store,
    kind: str,
    file: str | Path | bytes,
    source: str,
    *,
    actor: Actor,
    now: datetime,
    keyring: Keyring,
    as_of: date | None = None,
    full: bool = False,
    place: str | None = None,
    group: str | None = None,
    codes: Mapping[str, str] | None = None,
    policy: str | PolicySet | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Take a file of people, households, enrolments or spells into the register, whole or not at all.

    `source` is the department; `as_of` the day for which it vouches (default: the day of `now` in China). `full` says
    that the list is whole for `place` (default: the actor's, else the office's): who is not in it holds its statuses,
    or is enrolled, no longer from `as_of` on; nobody is ended while a refused row may be theirs. `group` is the status
    of a list that has no column of it; `codes` a place's own codes of statuses. `policy` says what is due where a file
    of enrolments has no amounts. With `dry_run` the report is given and nothing is kept. Raises AccessError
    (`forbidden`), UsageError (unknown_source, unknown_kind, not_its_kind, not_a_list), and InputError as
    `read_extract` and `understand`.
    """
    require(actor, "import_register")
    day = as_of or now.astimezone(OFFICE_ZONE).date()
    if full and kind not in ("spells", "enrolments"):
        raise UsageError(
            "not_a_list", f"a file of {kind} cannot end anybody; only spells and enrolments can be whole lists"
        )
    policies = load_policy(policy) if isinstance(policy, str) else policy
    scope = actor.place if place is None else place
    unplaced = _Terms(kind, department(source, kind), actor, now, day, full, scope, group, policies)
    extract = read_extract(file)
    columns = understand(extract.columns, kind)
    asked = [as_of and str(as_of), full, place, group, sorted((codes or {}).items()), policies and policies.address]
    # Read before the transaction, because it takes a third of the time and others may write meanwhile.
    read = read_rows(extract, columns, codes)
    content_hash = extract.content_hash
    if any(asked):
        # The same file on other terms is another import.
        content_hash = hashlib.sha256(f"{content_hash}{json.dumps(asked)}".encode()).hexdigest()

    def work(connection: sa.Connection) -> ImportReport:
        # Who sees every place works for the office's own.
        terms = unplaced if unplaced.place else replace(unplaced, place=office_of(connection).place)
        before = _taken_before(connection, terms, content_hash)
        if before is not None:
            return before
        report = _take(connection, keyring, terms, extract, columns, [row.fresh() for row in read], content_hash)
        if dry_run:
            raise _OnlyLooked(replace(report, import_id=None))
        return report

    try:
        return store.attempt(work)
    except _OnlyLooked as looked:
        return looked.report
    except IntegrityError:
        # Somebody else took the same file in at the same time, and was first.
        with store.reading() as connection:
            before = _taken_before(connection, unplaced, content_hash)
        if before is None:
            raise
        return before


def _taken_before(connection: sa.Connection, terms: _Terms, content_hash: str) -> ImportReport | None:
    run = schema.import_run
    asked = sa.select(run.c.id).where(
        run.c.kind == terms.kind, run.c.source == terms.department.name, run.c.content_hash == content_hash
    )
    found = connection.execute(asked).scalar()
    return None if found is None else replace(report_of(connection, found), repeated=True)


def _take(
    connection: sa.Connection,
    keyring: Keyring,
    terms: _Terms,
    extract: Extract,
    columns: Understood,
    rows: list[Row],
    content_hash: str,
) -> ImportReport:
    started = sa.insert(schema.import_run).values(
        kind=terms.kind, source=terms.department.name, content_hash=content_hash, as_of=terms.as_of,
        started_at=terms.now, recorded_by=terms.actor.login,
    )  # fmt: skip
    key = connection.execute(started).inserted_primary_key
    assert key is not None
    run = _Run(terms, connection, keyring, int(key[0]))
    {"people": _people, "households": _households, "enrolments": _enrolments, "spells": _spells}[terms.kind](run, rows)
    _keep_refused(run, extract, rows)
    _keep_differences(run)
    report = _reported(run, rows, columns)
    finished = sa.update(schema.import_run).where(schema.import_run.c.id == run.import_id)
    connection.execute(
        finished.values(
            finished_at=terms.now, rows_in=report.rows_in, rows_accepted=report.accepted,
            rows_rejected=report.rejected, rows_added=report.added, rows_changed=report.changed,
            rows_ended=report.ended, rows_unchanged=report.unchanged,
        )
    )  # fmt: skip
    audit.record(
        connection,
        terms.actor,
        "import_register",
        now=terms.now,
        detail=f"{terms.kind} {terms.department.name} {run.import_id}",
    )
    return report


def _reported(run: _Run, rows: Sequence[Row], columns: Understood) -> ImportReport:
    accepted = [row for row in rows if row.reason is None]
    outcomes = Counter(_outcome(row) for row in accepted)
    return ImportReport(
        run.import_id, run.terms.kind, run.terms.department.name, run.terms.as_of,
        rows_in=len(rows),
        accepted=len(accepted),
        rejected=len(rows) - len(accepted),
        added=outcomes["added"],
        changed=outcomes["changed"],
        ended=run.ended,
        unchanged=outcomes["unchanged"],
        columns=columns.pairs,
        ignored=tuple(name for name in columns.ignored if name),
        not_taken=tuple(sorted(run.not_taken)),
        reasons=Counter(row.reason for row in rows if row.reason is not None),
        matched=Counter(row.matched_by for row in accepted if row.matched_by is not None),
        conflicts=sum(one.kind == "conflict" for one in run.differences),
        held_back=run.held_back,
        touched=tuple(Touched(*one) for one in sorted(run.touched.items())),
    )  # fmt: skip


def _outcome(row: Row) -> str:
    if row.is_new:
        return "added"
    kinds = set(row.changes) - {"unchanged"}
    return "unchanged" if not kinds else "added" if kinds == {"added"} else "changed"


# --- Who it is ------------------------------------------------------------------------------------------------------


def _find_people(run: _Run, rows: Sequence[Row], *, may_be_new: bool) -> None:
    """Find the person of each row; refuse rows of nobody, of people elsewhere, and of whom cannot be told."""
    terms = run.terms
    open_rows = [row for row in rows if row.reason is None]
    asked = [Asked(*(row.values.get(name) for name in Asked.__dataclass_fields__)) for row in open_rows]
    matches = match(run.connection, run.keyring, asked, ids_are_ours=may_be_new)
    places = _places(run.connection, (one.person_id for one in matches if one.person_id), terms.as_of)
    named = ((one.person_id or "", a.name or "") for one, a in zip(matches, asked, strict=True) if a.name)
    # A list of people is where a new name comes in by; any other that has another name is of somebody else.
    others = set() if may_be_new else misnamed(run.connection, run.keyring, named)
    for row, one in zip(open_rows, matches, strict=True):
        if one.reason is not None:
            row.refuse(one.reason, one.detail)
        elif (one.person_id, row.values.get("name")) in others:
            # It may be a row of anybody: whose number is mistyped stands in the list all the same.
            row.refuse("name_disagrees", "the register knows the person of this number or id by another name")
        elif one.person_id is not None:
            row.person_id, row.matched_by = one.person_id, one.by
            if not sees(terms.actor, places.get(one.person_id, terms.actor.place)):
                row.refuse("outside_place", "the person belongs to a place that the user does not see")
        elif not may_be_new:
            row.refuse("unknown_person", "the register has nobody of this identity number, id, or name and birth date")
        if "place" in row.values and not sees(terms.actor, row.values["place"]):
            row.refuse("outside_place", "the row is of a place that the user does not see")


def _name_households(run: _Run, rows: Sequence[Row]) -> None:
    """Put a stand-in where a household is named by its head's identity number, as many departments do."""
    numbers = {row.values["household_id"] for row in rows if is_identity(row.values.get("household_id", ""))}
    if not numbers:
        return
    stand_ins = {number: run.keyring.stand_ins(number) for number in numbers}
    there: set[str] = set()
    for table in (schema.person_fact, schema.household):
        for chunk in chunks(sorted({one for some in stand_ins.values() for one in some})):
            asked = sa.select(table.c.household_id).where(table.c.household_id.in_(chunk)).distinct()
            there.update(run.connection.execute(asked).scalars())
    for row in rows:
        some = stand_ins.get(row.values.get("household_id", ""))
        if some is not None:
            row.values["household_id"] = next((one for one in some if one in there), some[0])


def _places(connection: sa.Connection, person_ids: Iterable[str], day: date) -> dict[str, str]:
    """Give where people belong on a day, or where they belonged last before it; else first after it."""
    table = schema.person_fact
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(person_ids))):
        asked = sa.select(table.c.person_id, table.c.place, table.c.valid_from).where(
            table.c.person_id.in_(chunk), table.c.known_to.is_(None)
        )
        for person_id, place, start in connection.execute(asked.order_by(table.c.valid_from)):
            if start <= day or person_id not in found:
                found[person_id] = place
    return found


# --- People ---------------------------------------------------------------------------------------------------------

_LASTING = ("birth_date", "sex", "deceased_on")
_CHANGING = ("residence", "household_id", "place", "family_doctor")
_INSURED = ("scheme", "insured_class", "continuous_years", "claim_free_years")


def _people(run: _Run, rows: list[Row]) -> None:
    """Take people in: new ones with all that is said, known ones with what is new since `as_of`.

    Birth date, sex and death are corrected for all days, because they do not change; the rest holds from `as_of` on.
    """
    terms = run.terms
    _take_allowed(run, rows, (*_LASTING, *_CHANGING))
    _find_people(run, rows, may_be_new=True)
    _name_households(run, rows)
    _add_new(run, rows)
    accepted = [row for row in rows if row.reason is None]
    new = frozenset(row.person_id for row in accepted if row.is_new and row.person_id)
    bare = _without_facts(run.connection, (row.person_id for row in accepted if row.person_id and not row.is_new))
    changes: list[tuple[Row | None, Change]] = []
    for row in accepted:
        assert row.person_id is not None
        key, values = (row.person_id,), row.values
        lasting = {name: values[name] for name in _LASTING if name in values}
        changing = {name: values[name] for name in _CHANGING if name in values}
        if row.is_new or row.person_id in bare:
            facts = {"place": terms.place, **lasting, **changing}
            changes.append((row, Change(key, DAWN, OPEN_END, facts, "patch", number=row.number)))
            continue
        if lasting:
            changes.append((row, Change(key, DAWN, OPEN_END, lasting, "amend", number=row.number)))
        if changing:
            changes.append((row, Change(key, terms.as_of, OPEN_END, changing, "patch", number=row.number)))
    run.write(PERSON, changes, new=new)
    run.differences += [Difference((one,), "added", "person", None, None) for one in sorted(new)]
    _enrol_people(run, accepted, new)
    _end_of_the_dead(run, accepted)


def _take_allowed(run: _Run, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Leave out what the department may not state, and say so; its rows count without it."""
    barred = set(names) - set(run.terms.department.facts)
    if "enrolments" not in run.terms.department.kinds:
        barred |= {*_INSURED, "enrolled_from", "enrolled_to"}
    for row in rows:
        for name in barred & row.values.keys():
            del row.values[name]
            run.not_taken.add(name)


def _add_new(run: _Run, rows: Sequence[Row]) -> None:
    """Take new people into the register, and complete names and identity numbers of known ones."""
    ring, now = run.keyring, run.terms.now
    seen: set[tuple[Any, ...]] = set()
    inserted: list[dict[str, Any]] = []
    known_rows: list[Row] = []
    for row in rows:
        if row.reason is not None:
            continue
        values = row.values
        number, name = values.get("identity_number"), values.get("name")
        keys: set[tuple[Any, ...]] = {("id", row.person_id or values.get("person_id")), ("number", number)} - {
            ("id", None),
            ("number", None),
        }
        if not keys:
            if not name or "birth_date" not in values:
                row.refuse("missing_value", "the row has no identity number, no id, and not both name and birth date")
                continue
            keys = {("name", plain_name(name), values["birth_date"])}
        if keys & seen:
            row.refuse("repeated_row", "an earlier row of the file is of the same person")
            continue
        seen |= keys
        if row.person_id is not None:
            known_rows.append(row)
            continue
        row.person_id, row.is_new = values.get("person_id") or new_person_id(), True
        inserted.append({
            "person_id": row.person_id,
            "identity_cipher": ring.encrypt(number) if number else None,
            "identity_lookup": ring.lookup(number) if number else None,
            "name_cipher": ring.encrypt(name) if name else None,
            "created_at": now,
        })  # fmt: skip
    if inserted:
        run.connection.execute(sa.insert(schema.person), inserted)
    _complete_identities(run, known_rows)


def _complete_identities(run: _Run, rows: Sequence[Row]) -> None:
    """Write the names and identity numbers that known people lacked, and names that are now others."""
    ring, table = run.keyring, schema.person
    asked = {row.person_id: row for row in rows if row.person_id and row.values.keys() & {"name", "identity_number"}}
    updates: list[dict[str, Any]] = []
    for chunk in chunks(sorted(asked)):
        found = sa.select(table.c.person_id, table.c.name_cipher, table.c.identity_lookup)
        for person_id, cipher, lookup in run.connection.execute(found.where(table.c.person_id.in_(chunk))):
            row = asked[person_id]
            update: dict[str, Any] = {}
            name, number = row.values.get("name"), row.values.get("identity_number")
            # By its name a person was found, or by a number; a name that came with the id alone may be another's.
            # A masked name says less than the one that is known.
            if name and (not cipher or (not is_masked(name) and plain_name(ring.decrypt(cipher)) != plain_name(name))):
                update["name_cipher"] = ring.encrypt(name)
                run.differences.append(Difference((person_id,), "changed", "name", None, None))
            if number and lookup is None:
                update |= {"identity_cipher": ring.encrypt(number), "identity_lookup": ring.lookup(number)}
                run.differences.append(Difference((person_id,), "changed", "identity_number", None, None))
            if update:
                row.changes.append("changed")
                updates.append({"b_id": person_id, **update})
    set_identities(run.connection, updates)


def _without_facts(connection: sa.Connection, person_ids: Iterable[str]) -> set[str]:
    table = schema.person_fact
    asked = set(person_ids)
    for chunk in chunks(sorted(asked)):
        found = sa.select(table.c.person_id).where(table.c.person_id.in_(chunk), table.c.known_to.is_(None))
        asked -= set(connection.execute(found.distinct()).scalars())
    return asked


def _enrol_people(run: _Run, rows: Sequence[Row], new: frozenset[str]) -> None:
    """Enrol people whose row says how they are insured, as the contract's table of people does."""
    changes: list[tuple[Row | None, Change]] = []
    for row in rows:
        if row.values.get("scheme") in (None, "none"):
            continue
        assert row.person_id is not None
        start = row.values.get("enrolled_from", DAWN)
        last = row.values.get("enrolled_to")
        year = start.year if start > DAWN else run.terms.as_of.year
        values = {"benefit_year": year, **{name: row.values[name] for name in _INSURED if name in row.values}}
        end = OPEN_END if last is None else last + timedelta(days=1)
        changes.append((row, Change((row.person_id,), start, end, values, "patch", number=row.number)))
    run.write(ENROLMENT, changes, new=new)


def _end_of_the_dead(run: _Run, rows: Sequence[Row]) -> None:
    """End statuses and enrolments on the day after a death."""
    dead = {row.person_id: row for row in rows if row.person_id and "deceased_on" in row.values}
    found = known(run.connection, sorted(dead))
    statuses: list[tuple[Row | None, Change]] = []
    enrolments: list[tuple[Row | None, Change]] = []
    for person_id, row in dead.items():
        after = row.values["deceased_on"] + timedelta(days=1)
        for group in sorted({one.group for one in found[person_id].statuses if one.span.end > after}):
            statuses.append((row, Change((person_id, group), after, OPEN_END, way="void")))
        if any(one.span.end > after for one in found[person_id].enrolments):
            enrolments.append((row, Change((person_id,), after, OPEN_END, way="void")))
    run.write(SPELL, statuses)
    run.write(ENROLMENT, enrolments)


# --- Households -----------------------------------------------------------------------------------------------------


def _households(run: _Run, rows: list[Row]) -> None:
    terms = run.terms
    renamed = {"income": "income_fen", "consumption": "consumption_fen", "food": "food_fen"}
    changes: list[tuple[Row | None, Change]] = []
    seen: set[str] = set()
    _name_households(run, rows)
    known_places = _household_places(run.connection, (row.values.get("household_id", "") for row in rows))
    for row in rows:
        household = row.values.get("household_id")
        if household is None:
            row.refuse("missing_value", "household_id is empty")
        elif household in seen:
            row.refuse("repeated_row", "an earlier row of the file is of the same household")
        place = row.values.get("place") or (known_places.get(household) if household else None)
        if place is not None and not sees(terms.actor, place):
            row.refuse("outside_place", "the household belongs to a place that the user does not see")
        if row.reason is not None or household is None:
            continue
        seen.add(household)
        values = {renamed.get(name, name): value for name, value in row.values.items()}
        values = {name: value for name, value in values.items() if name in HOUSEHOLD.values}
        if household not in known_places:
            values.setdefault("place", terms.place)
        start = row.values.get("from_date", terms.as_of)
        changes.append((row, Change((household,), start, OPEN_END, values, "patch", number=row.number)))
    run.write(HOUSEHOLD, changes)


def _household_places(connection: sa.Connection, household_ids: Iterable[str]) -> dict[str, str]:
    table = schema.household
    found: dict[str, str] = {}
    for chunk in chunks(sorted(set(household_ids))):
        asked = sa.select(table.c.household_id, table.c.place).where(
            table.c.household_id.in_(chunk), table.c.known_to.is_(None)
        )
        found.update((row[0], row[1]) for row in connection.execute(asked.order_by(table.c.valid_from)))
    return found


# --- Enrolments -----------------------------------------------------------------------------------------------------


def _enrolments(run: _Run, rows: list[Row]) -> None:
    """Take enrolments in, one row a person and span; what is due is as the file says, else as the named law says."""
    terms = run.terms
    _find_people(run, rows, may_be_new=False)
    for row in rows:
        row.values.setdefault("scheme", "resident")
        year = row.values.setdefault("benefit_year", row.values.get("from_date", terms.as_of).year)
        row.values.setdefault("from_date", date(year, 1, 1))
        row.values.setdefault("to_date", date(year, 12, 31))
        if row.values["to_date"] < row.values["from_date"]:
            row.refuse("end_before_start", "to_date lies before from_date")
    accepted = [row for row in rows if row.reason is None and row.person_id is not None]
    found = known(run.connection, [row.person_id for row in accepted if row.person_id])
    by_law = {}
    if terms.policies is not None:
        asked = [
            Standing(
                found[row.person_id or ""],
                row.values.get("paid_on", row.values["from_date"]),
                row.values["benefit_year"],
                row.values.get("insured_class"),
            )
            for row in accepted
        ]
        by_law = dict(zip((row.number for row in accepted), dues(terms.policies, asked), strict=True))
    changes: list[tuple[Row | None, Change]] = []
    for row in accepted:
        assert row.person_id is not None
        values = {name: row.values[name] for name in ENROLMENT.values if name in row.values}
        values |= {f"{name}_fen": row.values[name] for name in ("premium", "subsidy") if name in row.values}
        due = by_law.get(row.number)
        if values.get("scheme", "resident") != "resident":
            # What the residents' scheme asked, and what was paid of it, is no premium of another scheme.
            due, values = None, {**dict.fromkeys(_PREMIUM), **values}
        if due is not None and "premium" not in row.values:
            # Where the file says what was paid, the file counts.
            said = {"premium_fen": due.premium_fen, "subsidy_fen": due.subsidy_fen, "subsidy_group": due.subsidy_group}
            values = {**{name: value for name, value in said.items() if value is not None}, **values}
        end = row.values["to_date"] + timedelta(days=1)
        key = (row.person_id,)
        changes.append((row, Change(key, row.values["from_date"], end, values, "patch", number=row.number)))
    run.write(ENROLMENT, changes)
    if terms.full:
        years = {row.values["benefit_year"] for row in accepted}
        table = schema.enrolment
        holding = _listed_in(run, table, table.c.benefit_year.in_(sorted(years)), table.c.person_id)
        present = {(row.person_id,) for row in accepted}
        _end_absent(run, rows, ENROLMENT, {key for key in holding if key not in present})


_PREMIUM = ("premium_fen", "subsidy_fen", "subsidy_group", "paid_on")
"""What an enrolment says of its premium."""


# --- Statuses -------------------------------------------------------------------------------------------------------


def _spells(run: _Run, rows: list[Row]) -> None:
    """Take statuses in, one row a person and status; a list without days counts from `as_of` for those who are new."""
    terms = run.terms
    for row in rows:
        if terms.group is not None:
            row.values.setdefault("group", terms.group)
        group = row.values.get("group")
        if group is None:
            row.refuse("missing_value", "the row names no status")
        elif not terms.department.may_state(group):
            row.refuse("not_its_group", f"{terms.department.name} does not recognise the status {group}")
    _find_people(run, rows, may_be_new=False)
    accepted = [row for row in rows if row.reason is None and row.person_id is not None]
    found = known(run.connection, [row.person_id for row in accepted if row.person_id])
    changes: list[tuple[Row | None, Change]] = []
    for row in accepted:
        assert row.person_id is not None
        changes += [(row, change) for change in _spell_changes(run, row, found[row.person_id])]
    run.write(SPELL, changes)
    if terms.full:
        groups = {row.values["group"] for row in rows if terms.department.may_state(row.values.get("group", ""))}
        groups |= {terms.group} if terms.group is not None else set()
        table = schema.spell
        holding = _listed_in(run, table, table.c.group.in_(sorted(groups)), table.c.person_id, table.c.group)
        present = {(row.person_id, row.values.get("group")) for row in rows if row.person_id is not None}
        _end_absent(run, rows, SPELL, {key for key in holding if key not in present})


def _spell_changes(run: _Run, row: Row, person: Known) -> list[Change]:
    """Make the changes that a row asks for; none where it is refused."""
    values, as_of = row.values, run.terms.as_of
    group = values["group"]
    mine = [one for one in person.statuses if one.group == group]
    holds = next((one for one in mine if one.span.holds(as_of)), None)
    start = values.get("from_date") or values.get("recognised_on")
    if start is None:
        start = max(holds.span.start, DAWN) if holds is not None else as_of
    elif holds is not None and holds.span.start < start and "from_date" in values:
        # The register knows it from earlier on; what was recognised is not cut short by a list.
        earlier = None if holds.span.start == DAWN else str(holds.span.start)
        run.differences.append(Difference((row.person_id or "", group), "conflict", "from_date", earlier, str(start)))
    last = values.get("to_date")
    end = OPEN_END if last is None else last + timedelta(days=1)
    died = next((fact.deceased_on for fact in person.facts if fact.deceased_on is not None), None)
    if died is not None:
        end = min(end, died + timedelta(days=1))
        if start > died:
            row.refuse("after_death", "the status begins after the day on which the person died")
            return []
    if end <= start:
        row.refuse("end_before_start", "the last day lies before the first")
        return []
    said = {name: values[name] for name in SPELL.values if name in values}
    key = (row.person_id or "", group)
    changes = [Change(key, start, end, said, "patch", values.get("evidence"), row.number)]
    if last is not None and holds is not None and holds.span.end > end:
        # The list says that it ends: what the register has beyond that day goes.
        changes.append(Change(key, end, OPEN_END, way="void"))
    return changes


def _listed_in(
    run: _Run, table: sa.Table, which: sa.ColumnElement[bool], *keys: sa.ColumnElement[Any]
) -> set[tuple[Any, ...]]:
    """List who holds on `as_of` what a list names, within the place for which the list is whole."""
    day, facts = run.terms.as_of, schema.person_fact
    asked = sa.select(*keys).join(facts, facts.c.person_id == table.c.person_id)
    asked = asked.where(which, facts.c.place.startswith(place_prefix(run.terms.place), autoescape=True))
    for one in (table, facts):
        asked = asked.where(one.c.known_to.is_(None), one.c.valid_from <= day)
        asked = asked.where(sa.or_(one.c.valid_to.is_(None), one.c.valid_to > day))
    return {tuple(row) for row in run.connection.execute(asked)}


def _end_absent(run: _Run, rows: Sequence[Row], line: Line, absent: set[tuple[Any, ...]]) -> None:
    """End who is missing from a whole list, unless a refused row may be theirs."""
    if any(_may_be_anyones(row) for row in rows):
        run.held_back = len(absent)
        return
    refused = {row.person_id for row in rows if row.reason is not None}
    gone = sorted(key for key in absent if key[0] not in refused)
    run.held_back = len(absent) - len(gone)
    run.write(line, [(None, Change(key, run.terms.as_of, OPEN_END, way="void")) for key in gone])


def _may_be_anyones(row: Row) -> bool:
    """Say whether a refused row may be of somebody in the register who was not recognised."""
    stranger = row.reason == "unknown_person" and "identity_number" in row.values
    return row.reason is not None and row.person_id is None and not stranger


# --- What is kept of an import --------------------------------------------------------------------------------------


def _keep_refused(run: _Run, extract: Extract, rows: Sequence[Row]) -> None:
    kept = []
    for row in rows:
        if row.reason is None:
            continue
        cells = extract.rows[row.number - extract.first]
        as_it_came = {name: cell for name, cell in zip(extract.columns, cells, strict=True) if name}
        kept.append({
            "import_id": run.import_id, "row": row.number, "reason": row.reason, "detail": row.detail,
            "sealed_row": run.keyring.seal_row(as_it_came),
        })  # fmt: skip
    if kept:
        run.connection.execute(sa.insert(schema.import_reject), kept)


def _keep_differences(run: _Run) -> None:
    household = run.terms.kind == "households"
    kept = [
        {
            "import_id": run.import_id,
            "person_id": None if household else one.key[0],
            "kind": one.kind,
            "field": f"{one.key[0]}: {one.field}"[:64] if household else one.field,
            "before": one.before,
            "after": one.after,
        }
        for one in run.differences
    ]
    if kept:
        run.connection.execute(sa.insert(schema.import_difference), kept)


def report_of(connection: sa.Connection, import_id: int) -> ImportReport:
    """Give the report of an earlier import, from what was kept of it. Raises NotFoundError (`no_such_import`)."""
    run, refused, differing = schema.import_run, schema.import_reject, schema.import_difference
    row = connection.execute(sa.select(run).where(run.c.id == import_id)).mappings().first()
    if row is None:
        raise NotFoundError("no_such_import", f"there is no import {import_id}; list them with medfloor register list")
    reasons = sa.select(refused.c.reason, sa.func.count()).where(refused.c.import_id == import_id)
    conflicts = sa.select(sa.func.count()).where(differing.c.import_id == import_id, differing.c.kind == "conflict")
    return ImportReport(
        import_id, row["kind"], row["source"], row["as_of"], row["rows_in"], row["rows_accepted"],
        row["rows_rejected"], row["rows_added"], row["rows_changed"], row["rows_ended"], row["rows_unchanged"],
        reasons={row[0]: row[1] for row in connection.execute(reasons.group_by(refused.c.reason))},
        conflicts=connection.execute(conflicts).scalar_one(),
    )  # fmt: skip


def list_imports(connection: sa.Connection, *, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """List imports, oldest first, from the one after `after`."""
    run = schema.import_run
    asked = sa.select(run).where(run.c.id > after).order_by(run.c.id).limit(limit)
    return [dict(row) for row in connection.execute(asked).mappings()]


def newest_imports(connection: sa.Connection, *, before: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """List files of departments, the latest first, on one page; `before` is the number from which to go on."""
    table = schema.import_run
    asked = sa.select(table).where(table.c.kind.in_(("people", "households", "enrolments", "spells")))
    if before is not None:
        asked = asked.where(table.c.id < before)
    return [dict(row) for row in connection.execute(asked.order_by(table.c.id.desc()).limit(limit)).mappings()]


def differences_of(
    connection: sa.Connection, import_id: int, *, after: int = 0, limit: int = 1_000
) -> list[dict[str, Any]]:
    """List what an import changed: id, person_id, kind, field, before, after. Raises NotFoundError: no_such_import."""
    return _kept(connection, schema.import_difference, import_id, after, limit)


def rejects_of(
    connection: sa.Connection,
    import_id: int,
    *,
    keyring: Keyring | None = None,
    after: int = 0,
    limit: int = 1_000,
) -> list[dict[str, Any]]:
    """List the rows that an import refused: id, row, reason, detail, and with the keys `cells`, the row as it came.

    The cells hold names and identity numbers: who shows them has the permission to. Raises NotFoundError
    (`no_such_import`).
    """
    kept = _kept(connection, schema.import_reject, import_id, after, limit)
    for row in kept:
        sealed = row.pop("sealed_row")
        if keyring is not None:
            row["cells"] = keyring.open_row(sealed)
    return kept


def _kept(connection: sa.Connection, table: sa.Table, import_id: int, after: int, limit: int) -> list[dict[str, Any]]:
    report_of(connection, import_id)
    asked = sa.select(*(column for column in table.c if column.name != "import_id"))
    asked = asked.where(table.c.import_id == import_id, table.c.id > after).order_by(table.c.id).limit(limit)
    return [dict(row) for row in connection.execute(asked).mappings()]
