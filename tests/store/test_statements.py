"""Monthly statements: each entry on one of them, to the fen, drawn once, agreed, cleared; on both stores."""

from __future__ import annotations

import itertools
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import CLERK, bill, enrol, posted, recognise

from medfloor.errors import AccessError, ConflictError, NotFoundError, UsageError
from medfloor.store import Actor, Keyring, Store, ledger, open_store, resettle, schema, statements
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.chain import verify
from medfloor.store.ledger import Request
from medfloor.store.statements import NOBODY, PEOPLE

SUPERVISOR = Actor("supervisor1", "fund_supervisor", "150981", "zh")
FEBRUARY, MARCH, APRIL = (datetime(2024, month, 20, 2, 0, tzinfo=UTC) for month in (2, 3, 4))
MAY = datetime(2024, 5, 2, 2, 0, tzinfo=UTC)


@pytest.fixture
def books(store: Store, keyring: Keyring) -> Books:
    enrol(store, keyring, "p1", "p2")
    return Books.of(store, "cn/beijing")


def settle(books: Books, *bills: Bill, now: datetime) -> list[ledger.Posted]:
    return posted(ledger.settle(books, [Request(one) for one in bills], actor=CLERK, now=now))


def draw(books: Books, month: str, now: datetime = MAY, **more: object) -> list[statements.Statement]:
    return statements.draw(books.store, month, actor=SUPERVISOR, now=now, **more)  # type: ignore[arg-type]


def amounts(found: list[statements.Statement]) -> dict[str, int]:
    return {one.fund: one.amount_fen for one in found}


def sums(books: Books) -> tuple[int, int, int, int]:
    """Give what statements and pending come to (advanced, moved), and what the postings do."""
    with books.store.reading() as connection:
        drawn, waiting = statements.statements(connection), statements.pending(connection)
        party = schema.posting.c.party
        asked = sa.select(sa.func.coalesce(sa.func.sum(schema.posting.c.amount_fen), 0)).join(schema.entry)
        kinds = schema.entry.c.kind != "clearing"
        advance = int(connection.execute(asked.where(party == "advance", kinds)).scalar_one())
        funds = int(connection.execute(asked.where(party.like("fund:%"), kinds)).scalar_one())
    listed = [*drawn, *waiting]
    return sum(one.amount_fen for one in listed), sum(one.difference_fen for one in listed), -advance, funds


def test_a_statement_says_what_each_fund_owes_a_facility_for_the_month_of_posting(books: Books) -> None:
    recognise(books.store, "p1", "dibao", date(2024, 1, 1))
    first, second = settle(books, bill("c1"), bill("c2", "p2", provider_id="H2"), now=FEBRUARY)
    (third,) = settle(books, bill("c3", day=date(2024, 3, 9)), now=MARCH)
    february, march = draw(books, "2024-02"), draw(books, "2024-03")
    mine = [one for one in february if one.provider_id == "H1"]
    assert amounts(mine) == {fund: fen for fund, fen in first.amounts.pay.items() if fen}
    assert len(mine) > 1
    assert {one.claims for one in mine} == {1}
    assert sum(one.amount_fen for one in february if one.provider_id == "H2") == second.amounts.pay_total_fen
    assert sum(one.amount_fen for one in march) == third.amounts.pay_total_fen
    assert {one.state for one in february} == {"drawn"}
    with books.store.reading() as connection:
        lines = statements.lines_of(connection, "H1", "2024-02")
        assert [(one.claim_id, one.pay_fen, one.own_fen) for one in lines] == [
            ("c1", first.amounts.pay_total_fen, first.amounts.own_total_fen)
        ]
        (one,) = statements.lines_of(connection, "H1", "2024-02", fund="basic")
        assert one.amount_fen["basic"] == first.amounts.pay["basic"]


def test_a_reversal_lowers_the_month_in_which_it_is_posted(books: Books) -> None:
    (first,) = settle(books, bill("c1"), now=FEBRUARY)
    before = draw(books, "2024-02", now=MARCH)
    ledger.reverse(books, "c1", reason="double", actor=CLERK, now=MARCH)
    assert draw(books, "2024-02") == before
    march = draw(books, "2024-03")
    assert sum(one.amount_fen for one in march) == -first.amounts.pay_total_fen
    assert {(one.claims, one.reversals) for one in march} == {(0, 1)}


