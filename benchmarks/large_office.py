"""Make an office with 50,000 people and 500,000 claims in about a minute of processor time.

A made-up office of one twentieth of the people is filled as `medfloor demo --serve` fills it, through the ledger, the
register and the rules, but with more outpatient claims of each. Then each row of a person is written twenty times, with
ids of its own, so that each of the copies has a whole history that was settled in order. The rows lie in the order in
which they would have come. What is not a person's (users, imports, proposals, screenings) is there once.

The chains of hashes of the copies are not theirs: `medfloor admin verify` would refuse this office.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

COPIES = 20
OWNED = frozenset({"person_id", "household_id", "claim_id", "case_id", "continues", "request_key"})
"""Columns of text that name something of a person: a copy's name has the copy's number at its end."""
ONCE = frozenset({
    "user_account", "session", "setting", "provider", "import_run", "import_reject", "import_difference", "proposal",
    "reconciliation", "reconciliation_item", "watch_screening", "seal", "seal_head", "job", "statement",
    "watch_exchange", "watch_exchange_row", "watch_exchange_answer", "watch_exchange_answer_row",
})  # fmt: skip
"""Tables that are no person's: their rows are there once, and what they count is multiplied."""
COUNTED = {
    "statement": ("claims", "reversals", "amount_fen", "differences", "difference_fen"),
    "watch_screening": ("households", "alerts", "suppressed", "cases"),
}
_FACILITY = "(SELECT id FROM small.account WHERE kind = 'facility')"
_ENTRY_OF_FACILITY = f"(SELECT id FROM small.entry WHERE account_id IN {_FACILITY})"
_ONCE_WHERE = {
    "account": "kind = 'facility'",
    "entry": f"account_id IN {_FACILITY}",
    "posting": f"entry_id IN {_ENTRY_OF_FACILITY}",
}


def fill(folder: Path, people: int, claims: int) -> None:
    """Make `office.db` and `keys` in a folder, with at least so many people and claims."""
    began = time.monotonic(), time.process_time()

    def tell(step: str) -> None:
        wall, worked = time.monotonic() - began[0], time.process_time() - began[1]
        print(f"{wall:7.1f} s, of the processor {worked:6.1f} s  {step}", flush=True)

    small, making = folder / "small.db", folder / "making.db"
    for path in (small, making):
        path.unlink(missing_ok=True)
    _fill_small(small, folder / "keys", -(-people // COPIES), claims // COPIES, tell)
    tell("copies")
    _copy(small, making)
    small.unlink()
    making.rename(folder / "office.db")
    tell("done")


def _fill_small(path: Path, keys: Path, people: int, claims: int, tell: Callable[[str], None]) -> None:
    """Fill the made-up office that is to be copied."""
    from medfloor.service import demonstration, invented
    from medfloor.store.engine import open_store
    from medfloor.store.keys import new_keys, write_keys
    from medfloor.store.migrate import upgrade

    usual, ring, store = invented.bills_of, new_keys(), open_store(path)
    keys.unlink(missing_ok=True)
    write_keys(keys, ring)
    sa.event.listen(store.engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    upgrade(store)

    def more(county: Any, known: Any, *, first: Any, last: Any) -> list[Any]:
        bills = usual(county, known, first=first, last=last)
        return sorted([*bills, *_again(bills, claims - len(bills), first, last)], key=lambda one: one.order)

    invented.bills_of = more
    try:
        demonstration.fill(store, ring, people=people, now=datetime.now(UTC), tell=tell)
    finally:
        invented.bills_of = usual
        store.close()


def _again(bills: list[Any], most: int, first: Any, last: Any) -> Iterator[Any]:
    """Let people come again for what they came for, some weeks later, until there are so many claims more."""
    often = [one for one in bills if one.care_type == "outpatient"]
    days = (last - first).days + 1
    for number in range(max(0, most)):
        again, at = divmod(number, len(often))
        one = often[at]
        day = first + timedelta(days=((one.end_date - first).days + 37 * (again + 1)) % days)
        yield replace(one, claim_id=f"{one.claim_id}.{again}", start_date=day, end_date=day, settled_date=day)


def _copy(small: Path, large: Path) -> None:
    """Write each row of a person so often, and the others once; all rows of a row's copies follow each other."""
    from medfloor.store.engine import open_store
    from medfloor.store.migrate import upgrade
    from medfloor.store.schema import metadata

    store = open_store(large)
    upgrade(store)
    store.close()
    with contextlib.closing(sqlite3.connect(large, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=OFF")
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute("PRAGMA cache_size=-500000")
        connection.execute("ATTACH ? AS small", [str(small)])
        numbers = ", ".join(f"({number})" for number in range(COPIES))
        connection.execute(f"CREATE TEMP TABLE copy AS SELECT column1 AS k FROM (VALUES {numbers})")
        connection.execute("BEGIN")
        for table in metadata.sorted_tables:
            connection.execute(f'DELETE FROM main."{table.name}"')
            connection.execute(_statement(table))
        connection.execute("COMMIT")


def _statement(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    if table.name in ONCE:
        counted = COUNTED.get(table.name, ())
        cells = ", ".join(
            f'"{column.name}" * {COPIES}' if column.name in counted else _once(column) for column in table.columns
        )
        return f'INSERT INTO main."{table.name}" ({names}) SELECT {cells} FROM small."{table.name}" AS t'
    cells = ", ".join(_cell(column) for column in table.columns)
    where = f"(k = 0 OR NOT ({_ONCE_WHERE[table.name]}))" if table.name in _ONCE_WHERE else "TRUE"
    order = table.primary_key.columns.values()[0].name
    return (
        f'INSERT INTO main."{table.name}" ({names}) SELECT {cells} FROM small."{table.name}" AS t '
        f'CROSS JOIN copy WHERE {where} ORDER BY t."{order}", k'
    )


def _numbered(column: sa.Column[Any]) -> bool:
    """Say whether a column holds the number of a row that is copied."""
    of = next((key.column.table.name for key in column.foreign_keys), None)
    is_key = column.primary_key and isinstance(column.type.as_generic(), sa.Integer)
    return bool(
        (of is not None and of not in ONCE and not isinstance(column.type, sa.String)) or (is_key and of is None)
    )


def _cell(column: sa.Column[Any]) -> str:
    name = f't."{column.name}"'
    if _numbered(column):
        return f"{name} * {COPIES} + k"
    if column.name in OWNED:
        return f"CASE WHEN k = 0 THEN {name} ELSE {name} || '+' || k END"
    if column.name == "owner" and column.table.name == "account":
        return f"CASE WHEN k = 0 OR t.kind = 'facility' THEN {name} ELSE {name} || '+' || k END"
    if column.name == "identity_lookup":
        return f"CASE WHEN k = 0 THEN {name} ELSE char(102 + k) || substr({name}, 2) END"
    return name


def _once(column: sa.Column[Any]) -> str:
    name = f't."{column.name}"'
    return f"{name} * {COPIES}" if _numbered(column) and not column.primary_key else name
