"""A hospital's file against the ledger: what differs is found to the fen, resolved once, and the same file is harmless."""

from __future__ import annotations

import io
import shutil
import threading
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledgers import CLERK, bill, enrol, posted
from test_statements import FEBRUARY, MARCH, MAY, SUPERVISOR, draw, settle

from medfloor.errors import AccessError, ConflictError, InputError, NotFoundError, UsageError
from medfloor.money import format_yuan
from medfloor.store import Actor, Keyring, Store, ledger, open_store, schema, statements
from medfloor.store import reconciliation as room
from medfloor.store.books import Books
from medfloor.store.chain import verify
from medfloor.store.ledger import Posted, Request
from medfloor.store.office import decide_setting

HEAD = "claim_id,pay_total,own_total,total,reversed"


@pytest.fixture
def books(store: Store, keyring: Keyring) -> Books:
    enrol(store, keyring, "p1", "p2", "p3", "p4")
    with store.writing() as connection:
        decide_setting(
            connection, "reversal_limit_fen", 10**12, actor=Actor("admin1", "administrator"), now=FEBRUARY
        )  # fmt: skip
    return Books.of(store, "cn/beijing")


def row(one: Posted, *, pay: int = 0, refund: bool = False) -> str:
    sign = -1 if refund else 1
    paid, own = sign * one.amounts.pay_total_fen + pay, sign * one.amounts.own_total_fen
    return f"{one.claim_id},{format_yuan(paid)},{format_yuan(own)},{format_yuan(paid + own)},{int(refund)}"


def compare(
    books: Books, keyring: Keyring, *rows: str, month: str = "2024-02", head: str = HEAD
) -> room.Reconciliation:
    text = "\n".join([head, *rows, ""]).encode()
    found = room.reconcile(books.store, text, "H1", month, actor=CLERK, now=MAY, keyring=keyring)
    assert found.ours_fen - found.theirs_fen == sum(one.difference_fen for one in found.items)
    return found


def kinds(found: room.Reconciliation) -> dict[str, str]:
    return {one.claim_id: one.kind for one in found.items}


def test_a_file_that_says_the_same_leaves_nothing_open(books: Books, keyring: Keyring) -> None:
    done = settle(books, bill("c1"), bill("c2", "p2"), now=FEBRUARY)
    settle(books, bill("c3", "p3", provider_id="H2"), bill("c4", "p4", paid_by="person"), now=FEBRUARY)
    found = compare(books, keyring, *map(row, done))
    assert (found.rows, found.matched, found.rejected, found.items, found.again) == (2, 2, 0, (), False)
    assert found.ours_fen == found.theirs_fen == sum(one.amounts.pay_total_fen for one in done)


def test_each_way_to_differ_is_found(books: Books, keyring: Keyring) -> None:
    names = ("same", "ours", "amount", "own", "here", "there")
    made = settle(books, *(bill(one, "p1", date(2024, 2, 1), 30_000) for one in names), now=FEBRUARY)
    done = {one.claim_id: one for one in made}
    ledger.reverse(books, "here", reason="double", actor=CLERK, now=FEBRUARY + timedelta(hours=1))
    settle(books, bill("later", "p2"), bill("back", "p3"), now=MARCH)
    settle(books, bill("elsewhere", "p4", provider_id="H2"), now=FEBRUARY)
    own = row(done["own"]).split(",")
    own[2] = "0.01"
    found = compare(
        books, keyring, row(done["same"]), row(done["amount"], pay=1), ",".join(own), row(done["here"]),
        row(done["there"]), row(done["there"], refund=True), "theirs,100.00,0.00,100.00,0", "later,7.00,,,0",
        "back,-8.00,,,1", "elsewhere,9.00,,,0", "nothing,5.00,,,0", "nothing,-5.00,,,1",
    )  # fmt: skip
    assert kinds(found) == {
        "amount": "amount_differs", "back": "reversed_there", "elsewhere": "only_theirs", "here": "reversed_here",
        "later": "other_month", "ours": "only_ours", "own": "amount_differs", "theirs": "only_theirs",
        "there": "reversed_there",
    }  # fmt: skip
    by_claim = {one.claim_id: one for one in found.items}
    assert by_claim["amount"].difference_fen == -1
    assert (by_claim["own"].difference_fen, by_claim["theirs"].ours_fen) == (0, None)
    assert "own_total" in (by_claim["own"].detail or "")
    assert by_claim["elsewhere"].detail == "other_facility"
    assert (found.open, found.matched) == (9, 2)