def test_differences_are_no_matter_of_the_facility(books: Books) -> None:
    (first,) = settle(books, bill("c1"), now=FEBRUARY)
    touched = recognise(books.store, "p1", "dibao", date(2024, 1, 1), now=MARCH)
    found = resettle.resettle_after(books, touched, actor=CLERK, now=MARCH, cause="backdated_status")
    moved = sum(one.amount_fen for one in found)
    assert moved > 0
    assert sum(one.amount_fen for one in draw(books, "2024-02")) == first.amounts.pay_total_fen
    march = draw(books, "2024-03")
    assert {one.amount_fen for one in march} == {0}
    assert sum(one.difference_fen for one in march) == moved
    # Taken back, the facility returns what it advanced, and what had been moved since moves back.
    ledger.reverse(books, "c1", reason="error", actor=CLERK, now=APRIL)
    april = draw(books, "2024-04")
    assert sum(one.amount_fen for one in april) == -first.amounts.pay_total_fen
    assert sum(one.difference_fen for one in april) == -moved
    assert sums(books) == (0, 0, 0, 0)


def test_what_comes_after_a_statement_stands_on_the_next(books: Books) -> None:
    settle(books, bill("c1"), now=FEBRUARY)
    with pytest.raises(ConflictError) as error:
        draw(books, "2024-02", now=FEBRUARY)
    assert error.value.code == "month_not_over"
    early = draw(books, "2024-02", now=FEBRUARY, early=True)
    # Posted in February, but after its statement: also what a transaction committed late.
    (late,) = settle(books, bill("c2", "p2"), now=FEBRUARY + timedelta(days=1))
    assert draw(books, "2024-02") == early
    march = draw(books, "2024-03")
    assert sum(one.amount_fen for one in march) == late.amounts.pay_total_fen


def test_months_that_were_left_out_are_drawn_with_a_later_one(books: Books) -> None:
    settle(books, bill("c1"), now=FEBRUARY)
    settle(books, bill("c2", day=date(2024, 3, 9)), now=APRIL)
    draw(books, "2024-04")
    with books.store.reading() as connection:
        found = statements.statements(connection)
        assert sorted({one.month for one in found}) == ["2024-02", "2024-04"]
        assert statements.pending(connection) == []
    assert draw(books, "2024-03") == []


def test_a_month_begins_by_the_clock_of_china(books: Books) -> None:
    settle(books, bill("c1"), now=datetime(2024, 1, 31, 15, 59, 59, tzinfo=UTC))
    settle(books, bill("c2", "p2"), now=datetime(2024, 1, 31, 16, 0, tzinfo=UTC))
    assert {one.claims for one in draw(books, "2024-01")} == {1}
    assert {one.claims for one in draw(books, "2024-02")} == {1}


def test_what_people_paid_themselves_has_a_list_of_its_own(books: Books) -> None:
    (mine, nobody) = settle(books, bill("c1", paid_by="person"), bill("c2", "p2", provider_id=None), now=FEBRUARY)
    found = draw(books, "2024-02")
    assert {one.provider_id for one in found} == {PEOPLE, NOBODY}
    assert sum(one.amount_fen for one in found if one.provider_id == PEOPLE) == mine.amounts.pay_total_fen
    assert sum(one.amount_fen for one in found if one.provider_id == NOBODY) == nobody.amounts.pay_total_fen
    with books.store.reading() as connection:
        (line,) = statements.lines_of(connection, PEOPLE, "2024-02")
    assert (line.person_id, line.claim_id, line.pay_fen) == ("p1", "c1", mine.amounts.pay_total_fen)
    statements.agree(books.store, NOBODY, "2024-02", actor=SUPERVISOR, now=MAY)
    with pytest.raises(ConflictError) as error:
        statements.clear(books, NOBODY, "2024-02", actor=SUPERVISOR, now=MAY)
    assert error.value.code == "no_facility"


