"""Decide settings, write the audit, and ask for two pairs of eyes."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from medfloor.errors import AccessError, ConflictError, MedfloorError, NotFoundError, UsageError
from medfloor.store import audit
from medfloor.store.engine import Store
from medfloor.store.office import Office, decide_setting, office_of
from medfloor.store.proposals import Proposal, decide, finish, list_proposals, proposal_of, propose, withdraw
from medfloor.store.roles import Actor

# --- Settings


def test_settings_have_defaults_and_keep_what_was_decided(store: Store, administrator: Actor, now: datetime) -> None:
    with store.writing() as connection:
        assert office_of(connection) == Office()
        decide_setting(connection, "place", "150981", actor=administrator, now=now)
        decide_setting(connection, "reversal_limit_fen", 100, actor=administrator, now=now)
        decide_setting(connection, "reversal_limit_fen", "200", actor=administrator, now=now)
    with store.reading() as connection:
        office = office_of(connection)
        assert (office.place, office.reversal_limit_fen, office.token_days) == ("150981", 200, 90)
        assert len(audit.traces(connection, action="decide_setting")) == 3


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("colour", "red", "unknown_setting"),
        ("place", "county", "bad_setting"),
        ("proposal_days", "soon", "bad_setting"),
        ("proposal_days", 0, "bad_setting"),
        ("smallest_cell", 1, "bad_setting"),
        ("reversal_limit_fen", 10**16, "bad_setting"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(
    sqlite_store: Store, administrator: Actor, now: datetime, name: str, value: object, code: str
) -> None:
    with pytest.raises(UsageError) as refused, sqlite_store.writing() as connection:
        decide_setting(connection, name, value, actor=administrator, now=now)
    assert refused.value.code == code


def test_only_the_administrator_decides_settings(sqlite_store: Store, clerk: Actor, now: datetime) -> None:
    with pytest.raises(AccessError), sqlite_store.writing() as connection:
        decide_setting(connection, "place", "150981", actor=clerk, now=now)


# --- Audit


def test_the_audit_is_read_by_person_actor_action_and_time(store: Store, clerk: Actor, now: datetime) -> None:
    later = now + timedelta(hours=1)
    with store.writing() as connection:
        audit.record(connection, clerk, "read_person", person_id="p1", request_id="r1", now=now)
        audit.record_many(connection, clerk, "list_people", ["p1", "p2"], now=later)
        audit.record_many(connection, clerk, "list_people", [], now=later)

    def found(**asked: Any) -> list[tuple[str, str | None]]:
        with store.reading() as connection:
            return [(trace.action, trace.person_id) for trace in audit.traces(connection, **asked)]

    assert found() == [("list_people", "p2"), ("list_people", "p1"), ("read_person", "p1")]
    assert found(person_id="p1") == [("list_people", "p1"), ("read_person", "p1")]
    assert found(until=later) == [("read_person", "p1")]
    assert found(since=later, by="clerk1", limit=1) == [("list_people", "p2")]
    assert found(action="settle") == []
    assert found(before=3, person_id="p1") == [("list_people", "p1"), ("read_person", "p1")]


@pytest.mark.parametrize("number", ["11010519491231002X", "110105491231002"])
def test_an_identity_number_in_a_detail_is_masked(
    sqlite_store: Store, clerk: Actor, now: datetime, number: str
) -> None:
    with sqlite_store.writing() as connection:
        audit.record(connection, clerk, "import", detail=f"row of {number}, claim 110105194912310021", now=now)
        (trace,) = audit.traces(connection)
    assert trace.detail is not None
    assert number not in trace.detail
    assert "110105194912310021" in trace.detail


# --- Two pairs of eyes


def proposed(store: Store, actor: Actor, now: datetime, kind: str = "reversal") -> Proposal:
    return store.attempt(
        lambda c: propose(
            c, kind, {"claim_id": "c1"}, reason="entered twice", person_id="p1", place="150981102", actor=actor, now=now
        )
    )


def test_one_proposes_another_decides_and_it_is_carried_out_once(
    store: Store, clerk: Actor, supervisor: Actor, now: datetime
) -> None:
    proposal = proposed(store, clerk, now)
    assert (proposal.state, proposal.payload) == ("open", {"claim_id": "c1"})
    with store.writing() as connection:
        with pytest.raises(ConflictError) as refused:
            finish(connection, proposal.id, "entry=1")
        assert refused.value.code == "proposal_not_approved"
        done = decide(connection, proposal.id, approve=True, actor=supervisor, now=now)
        assert (done.state, done.decided_by) == ("approved", "supervisor1")
        assert finish(connection, proposal.id, "entry=1").outcome == "entry=1"
        with pytest.raises(ConflictError) as refused:
            finish(connection, proposal.id, "entry=2")
        assert refused.value.code == "proposal_used"
        assert [trace.action for trace in audit.traces(connection, person_id="p1")] == ["decide_proposal", "propose"]


def test_whoever_proposed_may_not_decide(store: Store, supervisor: Actor, now: datetime) -> None:
    proposal = proposed(store, supervisor, now)
    for login in ("supervisor1", "Supervisor1"):
        with pytest.raises(AccessError) as refused, store.writing() as connection:
            decide(connection, proposal.id, approve=True, actor=Actor(login, "fund_supervisor"), now=now)
        assert refused.value.code == "same_person"


@pytest.mark.parametrize(
    ("kind", "actor", "code"),
    [
        ("reversal", Actor("x", "county_clerk", "150981"), "forbidden"),
        ("reversal", Actor("x", "assistance_officer", "150981"), "forbidden"),
        ("exit", Actor("x", "fund_supervisor", "150981"), "forbidden"),
        ("exit", Actor("x", "auditor", ""), "forbidden"),
        ("exit", Actor("x", "assistance_officer", "150982"), "unknown_proposal"),
    ],
)
def test_who_has_not_the_right_or_the_place_may_not_decide(
    sqlite_store: Store, clerk: Actor, now: datetime, kind: str, actor: Actor, code: str
) -> None:
    proposal = proposed(sqlite_store, clerk, now, kind)
    with pytest.raises((AccessError, NotFoundError)) as refused, sqlite_store.writing() as connection:
        decide(connection, proposal.id, approve=True, actor=actor, now=now)
    assert refused.value.code == code


def test_a_proposal_is_decided_once_lapses_and_can_be_withdrawn(
    store: Store, clerk: Actor, officer: Actor, now: datetime
) -> None:
    first, second, third = (proposed(store, clerk, now, kind) for kind in ("exit", "status_change", "reversal"))
    again = proposed(store, clerk, now + timedelta(days=29), "exit")
    assert again == first, "what is asked twice in the same words is proposed once"
    assert proposed(store, clerk, now + timedelta(days=31), "exit").id not in (first.id, second.id, third.id)
    with store.writing() as connection:
        decide(connection, first.id, approve=False, note="still sick", actor=officer, now=now)
        assert proposal_of(connection, first.id).note == "still sick"
        with pytest.raises(ConflictError) as refused:
            decide(connection, first.id, approve=True, actor=officer, now=now)
        assert refused.value.code == "proposal_closed"
        with pytest.raises(ConflictError) as refused:
            decide(connection, second.id, approve=True, actor=officer, now=now + timedelta(days=31))
        assert refused.value.code == "proposal_lapsed"
        with pytest.raises(AccessError) as stopped:
            withdraw(connection, third.id, actor=officer, now=now)
        assert stopped.value.code == "not_yours"
        assert withdraw(connection, third.id, actor=clerk, now=now).state == "withdrawn"
        with pytest.raises(NotFoundError):
            proposal_of(connection, 99)


def test_proposals_are_listed_by_place(store: Store, clerk: Actor, officer: Actor, now: datetime) -> None:
    proposed(store, clerk, now, "exit")
    with store.reading() as connection:
        assert len(list_proposals(connection, officer, state="open", kind="exit", person_id="p1")) == 1
        assert list_proposals(connection, Actor("x", "assistance_officer", "150982")) == []
        assert list_proposals(connection, officer, state="approved") == []
        assert list_proposals(connection, officer, before=1) == []


@pytest.mark.parametrize(
    ("kind", "reason", "place", "code"),
    [
        ("party", "why not", "150981", "unknown_proposal_kind"),
        ("exit", "  ", "150981", "no_reason"),
        ("exit", "moved", "150982", "outside_place"),
    ],
)
def test_what_cannot_be_proposed_is_refused(
    sqlite_store: Store, clerk: Actor, now: datetime, kind: str, reason: str, place: str, code: str
) -> None:
    with pytest.raises(MedfloorError) as refused, sqlite_store.writing() as connection:
        propose(connection, kind, {}, reason=reason, place=place, actor=clerk, now=now)
    assert refused.value.code == code


def test_two_who_decide_at_once_decide_once(store: Store, clerk: Actor, now: datetime) -> None:
    proposal = proposed(store, clerk, now)
    said: list[str] = []

    def go(login: str, approve: bool) -> None:
        actor = Actor(login, "fund_supervisor", "150981")
        try:
            said.append(store.attempt(lambda c: decide(c, proposal.id, approve=approve, actor=actor, now=now)).state)
        except ConflictError as error:
            said.append(error.code)

    threads = [threading.Thread(target=go, args=(f"s{number}", number % 2 == 0)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said)[1:] == ["proposal_closed"] * 3