def test_a_reversal_of_an_earlier_month_is_compared_in_the_month_it_was_made(books: Books, keyring: Keyring) -> None:
    (one,) = settle(books, bill("c1"), now=FEBRUARY)
    ledger.reverse(books, "c1", reason="double", actor=CLERK, now=MARCH)
    assert compare(books, keyring, row(one)).items == ()
    assert compare(books, keyring, row(one, refund=True), month="2024-03").items == ()
    # A refund written without its sign is one as well.
    unsigned = row(one).removesuffix("0") + "1"
    assert compare(books, keyring, unsigned, month="2024-03").items == ()
    assert kinds(compare(books, keyring, month="2024-03")) == {"c1": "reversed_here"}


def test_a_claim_that_stands_again_is_not_reversed(books: Books, keyring: Keyring) -> None:
    (one,) = settle(books, bill("c1"), now=FEBRUARY)
    ledger.reverse(books, "c1", reason="error", actor=CLERK, now=FEBRUARY + timedelta(hours=1))
    ledger.reinstate(books, "c1", reason="no error", actor=CLERK, now=FEBRUARY + timedelta(hours=2))
    assert compare(books, keyring, row(one)).items == ()


def test_the_same_file_again_changes_nothing(books: Books, keyring: Keyring) -> None:
    settle(books, bill("c1"), now=FEBRUARY)
    first = compare(books, keyring, "x,1.00,,,0")
    again = compare(books, keyring, "x,1.00,,,0")
    assert again.again
    assert (again.import_id, again.items) == (first.import_id, first.items)
    with pytest.raises(ConflictError) as error:
        compare(books, keyring, "x,1.00,,,0", month="2024-03")
    assert error.value.code == "file_other_month"
    with books.store.reading() as connection:
        assert [one.import_id for one in room.reconciliations(connection, provider_id="H1")] == [first.import_id]
        with pytest.raises(NotFoundError):
            room.reconciliation_of(connection, 99)


