"""Send lists of people to other departments: only what a purpose needs, with a manifest, kept no longer than its term.

A list is a CSV file (UTF-8 with a mark, as spreadsheets read it) with one row a person. Each row has a reference, which
says nothing about anybody, and empty columns for the answer. What was sent is kept enciphered until the term is over;
the manifest, which names nobody, and the hash of the file are kept for good.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.errors import ConflictError, NotFoundError, UsageError
from medfloor.money import format_yuan
from medfloor.periods import OFFICE_ZONE, age_on
from medfloor.store import audit, schema
from medfloor.store.engine import Store
from medfloor.store.entries import canonical
from medfloor.store.exchange_terms import ANSWERS, Terms, all_terms
from medfloor.store.history import believed, chunks, holding
from medfloor.store.keys import Keyring
from medfloor.store.office import office_of
from medfloor.store.roles import Actor, place_prefix, require, sees
from medfloor.store.watching import settled_of
from medfloor.words import knows, say

_sent, _row = schema.exchange, schema.exchange_row
_answer, _answer_row = schema.exchange_answer, schema.exchange_answer_row
FORM = "medfloor exchange 1"


@dataclass(frozen=True, slots=True)
class Sending:
    """Be a list that was sent: the file as it goes out, its manifest, and who could not be listed.

    `without_number` counts people who were left out because the purpose needs an identity number and the register has
    none, `outside` households that were asked for and are not of the actor's place, or not known.
    """

    exchange_id: int
    code: str
    rows: int
    households: int
    content: bytes
    manifest: Mapping[str, Any]
    keep_until: date
    without_number: int = 0
    outside: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """Be a list as the office knows it: to whom, what for, how many rows, how many answered, until when it is kept."""

    exchange_id: int
    code: str
    department: str
    purpose: str
    place: str
    as_of: date
    columns: tuple[str, ...]
    rows: int
    answered: int
    content_hash: str
    keep_until: date
    sent_by: str
    sent_at: datetime


def send(
    store: Store,
    keyring: Keyring,
    terms: Terms,
    *,
    actor: Actor,
    now: datetime,
    as_of: date | None = None,
    year: int | None = None,
    households: Iterable[str] | None = None,
    place: str = "",
    lang: str = "zh",
) -> Sending:
    """Make the list of a purpose, and keep that it was sent: to whom, when, which columns, on which ground.

    Listed are the people of households with an alert of the purpose's kinds whose window runs on `as_of` (default: the
    day of `now` in China), or of `households`; within `place` and the actor's own. `year` is the benefit year of the
    amounts (default: that of `as_of`). Raises AccessError (`forbidden`), UsageError (`nothing_to_send`).
    """
    require(actor, "exchange_lists")
    if {"name", "identity_number"} & set(terms.columns):
        require(actor, "reveal_identity")
    day = as_of or now.astimezone(OFFICE_ZONE).date()
    wanted = None if households is None else sorted(set(households))
    code = secrets.token_hex(4)

    def work(connection: sa.Connection) -> Sending:
        alerts = _alerts(connection, terms, day)
        homes = sorted({one.household_id for one in alerts}) if wanted is None else wanted
        people = _people(connection, homes, day)
        seen = [one for one in people if sees(actor, one.place) and one.place.startswith(place_prefix(place))]
        outside = len(homes) - len({one.household_id for one in seen})
        listed = _whom(seen, terms, alerts, day)
        rows = _rows(connection, keyring, terms, listed, alerts, year or day.year, lang)
        whole = [one for one in rows if "identity_number" not in terms.columns or one[1].get("identity_number")]
        if not whole:
            raise UsageError(
                "nothing_to_send",
                "nobody is to be listed: no such alert runs on that day, or the register has no identity number of "
                "those people; screen first, or name another day, place or households",
            )
        return _keep(connection, keyring, terms, whole, code, actor, now, day, place or actor.place, lang,
                     without_number=len(rows) - len(whole), outside=outside if wanted is not None else 0)  # fmt: skip

    return store.attempt(work)


def exchanges(
    connection: sa.Connection, actor: Actor, *, department: str | None = None, after: int = 0, limit: int = 100
) -> list[Exchange]:
    """List what was sent out of the actor's place, oldest first.

    Raises AccessError (`forbidden`), UsageError (`unknown_department`) for one that gets no lists and never got one.
    """
    require(actor, "read_exchanges")
    asked = sa.select(_sent).where(_sent.c.id > after).order_by(_sent.c.id)
    if department is not None:
        named = {one.department for one in all_terms()}
        named |= set(connection.execute(sa.select(_sent.c.department).distinct()).scalars())
        if department not in named:
            told = f"nothing is sent to {department!r}; there are {', '.join(sorted(named))}"
            raise UsageError("unknown_department", told)
        asked = asked.where(_sent.c.department == department)
    rows = [row for row in connection.execute(asked.limit(limit)) if sees(actor, row.place)]
    counts = _answered(connection, [row.id for row in rows])
    return [_exchange(row, counts.get(row.id, 0)) for row in rows]


def newest_exchanges(
    connection: sa.Connection, actor: Actor, *, before: int | None = None, limit: int = 50
) -> list[Exchange]:
    """List what was sent out of the actor's place, newest first, before a number. Raises AccessError (`forbidden`)."""
    require(actor, "read_exchanges")
    asked = sa.select(_sent).order_by(_sent.c.id.desc()).limit(limit)
    if actor.place:
        asked = asked.where(_sent.c.place.startswith(place_prefix(actor.place), autoescape=True))
    if before is not None:
        asked = asked.where(_sent.c.id < before)
    rows = list(connection.execute(asked))
    counts = _answered(connection, [row.id for row in rows])
    return [_exchange(row, counts.get(row.id, 0)) for row in rows]


