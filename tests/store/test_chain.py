"""Seals and verification: a whole ledger is whole, and every way of tampering is found."""

from __future__ import annotations

import json
import sqlite3
from datetime import date, timedelta

import psycopg
import pytest
import sqlalchemy as sa
from ledgers import CLERK, NOW, bill, enrol, posted, recognise
from stores import address_of

from medfloor.store import Keyring, Store, arrears, ledger, postings, resettle
from medfloor.store.accounts import Account
from medfloor.store.books import Books
from medfloor.store.chain import seal_now, verify
from medfloor.store.entries import canonical, entry_hash
from medfloor.store.findings import FINDINGS, Verification
from medfloor.store.ledger import Request
from medfloor.store.schema import account, entry


@pytest.fixture
def books(store: Store, keyring: Keyring) -> Books:
    """Give books with some of everything: late claims, a reversal, a payment, two seals."""
    enrol(store, keyring, "p1", "p2", "p3")
    books = Books.of(store, "cn/beijing")
    for number, who in enumerate(("p1", "p2", "p3")):
        bills = [bill(f"{who}-{month}", who, date(2024, month, 1 + number)) for month in (5, 3, 4)]
        posted(ledger.settle(books, [Request(one, one.claim_id) for one in bills], actor=CLERK, now=NOW))
    seal_now(store, now=NOW)
    ledger.reverse(books, "p2-3", reason="typed wrongly", actor=CLERK, now=NOW)
    resettle.resettle_after(books, recognise(store, "p1", "dibao", date(2024, 4, 1)), actor=CLERK, now=NOW)
    with store.reading() as connection:
        one = arrears.owed(connection, person_id="p1")[-1]
    arrears.move(books, one.id, "notified", on=date(2024, 6, 4), actor=CLERK, now=NOW)
    arrears.move(books, one.id, "paid", on=date(2024, 6, 4), actor=CLERK, now=NOW)
    seal_now(store, now=NOW + timedelta(days=1))
    return books


def tamper(store: Store, *statements: str) -> None:
    """Do what an administrator of the database can do: without triggers, without foreign keys."""
    if store.is_postgresql:
        with psycopg.connect(address_of(store).replace("+psycopg", "")) as server:
            server.execute("SET session_replication_role = replica")
            for statement in statements:
                server.execute(statement.encode())
        return
    database = store.engine.url.database
    assert database is not None
    connection = sqlite3.connect(database)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def codes(found: Verification) -> set[str]:
    return {one.code for one in found.findings}


def test_a_ledger_that_nobody_touched_is_whole(books: Books) -> None:
    found = verify(books.store, books=books)
    assert found.findings == () and found.whole
    assert (found.accounts, found.seals, found.claims, found.other_law) == (3, 2, 8, 0)
    assert 0 < found.recomputed < found.entries
    assert verify(books.store).whole


MINE = "(SELECT id FROM entry WHERE claim_id = 'p1-4' AND kind = 'settlement')"
LAST = "(SELECT max(id) FROM entry WHERE account_id = (SELECT id FROM account WHERE owner = 'p3'))"

