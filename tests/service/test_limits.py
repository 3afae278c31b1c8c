"""What no office would send is refused with a status of 4xx, and every answer carries the headers that keep browsers careful."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from office import OfficeAtWork

from medfloor.service.limits import deeper_than
from medfloor.store.engine import Store

JSON = {"content-type": "application/json"}

BODIES = {
    "deep lists": (b"[" * 50_000 + b"]" * 50_000, "json_too_deep"),
    "deep objects": (b'{"a":' * 40 + b"1" + b"}" * 40, "json_too_deep"),
    "never closed": (b"[" * 100_000, "json_too_deep"),
    "cut off": (b'{"login": "x", ', "bad_json"),
    "no json": (b"login=x", "bad_json"),
    "other encoding": ('{"login": "张"}'.encode("gb18030"), "bad_json"),
    "utf-16": ('{"login": "x"}'.encode("utf-16"), "bad_json"),
    "lone surrogate": (b'{"login": "\\ud800", "password": "x"}', "bad_json"),
    "nul": (b'{"login": "a\\u0000b", "password": "x"}', "nul_character"),
    "not a number": (b'{"login": NaN, "password": 1}', "bad_json"),
    "long number": (b'{"login": ' + b"9" * 5000 + b', "password": "x"}', None),
    "huge exponent": (b'{"login": 1e400, "password": "x"}', None),
    "list": (b"[]", "bad_request_fields"),
    "null": (b"null", "bad_request_fields"),
    "nothing": (b"", "bad_request_fields"),
    "too many": (b'{"login": "' + b"x" * 2_000_000 + b'"}', "body_too_large"),
    "unknown field": (b'{"login": "ab", "password": "x", "admin": true}', "bad_request_fields"),
    "a list as text": (b'{"login": ["ab"], "password": "x"}', "bad_request_fields"),
}


@pytest.mark.parametrize("name", list(BODIES))
def test_a_body_that_nobody_sends_is_refused(small_office: OfficeAtWork, name: str) -> None:
    body, code = BODIES[name]
    answer = small_office.stranger().post("/api/v1/session", content=body, headers=JSON)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    if code:
        assert answer.json()["code"] == code


def test_all_refusals_of_bodies_in_one_service_leave_it_ready(small_office: OfficeAtWork) -> None:
    caller = small_office.stranger()
    for body, _ in BODIES.values():
        assert caller.post("/api/v1/session", content=body, headers=JSON).status_code < 500
    assert caller.get("/health/ready").status_code == 200


def test_a_body_that_grows_beyond_what_was_said_is_cut_off(small_office: OfficeAtWork) -> None:
    async def pieces() -> object:
        for _ in range(64):
            yield b"x" * 65_536

    answer = small_office.stranger().post("/api/v1/session", content=pieces(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_a_length_that_is_no_number_is_refused(small_office: OfficeAtWork) -> None:
    for length in ("-1", "1e9", "9" * 30, "x"):
        answer = small_office.stranger().post(
            "/api/v1/session", content=b"{}", headers={**JSON, "content-length": length}
        )
        assert answer.status_code == 413


PATHS = [
    "/api/v1/jobs/%00", "/api/v1/jobs/..%2f..%2fetc%2fpasswd", "/api/v1/jobs/1/files/..%2f..%2fmedfloor.keys",
    "/api/v1/../../etc/passwd", "/api/v1/jobs/1/files/%2e%2e%5cmedfloor.keys", "/api/v1/jobs/%ff%fe", "/%0d%0aset-cookie:x",
    "/api/v1/jobs/99999999999999999999999999", "/api/v1/jobs/-1", "/api/v1/jobs/1.5", "/api/v1/jobs/' OR 1=1 --",
    "/" + "a" * 5000, "/api/v1/jobs?cursor=%00", "/api/v1/jobs?cursor=" + "9" * 400, "/api/v1/jobs?limit=0",
    "/api/v1/audit?since=2024-02-30", "/api/v1/audit?since=0000-00-00", "/api/v1/audit?cursor=AAAA",
    "/api/v1/audit?person_id=%27%3B%20DROP%20TABLE%20person",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_an_address_that_nobody_asks_is_refused(small_office: OfficeAtWork, path: str) -> None:
    for role in ("auditor", "analyst"):
        answer = small_office.as_role(role).get(path)
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_method_that_is_not_taken_is_told(small_office: OfficeAtWork) -> None:
    answer = small_office.stranger().request("PUT", "/api/v1/session", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "no_such_method")
    assert small_office.stranger().request("BREW", "/api/v1/session").status_code == 405


def test_only_names_of_the_office_are_answered(sqlite_store: Store, open_office: Callable[..., OfficeAtWork]) -> None:
    office = open_office(sqlite_store, hosts="office.example, localhost")
    assert office.stranger().get("/health/live").status_code == 200
    assert office.stranger().get("/health/live", headers={"host": "office.example:8000"}).status_code == 200
    foreign = office.stranger().get("/health/live", headers={"host": "evil.example"})
    assert (foreign.status_code, foreign.json()["code"]) == (421, "unknown_host")


def test_a_session_may_ask_so_often_and_no_more(sqlite_store: Store, open_office: Callable[..., OfficeAtWork]) -> None:
    office = open_office(sqlite_store, requests_a_second=0.001 * 4, strangers_a_second=1.5)
    clerk = office.as_role("county_clerk")
    office.running.askers.burst = 3
    answers = [clerk.get("/api/v1/session") for _ in range(5)]
    assert [one.status_code for one in answers] == [200] * 3 + [429] * 2
    assert answers[-1].headers["retry-after"] == "1"
    assert {office.stranger().get("/api/v1/session").status_code for _ in range(9)} == {401, 429}


HEADERS = {
    "content-security-policy": "default-src 'self'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}


@pytest.mark.parametrize(
    "path", ["/health/live", "/api/v1/session", "/nowhere", "/api/v1/jobs/%00", "/api/v1/openapi.json"]
)
def test_every_answer_has_the_secure_headers(small_office: OfficeAtWork, path: str) -> None:
    answer = small_office.stranger().get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name].startswith(value)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "server" not in answer.headers and "strict-transport-security" not in answer.headers


nested = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["[", "]", "{", "\\", '"', "[{"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def depth(value: object) -> int:
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 0


@settings(max_examples=200)
@given(nested, st.integers(0, 6))
def test_depth_is_that_of_the_value(value: object, most: int) -> None:
    assert deeper_than(json.dumps(value).encode(), most) == (depth(value) > most)