def exchange_of(connection: sa.Connection, exchange_id: int, actor: Actor) -> tuple[Exchange, dict[str, Any]]:
    """Give one list and its manifest. Raises AccessError (`forbidden`), NotFoundError (`no_such_exchange`)."""
    require(actor, "read_exchanges")
    row = found(connection, exchange_id, actor)
    manifest: dict[str, Any] = json.loads(row.manifest)
    return _exchange(row, _answered(connection, [row.id]).get(row.id, 0)), manifest


def retold(manifest: Mapping[str, Any], lang: str) -> dict[str, Any]:
    """Give a manifest with its words in another language than it was sent in; what it says, and its hash, stay.

    The purpose of an office's own terms is known in the language of the sending only, and stays as it is.
    """
    called = f"exchange_department.{manifest['department']}"
    there = [
        one for one in all_terms() if (one.department, one.purpose) == (manifest["department"], manifest["purpose"])
    ]
    same = [one for one in there if one.title(manifest["language"]) == manifest["purpose_text"]]
    return {
        **manifest,
        "department_name": say(called, lang) if knows(called, lang) else manifest["department_name"],
        "purpose_text": same[0].title(lang) if same else manifest["purpose_text"],
        "grounds": [{**one, "trust_text": say(f"watch_trust.{one['trust']}", lang)} for one in manifest["grounds"]],
        "columns": [
            {
                **one,
                "title": say(f"exchange_column.{one['name']}", lang),
                "why": say(f"exchange_why.{one['name']}", lang),
            }
            for one in manifest["columns"]
        ],
        "duty": say("exchange.duty", lang, day=manifest["keep_until"]),
    }


def sent_again(
    store: Store, keyring: Keyring, exchange_id: int, *, actor: Actor, now: datetime
) -> tuple[bytes, dict[str, Any]]:
    """Give the file of an earlier list byte by byte as it was sent, with its manifest; who looks is kept.

    Raises AccessError (`forbidden`), NotFoundError (`no_such_exchange`), ConflictError (`exchange_over`).
    """
    require(actor, "exchange_lists")
    require(actor, "reveal_identity")

    def work(connection: sa.Connection) -> tuple[bytes, dict[str, Any]]:
        row = found(connection, exchange_id, actor)
        kept = connection.execute(sa.select(_row).where(_row.c.exchange_id == row.id).order_by(_row.c.row)).all()
        if any(one.sealed_row is None for one in kept):
            raise over(row.keep_until)
        manifest: dict[str, Any] = json.loads(row.manifest)
        cells = [(one.reference, keyring.open_row(one.sealed_row)) for one in kept]
        content = _file(cells, json.loads(row.columns), manifest["language"])
        assert hashlib.sha256(content).hexdigest() == row.content_hash, "the file cannot be made as it was"
        people = [one.person_id for one in kept]
        audit.record_many(connection, actor, "read_sent_list", people, detail=f"exchange={row.id}", now=now)
        return content, manifest

    return store.attempt(work)


