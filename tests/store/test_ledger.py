"""The ledger: settle, repeat, refuse, late claims, reversals, corrections, arrears, on both stores."""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from ledgers import CLERK, NOW, bill, enrol, posted, recognise

from medfloor.errors import ConflictError, InputError, MedfloorError, NotFoundError, UsageError
from medfloor.settlement import settle as settle_batch
from medfloor.store import Keyring, Store, arrears, ledger, proposals, resettle, schema
from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.chain import verify
from medfloor.store.identity import is_identity
from medfloor.store.ledger import Refused, Request
from medfloor.store.register import end, record


@pytest.fixture
def books(store: Store, keyring: Keyring) -> Books:
    enrol(store, keyring, "p1", "p2")
    return Books.of(store, "cn/beijing")


def ask(books: Books, *requests: Request) -> list[Any]:
    return ledger.settle(books, requests, actor=CLERK, now=NOW)


def settled(books: Books, *bills: Bill) -> list[ledger.Posted]:
    return posted(ask(books, *(Request(one, f"key-{one.claim_id}") for one in bills)))


def rows(books: Books, table: sa.Table) -> int:
    with books.store.reading() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def batch(*bills: Bill, spells: pl.DataFrame | None = None) -> dict[str, int]:
    """Settle the same bills as a file, and give what the funds pay for each."""
    claims = pl.DataFrame(
        [
            {
                "claim_id": one.claim_id, "person_id": one.person_id, "care_type": one.care_type,
                "start_date": one.start_date, "end_date": one.end_date, "settled_date": one.settled_date,
                "facility_level": one.facility_level, "total": one.total_fen / 100, "in_scope": one.in_scope_fen / 100,
                "continues": one.continues,
            }
            for one in bills
        ],
        schema_overrides={"continues": pl.String},
    )  # fmt: skip
    people = pl.DataFrame(
        {
            "person_id": ["p1", "p2"],
            "birth_date": [date(1960, 5, 2)] * 2,
            "sex": ["female"] * 2,
            "residence": ["rural"] * 2,
        }
    )
    done = settle_batch(claims, people, spells, "cn/beijing")
    return dict(zip(done.fen["claim_id"], done.fen["pay_total_fen"], strict=True))


def stands(books: Books, person_id: str = "p1", year: int = 2024) -> dict[str, int]:
    with books.store.reading() as connection:
        view = ledger.year_of(connection, person_id, year)
    return {} if view is None else {line.bill.claim_id: line.now.pay_total_fen for line in view.lines}


def whole(books: Books) -> None:
    found = verify(books.store, books=books)
    assert found.whole, found.findings


def test_claims_are_paid_as_batch_settlement_pays_them(books: Books) -> None:
    bills = [bill(f"c{month}", day=date(2024, month, 5), yuan=60_000) for month in range(1, 9)]
    settled(books, *bills[:4])
    settled(books, *bills[4:])
    assert stands(books) == batch(*bills)
    whole(books)


def test_postings_say_who_bears_and_who_laid_out(books: Books) -> None:
    (one,) = settled(books, bill("c1"))
    with books.store.reading() as connection:
        found = connection.execute(sa.select(schema.posting.c.party, schema.posting.c.amount_fen)).all()
    pay = one.amounts.pay
    assert {row[0]: row[1] for row in found} == {
        "person": one.amounts.own_total_fen,
        "fund:basic": pay["basic"],
        "fund:critical_illness": pay["critical_illness"],
        "facility": -one.amounts.own_total_fen,
        "advance": -one.amounts.pay_total_fen,
    }


def test_the_same_request_again_is_harmless(books: Books) -> None:
    first = settled(books, bill("c1"), bill("c2", day=date(2024, 4, 1)))
    late = settled(books, bill("c0", day=date(2024, 2, 1)))
    count = rows(books, schema.entry)
    again = posted(ask(books, Request(bill("c1"), "key-c1"), Request(bill("c0", day=date(2024, 2, 1)), "key-c0")))
    assert [dataclasses.replace(one, again=False) for one in again] == [first[0], late[0]]
    assert all(one.again for one in again) and rows(books, schema.entry) == count
    assert [change.claim_id for change in again[1].changes] == ["c1", "c2"]


