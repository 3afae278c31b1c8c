"""Keep cases: steps by the rule, two people, one at a time, texts sealed, nothing lost, and what a decision does."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from ledgers import enrol, recognise

from medfloor.errors import AccessError, ConflictError, MedfloorError, NotFoundError, UsageError
from medfloor.store import Actor, Keyring, Store, audit, schema
from medfloor.store import cases as cases_module
from medfloor.store.cases import (
    GONE,
    SEALED,
    CaseFile,
    add_event,
    case_of,
    case_of_household,
    cases,
    check_office,
    count_cases,
    deadlines,
    open_case,
    verify_cases,
)
from medfloor.store.office import decide_setting
from medfloor.store.register import known, record
from medfloor.store.retention import delete_due, due
from medfloor.store.rotation import check_keys, rotate
from medfloor.watch.cases import Event
from medfloor.watch.rules import load_rules

LATER = datetime(2026, 12, 1, 2, tzinfo=UTC)
FIRST, SECOND = Actor("officer1", "assistance_officer", "150981"), Actor("officer2", "assistance_officer", "150981")
INCOME: dict[str, Any] = {"income_head_fen": 500_000, "line_head_fen": 730_000, "labour_capacity": True}
ABOVE: dict[str, Any] = {**INCOME, "income_head_fen": 900_000}
STABLE: dict[str, Any] = {
    "income_head_fen": 900_000, "line_head_fen": 730_000, "stable_since": date(2026, 4, 1), "spending_solved": True,
    "guarantees_met": True,
}  # fmt: skip
REASON = "尿毒症透析，11010519491231002X"


def found(
    store: Store, ring: Keyring, home: str = "h1", actor: Actor = FIRST, day: date = date(2026, 3, 2)
) -> CaseFile:
    return open_case(store, ring, home, Event("found", day, actor.login, source="cadre"), actor=actor, now=LATER)


def step(
    store: Store, ring: Keyring, case_id: str, kind: Any, day: date, actor: Actor = FIRST, **said: Any
) -> CaseFile:
    return add_event(store, ring, case_id, Event(kind, day, actor.login, **said), actor=actor, now=LATER)


def recognised(store: Store, ring: Keyring) -> str:
    case_id = found(store, ring).case.case_id
    step(store, ring, case_id, "verified", date(2026, 3, 4), reason=REASON, **INCOME)
    step(store, ring, case_id, "published", date(2026, 3, 5), category="sudden")
    step(store, ring, case_id, "recognised", date(2026, 3, 12), SECOND, category="sudden")
    return case_id


@pytest.fixture
def office(store: Store, keyring: Keyring) -> Store:
    enrol(store, keyring, "p1", "p2", household="h1")
    enrol(store, keyring, "p3", household="h3")
    return store


def test_a_household_is_followed_from_found_to_removed(office: Store, keyring: Keyring) -> None:
    case_id = recognised(office, keyring)
    step(office, keyring, case_id, "helped", date(2026, 3, 20), measure="医疗救助", given_by="医保局")
    step(office, keyring, case_id, "risk_stable", date(2026, 10, 8), labour_capacity=True, **STABLE)
    step(office, keyring, case_id, "published", date(2026, 10, 9))
    with pytest.raises(ConflictError) as refused:
        step(office, keyring, case_id, "removed", date(2026, 11, 2))
    assert refused.value.code == "case_same_person"
    done = step(office, keyring, case_id, "removed", date(2026, 11, 2), SECOND)
    assert (done.case.state, done.number, done.due_on) == ("removed", 8, None)
    with office.reading() as connection:
        kept = case_of(connection, case_id, actor=SECOND, keyring=keyring)
        assert kept.case == done.case and kept.case.events[1].reason == "尿毒症透析，110*************2X"
        assert kept.case.measures[0].measure == "医疗救助"
        assert case_of_household(connection, "h1") == case_of(connection, case_id)
        assert case_of(connection, case_id).case.events[1].reason == SEALED
        assert verify_cases(connection, keyring) == []
        actions = [one.action for one in audit.traces(connection)]
    assert actions.count("case_event") == 7 and actions.count("open_case") == 1
    back = step(office, keyring, case_id, "re_entered", date(2026, 11, 20), source="application")
    assert (back.case.state, back.case.round, back.due_for) == ("found", 2, "visit")


def test_texts_are_not_in_the_steps_in_clear(office: Store, keyring: Keyring) -> None:
    recognised(office, keyring)
    with office.reading() as connection:
        said = " ".join(connection.execute(sa.select(schema.case_event.c.said)).scalars())
        assert "透析" not in said and '"texts":["reason"]' in said
        sealed = connection.execute(sa.select(schema.case_text.c.sealed)).scalars().all()
    assert len(sealed) == 1 and "透析" in keyring.decrypt(sealed[0])
    coming = keyring.with_coming()
    before = check_keys(office, keyring).values[keyring.active]
    assert rotate(office, coming) == before
    with office.reading() as connection:
        assert verify_cases(connection, coming.turned()) == []
        assert verify_cases(connection, replace(keyring, secrets={})) != []


def test_recognition_makes_members_monitored_and_removal_ends_only_that(office: Store, keyring: Keyring) -> None:
    recognise(office, "p2", "monitored", date(2026, 1, 1))  # a department's own
    case_id = recognised(office, keyring)

    def spans() -> dict[str, list[tuple[str, Any]]]:
        with office.reading() as connection:
            return {
                one: [(str(status.span.start), status.detail) for status in each.statuses]
                for one, each in known(connection, ["p1", "p2"]).items()
            }

    assert spans() == {"p1": [("2026-03-12", "sudden")], "p2": [("2026-01-01", None)]}
    step(office, keyring, case_id, "helped", date(2026, 3, 20), measure="x", given_by="y")
    step(office, keyring, case_id, "risk_stable", date(2026, 10, 8), labour_capacity=True, **STABLE)
    step(office, keyring, case_id, "published", date(2026, 10, 9))
    done = step(office, keyring, case_id, "removed", date(2026, 11, 2), SECOND)
    # The removal was written down on the first of December, and does not reach back.
    assert [(one.person_id, one.from_date) for one in done.touched] == [("p1", date(2026, 12, 1))]
    with office.reading() as connection:
        held = known(connection, ["p1", "p2"])
        assert [status.span.end for status in held["p1"].statuses] == [date(2026, 12, 1)]
        assert held["p2"].statuses[0].span.end > date(2026, 12, 1)


def test_the_dead_are_not_monitored(office: Store, keyring: Keyring, clerk: Actor) -> None:
    with office.writing() as connection:
        facts = {"household_id": "h1", "place": "150981", "deceased_on": date(2025, 5, 1)}
        record(connection, "person", "p2", facts, start=date(2025, 5, 1), actor=clerk, now=LATER)
    recognised(office, keyring)
    with office.reading() as connection:
        assert [one for one, each in known(connection, ["p1", "p2"]).items() if each.statuses] == ["p1"]


def test_shortcuts_are_refused_and_leave_nothing(office: Store, keyring: Keyring) -> None:
    case_id = found(office, keyring).case.case_id
    for kind, day, said, code in (
        ("recognised", date(2026, 3, 12), {"category": "sudden"}, "case_wrong_step"),
        ("verified", date(2026, 3, 1), INCOME, "case_day_back"),
        ("verified", date(2026, 3, 4), {"income_head_fen": 1}, "case_event_incomplete"),
        ("verified", date(2026, 12, 2), INCOME, "case_day_ahead"),
    ):
        with pytest.raises(MedfloorError) as refused:
            step(office, keyring, case_id, kind, day, **said)
        assert refused.value.code == code
    with pytest.raises(AccessError) as other:
        event = Event("verified", date(2026, 3, 4), "officer2", **INCOME)
        add_event(office, keyring, case_id, event, actor=FIRST, now=LATER)
    assert other.value.code == "case_other_actor"
    with office.reading() as connection:
        assert case_of(connection, case_id).number == 1
        assert verify_cases(connection) == []


def test_a_household_has_one_case_and_must_be_known(office: Store, keyring: Keyring) -> None:
    found(office, keyring)
    with pytest.raises(ConflictError) as refused:
        found(office, keyring)
    assert refused.value.code == "case_exists"
    with pytest.raises(NotFoundError) as missing:
        found(office, keyring, "nobody")
    assert missing.value.code == "no_such_household"


def test_who_is_elsewhere_sees_no_case(office: Store, keyring: Keyring) -> None:
    case_id = found(office, keyring).case.case_id
    away = Actor("officer9", "assistance_officer", "150982")
    with pytest.raises(NotFoundError) as refused:
        step(office, keyring, case_id, "verified", date(2026, 3, 4), away, **INCOME)
    assert refused.value.code == "unknown_case"
    with pytest.raises(NotFoundError):
        found(office, keyring, "h3", away)
    with office.reading() as connection:
        assert cases(connection, away) == [] and count_cases(connection, away, on=date(2026, 4, 1)) == []
        assert case_of_household(connection, "h1", actor=away) is None
        with pytest.raises(NotFoundError):
            case_of(connection, case_id, actor=away)


def test_lists_stand_in_the_order_of_what_is_due(office: Store, keyring: Keyring) -> None:
    first = found(office, keyring, "h3", day=date(2026, 3, 1)).case.case_id
    second = recognised(office, keyring)
    step(office, keyring, first, "refused", date(2026, 3, 3), reason="moved away")
    third = step(office, keyring, first, "re_entered", date(2026, 3, 9), source="cadre")
    with office.reading() as connection:
        all_of = cases(connection, FIRST)
        assert [(one.case_id, one.due_for) for one in all_of] == [(first, "visit"), (second, "help")]
        assert third.due_on == all_of[0].due_on == deadlines(connection, third.case, on=date(2026, 3, 9))["visit"].day
        assert [one.case_id for one in cases(connection, FIRST, limit=1)] == [first]
        assert [one.case_id for one in cases(connection, FIRST, after=all_of[0].cursor)] == [second]
        assert cases(connection, FIRST, after=all_of[1].cursor) == []
        assert [one.case_id for one in cases(connection, FIRST, state="recognised", category="sudden")] == [second]
        assert [one.case_id for one in cases(connection, FIRST, due_before=date(2026, 4, 1))] == [first]
        assert cases(connection, FIRST, place="150982") == []
        assert count_cases(connection, FIRST, on=date(2026, 4, 1)) == [
            ("150981", "found", 1, 1), ("150981", "recognised", 1, 0)
        ]  # fmt: skip
        with pytest.raises(UsageError):
            cases(connection, FIRST, after="yesterday|k1")


def test_pages_of_a_list_leave_nothing_out_where_days_are_the_same(office: Store, keyring: Keyring) -> None:
    for one in ("h1", "h3"):
        found(office, keyring, one, day=date(2026, 3, 1))
    with office.reading() as connection:
        whole = cases(connection, FIRST)
        assert len({one.due_on for one in whole}) == 1 and len(whole) == 2
        first = cases(connection, FIRST, limit=1)
        assert first + cases(connection, FIRST, after=first[-1].cursor) == whole


def test_the_office_s_place_gives_the_deadlines(office: Store, keyring: Keyring, administrator: Actor) -> None:
    assert found(office, keyring, "h3").due_on == date(2026, 3, 5)
    with office.writing() as connection:
        decide_setting(connection, "watch_place", "cn/anhui/zongyang", actor=administrator, now=LATER)
    made = found(office, keyring, "h1")
    assert made.due_on == date(2026, 3, 4)
    with office.reading() as connection:
        asked = sa.select(schema.case_event.c.rules).where(schema.case_event.c.case_id == made.case.case_id)
        assert connection.execute(asked).scalar() == "cn/anhui/zongyang"


def test_checks_find_what_is_late_and_who_is_under_the_line(office: Store, keyring: Keyring, clerk: Actor) -> None:
    found(office, keyring)
    with office.writing() as connection:
        for home, income in (("h1", 100), ("h3", 100_000), ("h7", 100)):
            facts = {"place": "150981", "size": 1, "income_fen": income * 100}
            record(connection, "household", home, facts, start=date(2020, 1, 1), actor=clerk, now=LATER)
    with office.reading() as connection:
        late = check_office(connection, FIRST, on=date(2026, 4, 1))
        assert set(zip(late["check"], late["household_id"], strict=True)) == {
            ("visit_overdue", "h1"), ("decision_overdue", "h1"), ("not_monitored", "h7"),
        }  # fmt: skip
        away = check_office(connection, Actor("a", "assistance_officer", "150982"), on=date(2026, 4, 1))
        assert away.is_empty()


def test_a_step_changes_what_the_checks_remember_of_its_case(office: Store, keyring: Keyring) -> None:
    case_id = found(office, keyring).case.case_id
    for kind, late in (("verified", ["decision_overdue"]), ("refused", ["decision_late"])):
        with office.reading() as connection:
            before = check_office(connection, FIRST, on=date(2026, 4, 1))
        assert before["check"].to_list() != late
        step(office, keyring, case_id, kind, date(2026, 3, 4 if kind == "verified" else 20),
             **(INCOME if kind == "verified" else {"reason": "x"}))  # fmt: skip
        with office.reading() as connection:
            told = check_office(connection, FIRST, on=date(2026, 4, 1))
            assert told["check"].to_list() == late
            # Told again, it is told alike; and alike by an office that has just been started.
            assert told.equals(check_office(connection, FIRST, on=date(2026, 4, 1)))
            cases_module._REMEMBERED.clear()
            assert told.equals(check_office(connection, FIRST, on=date(2026, 4, 1)))


def test_the_line_is_held_against_whole_fen_a_head(office: Store, keyring: Keyring, clerk: Actor) -> None:
    """The store asks only for households that may be under the line; at the line is under it, a fen above is not."""
    line = load_rules("150981", on=date(2026, 4, 1)).line("monitoring", 2026).fen
    homes = {
        # h1 has two members, and says nothing of its size; 3 of the others are the household's own word.
        "h1": (None, 2 * line + 1), "at": (3, 3 * line + 2), "above": (3, 3 * line + 3), "none": (0, 0),
        "unknown": (3, None),
    }  # fmt: skip
    with office.writing() as connection:
        for home, (size, income) in homes.items():
            facts = {"place": "150981", "size": size, "income_fen": income}
            record(connection, "household", home, facts, start=date(2020, 1, 1), actor=clerk, now=LATER)
    with office.reading() as connection:
        told = check_office(connection, FIRST, on=date(2026, 4, 1))
        assert sorted(told["household_id"]) == ["at", "h1"] and set(told["income_head_fen"]) == {line}


def test_of_two_who_decide_at_once_one_is_told(office: Store, keyring: Keyring) -> None:
    case_id = found(office, keyring).case.case_id
    step(office, keyring, case_id, "verified", date(2026, 3, 4), **INCOME)
    seen = step(office, keyring, case_id, "published", date(2026, 3, 5), category="sudden").number
    third = Actor("officer3", "assistance_officer", "150981")
    told: list[Any] = []
    start = threading.Barrier(2)

    def decide(actor: Actor, event: Event) -> None:
        start.wait()
        try:
            told.append(add_event(office, keyring, case_id, event, actor=actor, now=LATER, expected=seen).case.state)
        except ConflictError as error:
            told.append(error.code)

    day = date(2026, 3, 12)
    threads = [
        threading.Thread(target=decide, args=(SECOND, Event("recognised", day, "officer2", category="sudden"))),
        threading.Thread(target=decide, args=(third, Event("refused", day, "officer3", reason="x"))),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told)[0] == "case_changed" and sorted(told)[1] in ("recognised", "refused")
    with office.reading() as connection:
        assert case_of(connection, case_id).number == 4 and verify_cases(connection, keyring) == []


def test_of_two_who_open_at_once_one_is_told(office: Store, keyring: Keyring) -> None:
    told: list[str] = []
    start = threading.Barrier(2)

    def go(actor: Actor) -> None:
        start.wait()
        try:
            told.append(found(office, keyring, "h1", actor).case.state)
        except ConflictError as error:
            told.append(error.code)

    threads = [threading.Thread(target=go, args=(one,)) for one in (FIRST, SECOND)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["case_exists", "found"]


@pytest.mark.parametrize("table", ["watch_case_event", "watch_alert"])
def test_steps_and_alerts_are_only_added(office: Store, keyring: Keyring, table: str) -> None:
    case_id = found(office, keyring).case.case_id
    if table == "watch_alert":
        with office.writing() as connection:
            run = {
                "kind": "office",
                "year": 2026,
                "as_of": date(2026, 3, 2),
                "place": "cn",
                "rules_hash": "",
                "by": "a",
            }
            run |= {"started_at": LATER, "households": 0, "counts": "{}"}
            connection.execute(schema.screening.insert().values(id=1, **run))
            raised = {"screening_id": 1, "household_id": "h1", "signal": "s", "kind": "k", "as_of": date(2026, 3, 2)}
            raised |= {"year": 2026, "urgency": "soon", "suppressed_until": date(2026, 3, 2), "unit": "yuan"}
            raised |= {"value": 1.0, "rule": "r", "rule_version": date(2026, 3, 2), "at": LATER, "case_id": case_id}
            connection.execute(schema.alert.insert().values(**raised))
    for statement in (f"UPDATE {table} SET kind = 'x'", f"DELETE FROM {table}"):
        with pytest.raises(sa.exc.DBAPIError, match="only added"), office.writing() as connection:
            connection.execute(sa.text(statement))


def test_what_was_changed_past_the_triggers_is_found(sqlite_store: Store, keyring: Keyring) -> None:
    enrol(sqlite_store, keyring, "p1", household="h1")
    enrol(sqlite_store, keyring, "p3", household="h3")
    one, other = recognised(sqlite_store, keyring), found(sqlite_store, keyring, "h3").case.case_id
    step(sqlite_store, keyring, other, "refused", date(2026, 3, 3), reason="moved away")

    def codes(statement: str) -> set[str]:
        with sqlite_store.writing() as connection:
            for trigger in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER IF EXISTS watch_case_event_no_{trigger}"))
            connection.execute(sa.text("SAVEPOINT before"))
            connection.execute(sa.text(statement), {"one": one, "other": other})
            wrong = {code for _, _, code in verify_cases(connection, keyring)}
            connection.execute(sa.text("ROLLBACK TO before"))
            return wrong

    event = "watch_case_event"
    assert codes(f"UPDATE {event} SET day = '2026-03-03' WHERE case_id = :one AND number = 2") == {"hash_differs"}
    assert "state_differs" in codes("UPDATE watch_case SET state = 'removed' WHERE case_id = :one")
    assert codes(f"DELETE FROM {event} WHERE case_id = :one AND number = 4") == {"state_differs"}
    assert "step_missing" in codes(f"UPDATE {event} SET number = 9 WHERE case_id = :one AND number = 4")
    assert "unreadable" in codes(f"UPDATE {event} SET said = '{{' WHERE case_id = :one AND number = 1")
    swap = "UPDATE watch_case_text SET sealed = (SELECT sealed FROM watch_case_text ORDER BY event_id LIMIT 1)"
    assert codes(swap) == {"text_differs"}
    assert codes("DELETE FROM watch_case_text") == set()


def test_a_case_stays_while_its_term_runs_and_its_texts_go_afterwards(
    office: Store, keyring: Keyring, administrator: Actor
) -> None:
    open_one = recognised(office, keyring)
    closed = found(office, keyring, "h3").case.case_id
    step(office, keyring, closed, "refused", date(2026, 3, 3), reason="moved away")
    for years, expected in ((9, 0), (11, 1), (12, 0)):
        at = LATER + timedelta(days=366 * years)
        with office.writing() as connection:
            assert due(connection, now=at).cases == expected
            assert delete_due(connection, actor=administrator, now=at).cases == expected
    with office.reading() as connection:
        assert case_of(connection, closed, keyring=keyring).case.events[1].reason == GONE
        assert case_of(connection, closed).texts_gone
        assert case_of(connection, open_one, keyring=keyring).case.events[1].reason.startswith("尿毒症")
        assert verify_cases(connection, keyring) == []
    back = add_event(
        office, keyring, closed, Event("re_entered", date(2038, 3, 3), "officer1", source="cadre", reason="again"),
        actor=FIRST, now=datetime(2038, 4, 1, tzinfo=UTC),
    )  # fmt: skip
    assert (back.case.round, back.case.events[1].reason, back.case.events[2].reason) == (2, GONE, "again")


def test_who_is_of_a_household_with_a_case_is_not_erased(office: Store, keyring: Keyring, administrator: Actor) -> None:
    with office.writing() as connection:
        for table in (schema.enrolment, schema.spell):
            connection.execute(table.update().values(valid_to=date(2024, 1, 1)))
        decide_setting(connection, "retain_person_years", 1, actor=administrator, now=LATER)
    closed = found(office, keyring, "h3").case.case_id
    step(office, keyring, closed, "refused", date(2026, 3, 3), reason="moved away")
    with office.reading() as connection:
        assert due(connection, now=LATER).people == ("p1", "p2")
        assert due(connection, now=LATER + timedelta(days=11 * 366)).people == ("p1", "p2", "p3")
    found(office, keyring, "h1")
    with office.reading() as connection:
        assert due(connection, now=LATER + timedelta(days=11 * 366)).people == ("p3",)