def test_two_who_send_the_same_file_at_once_compare_it_once(books: Books, keyring: Keyring) -> None:
    settle(books, bill("c1"), now=FEBRUARY)
    found: list[room.Reconciliation] = []
    threads = [threading.Thread(target=lambda: found.append(compare(books, keyring, "x,1.00,,,0"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.import_id for one in found}) == 1
    assert sorted(one.again for one in found) == [False, True, True, True]


def test_a_later_file_takes_the_place_of_the_one_before(books: Books, keyring: Keyring) -> None:
    (one,) = settle(books, bill("c1"), now=FEBRUARY)
    first = compare(books, keyring, "x,1.00,,,0", "y,2.00,,,0", "z,3.00,,,0")
    by_claim = {item.claim_id: item.id for item in first.items}
    room.resolve(books, by_claim["y"], "agreed", note="ours is older", actor=CLERK, now=MAY)
    room.resolve(books, by_claim["z"], "their_error", note="they mend it", actor=CLERK, now=MAY)
    second = compare(books, keyring, row(one), "y,2.00,,,0", "z,3.00,,,0")
    assert {item.claim_id: item.state for item in second.items} == {"y": "resolved", "z": "open"}
    with books.store.reading() as connection:
        before = {item.claim_id: item.resolution for item in room.items(connection, import_id=first.import_id)}
        still = room.items(connection, provider_id="H1", month="2024-02", state="open")
    assert before == {"c1": "superseded", "x": "superseded", "y": "agreed", "z": "their_error"}
    assert [item.claim_id for item in still] == ["z"]


def test_one_sided_entries_are_resolved_through_the_ledger(books: Books, keyring: Keyring) -> None:
    (_, back) = settle(books, bill("ours"), bill("back", "p2"), now=FEBRUARY)
    (trial,) = ledger.presettle(books, [Request(bill("theirs", "p3"))], actor=CLERK, now=FEBRUARY)
    assert isinstance(trial, Posted)
    ledger.reverse(books, "back", reason="error", actor=CLERK, now=FEBRUARY + timedelta(hours=1))
    found = compare(books, keyring, row(trial), row(back))
    assert kinds(found) == {"back": "reversed_here", "ours": "only_ours", "theirs": "only_theirs"}
    by_claim = {one.claim_id: one.id for one in found.items}
    with pytest.raises(ConflictError) as missing:
        room.resolve(books, by_claim["theirs"], "settled", actor=CLERK, now=MAY)
    assert missing.value.code == "not_settled"
    with pytest.raises(ConflictError) as wrong:
        room.resolve(
            books, by_claim["theirs"], "settled", bill=bill("theirs", "p3", provider_id="H2"), actor=CLERK, now=MAY
        )
    assert wrong.value.code == "wrong_bill"
    done = room.resolve(books, by_claim["theirs"], "settled", bill=bill("theirs", "p3"), actor=CLERK, now=MAY)
    assert (done.state, done.resolution, done.resolved_by) == ("resolved", "settled", "clerk1")
    assert done.entry_id is not None
    again = room.resolve(books, by_claim["theirs"], "settled", actor=CLERK, now=MAY + timedelta(days=1))
    assert again == done
    taken = room.resolve(books, by_claim["ours"], "reversed", note="never left", actor=CLERK, now=MAY)
    stood = room.resolve(books, by_claim["back"], "settled", note="it was right", actor=CLERK, now=MAY)
    with books.store.reading() as connection:
        asked = sa.select(schema.entry.c.id, schema.entry.c.kind).where(
            schema.entry.c.id.in_([done.entry_id, taken.entry_id, stood.entry_id])
        )
        made = {one.id: one.kind for one in connection.execute(asked)}
        assert room.items(connection, state="open") == []
    assert made == {done.entry_id: "settlement", taken.entry_id: "reversal", stood.entry_id: "reinstatement"}
    with pytest.raises(ConflictError) as other:
        room.resolve(books, by_claim["ours"], "agreed", note="no", actor=CLERK, now=MAY)
    assert other.value.code == "item_resolved"
    assert verify(books.store, books=books).whole


def test_what_was_mended_in_the_ledger_meanwhile_is_only_named(books: Books, keyring: Keyring) -> None:
    settle(books, bill("ours"), now=FEBRUARY)
    found = compare(books, keyring, "theirs,1.00,,,0")
    by_claim = {one.claim_id: one.id for one in found.items}
    back = ledger.reverse(books, "ours", reason="error", actor=CLERK, now=MAY)
    (late,) = settle(books, bill("theirs", "p2"), now=MAY)
    assert room.resolve(books, by_claim["ours"], "reversed", actor=CLERK, now=MAY).entry_id == back.entry_id
    assert room.resolve(books, by_claim["theirs"], "settled", actor=CLERK, now=MAY).entry_id == late.entry_id


def test_a_large_reversal_takes_two_pairs_of_eyes(books: Books, keyring: Keyring) -> None:
    settle(books, bill("ours"), now=FEBRUARY)
    (one,) = compare(books, keyring, HEAD and "x,0.00,,,0").items[:1]
    with books.store.writing() as connection:
        decide_setting(connection, "reversal_limit_fen", 100, actor=Actor("admin1", "administrator"), now=MAY)
    with pytest.raises(ConflictError) as error:
        room.resolve(books, one.id, "reversed", actor=CLERK, now=MAY)
    assert error.value.code == "reversal_above_limit"
    ledger.reverse(books, "ours", reason="decided by two", actor=SUPERVISOR, now=MAY)
    assert room.resolve(books, one.id, "reversed", actor=CLERK, now=MAY).state == "resolved"


def test_a_resolution_must_fit_and_say_why(books: Books, keyring: Keyring) -> None:
    settle(books, bill("ours"), now=FEBRUARY)
    (one,) = [item for item in compare(books, keyring, "x,1.00,,,0").items if item.claim_id == "ours"]
    for resolution, note, code in (
        ("forgotten", "why", "unknown_resolution"), ("superseded", "why", "unknown_resolution"),
        ("agreed", None, "note_missing"), ("their_error", " ", "note_missing"),
    ):  # fmt: skip
        with pytest.raises(UsageError) as error:
            room.resolve(books, one.id, resolution, note=note, actor=CLERK, now=MAY)
        assert error.value.code == code
    with pytest.raises(ConflictError) as unfit:
        room.resolve(books, one.id, "settled", actor=CLERK, now=MAY)
    assert unfit.value.code == "resolution_unfit"
    with pytest.raises(NotFoundError):
        room.resolve(books, 999, "agreed", note="why", actor=CLERK, now=MAY)
    with pytest.raises(AccessError):
        room.resolve(books, one.id, "agreed", note="why", actor=Actor("a", "auditor"), now=MAY)


def test_a_statement_is_not_agreed_while_items_are_open(books: Books, keyring: Keyring) -> None:
    (one,) = settle(books, bill("c1"), now=FEBRUARY)
    draw(books, "2024-02")
    (item,) = compare(books, keyring, row(one), "x,1.00,,,0").items
    with pytest.raises(ConflictError) as error:
        statements.agree(books.store, "H1", "2024-02", actor=SUPERVISOR, now=MAY)
    assert error.value.code == "items_open"
    room.resolve(books, item.id, "their_error", note="not ours", actor=CLERK, now=MAY)
    assert {one.state for one in statements.agree(books.store, "H1", "2024-02", actor=SUPERVISOR, now=MAY)} == {
        "agreed"
    }


def test_rows_that_cannot_be_read_are_kept_enciphered_with_their_reason(books: Books, keyring: Keyring) -> None:
    rows = [
        ",1.00,,,0", "a,,,,0", "b,1.005,,,0", "c,one,,,0", "d,1.00,,,2", "e,9e15,,,0", f"{'f' * 65},1.00,,,0",
        "g,NaN,,,0", "h,9000000000000000000,,,0",
    ]  # fmt: skip
    found = compare(books, keyring, *rows, 'good,"1,000.50",,,0')
    assert (found.rows, found.rejected, found.theirs_fen) == (10, 9, 100_050)
    assert found.reasons == {
        "missing_value": 2, "three_decimals": 1, "bad_amount": 2, "unknown_code": 1, "amount_too_large": 2, "bad_text": 1
    }  # fmt: skip
    with books.store.reading() as connection:
        kept = connection.execute(sa.select(schema.import_reject)).all()
    assert all("one" not in one.detail for one in kept)
    assert keyring.open_row(kept[3].sealed_row)["pay_total"] == "one"
    other = compare(books, keyring, "a,1.00,H1", "b,2.00,H2", head="mdtrt_id,fund_pay_sumamt,fixmedins_code")
    assert (other.reasons, other.theirs_fen) == ({"other_facility": 1}, 100)


def test_national_names_excel_and_parquet_are_read(books: Books, keyring: Keyring) -> None:
    (one,) = settle(books, bill("c1"), now=FEBRUARY)
    pay, own = one.amounts.pay_total_fen / 100, one.amounts.own_total_fen / 100
    frame = pl.DataFrame(
        {
            "MDTRT_ID": ["c1"],
            "setl_id": ["s1"],
            "fund_pay_sumamt": [pay],
            "psn_part_amt": [own],
            "refd_setl_flag": ["0"],
        }
    )
    for write in (frame.write_parquet, frame.write_excel):
        file = io.BytesIO()
        write(file)  # type: ignore[operator]
        found = room.reconcile(books.store, file.getvalue(), "H1", "2024-02", actor=CLERK, now=MAY, keyring=keyring)
        assert found.items == ()
        assert (found.rows, found.matched) == (1, 1)


def test_a_file_without_what_is_needed_is_refused(books: Books, keyring: Keyring) -> None:
    for head, code in (("claim_id,total", "missing_column"), ("claim_id,mdtrt_id,pay_total", "ambiguous_column")):
        with pytest.raises(InputError) as error:
            compare(books, keyring, head=head)
        assert error.value.code == code
    for provider in ("", "*people", "H" * 65, "H\n"):
        with pytest.raises(UsageError) as bad:
            room.reconcile(books.store, b"x", provider, "2024-02", actor=CLERK, now=MAY, keyring=keyring)
        assert bad.value.code == "bad_provider"


def test_the_national_platforms_totals_and_details_agree_with_the_statement(books: Books, keyring: Keyring) -> None:
    done = settle(books, bill("c1"), bill("c2", "p2"), now=FEBRUARY)
    ledger.reverse(books, "c2", reason="error", actor=CLERK, now=FEBRUARY + timedelta(hours=1))
    with books.store.reading() as connection:
        total = room.national_total(connection, "H1", "2024-02")
        detail = room.national_detail(connection, "H1", "2024-02")
    assert str(total["fund_pay_sumamt"]) == format_yuan(done[0].amounts.pay_total_fen)
    assert (str(total["medfee_sumamt"]), total["fixmedins_setl_cnt"]) == ("130000.00", 3)
    assert (total["stmt_begndate"], total["stmt_enddate"]) == ("2024-02-01", "2024-02-29")
    assert [(one["setl_id"], one["refd_setl_flag"]) for one in detail] == [("c1", "0"), ("c2", "0"), ("c2-R", "1")]
    assert sum(one["fund_pay_sumamt"] for one in detail) == total["fund_pay_sumamt"]
    # Sent back by a hospital that agrees, it makes no item.
    frame = pl.DataFrame([{name: str(value) for name, value in one.items()} for one in detail])
    found = room.reconcile(
        books.store, frame.write_csv().encode(), "H1", "2024-02", actor=CLERK, now=MAY, keyring=keyring
    )
    assert (found.matched, found.items) == (2, ())


def test_what_was_posted_after_an_early_statement_is_compared_with_the_next_month(
    books: Books, keyring: Keyring
) -> None:
    (one,) = settle(books, bill("c1"), now=FEBRUARY)
    draw(books, "2024-02", now=FEBRUARY, early=True)
    (late,) = settle(books, bill("c2", "p2"), now=FEBRUARY + timedelta(days=2))
    assert compare(books, keyring, row(one)).items == ()
    assert compare(books, keyring, row(late), month="2024-03").items == ()


THEIRS = st.lists(
    st.tuples(st.sampled_from([f"c{number}" for number in range(1, 7)]), st.integers(-(10**6), 10**8), st.booleans()),
    max_size=10,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(theirs=THEIRS, reversed_ones=st.sets(st.integers(1, 4)), agreeing=st.sets(st.integers(1, 4)))
def test_totals_reconcile_to_the_fen_whatever_they_send(
    theirs: list[tuple[str, int, bool]], reversed_ones: set[int], agreeing: set[int], migrated_sqlite: Path,
    tmp_path: Path, keyring: Keyring,
) -> None:  # fmt: skip
    path = tmp_path / "office.sqlite"
    shutil.copy(migrated_sqlite, path)
    store = open_store(path)
    enrol(store, keyring, "p1", "p2")
    books = Books.of(store, "cn/beijing")
    bills = [bill(f"c{number}", f"p{number % 2 + 1}", yuan=20_000) for number in range(1, 5)]
    done = posted(ledger.settle(books, [Request(one) for one in bills], actor=CLERK, now=FEBRUARY))
    for number in reversed_ones:
        ledger.reverse(books, f"c{number}", reason="drawn", actor=CLERK, now=FEBRUARY + timedelta(hours=number))
    rows = [f"{claim_id},{format_yuan(fen)},,,{int(refund)}" for claim_id, fen, refund in theirs]
    rows += [row(done[number - 1]) for number in agreeing]
    found = compare(books, keyring, *rows)
    assert found.rejected == 0
    assert found.matched + len(found.items) == len({f"c{n}" for n in range(1, 5)} | {one[0] for one in theirs})
    store.close()