def test_a_statement_is_agreed_then_cleared_by_a_balanced_entry_once(books: Books) -> None:
    (first,) = settle(books, bill("c1"), now=FEBRUARY)
    with pytest.raises(NotFoundError) as missing:
        statements.agree(books.store, "H1", "2024-02", actor=SUPERVISOR, now=MAY)
    assert missing.value.code == "no_such_statement"
    draw(books, "2024-02")
    with pytest.raises(ConflictError) as error:
        statements.clear(books, "H1", "2024-02", actor=SUPERVISOR, now=MAY)
    assert error.value.code == "statement_state"
    agreed = statements.agree(books.store, "H1", "2024-02", note="letter 7", actor=SUPERVISOR, now=MAY)
    assert {(one.state, one.note, one.agreed_by) for one in agreed} == {("agreed", "letter 7", "supervisor1")}
    assert statements.agree(books.store, "H1", "2024-02", actor=SUPERVISOR, now=MAY) == agreed
    cleared = statements.clear(books, "H1", "2024-02", actor=SUPERVISOR, now=MAY)
    assert {one.state for one in cleared} == {"cleared"}
    assert statements.clear(books, "H1", "2024-02", actor=SUPERVISOR, now=MAY) == cleared
    assert statements.agree(books.store, "H1", "2024-02", actor=SUPERVISOR, now=MAY) == cleared
    with books.store.reading() as connection:
        asked = sa.select(schema.posting.c.party, sa.func.sum(schema.posting.c.amount_fen)).group_by(
            schema.posting.c.party
        )
        balances = {party: int(fen) for party, fen in connection.execute(asked)}
    assert balances["advance"] == 0
    assert balances["facility"] == -first.amounts.own_total_fen - first.amounts.pay_total_fen
    assert verify(books.store, books=books).whole


def test_funds_can_be_agreed_and_cleared_one_by_one(books: Books) -> None:
    recognise(books.store, "p1", "dibao", date(2024, 1, 1))
    settle(books, bill("c1"), now=FEBRUARY)
    funds = {one.fund for one in draw(books, "2024-02")}
    statements.agree(books.store, "H1", "2024-02", fund="basic", actor=SUPERVISOR, now=MAY)
    statements.clear(books, "H1", "2024-02", fund="basic", actor=SUPERVISOR, now=MAY)
    with books.store.reading() as connection:
        states = {one.fund: one.state for one in statements.statements(connection)}
        assert [one.fund for one in statements.statements(connection, state="cleared")] == ["basic"]
    assert states == {fund: "cleared" if fund == "basic" else "drawn" for fund in funds}
    with pytest.raises(NotFoundError):
        statements.agree(books.store, "H1", "2024-02", fund="commercial", actor=SUPERVISOR, now=MAY)


def test_statements_are_listed_in_pages(books: Books) -> None:
    recognise(books.store, "p1", "dibao", date(2024, 1, 1))
    settle(books, bill("c1"), bill("c2", "p2", provider_id="H2"), now=FEBRUARY)
    whole = draw(books, "2024-02")
    found: list[statements.Statement] = []
    with books.store.reading() as connection:
        while page := statements.statements(
            connection, limit=1, after=(found[-1].month, found[-1].provider_id, found[-1].fund) if found else None
        ):
            found += page
    assert found == whole


def test_a_statement_that_was_tampered_with_is_found(books: Books) -> None:
    settle(books, bill("c1"), bill("c2", "p2", provider_id="H2"), now=FEBRUARY)
    draw(books, "2024-02")
    statements.agree(books.store, "H1", "2024-02", actor=SUPERVISOR, now=MAY)
    statements.clear(books, "H1", "2024-02", actor=SUPERVISOR, now=MAY)
    table = schema.statement

    def codes(**values: object) -> set[tuple[str, str]]:
        with books.store.writing() as connection:
            if values:
                connection.execute(sa.update(table).where(table.c.provider_id == "H1").values(**values))
            return {(one.provider_id, code) for one, code in statements.doubtful(connection)}

    assert codes() == set()
    assert codes(claims=7) == {("H1", "amounts_differ")}
    assert codes(claims=1, amount_fen=1) == {("H1", "amounts_differ"), ("H1", "clearing_differs")}
    assert codes(cleared_entry=None) == {("H1", "amounts_differ"), ("H1", "clearing_differs")}