def test_the_same_request_twice_in_one_batch_is_settled_once(books: Books) -> None:
    one, two = posted(ask(books, Request(bill("c1"), "k"), Request(bill("c1"), "k")))
    assert (one.entry_id, one.again, two.again) == (two.entry_id, False, True)
    assert rows(books, schema.claim) == 1


def test_a_key_and_a_claim_id_serve_once(books: Books) -> None:
    settled(books, bill("c1"))
    other_request, other_key, no_key = ask(
        books, Request(bill("c9"), "key-c1"), Request(bill("c1"), "another"), Request(bill("c1"))
    )
    assert (other_request.code, other_key.code, no_key.code) == ("key_reused", "claim_settled", "claim_settled")
    assert isinstance(other_key.error, ConflictError)
    in_batch = ask(books, Request(bill("c5"), "k5"), Request(bill("c5"), "k6"), Request(bill("c6"), "k5"))
    assert [getattr(one, "code", "") for one in in_batch] == ["", "claim_settled", "key_reused"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"in_scope_fen": -1, "total_fen": -1}, "negative_amount"),
        ({"total_fen": 5}, "parts_not_total"),
        ({"care_type": "hotel"}, "unknown_care_type"),
        ({"facility_level": "9"}, "unknown_facility_level"),
        ({"area": "moon"}, "unknown_code"),
        ({"end_date": date(2023, 1, 1)}, "end_before_start"),
        ({"person_id": "nobody"}, "unknown_person"),
        ({"settled_date": date(1999, 1, 1)}, "outside_policy_dates"),
        ({"start_date": date(1950, 1, 1)}, "born_after_care"),
        ({"continues": "c99"}, "unknown_continues"),
        ({"total_fen": 10**18, "in_scope_fen": 10**18}, "amount_too_large"),
        ({"extra": {"moon_pay": 5}}, "unknown_column"),
        ({"extra": {"moon_pay": -5}}, "bad_amount"),
        ({"claim_id": "x" * 65}, "missing_value"),
        ({"claim_id": "bad"}, ""),
    ],
)
def test_a_claim_that_cannot_be_settled_is_refused_and_hinders_no_other(
    books: Books, change: dict[str, Any], code: str
) -> None:
    bad = dataclasses.replace(bill("bad"), **change)
    before, refused, after = ask(books, Request(bill("c1"), "a"), Request(bad, "b"), Request(bill("c2", "p2"), "c"))
    assert getattr(refused, "code", "") == code
    assert posted([before, after])
    assert stands(books, "p1")["c1"] and rows(books, schema.claim) == (2 if code else 3)
    whole(books)


def test_a_refusal_leaves_its_year_as_it_was(books: Books) -> None:
    settled(books, bill("c2", day=date(2024, 5, 1)))
    bad = dataclasses.replace(bill("c1", day=date(2024, 2, 1)), extra={"moon_pay": 5})
    answers = ask(books, Request(bad, "b"), Request(bill("c3", day=date(2024, 6, 1)), "c"))
    assert isinstance(answers[0], Refused) and posted(answers[1:])
    whole(books)


def test_who_is_not_enrolled_is_paid_nothing(books: Books) -> None:
    (one,) = settled(books, bill("c1", day=date(2022, 12, 1)))
    assert (one.amounts.pay_total_fen, one.amounts.own_total_fen) == (0, 13_000_000)


def test_a_late_claim_settles_again_what_comes_after_it(books: Books) -> None:
    bills = [bill("c1", day=date(2024, 3, 1)), bill("c2", day=date(2024, 4, 1)), bill("c0", day=date(2024, 2, 1))]
    settled(books, *bills[:2])
    (late,) = settled(books, bills[2])
    assert stands(books) == batch(*bills)
    assert [change.claim_id for change in late.changes] == ["c1", "c2"]
    with books.store.reading() as connection:
        owed = arrears.owed(connection, state="found")
    assert [(one.claim_id, one.amount_fen, one.cause) for one in owed] == [
        (change.claim_id, change.amount_fen, "late_claim") for change in late.changes
    ]
    whole(books)


def test_a_late_claim_may_come_in_the_same_batch(books: Books) -> None:
    bills = [bill("c1", day=date(2024, 3, 1)), bill("c0", day=date(2024, 2, 1)), bill("c2", day=date(2024, 4, 1))]
    settled(books, *bills)
    assert stands(books) == batch(*bills)
    whole(books)