def forgotten_due(connection: sa.Connection, *, now: datetime) -> int:
    """Count the rows, of lists and of answers, whose term is over and which are still there."""
    return sum(
        connection.execute(sa.select(sa.func.count()).select_from(table).where(clause)).scalar_one()
        for table, clause in _past(now)
    )


def forget_due(connection: sa.Connection, *, now: datetime) -> int:
    """Delete what rows of lists and answers say whose term is over; that they were sent stays. Give how many."""
    return sum(
        connection.execute(table.update().where(clause).values(sealed_row=None)).rowcount
        for table, clause in _past(now)
    )


def found(connection: sa.Connection, exchange_id: int, actor: Actor) -> Any:
    """Give the row of a list that the actor sees. Raises NotFoundError (`no_such_exchange`)."""
    row = connection.execute(sa.select(_sent).where(_sent.c.id == exchange_id)).first()
    if row is None or not sees(actor, row.place):
        raise NotFoundError("no_such_exchange", f"no list {exchange_id} was sent; see medfloor watch exchange list")
    return row


def over(keep_until: date) -> ConflictError:
    """Say that the term of a list is over."""
    return ConflictError(
        "exchange_over", f"the list was to be kept until {keep_until}, and its rows are deleted; send a new one"
    )


# --- Whom -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Person:
    person_id: str
    household_id: str
    place: str
    birth_date: date | None


def _alerts(connection: sa.Connection, terms: Terms, day: date) -> list[Any]:
    """List the alerts of the purpose's kinds whose window runs on the day."""
    alert = schema.alert
    asked = sa.select(alert.c.household_id, alert.c.person_id, alert.c.kind, alert.c.signal, alert.c.value).where(
        alert.c.kind.in_(terms.kinds), alert.c.as_of <= day, alert.c.suppressed_until >= day
    )
    return list(connection.execute(asked.order_by(alert.c.id)))


def _people(connection: sa.Connection, households: Sequence[str], day: date) -> list[_Person]:
    """List the living members of households on a day, in a fixed order."""
    fact = schema.person_fact
    members: list[_Person] = []
    for some in chunks(households):
        asked = sa.select(fact.c.person_id, fact.c.household_id, fact.c.place, fact.c.birth_date).where(
            fact.c.household_id.in_(some), believed(fact, None), holding(fact, day),
            sa.or_(fact.c.deceased_on.is_(None), fact.c.deceased_on > day),
        )  # fmt: skip
        members += [_Person(*row) for row in connection.execute(asked)]
    return sorted(members, key=lambda one: (one.place, one.household_id, one.person_id))


def _whom(people: Sequence[_Person], terms: Terms, alerts: Sequence[Any], day: date) -> list[_Person]:
    """Keep those of the households whom the purpose is about."""
    if terms.whom == "ages" and terms.ages is not None:
        first, last = terms.ages
        return [one for one in people if one.birth_date and first <= age_on(one.birth_date, day) <= last]
    if terms.whom == "alerted":
        named = {one.household_id: set[str]() for one in alerts if one.person_id}
        for one in alerts:
            if one.person_id:
                named[one.household_id].add(one.person_id)
        return [one for one in people if one.household_id not in named or one.person_id in named[one.household_id]]
    return list(people)


# --- Rows and the file ------------------------------------------------------------------------------------------------