WAYS = {
    "an amount in a result": (
        "UPDATE entry SET result = replace(result, '\"own_total\":', '\"own_total\":9') WHERE id = " + MINE, "hash_differs"),
    "a fact in an input": (
        "UPDATE entry SET input = replace(input, 'female', 'male') WHERE id = " + MINE, "input_differs"),
    "who posted it": ("UPDATE entry SET posted_by = 'somebody' WHERE id = " + MINE, "hash_differs"),
    "when it was posted": ("UPDATE entry SET settled_date = '2024-01-01' WHERE id = " + MINE, "hash_differs"),
    "one posting": ("UPDATE posting SET amount_fen = amount_fen + 1 WHERE id = 1", "not_balanced"),
    "two postings that still balance": (
        "UPDATE posting SET amount_fen = amount_fen + CASE party WHEN 'person' THEN 1 ELSE -1 END "
        "WHERE party IN ('person', 'fund:basic') AND entry_id = " + MINE, "postings_differ"),
    "a claim": ("UPDATE claim SET total_fen = total_fen + 1 WHERE claim_id = 'p1-4'", "claim_differs"),
    "a claim taken away": ("DELETE FROM claim WHERE claim_id = 'p1-4'", "claim_differs"),
    "a claim put in": (
        "INSERT INTO claim (claim_id, person_id, account_id, care_type, facility_level, area, referral, start_date, "
        "end_date, settled_date, total_fen, off_catalogue_fen, over_limit_fen, first_self_pay_fen, in_scope_fen, paid_by) "
        "SELECT 'x', person_id, account_id, care_type, facility_level, area, referral, start_date, end_date, settled_date, "
        "total_fen, off_catalogue_fen, over_limit_fen, first_self_pay_fen, in_scope_fen, paid_by FROM claim "
        "WHERE claim_id = 'p1-4'", "claim_unposted"),
    "an entry in the middle taken away": ("DELETE FROM entry WHERE id = " + MINE, "link_broken"),
    "the last entry taken away": (f"DELETE FROM entry WHERE id = {LAST}", "head_moved"),
    "the last entry taken away, and the head moved": (
        f"UPDATE account SET length = length - 1, head = (SELECT previous FROM entry WHERE id = {LAST}) WHERE owner = 'p3';"
        f"DELETE FROM posting WHERE entry_id = {LAST}; DELETE FROM entry WHERE id = {LAST}", "sealed_gone"),
    "the head moved": ("UPDATE account SET head = 'f' WHERE owner = 'p2'", "head_moved"),
    "the length moved": ("UPDATE account SET length = length + 1 WHERE owner = 'p2'", "head_moved"),
    "the counters": (
        "UPDATE account SET state = replace(state, '\"basic_admissions\": ', '\"basic_admissions\": 1') "
        "WHERE owner = 'p1'", "state_differs"),
    "the last order": ("UPDATE account SET last_order = NULL WHERE owner = 'p2'", "state_differs"),
    "an account taken away": ("DELETE FROM account WHERE owner = 'p2'", "orphan"),
    "a whole year taken away": (
        "DELETE FROM posting WHERE entry_id IN (SELECT entry.id FROM entry JOIN account ON account.id = account_id "
        "WHERE owner = 'p3'); DELETE FROM arrear_step WHERE arrear_id IN (SELECT id FROM arrear WHERE person_id = 'p3'); "
        "DELETE FROM arrear WHERE person_id = 'p3'; DELETE FROM entry WHERE claim_id LIKE 'p3-%'; "
        "DELETE FROM claim WHERE person_id = 'p3'; DELETE FROM account WHERE owner = 'p3'", "sealed_gone"),
    "a seal taken away": ("DELETE FROM seal WHERE id = 1", "seal_broken"),
    "a seal and its heads taken away": ("DELETE FROM seal_head WHERE seal_id = 1; DELETE FROM seal WHERE id = 1", "seal_broken"),
    "a head in a seal": ("UPDATE seal_head SET length = 1 WHERE id = 1", "seal_broken"),
    "what is owed": ("UPDATE arrear SET amount_fen = amount_fen * 2 WHERE id = 1", "arrear_differs"),
    "an arrear taken away": ("DELETE FROM arrear_step WHERE arrear_id = 1; DELETE FROM arrear WHERE id = 1", "arrear_differs"),
    "an arrear marked as paid": ("UPDATE arrear SET state = 'paid' WHERE id = 1", "arrear_differs"),
    "a payment taken from its arrear": ("UPDATE arrear_step SET entry_id = NULL", "payment_differs"),
    "postings taken away": ("DELETE FROM posting WHERE entry_id = " + MINE, "postings_differ"),
    "the register behind our back": (
        "UPDATE person_fact SET birth_date = '2020-01-01' WHERE person_id = 'p1'", ""),
    "a status behind our back": ("DELETE FROM spell WHERE person_id = 'p1'", "year_differs"),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_tampering_is_found(books: Books, way: str) -> None:
    statements, code = WAYS[way]
    tamper(books.store, *(one for one in statements.split(";") if one.strip()))
    found = verify(books.store, books=books)
    assert code in codes(found) if code else isinstance(found, Verification)
    assert all(one.code in FINDINGS for one in found.findings)


def test_a_forger_who_hashes_anew_is_found_by_recomputing_and_by_the_seal(books: Books) -> None:
    """Rewrite the last entry of a chain with a result of one's own, with all hashes, postings and counters right."""
    store = books.store
    with store.reading() as connection:
        row = connection.execute(sa.select(account).where(account.c.owner == "p3")).one()
        last = connection.execute(
            sa.select(entry).where(entry.c.account_id == row.id).order_by(entry.c.number.desc()).limit(1)
        ).one()
    said, result = json.loads(last.input), json.loads(last.result)
    result["pay"]["basic"] += 100
    result["own_total"] -= 100
    result["own_in_scope"] -= 100
    forged = {**last._mapping, "result": canonical(result)}
    lines = postings.of_difference(postings.Amounts.from_facts(said["standing"]), postings.Amounts.from_facts(result))
    hashed = entry_hash(Account.of_row(row).key, forged, lines)
    quoted = forged["result"].replace("'", "''")
    moved = -sum(fen for party, fen in lines if party == "person")
    tamper(
        store,
        f"UPDATE entry SET result = '{quoted}', hash = '{hashed}' WHERE id = {last.id}",
        *(
            f"UPDATE posting SET amount_fen = {fen} WHERE entry_id = {last.id} AND party = '{party}'"
            for party, fen in lines
        ),
        f"UPDATE arrear SET amount_fen = {moved} WHERE entry_id = {last.id}",
        f"UPDATE account SET head = '{hashed}' WHERE id = {row.id}",
    )
    assert codes(verify(store)) == {"sealed_gone"}
    assert codes(verify(store, books=books)) == {"sealed_gone", "result_differs", "year_differs"}


def test_a_seal_covers_what_grew_and_its_hash_can_be_kept_outside(books: Books) -> None:
    assert seal_now(books.store, now=NOW) is None
    posted(ledger.settle(books, [Request(bill("p3-9", "p3", date(2024, 9, 1)))], actor=CLERK, now=NOW))
    one = seal_now(books.store, now=NOW)
    assert one is not None and (one.accounts, one.entries) == (1, 1)
    assert verify(books.store, seal_hash=one.hash).whole
    tamper(books.store, f"DELETE FROM seal_head WHERE seal_id = {one.id}", f"DELETE FROM seal WHERE id = {one.id}")
    assert verify(books.store).whole  # the last seal leaves no trace but the hash that was kept outside
    assert codes(verify(books.store, seal_hash=one.hash)) == {"seal_missing"}


def test_the_store_itself_refuses_to_change_what_was_posted(books: Books) -> None:
    for table in ("claim", "entry", "posting", "seal", "seal_head", "arrear_step"):
        for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET id = id + 1000"):
            with pytest.raises(sa.exc.DBAPIError), books.store.writing() as connection:
                connection.execute(sa.text(statement))