def test_a_transfer_goes_on_with_its_stay(books: Books) -> None:
    first = bill("c1", day=date(2024, 3, 1), yuan=900, facility_level="2")
    then = bill("c2", day=date(2024, 3, 9), yuan=50_000, continues="c1")
    settled(books, first)
    settled(books, then)
    assert stands(books) == batch(first, then)
    refusals = ask(
        books,
        Request(bill("c3", "p2", day=date(2024, 5, 1), continues="c1")),
        Request(bill("c4", day=date(2024, 2, 1), continues="c1")),
    )
    assert [one.code for one in refusals] == ["continues_other_person", "continues_later"]
    with pytest.raises(ConflictError) as caught:
        ledger.reverse(books, "c1", reason="typed wrongly", actor=CLERK, now=NOW)
    assert caught.value.code == "claim_continued"
    whole(books)


def test_a_stay_that_another_year_continues_is_not_taken_back(books: Books) -> None:
    settled(books, bill("c1", day=date(2024, 12, 20)), bill("c2", day=date(2025, 1, 9), continues="c1"))
    with pytest.raises(ConflictError):
        ledger.reverse(books, "c1", reason="typed wrongly", actor=CLERK, now=NOW)
    ledger.reverse(books, "c2", reason="typed wrongly", actor=CLERK, now=NOW)
    ledger.reverse(books, "c1", reason="typed wrongly", actor=CLERK, now=NOW)
    with pytest.raises(InputError) as caught:
        ledger.reinstate(books, "c2", reason="was right", actor=CLERK, now=NOW)
    assert caught.value.code == "unknown_continues"
    whole(books)


def test_a_reversal_takes_back_the_claim_and_what_it_did_to_others(books: Books) -> None:
    bills = [bill("c1"), bill("c2", day=date(2024, 4, 1)), bill("c3", day=date(2024, 5, 1))]
    settled(books, *bills)
    gone = ledger.reverse(books, "c1", key="r1", reason="typed wrongly", actor=CLERK, now=NOW)
    assert gone.kind == "reversal" and [one.claim_id for one in gone.changes] == ["c2", "c3"]
    assert stands(books) == batch(*bills[1:])
    again = ledger.reverse(books, "c1", key="r1", reason="typed wrongly", actor=CLERK, now=NOW)
    assert dataclasses.replace(again, again=False) == gone
    for key, code in (("r2", "reversed_twice"), (None, "reversed_twice"), ("key-c2", "key_reused")):
        with pytest.raises(ConflictError) as caught:
            ledger.reverse(books, "c1", key=key, reason="typed wrongly", actor=CLERK, now=NOW)
        assert caught.value.code == code
    assert ask(books, Request(bills[0], "fresh"))[0].code == "claim_settled"
    whole(books)


def test_reversing_every_claim_leaves_the_year_at_its_start(books: Books) -> None:
    settled(books, *(bill(f"c{month}", day=date(2024, month, 1)) for month in range(1, 6)))
    for claim_id in ("c3", "c1", "c5", "c2", "c4"):
        ledger.reverse(books, claim_id, reason="typed wrongly", actor=CLERK, now=NOW)
    with books.store.reading() as connection:
        view = ledger.year_of(connection, "p1", 2024)
        sums = connection.execute(
            sa.select(schema.posting.c.party, sa.func.sum(schema.posting.c.amount_fen)).group_by(schema.posting.c.party)
        ).all()
        owed = sum(one.amount_fen for one in arrears.owed(connection))
    assert view is not None and view.counters == {} and view.lines == ()
    assert view.taken_back == ("c1", "c2", "c3", "c4", "c5")
    assert all(total == 0 for _, total in sums) and owed == 0
    whole(books)


