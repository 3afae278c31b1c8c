"""Accounts, audit and four eyes over HTTP, on both stores."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from office import PASSWORD, SYSTEM, OfficeAtWork

from medfloor.service.problems import language_of
from medfloor.store import office as office_settings
from medfloor.store import proposals, register
from medfloor.store.keys import Keyring

CLAIM = {
    "claim_id": "big-1", "person_id": "p1", "care_type": "inpatient", "facility_level": "3", "start_date": "2024-03-01",
    "end_date": "2024-03-08", "total_fen": 10_000_000, "in_scope_fen": 9_000_000, "off_catalogue_fen": 1_000_000,
    "request_key": "key-1",
}  # fmt: skip


@pytest.fixture
def with_person(office: OfficeAtWork, keyring: Keyring) -> OfficeAtWork:
    common: dict[str, Any] = {"start": date(1950, 1, 1), "actor": SYSTEM, "now": office.clock.now}
    with office.store.writing() as connection:
        register.add_person(connection, keyring, now=office.clock.now, person_id="p1")
        facts = {"birth_date": date(1949, 12, 31), "sex": "female", "residence": "rural", "place": "150981102"}
        register.record(connection, "person", "p1", facts, **common)
        register.record(connection, "enrolment", "p1", {"benefit_year": 2024, "scheme": "resident"}, **common)
    return office


def test_an_administrator_keeps_accounts(office: OfficeAtWork) -> None:
    admin = office.as_role("administrator", place="")
    body = {"login": "clerk2", "role": "county_clerk", "place": "150981", "password": PASSWORD}
    made = admin.post("/api/v1/users", json=body)
    assert made.status_code == 201 and "password" not in made.text.replace("has_password", "")
    assert admin.post("/api/v1/users", json=body).json()["code"] == "login_taken"
    assert admin.patch("/api/v1/users/clerk2", json={"role": "auditor", "place": ""}).json()["role"] == "auditor"
    assert admin.patch("/api/v1/users/clerk2", json={}).json()["code"] == "nothing_to_change"
    assert admin.patch("/api/v1/users/nobody", json={"active": False}).status_code == 404
    browser = office.signed_in("clerk2")
    assert browser.get("/api/v1/session").json()["role"] == "auditor"
    assert admin.delete("/api/v1/users/clerk2/sessions").status_code == 204
    assert browser.get("/api/v1/session").status_code == 401
    assert admin.post("/api/v1/users/clerk2/password", json={"password": "another 8 staple paper"}).status_code == 204
    logins = [one["login"] for one in admin.get("/api/v1/users").json()["users"]]
    assert "clerk2" in logins and logins == sorted(logins)
    assert admin.post("/api/v1/users/clerk2/oidc", json={"subject": "s1"}).json()["code"] == "no_issuer"


def test_a_change_of_role_holds_from_the_next_request_on(office: OfficeAtWork) -> None:
    admin, clerk = office.as_role("administrator", place=""), office.as_role("county_clerk")
    assert clerk.get("/api/v1/proposals").status_code == 200
    admin.patch("/api/v1/users/county_clerk_1", json={"role": "analyst"})
    assert clerk.get("/api/v1/proposals").status_code == 403


def test_the_audit_is_paged_and_reading_it_is_written_down(office: OfficeAtWork) -> None:
    office.add_user("clerk1", "county_clerk")
    for _ in range(3):
        office.signed_in("clerk1")
    auditor = office.as_role("auditor", place="")
    first = auditor.get("/api/v1/audit", params={"limit": 2, "action": "log_in"}).json()
    second = auditor.get("/api/v1/audit", params={"limit": 2, "action": "log_in", "cursor": first["next"]}).json()
    assert [len(first["traces"]), len(second["traces"]), second["next"]] == [2, 1, None]
    mine = auditor.get("/api/v1/audit", params={"action": "read_audit"}).json()["traces"]
    assert len(mine) == 2 and all(one["request_id"] for one in mine)
    day = {"since": "2024-06-04", "until": "2024-06-05"}
    assert auditor.get("/api/v1/audit", params=day).json()["traces"] == []


def test_a_reversal_above_the_limit_is_carried_out_by_a_second_person(with_person: OfficeAtWork) -> None:
    office = with_person
    clerk, supervisor = office.as_role("county_clerk"), office.as_role("fund_supervisor")
    assert clerk.post("/api/v1/settlements", json=CLAIM).status_code == 200
    asked = clerk.post("/api/v1/settlements/big-1/reversal", json={"reason": "billed twice"})
    assert asked.status_code == 202
    number = asked.json()["proposal"]
    path = f"/api/v1/proposals/{number}/decision"
    assert clerk.post(path, json={"approve": True}).json()["code"] == "forbidden"
    assert clerk.get("/api/v1/settlements/big-1").json()["state"] == "settled"
    decided = supervisor.post(path, json={"approve": True, "note": "compared"})
    assert (decided.status_code, decided.json()["outcome"]) == (200, "done"), decided.text
    assert clerk.get("/api/v1/settlements/big-1").json()["state"] == "reversed"
    assert supervisor.post(path, json={"approve": True}).json()["code"] == "proposal_closed"
    again = supervisor.post(f"/api/v1/proposals/{number}/carry-out")
    assert (again.status_code, again.json()["outcome"]) == (200, "done")
    assert clerk.get(f"/api/v1/proposals/{number}").json()["decided_by"] == "fund_supervisor_1"


def test_what_one_proposed_oneself_one_may_not_decide(with_person: OfficeAtWork) -> None:
    office = with_person
    supervisor = office.as_role("fund_supervisor")
    office.as_role("county_clerk").post("/api/v1/settlements", json=CLAIM)
    number = supervisor.post("/api/v1/settlements/big-1/reversal", json={"reason": "billed twice"}).json()["proposal"]
    answer = supervisor.post(f"/api/v1/proposals/{number}/decision", json={"approve": True})
    assert (answer.status_code, answer.json()["code"]) == (403, "same_person")
    other = office.as_role("fund_supervisor", login="supervisor_2")
    refused = other.post(f"/api/v1/proposals/{number}/decision", json={"approve": False, "note": "it is right"}).json()
    assert (refused["state"], refused["outcome"]) == ("refused", None)
    assert other.post(f"/api/v1/proposals/{number}/carry-out").json()["code"] == "proposal_not_approved"


def test_a_proposal_may_be_withdrawn_by_who_made_it_and_is_not_seen_elsewhere(with_person: OfficeAtWork) -> None:
    office = with_person
    clerk = office.as_role("county_clerk")
    clerk.post("/api/v1/settlements", json=CLAIM)
    number = clerk.post("/api/v1/settlements/big-1/reversal", json={"reason": "billed twice"}).json()["proposal"]
    elsewhere = office.as_role("fund_supervisor", place="150982", login="supervisor_far")
    assert elsewhere.get(f"/api/v1/proposals/{number}").status_code == 404
    assert elsewhere.post(f"/api/v1/proposals/{number}/decision", json={"approve": True}).status_code == 404
    assert elsewhere.get("/api/v1/proposals").json()["proposals"] == []
    path = f"/api/v1/proposals/{number}/withdrawal"
    assert office.as_role("fund_supervisor").post(path, json={}).json()["code"] == "not_yours"
    assert clerk.post(path, json={"note": "mistaken"}).json()["state"] == "withdrawn"


def test_a_status_that_was_approved_is_recorded_and_its_year_settled_again(with_person: OfficeAtWork) -> None:
    office = with_person
    clerk, officer = office.as_role("county_clerk"), office.as_role("assistance_officer")
    before = clerk.post("/api/v1/settlements", json=CLAIM).json()
    payload = {"action": "record", "group": "dibao", "from_date": "2024-01-01", "evidence": "MZ-1"}

    def propose(**changed: Any) -> int:
        with office.store.writing() as connection:
            return proposals.propose(
                connection, "exit" if changed.get("action") == "end" else "status_change", {**payload, **changed},
                reason="decision", actor=proposing, now=office.clock.now, person_id="p1", place="150981102",
            ).id  # fmt: skip

    from medfloor.store.roles import Actor

    proposing = Actor("county_clerk_1", "county_clerk", "150981")
    number = propose()
    decided = officer.post(f"/api/v1/proposals/{number}/decision", json={"approve": True})
    assert decided.json()["outcome"] == "done", decided.text
    after = clerk.get("/api/v1/settlements/big-1").json()
    assert after["pay_total_fen"] > before["pay_total_fen"]
    office.clock.forward(seconds=1)
    ended = propose(action="end", to_date="2024-01-31")
    assert officer.post(f"/api/v1/proposals/{ended}/decision", json={"approve": True}).json()["outcome"] == "done"
    assert clerk.get("/api/v1/settlements/big-1").json()["pay_total_fen"] == before["pay_total_fen"]
    office.clock.forward(seconds=1)
    nothing = propose(action="end", group="orphan", to_date="2024-01-31")
    outcome = officer.post(f"/api/v1/proposals/{nothing}/decision", json={"approve": True}).json()["outcome"]
    assert outcome == "failed: nothing_recorded"


def test_a_small_reversal_needs_one_person(with_person: OfficeAtWork) -> None:
    office = with_person
    with office.store.writing() as connection:
        office_settings.decide_setting(connection, "reversal_limit_fen", 10**12, actor=SYSTEM, now=office.clock.now)
    clerk = office.as_role("county_clerk")
    clerk.post("/api/v1/settlements", json=CLAIM)
    assert clerk.post("/api/v1/settlements/big-1/reversal", json={"reason": "billed twice"}).status_code == 200


def test_what_went_wrong_is_told_in_the_language_of_who_asks(office: OfficeAtWork) -> None:
    caller = office.stranger()
    chinese = caller.get("/nowhere", headers={"accept-language": "zh-CN,zh;q=0.9,en;q=0.8"})
    english = caller.get("/nowhere", headers={"accept-language": "en-GB"})
    assert (chinese.json()["title"], chinese.headers["content-language"]) == ("该地址不存在", "zh")
    assert (english.json()["title"], english.headers["content-language"]) == (
        "There is nothing under this address",
        "en",
    )
    fields = caller.post("/api/v1/session", json={"login": "a", "password": 7}).json()
    assert fields["errors"] == [
        {"field": "body.login", "code": "string_too_short", "message": "至少 2 个字符"},
        {"field": "body.password", "code": "string_type", "message": "须为文本"},
    ]


@pytest.mark.parametrize(
    ("asked", "language"),
    [(b"", "zh"), (b"fr", "zh"), (b"en", "en"), (b"zh;q=0.1, en;q=0.2", "en"), (b"en;q=x, zh;q=0.1", "zh"),
     (b"\xff\xfe", "zh"), (b"en;q=0", "zh"), (b"," * 10_000, "zh")],
)  # fmt: skip
def test_the_language_is_the_preferred_one_of_those_spoken_here(asked: bytes, language: str) -> None:
    assert language_of({"headers": [(b"accept-language", asked)]}) == language


def test_the_store_that_is_away_is_told_as_such(sqlite_store: Any, open_office: Any) -> None:
    from sqlalchemy.exc import OperationalError

    office = open_office(sqlite_store)
    clerk = office.as_role("auditor", place="")
    assert clerk.get("/api/v1/audit").status_code == 200

    def away(*_given: object, **_named: object) -> None:
        raise OperationalError("SELECT 1", {}, Exception("gone"))

    office.running.store = type(sqlite_store)(sqlite_store.engine, sqlite_store.kind)
    object.__setattr__(office.running.store, "attempt", away)
    answer = clerk.get("/api/v1/audit")
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "store_away", "5")


def test_readiness_says_what_is_missing(small_office: OfficeAtWork) -> None:
    caller = small_office.stranger()
    assert caller.get("/health/ready").json()["status"] == "ok"
    for state in ("loading", "failed"):
        small_office.running.loading.state = state
        answer = caller.get("/health/ready")
        assert (answer.status_code, answer.json()["settling"]) == (503, state)
    small_office.running.loading.state = "ok"
    small_office.running.feeder.stop()
    answer = caller.get("/health/ready")
    assert (answer.status_code, answer.json()["settling"]) == (503, "stopped")
    assert caller.get("/health/live").status_code == 200
