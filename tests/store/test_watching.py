"""Screen the office: from register and ledger to alerts and cases, once, also after settlements and crashes."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from ledgers import bill, enrol, posted, recognise

from medfloor.errors import NotFoundError, UsageError
from medfloor.store import Actor, Keyring, Store, ledger, schema, watching
from medfloor.store.books import Books
from medfloor.store.cases import add_event, case_of, case_of_household, verify_cases
from medfloor.store.ledger import Request
from medfloor.store.register import end, record
from medfloor.store.resettle import resettle_after
from medfloor.store.watching import (
    alerts_of,
    pending,
    register_of,
    run_of,
    runs,
    screen_after,
    screen_office,
    settled_of,
    work_pending,
)
from medfloor.watch.cases import Event
from medfloor.watch.reasons import told

NOW = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)
TODAY = date(2024, 6, 3)
CLERK = Actor("clerk1", "county_clerk", "150981")
OFFICER = Actor("officer1", "assistance_officer", "150981")


@pytest.fixture
def books(store: Store, keyring: Keyring) -> Books:
    enrol(store, keyring, "p1", "p2", household="h1")
    enrol(store, keyring, "p3", household="h3")
    with store.writing() as connection:
        for home, size in (("h1", 2), ("h3", 1)):
            facts = {"place": "150981102", "size": size, "income_fen": 3_000_000 * size}
            record(connection, "household", home, facts, start=date(2020, 1, 1), actor=CLERK, now=NOW)
    return Books.of(store, "cn/beijing")


def settle(
    books: Books, claim_id: str, who: str = "p1", *, yuan: int = 200_000, now: datetime = NOW, **more: Any
) -> None:
    posted(ledger.settle(books, [Request(bill(claim_id, who, yuan=yuan, **more), claim_id)], actor=CLERK, now=now))


def screened(books: Books, *, now: datetime = NOW, year: int = 2024) -> watching.Screened:
    as_of = watching.day_of(now)
    return screen_office(books.store, year=year, as_of=as_of, actor=OFFICER, now=now)


def raised(store: Store) -> list[tuple[str, str]]:
    with store.reading() as connection:
        found = alerts_of(connection, OFFICER, limit=None)
    return sorted(zip(found["household_id"], found["signal"], strict=True))


def test_what_a_household_bore_becomes_alerts_and_a_case(books: Books) -> None:
    settle(books, "c1")
    made = screened(books)
    assert "burden_in_scope" in made.screening.alerts["signal"].to_list() and len(made.opened) == 1
    with books.store.reading() as connection:
        kept = alerts_of(connection, OFFICER, household_id="h1")
        ours = kept.drop("alert_id", "case_id", "place", "run").sort("signal")
        assert ours.equals(made.screening.alerts.filter(pl.col("household_id") == "h1").sort("signal"))
        assert set(kept["place"]) == {"150981102"} and set(kept["case_id"]) == set(made.opened)
        assert told(kept, "zh")["why"].str.len_chars().min() > 5
        case = case_of(connection, made.opened[0]).case
        assert (case.state, case.household_id, case.place, case.source) == ("found", "h1", "150981102", "alert")
        assert set(case.signals) == set(kept["signal"]) and case.found_on == TODAY
        run = run_of(connection, made.run)
        assert (run.kind, run.alerts, run.cases, run.finished_at) == ("office", kept.height, 1, NOW)
        assert run.counts["used"] == 1 and run.counts["signals"]["burden_in_scope"] == 1
        assert [one.id for one in runs(connection, year=2024)] == [made.run] and runs(connection, year=2023) == []
        with pytest.raises(NotFoundError):
            run_of(connection, 99)
        assert alerts_of(connection, Actor("a", "auditor", "150982")).is_empty()
        assert alerts_of(connection, OFFICER, before=int(kept["alert_id"].min())).is_empty()  # type: ignore[call-overload]


def test_the_same_month_again_raises_no_second_alert(books: Books) -> None:
    settle(books, "c1")
    first = screened(books)
    before = raised(books.store)
    for days in (0, 20):
        again = screened(books, now=NOW + timedelta(days=days))
        assert again.screening.alerts.is_empty() and not again.opened and not again.added
        assert again.screening.suppressed.height == len(before)
    assert raised(books.store) == before
    later = screened(books, now=NOW + timedelta(days=200))
    assert not later.opened and later.added == first.opened  # the open case hears of it; no second one
    with books.store.reading() as connection:
        case = case_of(connection, first.opened[0])
        assert [one.kind for one in case.case.events] == ["found", "alerted"]
        assert verify_cases(connection) == []


def test_a_closed_case_is_opened_again_and_other_desks_open_none(books: Books, keyring: Keyring) -> None:
    settle(books, "c1")
    (case_id,) = screened(books).opened
    event = Event("refused", TODAY, "officer1", reason="paid by insurance of their own")
    add_event(books.store, keyring, case_id, event, actor=OFFICER, now=NOW)
    assert not screened(books, now=NOW + timedelta(days=1)).opened
    again = screened(books, now=NOW + timedelta(days=200))
    assert again.opened == (case_id,)
    with books.store.reading() as connection:
        assert (case_of(connection, case_id).case.state, case_of(connection, case_id).case.round) == ("found", 2)
    recognise(books.store, "p3", "dibao", date(2024, 1, 1))
    with books.store.writing() as connection:
        end(connection, "enrolment", "p3", day=date(2024, 2, 1), actor=CLERK, now=NOW)
    made = screened(books)
    assert "not_enrolled" in made.screening.alerts.filter(pl.col("household_id") == "h3")["signal"].to_list()
    with books.store.reading() as connection:
        assert case_of_household(connection, "h3") is None


def test_frames_say_what_the_register_and_the_ledger_say(books: Books) -> None:
    settle(
        books,
        "c0",
        "p2",
        yuan=5_000,
        settled_date=date(2023, 5, 1),
        start_date=date(2023, 5, 1),
        end_date=date(2023, 5, 1),
    )
    settle(books, "c1")
    settle(books, "c2", "p2", yuan=9_000)
    settle(books, "c3", "p3", yuan=7_000)
    ledger.reverse(books, "c3", reason="wrong", actor=CLERK, now=NOW)
    later = NOW + timedelta(days=1)
    touched = recognise(books.store, "p1", "dibao", date(2024, 1, 1), date(2024, 5, 1), now=later)
    resettle_after(books, touched, actor=CLERK, now=later)
    with books.store.reading() as connection:
        now, before = (settled_of(connection, year=2024, known_at=at, tiers=("assistance",)) for at in (None, NOW))
        register = register_of(connection, as_of=TODAY)
        some = register_of(connection, as_of=TODAY, households=["h3"])
        early = register_of(connection, as_of=TODAY, known_at=NOW - timedelta(days=1))
        year = ledger.year_of(connection, "p1", 2024)
    assert sorted(now["claim_id"]) == ["c0", "c1", "c2"] and sorted(now["benefit_year"]) == [2023, 2024, 2024]
    assert year is not None
    mine = now.row(by_predicate=pl.col("claim_id") == "c1", named=True)
    amounts = year.lines[0].now
    assert mine["own_in_scope_fen"] == amounts.own_in_scope_fen and mine["own_total_fen"] == amounts.own_total_fen
    assert mine["pay_assistance_fen"] == amounts.pay.get("assistance", 0) > 0
    then = before.row(by_predicate=pl.col("claim_id") == "c1", named=True)
    assert then["own_total_fen"] == year.lines[0].first.own_total_fen > mine["own_total_fen"]
    assert sorted(register.people["person_id"]) == ["p1", "p2", "p3"] and set(register.people["scheme"]) == {"resident"}
    assert register.spells is not None and register.claims is not None
    assert register.spells.row(0)[:4] == ("p1", "dibao", date(2024, 1, 1), date(2024, 4, 30))
    assert register.claims.height == 3  # not the one that was taken back
    assert register.households.sort("household_id")["township"].to_list() == ["150981102"] * 2
    assert some.people["person_id"].to_list() == ["p3"] and some.spells is not None and some.spells.is_empty()
    assert early.people.is_empty() and early.households.is_empty()


def test_after_a_settlement_the_household_is_screened_from_the_queue(books: Books) -> None:
    settle(books, "c1", "p3", yuan=500)
    assert screened(books).screening.alerts.is_empty()
    with books.store.reading() as connection:
        assert pending(connection) == 0  # the whole was screened
    settle(books, "c2")
    settle(books, "c3", "p3", yuan=600)
    with books.store.reading() as connection:
        assert pending(connection) == 2
    done = work_pending(books.store, actor=OFFICER, now=NOW)
    assert (done.entries, done.households, done.cases, done.left) == (2, 2, 1, 0) and done.alerts > 0
    assert {home for home, _ in raised(books.store)} == {"h1"}
    assert work_pending(books.store, actor=OFFICER, now=NOW) == watching.Worked(0, 0, 0, 0, 0)
    assert screened(books).screening.alerts.is_empty()


def test_one_household_is_screened_as_among_all(books: Books) -> None:
    settle(books, "c1")
    alone = screen_after(books.store, ["p1"], year=2024, actor=OFFICER, now=NOW)
    assert alone is None  # the year was never screened as a whole
    screened(books)
    settle(books, "c2", "p3")
    after = screen_after(books.store, ["p3"], year=2024, actor=OFFICER, now=NOW)
    assert after is not None
    found = after.screening.alerts
    again = screened(books).screening.suppressed.filter(pl.col("household_id") == "h3")
    assert found.height and found.sort("signal").equals(again.sort("signal"))


def test_a_year_that_was_never_screened_is_screened_as_a_whole(books: Books) -> None:
    settle(books, "c1")
    left = work_pending(books.store, actor=OFFICER, now=NOW, whole=False)
    assert (left.entries, left.left) == (0, 1)
    done = work_pending(books.store, actor=OFFICER, now=NOW)
    assert (done.entries, done.left, done.cases) == (1, 0, 1)


def test_a_year_without_lines_does_not_wait_for_ever(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    from medfloor.errors import InputError

    def no_line(*_: object, **__: object) -> None:
        raise InputError("no_line", "none")

    settle(books, "c1")
    monkeypatch.setattr(watching, "screen", no_line)
    done = work_pending(books.store, actor=OFFICER, now=NOW)
    assert (done.unscreened, done.left, done.entries) == (1, 0, 0)


def test_every_change_of_what_is_borne_is_queued_and_payments_are_not(books: Books) -> None:
    settle(books, "c1")
    settle(books, "c2", "p1", yuan=300)
    ledger.reverse(books, "c1", reason="wrong", actor=CLERK, now=NOW)
    with books.store.reading() as connection:
        kinds = connection.execute(
            sa.select(schema.entry.c.kind).join(
                schema.watch_pending, schema.watch_pending.c.entry_id == schema.entry.c.id
            )
        ).scalars()
        assert sorted(kinds) == ["difference", "reversal", "settlement", "settlement"]


def test_a_refused_settlement_queues_nothing(books: Books) -> None:
    ledger.presettle(books, [Request(bill("c9"), "k9")], actor=CLERK, now=NOW)
    ledger.settle(books, [Request(bill("c9", "nobody"), "k9")], actor=CLERK, now=NOW)
    with books.store.reading() as connection:
        assert pending(connection) == 0


@pytest.mark.parametrize("part", [1, 2])
def test_a_crash_in_between_loses_nothing_and_repeats_nothing(
    books: Books, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """Break off before the first or the second part is committed; then it is simply done again."""
    settle(books, "c1")
    settle(books, "c2", "p3")
    monkeypatch.setattr(watching, "AT_ONCE", 1)
    calls = iter(range(1, 9))
    whole = watching._raise

    def breaks(*given: Any) -> Any:
        did = whole(*given)
        if next(calls) == part:
            raise KeyboardInterrupt
        return did

    monkeypatch.setattr(watching, "_raise", breaks)
    with pytest.raises(KeyboardInterrupt):
        work_pending(books.store, actor=OFFICER, now=NOW)
    assert len({home for home, _ in raised(books.store)}) == part - 1
    with books.store.reading() as connection:
        assert pending(connection) == 2
        assert [one.finished_at for one in runs(connection)] == [None] * (part - 1)
    monkeypatch.setattr(watching, "_raise", whole)
    work_pending(books.store, actor=OFFICER, now=NOW)
    found = raised(books.store)
    assert {home for home, _ in found} == {"h1", "h3"} and len(found) == len(set(found))
    with books.store.reading() as connection:
        assert pending(connection) == 0 and verify_cases(connection) == []


def test_two_screenings_at_once_raise_each_alert_once(books: Books) -> None:
    settle(books, "c1")
    settle(books, "c2", "p3")
    start = threading.Barrier(2)
    opened: list[str] = []

    def go() -> None:
        start.wait()
        opened.extend(screened(books).opened)

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = raised(books.store)
    assert len(opened) == 2 and len(found) == len(set(found)) > 0


def test_a_day_ahead_is_refused(books: Books) -> None:
    with pytest.raises(UsageError) as refused:
        screen_office(books.store, year=2024, as_of=TODAY + timedelta(days=1), actor=OFFICER, now=NOW)
    assert refused.value.code == "case_day_ahead"


def test_who_left_the_register_does_not_stop_the_queue(books: Books) -> None:
    screened(books)
    settle(books, "c2")
    with books.store.writing() as connection:
        end(connection, "person", "p1", day=date(2024, 5, 1), actor=CLERK, now=NOW)
    done = work_pending(books.store, actor=OFFICER, now=NOW)
    assert (done.entries, done.households, done.left) == (1, 0, 0)
    with books.store.reading() as connection:
        assert [one.kind for one in runs(connection)] == ["office"]  # what found nothing leaves no run


def test_a_year_that_waits_does_not_hold_up_another(books: Books) -> None:
    screened(books)
    day = date(2023, 5, 1)
    settle(books, "c1", "p3", settled_date=day, start_date=day, end_date=day)
    settle(books, "c2")
    done = work_pending(books.store, actor=OFFICER, now=NOW, limit=1, whole=False)
    assert (done.entries, done.left) == (1, 1) and {home for home, _ in raised(books.store)} == {"h1"}


def test_an_old_claim_alone_makes_nobody_seem_to_go_without_care(books: Books) -> None:
    """After months without any claim in the ledger, one household alone is asked no more than all were."""
    settle(books, "c1", "p3", yuan=500, diagnosis="I10")
    later = NOW + timedelta(days=200)
    assert screened(books, now=later).screening.alerts.is_empty()
    after = screen_after(books.store, ["p3"], year=2024, actor=OFFICER, now=later)
    assert after is not None and after.screening.alerts.is_empty()
    day = watching.day_of(later)
    settle(books, "c2", "p1", yuan=500, now=later, start_date=day, end_date=day, settled_date=day)
    after = screen_after(books.store, ["p3"], year=2024, actor=OFFICER, now=later)
    assert after is not None and after.screening.alerts["signal"].to_list() == ["absent_care"]