def test_taking_a_reversal_back_lets_the_claim_stand_again(books: Books) -> None:
    bills = [bill("c1"), bill("c2", day=date(2024, 4, 1))]
    before = settled(books, *bills)
    with pytest.raises(ConflictError):
        ledger.reinstate(books, "c1", reason="was right", actor=CLERK, now=NOW)
    ledger.reverse(books, "c1", reason="typed wrongly", actor=CLERK, now=NOW)
    back = ledger.reinstate(books, "c1", key="b1", reason="was right", actor=CLERK, now=NOW)
    assert back.kind == "reinstatement" and stands(books) == batch(*bills)
    assert back.amounts.facts() == before[0].amounts.facts()
    assert ledger.reinstate(books, "c1", key="b1", reason="was right", actor=CLERK, now=NOW).again
    ledger.reverse(books, "c1", reason="after all", actor=CLERK, now=NOW)
    assert stands(books) == batch(bills[1])
    whole(books)


def test_a_correction_takes_one_back_and_settles_another(books: Books) -> None:
    settled(books, bill("c1"), bill("c2", day=date(2024, 4, 1)))
    better = bill("c1b", yuan=80_000)
    done = ledger.correct(books, "c1", better, key="x1", reason="wrong bill", actor=CLERK, now=NOW)
    assert done.kind == "correction" and stands(books) == batch(better, bill("c2", day=date(2024, 4, 1)))
    assert ledger.correct(books, "c1", better, key="x1", reason="wrong bill", actor=CLERK, now=NOW).again
    for claim_id, other, error in (
        ("c1", bill("c1c"), ConflictError),
        ("c2", bill("c1b"), ConflictError),
        ("c2", bill("c2b", "p2"), InputError),
        ("c9", bill("c9b"), NotFoundError),
        ("c2", bill("c2b", yuan=-1), InputError),
    ):
        with pytest.raises(error):
            ledger.correct(books, claim_id, other, reason="wrong bill", actor=CLERK, now=NOW)
    moved = ledger.correct(books, "c2", bill("c2b", day=date(2023, 4, 1)), reason="wrong year", actor=CLERK, now=NOW)
    assert moved.benefit_year == 2023 and set(stands(books)) == {"c1b"}
    whole(books)


def test_what_is_not_there_cannot_be_taken_back(books: Books) -> None:
    for work in (ledger.reverse, ledger.reinstate):
        with pytest.raises(NotFoundError):
            work(books, "c9", reason="none", actor=CLERK, now=NOW)
    assert stands(books) == {}


def test_presettling_says_the_same_and_writes_nothing(books: Books) -> None:
    settled(books, bill("c1"))
    requests = [Request(bill("c2", day=date(2024, 2, 1)), "k2"), Request(bill("c9", "nobody"), "k9")]
    would, refused = ledger.presettle(books, requests, actor=CLERK, now=NOW)
    assert isinstance(would, ledger.Posted) and isinstance(refused, Refused)
    assert rows(books, schema.entry) == 1
    did, refused_too = ask(books, *requests)
    assert would.amounts.facts() == did.amounts.facts() and would.changes == did.changes
    assert (would.entry_id, would.hash) == (0, "") and refused.code == refused_too.code == "unknown_person"


def test_a_backdated_recognition_finds_what_is_owed_and_is_paid_by_rule(books: Books) -> None:
    bills = [bill("c1"), bill("c2", day=date(2024, 4, 1))]
    settled(books, *bills)
    touched = recognise(books.store, "p1", "dibao", date(2024, 3, 15))
    found = resettle.resettle_after(books, touched, actor=CLERK, now=NOW)
    spells = pl.DataFrame({"person_id": ["p1"], "group": ["dibao"], "from_date": [date(2024, 3, 15)]})
    assert stands(books) == batch(*bills, spells=spells)
    (one,) = found
    assert one.claim_id == "c2" and one.amount_fen > 0 and one.cause == "backdated_status"
    assert resettle.resettle_after(books, touched, actor=CLERK, now=NOW) == []

    def move(state: str, note: str | None = None) -> arrears.Arrear:
        return arrears.move(books, one.id, state, on=date(2024, 6, 5), note=note, actor=CLERK, now=NOW)

    for state, error in (("paid", ConflictError), ("closed", ConflictError), ("lost", UsageError)):
        with pytest.raises(error):
            move(state)
    move("notified", "by letter")
    with pytest.raises(ConflictError):
        move("returned")
    move("paid")
    with pytest.raises(ConflictError):
        move("paid")
    assert move("closed").state == "closed"
    with pytest.raises(NotFoundError):
        arrears.move(books, 99, "paid", on=date(2024, 6, 5), actor=CLERK, now=NOW)
    with books.store.reading() as connection:
        steps = arrears.steps_of(connection, one.id)
    assert [step.state for step in steps] == ["found", "notified", "paid", "closed"]
    assert steps[1].note == "by letter" and steps[2].entry_id is not None
    whole(books)