def _rows(
    connection: sa.Connection,
    keyring: Keyring,
    terms: Terms,
    people: Sequence[_Person],
    alerts: Sequence[Any],
    year: int,
    lang: str,
) -> list[tuple[_Person, dict[str, str]]]:
    """Make the cells of each person: the purpose's columns and no other."""
    columns = set(terms.columns)
    ids = [one.person_id for one in people]
    identities = _identities(connection, keyring, ids, columns)
    borne: dict[str, int] = {}
    if "own_in_scope" in columns:
        settled = settled_of(connection, year=year, people=ids).filter(pl.col("benefit_year") == year)
        borne = dict(settled.group_by("person_id").agg(pl.col("own_in_scope_fen").sum()).iter_rows())
    kinds: dict[str, list[str]] = {}
    days: dict[str, float] = {}
    for one in alerts:
        said = say(f"watch_kind.{one.kind}", lang)
        if said not in kinds.setdefault(one.household_id, []):
            kinds[one.household_id].append(said)
        if one.kind == "absent_care":
            days[one.person_id or one.household_id] = one.value
    rows = []
    for person in people:
        known = {
            **identities.get(person.person_id, {}),
            "household_id": person.household_id,
            "place": person.place,
            "kinds": ";".join(sorted(kinds.get(person.household_id, []))),
            "own_in_scope": format_yuan(borne.get(person.person_id, 0)),
            "days": f"{days[person.person_id]:.0f}" if person.person_id in days else "",
        }
        rows.append((person, {name: known.get(name, "") for name in terms.columns}))
    return rows


def _identities(
    connection: sa.Connection, keyring: Keyring, ids: Sequence[str], columns: set[str]
) -> dict[str, dict[str, str]]:
    """Read names and numbers, but only those that are sent."""
    person = schema.person
    ciphers = {"name": person.c.name_cipher, "identity_number": person.c.identity_cipher}
    wanted = {name: column for name, column in ciphers.items() if name in columns}
    read: dict[str, dict[str, str]] = {}
    for some in chunks(ids) if wanted else ():
        asked = sa.select(person.c.person_id, *wanted.values()).where(person.c.person_id.in_(some))
        for person_id, *sealed in connection.execute(asked):
            read[person_id] = {
                name: keyring.decrypt(one) for name, one in zip(wanted, sealed, strict=True) if one is not None
            }
    return read


