"""Find out whom a row of a department's file is about: by identity number, then by id, then by name and birth date.

What is ambiguous is never decided here: such a row is refused with its reason, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import sqlalchemy as sa

from medfloor.store import schema
from medfloor.store.history import chunks
from medfloor.store.identity import normalise_identity, plain_name, same_name
from medfloor.store.keys import Keyring


@dataclass(frozen=True, slots=True)
class Asked:
    """Be what a row says of whom it is about; the identity number is valid and in its one spelling."""

    identity_number: str | None = None
    person_id: str | None = None
    name: str | None = None
    birth_date: date | None = None
    sex: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Be who was found and by what (identity, person_id, name_birth), or the reason why nobody may be."""

    person_id: str | None = None
    by: str | None = None
    reason: str | None = None
    detail: str = ""


NOBODY = Match()
"""The register has nobody of whom the row could be."""


def match(
    connection: sa.Connection, keyring: Keyring, rows: Sequence[Asked], *, ids_are_ours: bool = False
) -> list[Match]:
    """Find the person of each row, with a few statements for all of them.

    With `ids_are_ours` a row with an id that the register does not have is of somebody new, never of someone of the
    same name. Reasons: identity_conflict, ambiguous_person.
    """
    numbers = {asked.identity_number for asked in rows if asked.identity_number}
    lookups = {number: keyring.lookup(number) for number in numbers}
    by_lookup = _by_lookup(connection, lookups.values())
    by_id = _by_id(connection, {asked.person_id for asked in rows if asked.person_id})
    found: list[Match | None] = []
    for asked in rows:
        lookup = lookups[asked.identity_number] if asked.identity_number else None
        found.append(_by_numbers(asked, lookup, by_lookup, by_id, ids_are_ours))
    open_rows = [asked for asked, one in zip(rows, found, strict=True) if one is None]
    namesakes = _namesakes(connection, keyring, open_rows)
    return [one if one is not None else _by_name(asked, namesakes) for asked, one in zip(rows, found, strict=True)]


def _by_numbers(
    asked: Asked, lookup: str | None, by_lookup: dict[str, str], by_id: dict[str, str | None], ids_are_ours: bool
) -> Match | None:
    """Match by identity number or id; None where only the name is left."""
    known_id = asked.person_id is not None and asked.person_id in by_id
    if lookup is not None:
        owner = by_lookup.get(lookup)
        if owner is not None:
            if known_id and asked.person_id != owner:
                return Match(
                    reason="identity_conflict", detail="the id is of one person, the identity number of another"
                )
            return Match(owner, "identity")
        if known_id and by_id[asked.person_id or ""] is not None:
            return Match(reason="identity_conflict", detail="the register has another identity number for this id")
    if known_id:
        return Match(asked.person_id, "person_id")
    if asked.person_id is not None and ids_are_ours:
        return NOBODY
    return None if asked.name and asked.birth_date else NOBODY


def _by_name(asked: Asked, namesakes: dict[tuple[str, date], list[tuple[str, str | None, bool]]]) -> Match:
    assert asked.name is not None and asked.birth_date is not None
    candidates = [
        person_id
        for person_id, sex, has_number in namesakes.get((plain_name(asked.name), asked.birth_date), ())
        # Who has another identity number is another person, whatever the name.
        if not (asked.identity_number and has_number) and not (asked.sex and sex and asked.sex != sex)
    ]
    if len(candidates) > 1:
        return Match(reason="ambiguous_person", detail=f"{len(candidates)} people have this name and birth date")
    return Match(candidates[0], "name_birth") if candidates else NOBODY


def misnamed(connection: sa.Connection, keyring: Keyring, named: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Give those pairs of a person's id and a name in which the register knows the person by another name.

    Numbers are mistyped and copied from the line above; a name tells. Who has no name yet has any.
    """
    wanted = set(named)
    known: dict[str, str] = {}
    for chunk in chunks(sorted({person_id for person_id, _ in wanted})):
        asked = sa.select(schema.person.c.person_id, schema.person.c.name_cipher).where(
            schema.person.c.person_id.in_(chunk), schema.person.c.name_cipher.is_not(None)
        )
        known.update((row[0], keyring.decrypt(row[1])) for row in connection.execute(asked))
    return {pair for pair in wanted if pair[0] in known and not same_name(known[pair[0]], pair[1])}


def _by_lookup(connection: sa.Connection, lookups: Iterable[str]) -> dict[str, str]:
    table = schema.person
    found: dict[str, str] = {}
    for chunk in chunks(sorted(lookups)):
        asked = sa.select(table.c.identity_lookup, table.c.person_id).where(table.c.identity_lookup.in_(chunk))
        found.update((row[0], row[1]) for row in connection.execute(asked))
    return found


def _by_id(connection: sa.Connection, person_ids: Iterable[str]) -> dict[str, str | None]:
    table = schema.person
    found: dict[str, str | None] = {}
    for chunk in chunks(sorted(person_ids)):
        asked = sa.select(table.c.person_id, table.c.identity_lookup).where(table.c.person_id.in_(chunk))
        found.update((row[0], row[1]) for row in connection.execute(asked))
    return found


def _namesakes(
    connection: sa.Connection, keyring: Keyring, rows: Sequence[Asked]
) -> dict[tuple[str, date], list[tuple[str, str | None, bool]]]:
    """List who was born on one of the days, by name and birth date: id, sex, whether an identity number is known."""
    people, facts = schema.person, schema.person_fact
    days = {asked.birth_date for asked in rows}
    wanted = {plain_name(asked.name or "") for asked in rows}
    found: dict[tuple[str, date], dict[str, tuple[str, str | None, bool]]] = {}
    names: dict[str, str] = {}
    for chunk in chunks(sorted(day for day in days if day)):
        asked: sa.Select[Any] = sa.select(
            people.c.person_id, people.c.name_cipher, people.c.identity_lookup, facts.c.birth_date, facts.c.sex
        ).join_from(people, facts, facts.c.person_id == people.c.person_id)
        asked = asked.where(
            facts.c.known_to.is_(None), facts.c.birth_date.in_(chunk), people.c.name_cipher.is_not(None)
        )
        for person_id, cipher, lookup, born, sex in connection.execute(asked):
            if person_id not in names:
                names[person_id] = plain_name(keyring.decrypt(cipher))
            if names[person_id] in wanted:
                found.setdefault((names[person_id], born), {})[person_id] = (person_id, sex, lookup is not None)
    return {key: list(people.values()) for key, people in found.items()}


def identity_said(number: str) -> tuple[str, str]:
    """Give the one spelling of a valid identity number, and the sex that it says.

    >>> identity_said("110105491231002")
    ('11010519491231002X', 'female')
    """
    plain = normalise_identity(number)
    return plain, "male" if int(plain[16]) % 2 else "female"