def test_what_ended_too_late_is_owing(books: Books) -> None:
    recognise(books.store, "p1", "dibao", date(2024, 1, 1))
    settled(books, bill("c1"))
    with books.store.writing() as connection:
        done = end(connection, "spell", ("p1", "dibao"), day=date(2024, 2, 1), actor=CLERK, now=NOW)
    (one,) = resettle.resettle_after(books, done.touched, actor=CLERK, now=NOW)
    assert one.amount_fen < 0
    arrears.move(books, one.id, "notified", on=date(2024, 6, 5), actor=CLERK, now=NOW)
    arrears.move(books, one.id, "returned", on=date(2024, 6, 5), actor=CLERK, now=NOW)
    ledger.reverse(books, "c1", reason="typed wrongly", actor=CLERK, now=NOW)
    with books.store.reading() as connection:
        assert sum(found.amount_fen for found in arrears.owed(connection)) == 0
    whole(books)


def test_claims_belong_to_the_year_that_the_policy_names(books: Books) -> None:
    over = bill("c1", day=date(2024, 12, 28), end_date=date(2025, 1, 5), settled_date=date(2025, 1, 5))
    (one,) = settled(books, over)
    assert one.benefit_year == 2025 and stands(books, year=2024) == {}
    with books.store.reading() as connection:
        assert ledger.year_of(connection, "p1", 2024) is None
    whole(books)


def test_a_policy_that_counts_by_household_settles_the_household(store: Store, keyring: Keyring) -> None:
    enrol(store, keyring, "a", "b", household="h1")
    enrol(store, keyring, "c")
    books = Books.of(store, "us/rand-hie")
    year = books.benefit_year(bill("x", day=date(1975, 3, 1)))
    bills = [
        dataclasses.replace(
            bill(f"{who}{month}", who, date(1975, month, 1), yuan=300), extra={"max_expenditure": 50_000}
        )
        for month in range(2, 6)
        for who in ("a", "b", "c")
    ]
    bills = [dataclasses.replace(one, extra=dict.fromkeys(books.law.dimensions.columns, 50000)) for one in bills]
    with store.writing() as connection:
        for who in ("a", "b", "c"):
            record(
                connection, "enrolment", who, {"benefit_year": year, "scheme": "resident"}, start=date(1974, 1, 1),
                end=date(1976, 1, 1), actor=CLERK, now=NOW,
            )  # fmt: skip
            record(connection, "person", who, {"birth_date": date(1950, 1, 1), "household_id": "h3" if who == "c" else "h1"},
                   start=date(1960, 1, 1), end=date(2020, 1, 1), actor=CLERK, now=NOW)  # fmt: skip
    for one in bills[3:] + bills[:3]:
        posted(ledger.settle(books, [Request(one, one.claim_id)], actor=CLERK, now=NOW))
    with store.reading() as connection:
        view = ledger.year_of(connection, "b", year)
    assert view is not None and view.owner == "h1" and {line.bill.person_id for line in view.lines} == {"b"}
    ledger.reverse(books, "a3", reason="typed wrongly", actor=CLERK, now=NOW)
    whole(books)


def test_a_changed_law_settles_the_year_again_with_the_next_claim(store: Store, keyring: Keyring) -> None:
    enrol(store, keyring, "p1")
    old = Books.of(store, "cn/beijing@2023-01-01")
    settled(old, bill("c1"))
    new = Books.of(store, "cn/beijing")
    assert old.policy_hash != new.policy_hash
    assert verify(store, books=new).other_law == 1
    settled(new, bill("c2", day=date(2024, 4, 1)))
    assert stands(new) == batch(bill("c1"), bill("c2", day=date(2024, 4, 1)))
    assert resettle.resettle_all(new, actor=CLERK, now=NOW) == []
    whole(new)