def test_two_who_draw_and_clear_at_once_while_others_settle_lose_nothing(books: Books) -> None:
    settle(books, *(bill(f"c{number}", yuan=3_000) for number in range(4)), now=FEBRUARY)
    failed: list[BaseException] = []

    def at_once(*works: Callable[[], object]) -> None:
        def guarded(work: Callable[[], object]) -> None:
            try:
                work()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    at_once(
        *[lambda: draw(books, "2024-02")] * 3,
        *[
            lambda number=number: settle(books, bill(f"d{number}", "p2", yuan=3_000), now=FEBRUARY)  # type: ignore[misc]
            for number in range(3)
        ],
    )
    statements.agree(books.store, "H1", "2024-02", actor=SUPERVISOR, now=MAY)
    at_once(*[lambda: statements.clear(books, "H1", "2024-02", actor=SUPERVISOR, now=MAY)] * 3)
    assert failed == []
    draw(books, "2024-04")
    listed, _, advanced, _ = sums(books)
    assert listed == advanced
    with books.store.reading() as connection:
        kinds = list(connection.execute(sa.select(schema.entry.c.kind)).scalars())
        found = statements.statements(connection, month="2024-02")
        assert statements.doubtful(connection) == []
        assert statements.pending(connection) == []
    assert kinds.count("clearing") == len(found)


def test_who_may_not_draw_or_clear_is_refused(books: Books) -> None:
    settle(books, bill("c1"), now=FEBRUARY)
    with pytest.raises(AccessError):
        statements.draw(books.store, "2024-02", actor=CLERK, now=MAY)
    with pytest.raises(AccessError):
        statements.clear(books, "H1", "2024-02", actor=CLERK, now=MAY)


@pytest.mark.parametrize("month", ["2024-13", "2024-00", "24-01", "2024-1", "2024-01-01", "９999-01", "0001-01", ""])
def test_a_month_that_is_none_is_refused(sqlite_store: Store, month: str) -> None:
    with pytest.raises(UsageError) as error:
        statements.draw(sqlite_store, month, actor=SUPERVISOR, now=MAY)
    assert error.value.code == "bad_month"


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("settle"), st.sampled_from(["p1", "p2"]), st.sampled_from(["H1", "H2", None]), st.booleans()),
        st.tuples(st.just("reverse"), st.integers(0, 9)),
        st.tuples(st.just("reinstate"), st.integers(0, 9)),
        st.tuples(st.just("recognise"), st.sampled_from(["p1", "p2"]), st.integers(1, 9)),
        st.tuples(st.just("draw"), st.integers(0, 2), st.booleans()),
        st.tuples(st.just("wait"), st.integers(1, 45)),
    ),
    max_size=14,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_statements_and_what_is_pending_always_come_to_the_advances(
    steps: list[tuple[object, ...]], migrated_sqlite: Path, tmp_path: Path, keyring: Keyring
) -> None:
    path = tmp_path / "office.sqlite"
    shutil.copy(migrated_sqlite, path)
    store = open_store(path)
    enrol(store, keyring, "p1", "p2")
    books = Books.of(store, "cn/beijing")
    now, ids, numbers = FEBRUARY, [], itertools.count(1)
    for name, *said in steps:
        now += timedelta(hours=1)
        if name == "settle":
            person, provider, own = said
            ids.append(f"c{next(numbers)}")
            day = date(2024, 1, 1) + timedelta(days=len(ids) * 5 % 40)
            settle(
                books,
                bill(ids[-1], str(person), day, 90_000, provider_id=provider, paid_by="person" if own else "facility"),
                now=now,
            )
        elif name in ("reverse", "reinstate") and ids:
            change = ledger.reverse if name == "reverse" else ledger.reinstate
            try:
                change(books, ids[said[0] % len(ids)], reason="drawn", actor=CLERK, now=now)  # type: ignore[operator]
            except ConflictError as error:
                assert error.code in ("reversed_twice", "not_reversed")
        elif name == "recognise":
            touched = recognise(store, str(said[0]), "dibao", date(2024, int(str(said[1])), 1), now=now)
            resettle.resettle_after(books, touched, actor=CLERK, now=now, cause="backdated_status")
        elif name == "draw":
            month = statements.month_of(now - timedelta(days=30 * int(str(said[0]))))
            try:
                once = draw(books, month, now=now, early=bool(said[1]))
                assert draw(books, month, now=now, early=bool(said[1])) == once
            except ConflictError as error:
                assert error.code == "month_not_over"
        elif name == "wait":
            now += timedelta(days=int(str(said[0])))
        listed, moved, advanced, funds = sums(books)
        assert listed == advanced
        assert listed + moved == funds
    with store.reading() as connection:
        assert statements.doubtful(connection) == []
    store.close()
