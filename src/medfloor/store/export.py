"""Take tables out for analysts, in which nobody can be recognised by number, name, day, village or a rare trait.

People, households and claims get pseudonyms that are keyed by the purpose of the export, so that two exports cannot be
joined unless the office wants it. Of a birth date the year is left, of a place the county, of a diagnosis three
places, of a date the month; facilities are left out. Who would stand in a group of fewer than the office's smallest
cell is told less exactly, step by step, and left out at last. Amounts are exact: whoever holds the same bills can
recognise them, so an export is still not for everybody.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import sqlalchemy as sa

from medfloor.store import schema
from medfloor.store.keys import Keyring
from medfloor.store.office import office_of
from medfloor.store.roles import Actor, place_prefix, require

TRAITS = ("county", "birth_year", "birth_decade", "sex", "residence")
"""What a person could be recognised by; a group is who shares all of them."""

_STEPS: tuple[tuple[str, ...], ...] = (("birth_year",), ("county",), ("residence",), ("birth_decade",))
"""What is left away, step by step, for who stands in a small group."""

AMOUNTS = ("total_fen", "off_catalogue_fen", "over_limit_fen", "first_self_pay_fen", "in_scope_fen")


@dataclass(frozen=True)
class Export:
    """Be the tables of an export, and how many rows were left out or told less exactly.

    `people`: person, household, county, birth_year, birth_decade, sex, residence. `spells`: person, group, from_month,
    to_month. `claims`: those that stand, with month, days, diagnosis, amounts, `pay_<tier>_fen` and own_total_fen.
    `cases`: households that were found, with state, category, round, found_month, measures (how many). Alerts are left
    out: claims and spells say what they rest on.
    """

    people: pl.DataFrame
    spells: pl.DataFrame
    claims: pl.DataFrame
    counts: dict[str, int]
    cases: pl.DataFrame


def export_deidentified(connection: sa.Connection, keyring: Keyring, *, purpose: str, actor: Actor) -> Export:
    """Take out what belongs to the actor's place. The same purpose gives the same pseudonyms again.

    Raises AccessError (`forbidden`).
    """
    require(actor, "export_deidentified")
    smallest = office_of(connection).smallest_cell
    names = _Pseudonyms(keyring, purpose)
    people, coarser, left_out = _people(connection, actor, names, smallest)
    kept = {row["id"]: row["person"] for row in people}
    spells, few_spells = _spells(connection, kept, smallest)
    claims, few_diagnoses = _claims(connection, kept, names, smallest)
    cases, few_cases = _cases(connection, {row["household"] for row in people}, names, smallest)
    counts = {
        "people": len(people), "people_told_less": coarser, "people_left_out": left_out,
        "spells": len(spells), "spells_left_out": few_spells,
        "claims": len(claims), "diagnoses_left_out": few_diagnoses,
        "cases": len(cases), "cases_left_out": few_cases,
    }  # fmt: skip
    return Export(
        _frame([{name: value for name, value in row.items() if name != "id"} for row in people], _PEOPLE, "person"),
        _frame(spells, _SPELLS, "person"),
        _frame(claims, _CLAIMS, "claim"),
        counts,
        _frame(cases, _CASES, "household"),
    )


_PEOPLE: dict[str, Any] = {
    "person": pl.String, "household": pl.String, "county": pl.String, "birth_year": pl.Int64, "birth_decade": pl.Int64,
    "sex": pl.String, "residence": pl.String,
}  # fmt: skip
_SPELLS: dict[str, Any] = {"person": pl.String, "group": pl.String, "from_month": pl.String, "to_month": pl.String}
_CLAIMS: dict[str, Any] = {
    "claim": pl.String, "person": pl.String, "care_type": pl.String, "facility_level": pl.String, "area": pl.String,
    "referral": pl.String, "month": pl.String, "days": pl.Int64, "diagnosis": pl.String,
    **dict.fromkeys(AMOUNTS, pl.Int64),
}  # fmt: skip


_CASES: dict[str, Any] = {
    "household": pl.String, "state": pl.String, "category": pl.String, "round": pl.Int64, "found_month": pl.String,
    "measures": pl.Int64,
}  # fmt: skip


class _Pseudonyms:
    """Give each id its pseudonym; kinds are apart, so that a claim named like a person gets another one."""

    def __init__(self, keyring: Keyring, purpose: str) -> None:
        self.keyring, self.purpose = keyring, purpose

    def of(self, kind: str, name: str | None) -> str | None:
        return None if not name else self.keyring.pseudonym(f"{kind}:{name}", purpose=self.purpose)


def _people(
    connection: sa.Connection, actor: Actor, names: _Pseudonyms, smallest: int
) -> tuple[list[dict[str, Any]], int, int]:
    fact = schema.person_fact
    asked = sa.select(
        fact.c.person_id, fact.c.household_id, fact.c.place, fact.c.birth_date, fact.c.sex, fact.c.residence
    ).where(fact.c.known_to.is_(None))
    latest: dict[str, Any] = {row.person_id: row for row in connection.execute(asked.order_by(fact.c.valid_from))}
    prefix = place_prefix(actor.place)
    rows = [
        {
            "id": row.person_id,
            "person": names.of("person", row.person_id),
            "household": names.of("household", row.household_id),
            "county": row.place[:6] or None,
            "birth_year": row.birth_date and row.birth_date.year,
            "birth_decade": row.birth_date and row.birth_date.year // 10 * 10,
            "sex": row.sex,
            "residence": row.residence,
        }
        for row in latest.values()
        if row.place.startswith(prefix)
    ]
    return _coarsened(rows, smallest)


def _coarsened(rows: list[dict[str, Any]], smallest: int) -> tuple[list[dict[str, Any]], int, int]:
    """Tell less of who stands in a small group until no group is small; give how many were told less and left out."""
    step: Counter[str] = Counter()
    left = list(rows)
    while True:
        sizes = Counter(_cell(row) for row in left)
        small = [row for row in left if sizes[_cell(row)] < smallest]
        if not small:
            told_less = sum(1 for row in left if step[row["id"]])
            return left, told_less, len(rows) - len(left)
        gone = {row["id"] for row in small if step[row["id"]] == len(_STEPS)}
        left = [row for row in left if row["id"] not in gone]
        for row in small:
            if row["id"] not in gone:
                row.update(dict.fromkeys(_STEPS[step[row["id"]]]))
                step[row["id"]] += 1


def _cell(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in TRAITS)


def _spells(connection: sa.Connection, kept: dict[str, str], smallest: int) -> tuple[list[dict[str, Any]], int]:
    spell = schema.spell
    asked = sa.select(spell).where(spell.c.known_to.is_(None)).order_by(spell.c.id)
    held = [row for row in connection.execute(asked) if row.person_id in kept]
    people: dict[str, set[str]] = defaultdict(set)
    for row in held:
        people[row.group].add(row.person_id)
    shown = [row for row in held if len(people[row.group]) >= smallest]
    rows = [
        {
            "person": kept[row.person_id],
            "group": row.group,
            "from_month": _month(row.valid_from),
            "to_month": _month(row.valid_to),
        }
        for row in shown
    ]
    return rows, len(held) - len(shown)


def _claims(
    connection: sa.Connection, kept: dict[str, str], names: _Pseudonyms, smallest: int
) -> tuple[list[dict[str, Any]], int]:
    stands = _amounts(connection)
    held = [
        row
        for row in connection.execute(sa.select(schema.claim).order_by(schema.claim.c.id))
        if row.person_id in kept and row.claim_id in stands
    ]
    people: dict[str, set[str]] = defaultdict(set)
    for row in held:
        people[(row.diagnosis or "")[:3]].add(row.person_id)
    rows, hidden = [], 0
    for row in held:
        diagnosis = (row.diagnosis or "")[:3] or None
        if diagnosis and len(people[diagnosis]) < smallest:
            diagnosis, hidden = None, hidden + 1
        rows.append({
            "claim": names.of("claim", row.claim_id),
            "person": kept[row.person_id],
            **{name: getattr(row, name) for name in ("care_type", "facility_level", "area", "referral")},
            "month": _month(row.start_date),
            "days": (row.end_date - row.start_date).days,
            "diagnosis": diagnosis,
            **{name: getattr(row, name) for name in AMOUNTS},
            **stands[row.claim_id],
        })  # fmt: skip
    return rows, hidden


def _cases(
    connection: sa.Connection, homes: set[str | None], names: _Pseudonyms, smallest: int
) -> tuple[list[dict[str, Any]], int]:
    """Give the cases of households whose people are in the export; a small group is told less, then left out."""
    case, event = schema.watch_case, schema.case_event
    given = sa.select(sa.func.count()).where(event.c.case_id == case.c.case_id, event.c.kind == "helped")
    asked = sa.select(case, given.scalar_subquery().label("measures")).order_by(case.c.case_id)
    held = [
        {
            "household": home,
            "state": row.state,
            "category": row.category,
            "round": row.round,
            "found_month": _month(row.found_on),
            "measures": row.measures,
        }
        for row in connection.execute(asked)
        for home in (names.of("household", row.household_id),)
        if home in homes
    ]
    traits = ("state", "category", "found_month", "round", "measures")
    for told in range(len(traits), 0, -1):
        # What says least of the state goes first, and of every household of a small group at once.
        sizes = Counter(tuple(row[name] for name in traits) for row in held)
        small = [row for row in held if sizes[tuple(row[name] for name in traits)] < smallest]
        for row in small:
            row[traits[told - 1]] = None
    sizes = Counter(tuple(row[name] for name in traits) for row in held)
    shown = [row for row in held if sizes[tuple(row[name] for name in traits)] >= smallest]
    return shown, len(held) - len(shown)


def _amounts(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """Give what each claim stands at by its postings; claims that were taken back stand at nothing."""
    entry, posting = schema.entry, schema.posting
    asked = (
        sa.select(entry.c.claim_id, posting.c.party, sa.func.sum(posting.c.amount_fen))
        .join_from(posting, entry)
        .where(entry.c.claim_id.is_not(None))
        .where(sa.or_(posting.c.party == "person", posting.c.party.startswith("fund:")))
        .group_by(entry.c.claim_id, posting.c.party)
    )
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for claim_id, party, amount in connection.execute(asked):
        if amount:
            name = "own_total_fen" if party == "person" else f"pay_{party.removeprefix('fund:')}_fen"
            found[claim_id][name] = int(amount)
    return found


def _month(day: date | None) -> str | None:
    return None if day is None else f"{day:%Y-%m}"


def _frame(rows: list[dict[str, Any]], schema_: dict[str, Any], key: str) -> pl.DataFrame:
    """Make a frame sorted by pseudonym, so that the order of the store tells nothing."""
    more = sorted({name for row in rows for name in row} - set(schema_))
    whole = {**schema_, **dict.fromkeys(more, pl.Int64)}
    return pl.DataFrame(rows, schema=whole).with_columns(pl.col(more).fill_null(0)).sort(key, maintain_order=True)