def test_no_error_names_a_diagnosis_or_a_person(books: Books) -> None:
    bad = bill("c1", diagnosis="C34.9", person_id="p1", continues="c0")
    for one in (bad, dataclasses.replace(bad, total_fen=5), dataclasses.replace(bad, care_type="C34.9")):
        answer = ask(books, Request(one, "k"))[0]
        assert isinstance(answer.error, MedfloorError) and "C34" not in str(answer.error)


def test_an_identity_number_in_a_reason_or_note_is_kept_masked(books: Books) -> None:
    number = "990981195003120219"  # no place has this code, so that nobody has such a number
    assert is_identity(number)
    store = books.store
    posted(ask(books, Request(bill("c1"), "k1"), Request(bill("c2", day=date(2024, 4, 1)), "k2")))
    said = f"wrong bill of {number}"
    done = ledger.reverse(books, "c1", key="r1", reason=said, actor=CLERK, now=NOW)
    again = ledger.reverse(books, "c1", key="r1", reason=said, actor=CLERK, now=NOW)
    assert again.again and again.hash == done.hash
    with store.reading() as connection:
        (one,) = arrears.owed(connection)
    arrears.move(books, one.id, "notified", on=date(2024, 6, 3), note=said, actor=CLERK, now=NOW)
    with store.writing() as connection:
        made = proposals.propose(
            connection, "status_change", {"group": "dibao", "evidence": said, "claim_id": number}, reason=said,
            actor=CLERK, now=NOW,
        )  # fmt: skip
    with store.reading() as connection:
        asked = sa.select(schema.entry.c.input).where(schema.entry.c.kind == "reversal")
        texts = [str(said_in) for said_in in connection.execute(asked).scalars()]
        texts += [made.reason, made.payload["evidence"], str(arrears.steps_of(connection, one.id))]
    assert not any(number in text for text in texts)
    assert made.payload["claim_id"] == number, "ids stay as they are"
    assert verify(store, books=books).whole


def test_many_who_ask_share_a_transaction_and_each_posts_in_their_own_name(books: Books) -> None:
    other = dataclasses.replace(CLERK, login="clerk2")
    settled(books, bill("c3", day=date(2024, 3, 1)))
    late = Request(bill("c1", day=date(2024, 2, 1)), "k1", by=other)
    one, two = posted(ask(books, late, Request(bill("c2", "p2"), "k2", by=CLERK)))
    assert one.changes and not two.changes
    entry, step = schema.entry, schema.arrear_step
    with books.store.reading() as connection:
        by = sa.select(entry.c.claim_id, entry.c.kind, entry.c.posted_by).where(entry.c.posted_at == NOW)
        found = {(claim_id, kind): login for claim_id, kind, login in connection.execute(by)}
        told = connection.execute(sa.select(step.c.by)).scalars().all()
    assert found["c1", "settlement"] == found["c3", "difference"] == "clerk2"
    assert found["c2", "settlement"] == found["c3", "settlement"] == "clerk1"
    assert set(told) == {"clerk2"}
    assert not verify(books.store, books=books).findings


def test_who_asks_within_their_place_settles_for_nobody_outside(books: Books, keyring: Keyring) -> None:
    enrol(books.store, keyring, "away")
    with books.store.writing() as connection:
        facts = {"birth_date": date(1960, 5, 2), "sex": "female", "residence": "rural", "place": "150982"}
        record(connection, "person", "away", facts, start=date(2024, 1, 1), actor=CLERK, now=NOW)
    requests = [Request(bill(f"c-{one}", one), f"k-{one}", within=True) for one in ("p1", "away", "nobody")]
    inside, outside, unknown = ask(books, *requests)
    assert isinstance(inside, ledger.Posted)
    assert (outside.code, unknown.code) == ("no_such_person", "unknown_person")
    everywhere = dataclasses.replace(CLERK, place="")
    (again,) = ask(books, dataclasses.replace(requests[1], by=everywhere))
    assert isinstance(again, ledger.Posted) and not again.again
    # An answer that another was given is not told to one who may not see the person.
    assert ask(books, requests[1])[0].code == "no_such_person"
    (trial,) = ledger.presettle(books, [Request(bill("t", "away"), within=True)], actor=CLERK, now=NOW)
    assert isinstance(trial, Refused) and trial.code == "no_such_person"