def _file(rows: Sequence[tuple[str, Mapping[str, str]]], columns: Sequence[str], lang: str) -> bytes:
    """Write the file: reference, the columns, and empty ones for the answer."""
    told = [f"{say(f'exchange_column.{name}', lang)} ({name})" for name in ("reference", *columns, *ANSWERS)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(told)
    for reference, cells in rows:
        writer.writerow([reference, *(_plain(cells[name]) for name in columns), *("" for _ in ANSWERS)])
    return b"\xef\xbb\xbf" + text.getvalue().encode("utf-8")


def _plain(cell: str) -> str:
    # A spreadsheet would carry such a cell out; a long number it would round.
    return f"'{cell}" if cell[:1] in ("=", "+", "@", "-", "\t") else cell


def _keep(
    connection: sa.Connection,
    keyring: Keyring,
    terms: Terms,
    rows: Sequence[tuple[_Person, Mapping[str, str]]],
    code: str,
    actor: Actor,
    now: datetime,
    day: date,
    place: str,
    lang: str,
    **left_out: int,
) -> Sending:
    """Write down what is sent, its manifest, and one line of the audit a person."""
    numbered = [(f"{code}-{number:06d}", person, cells) for number, (person, cells) in enumerate(rows, 1)]
    content = _file([(reference, cells) for reference, _, cells in numbered], terms.columns, lang)
    content_hash = hashlib.sha256(content).hexdigest()
    keep_until = now.astimezone(OFFICE_ZONE).date() + timedelta(days=terms.term_days)
    manifest = _manifest(
        terms, code=code, rows=len(rows), content=content, sha256=content_hash, keep_until=keep_until, day=day,
        place=place, sent_by=actor.login, now=now, lang=lang, office=office_of(connection).name,
    )  # fmt: skip
    head = _sent.insert().values(
        department=terms.department, purpose=terms.purpose, place=place, as_of=day,
        columns=canonical(list(terms.columns)), rows=len(rows), content_hash=content_hash,
        manifest=canonical(manifest), keep_until=keep_until, sent_by=actor.login, sent_at=now,
    )  # fmt: skip
    key = connection.execute(head).inserted_primary_key
    assert key is not None
    exchange_id = int(key[0])
    kept = [
        {"exchange_id": exchange_id, "row": number, "reference": reference, "household_id": person.household_id,
         "person_id": person.person_id, "sealed_row": keyring.seal_row(cells)}
        for number, (reference, person, cells) in enumerate(numbered, 1)
    ]  # fmt: skip
    connection.execute(_row.insert(), kept)
    told = f"exchange={exchange_id} {terms.department}/{terms.purpose}"
    ids = [person.person_id for _, person, _ in numbered]
    audit.record_many(connection, actor, "send_list", ids, detail=told, now=now)
    homes = len({person.household_id for _, person, _ in numbered})
    return Sending(exchange_id, code, len(rows), homes, content, manifest, keep_until, **left_out)


def _manifest(
    terms: Terms, *, code: str, rows: int, content: bytes, sha256: str, keep_until: date, day: date, place: str,
    sent_by: str, now: datetime, lang: str, office: str,
) -> dict[str, Any]:  # fmt: skip
    """Say what goes with the file. It names nobody who is listed; its last key is the hash of all others."""
    called = f"exchange_department.{terms.department}"
    said: dict[str, Any] = {
        "form": FORM,
        "code": code,
        "language": lang,
        "office": office,
        "place": place,
        "department": terms.department,
        "department_name": say(called, lang) if knows(called, lang) else terms.department,
        "purpose": terms.purpose,
        "purpose_text": terms.title(lang),
        "grounds": [
            {"text": one.text, "source": one.source, "trust": one.trust,
             "trust_text": say(f"watch_trust.{one.trust}", lang), "quote": one.quote}
            for one in terms.grounds
        ],
        "as_of": str(day),
        "columns": [
            {"name": name, "title": say(f"exchange_column.{name}", lang), "why": say(f"exchange_why.{name}", lang)}
            for name in ("reference", *terms.columns)
        ],
        "answer_columns": list(ANSWERS),
        "statuses": list(terms.statuses),
        "rows": rows,
        "bytes": len(content),
        "sha256": sha256,
        "sent_by": sent_by,
        "sent_at": now.isoformat(timespec="seconds"),
        "keep_until": str(keep_until),
        "duty": say("exchange.duty", lang, day=keep_until),
    }  # fmt: skip
    return said | {"manifest_sha256": hashlib.sha256(canonical(said).encode("utf-8")).hexdigest()}


def _exchange(row: Any, answered: int) -> Exchange:
    return Exchange(
        row.id, json.loads(row.manifest)["code"], row.department, row.purpose, row.place, row.as_of,
        tuple(json.loads(row.columns)), row.rows, answered, row.content_hash, row.keep_until, row.sent_by, row.sent_at,
    )  # fmt: skip


def _answered(connection: sa.Connection, ids: Sequence[int]) -> dict[int, int]:
    """Count the rows of each list that were answered."""
    asked = (
        sa.select(_row.c.exchange_id, sa.func.count(sa.distinct(_row.c.id)))
        .join_from(_row, _answer_row, _answer_row.c.sent_row_id == _row.c.id)
        .where(_row.c.exchange_id.in_(ids), _answer_row.c.outcome != "rejected")
        .group_by(_row.c.exchange_id)
    )
    return {row[0]: row[1] for row in connection.execute(asked)} if ids else {}


def _past(now: datetime) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    day = now.astimezone(OFFICE_ZONE).date()
    old = sa.select(_sent.c.id).where(_sent.c.keep_until < day)
    answers = sa.select(_answer.c.id).where(_answer.c.exchange_id.in_(old))
    return [
        (_row, sa.and_(_row.c.exchange_id.in_(old), _row.c.sealed_row.is_not(None))),
        (_answer_row, sa.and_(_answer_row.c.answer_id.in_(answers), _answer_row.c.sealed_row.is_not(None))),
    ]
