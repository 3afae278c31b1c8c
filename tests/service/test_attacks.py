"""Attack the frame and the places of the service: what a hostile or careless caller may try comes to nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from county import NUMBER, SYSTEM, claim, settle_in
from office import OfficeAtWork

from medfloor.errors import UsageError
from medfloor.service.settings import settings_from
from medfloor.store import audit, register, schema, users
from medfloor.store.engine import Store
from medfloor.store.office import office_of
from medfloor.store.roles import Actor

JSON = {"content-type": "application/json"}


@pytest.fixture
def settled(small_office: OfficeAtWork) -> OfficeAtWork:
    """Give an office with people, and a settled claim of p1."""
    settle_in(small_office, p1="dibao")
    assert small_office.as_role("county_clerk").post("/api/v1/settlements", json=settle("c1")).status_code == 200
    return small_office


def settle(claim_id: str, person_id: str = "p1", **other: Any) -> dict[str, Any]:
    return {**claim(claim_id, person_id, **other), "request_key": f"key-{claim_id}"}


def traced(office: OfficeAtWork, action: str, person_id: str | None = None) -> int:
    with office.store.reading() as connection:
        return len(audit.traces(connection, action=action, person_id=person_id))


def test_an_answer_to_a_bug_has_the_secure_headers_too(settled: OfficeAtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: object, **_named: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("medfloor.service.settling.settlement_of", broken)
    answer = settled.as_role("county_clerk").get("/api/v1/settlements/c1")
    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


CLAIM_ROUTES = [
    ("GET", "/api/v1/settlements/{}", None),
    ("GET", "/api/v1/settlements/{}/explanation", None),
    ("POST", "/api/v1/settlements/{}/reversal", {"reason": "test", "request_key": "r1"}),
    ("POST", "/api/v1/settlements/{}/correction", {"reason": "test", "request_key": "k2", "claim": claim("z9", "p3")}),
    ("GET", "/fhir/ClaimResponse/{}", None),
    ("GET", "/fhir/ExplanationOfBenefit/{}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), CLAIM_ROUTES)
def test_a_claim_of_another_township_is_answered_like_one_that_is_not_there(
    settled: OfficeAtWork, method: str, path: str, body: Any
) -> None:
    other = settled.as_role("county_clerk", place="150981103", login="other1")
    there = other.request(method, path.format("c1"), json=body)
    nowhere = other.request(method, path.format("c0"), json=body)
    assert (there.status_code, nowhere.status_code) == (404, 404)

    def told(answer: Any) -> Any:
        found = answer.json()
        found.pop("instance", None)
        return found

    assert told(there) == told(nowhere)
    assert traced(settled, "outside_place", "p1") == 1


def test_a_search_that_meets_somebody_of_another_township_is_written_down(settled: OfficeAtWork) -> None:
    other = settled.as_role("county_clerk", place="150981103", login="other1")
    found = other.post("/api/v1/people/search", json={"identity_number": NUMBER})
    assert found.json() == {"people": []}
    assert traced(settled, "outside_place", "p1") == 1


def test_a_name_that_stands_twice_in_an_object_is_refused(settled: OfficeAtWork) -> None:
    body = json.dumps(settle("c2"))
    twice = body[:-1] + ', "total_fen": 1}'
    answer = settled.as_role("county_clerk").post("/api/v1/settlements", content=twice, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, "duplicate_name")


@pytest.mark.parametrize(
    "kinds", [[], ["application/json", "multipart/form-data"], ["multipart/form-data", "application/json"]]
)
def test_no_content_type_leads_a_body_past_the_limits(small_office: OfficeAtWork, kinds: list[str]) -> None:
    caller = small_office.as_role("county_clerk")
    headers = [("authorization", caller.headers.pop("authorization")), *(("content-type", one) for one in kinds)]

    async def ask() -> Any:
        return await caller.client.request("POST", "/api/v1/settlements", content=b"[" * 50_000, headers=headers)

    answer = caller.portal.call(ask)
    assert answer.status_code == 400 and answer.json()["code"] in ("json_too_deep", "bad_request")


@pytest.mark.parametrize("token", [None, "Bearer made-up"])
def test_a_strangers_upload_is_not_even_read(small_office: OfficeAtWork, token: str | None) -> None:
    read = 0

    async def pieces() -> Any:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"--b\r\n" + b"x" * 65_536

    headers = {"content-type": "multipart/form-data; boundary=b"} | ({"authorization": token} if token else {})
    answer = small_office.stranger().post("/api/v1/imports/people", content=pieces(), headers=headers)
    assert (answer.status_code, read <= 1) == (401, True), read


def test_differences_of_facilities_and_people_elsewhere_stay_out(settled: OfficeAtWork) -> None:
    boss = settled.as_role("fund_supervisor")
    given: dict[str, Any] = {
        "files": {"file": ("h1.csv", b"mdtrt_id,fund_pay_sumamt\nc1,1.00\nx1,5.00\n", "text/csv")},
        "data": {"provider_id": "H1", "month": "2024-06"},
    }
    found = boss.post("/api/v1/reconciliation", **given).json()
    assert {one["claim_id"] for one in found["items"]} == {"c1", "x1"}
    other = settled.as_role("fund_supervisor", place="150981103", login="other2")
    assert other.get("/api/v1/reconciliation/items").json()["items"] == []
    for one in found["items"]:
        path = f"/api/v1/reconciliation/items/{one['item_id']}/resolution"
        answer = other.post(path, json={"resolution": "agreed", "note": "by letter"})
        assert (answer.status_code, answer.json()["code"]) == (404, "no_such_item")


def test_whoever_moved_away_stands_on_no_list_of_the_old_place(settled: OfficeAtWork) -> None:
    from medfloor.service.access import Acting
    from medfloor.service.looking import in_place

    now = settled.clock.now
    with settled.store.writing() as connection:
        moved = {"birth_date": date(1949, 12, 31), "sex": "female", "residence": "rural", "place": "150982101"}
        register.record(connection, "person", "p1", moved, start=date(2024, 5, 1), actor=SYSTEM, now=now)

    def listed(place: str) -> set[str]:
        acting: Any = SimpleNamespace(actor=Actor("x", "county_clerk", place))
        asked = sa.select(schema.person.c.person_id).where(in_place(schema.person.c.person_id, cast(Acting, acting)))
        with settled.store.reading() as connection:
            return set(connection.execute(asked).scalars())

    assert listed("150981") == {"p2", "p3"} and listed("150982") == {"p1", "far"}


def test_a_network_of_ipv6_tries_passwords_as_one(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    office = open_office(sqlite_store, logins_a_minute=2)
    body = {"login": "clerk1", "password": "not the right one"}
    codes = [
        office.stranger(address=f"2001:db8:1:1::{n}").post("/api/v1/session", json=body).json()["code"]
        for n in range(1, 4)
    ]
    assert codes == ["login_failed", "login_failed", "too_many_logins"]


def test_no_setting_believes_every_callers_own_address() -> None:
    with pytest.raises(UsageError, match="MEDFLOOR_PROXY"):
        settings_from({"MEDFLOOR_PROXY": "*"})


def test_what_one_worker_ends_is_over_in_another_after_some_seconds(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    one = open_office(sqlite_store)
    moment = [0.0]
    other = open_office(sqlite_store)
    other.running.sessions.clock = lambda: moment[0]
    caller = one.as_role("county_clerk")
    same = other.stranger()
    same.headers.update(caller.headers)
    assert same.get("/api/v1/session").status_code == 200
    assert one.as_role("administrator").delete("/api/v1/users/county_clerk_1/sessions").status_code == 204
    assert caller.get("/api/v1/session").status_code == 401
    moment[0] = one.settings.remember_seconds + 0.1
    assert same.get("/api/v1/session").status_code == 401


def test_a_colleague_is_another_login_however_it_is_written_or_whichever_role_it_has(settled: OfficeAtWork) -> None:
    boss = settled.as_role("fund_supervisor")
    with settled.store.reading() as connection:
        limit = office_of(connection).reversal_limit_fen
    assert settled.as_role("county_clerk").get("/api/v1/settlements/c1").json()["pay_total_fen"] > limit
    clerk = settled.as_role("county_clerk")
    asked = clerk.post("/api/v1/settlements/c1/reversal", json={"reason": "wrong stay", "request_key": "r1"})
    assert asked.status_code == 202
    path = f"/api/v1/proposals/{asked.json()['proposal']}"
    assert clerk.post(f"{path}/decision", json={"approve": True}).status_code == 403
    assert boss.post(f"{path}/carry-out").status_code == 409
    # The clerk becomes a supervisor, and comes with a new token: the login is the same.
    settled.as_role("administrator").patch("/api/v1/users/county_clerk_1", json={"role": "fund_supervisor"})
    with settled.store.writing() as connection:
        user = users.user_by_login(connection, "county_clerk_1")
        fresh = settled.stranger()
        fresh.headers["authorization"] = f"Bearer {users.open_session(connection, user, 'token', settled.clock.now)[0]}"
    mine = fresh.post(f"{path}/decision", json={"approve": True})
    assert (mine.status_code, mine.json()["code"]) == (403, "same_person")
    # Neither by the national dialect nor in pieces.
    taken = fresh.post("/api/v1/settlements/c1/reversal", json={"reason": "again", "request_key": "r2"})
    assert taken.status_code == 202
    assert boss.post(f"{path}/decision", json={"approve": True}).json()["outcome"] == "done"
