"""Let schemathesis ask whatever the OpenAPI allows, and much that it does not: nothing may answer 5xx."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from county import claim, settle_in
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from office import OfficeAtWork, running_office

from medfloor.service.app import SUBJECTS
from medfloor.service.settings import Settings
from medfloor.store.engine import open_store
from medfloor.store.keys import new_keys
from medfloor.store.migrate import upgrade


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Give one office for all tries: what one leaves behind is part of the next one's world."""
    folder = tmp_path_factory.mktemp("tried")
    store = open_store(folder / "office.sqlite")
    upgrade(store)
    made = Settings(
        jobs=False,
        jobs_folder=folder / "jobs",
        requests_a_second=100_000,
        strangers_a_second=100_000,
        logins_a_minute=1000,
    )
    work = running_office(store, new_keys(), made, policy="cn/beijing")
    settle_in(work, p1="dibao")
    work.as_role("county_clerk").post("/api/v1/settlements", json=claim())
    yield work
    work.stop()
    store.close()


def try_all(office: OfficeAtWork, role: str, place: str, *, examples: int, names: set[str]) -> int:
    """Try every operation of some subjects, with values that fit the OpenAPI and with those that do not; count."""
    page = office.app.openapi()
    schema = schemathesis.openapi.from_dict(page)
    without_jobs = says_jobs_off(page)
    caller = office.as_role(role, place=place)
    counted = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path.split("/")[3 if operation.path.startswith("/api") else 1] not in names:
            continue
        for mode in schemathesis.GenerationMode:

            @settings(
                max_examples=examples, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                nonlocal counted
                counted += 1
                given_kwargs = case.as_transport_kwargs(base_url="http://office.example")
                given_kwargs.pop("cookies", None)
                if isinstance(given_kwargs.get("data"), bytes | str):
                    given_kwargs["content"] = given_kwargs.pop("data")
                method, url = given_kwargs.pop("method"), given_kwargs.pop("url")
                headers = {
                    name: value for name, value in (given_kwargs.pop("headers", None) or {}).items()
                    if name.lower() not in ("authorization", "user-agent") and sendable(value)
                }  # fmt: skip
                try:
                    answer = caller.request(method, url, headers=headers, **given_kwargs)
                except (httpx.InvalidURL, UnicodeEncodeError):
                    return
                off = case.operation.path in without_jobs and code_of(answer) == "jobs_off"
                declared = answer.status_code == 503 and off
                assert answer.status_code < 500 or declared, f"{method} {url}: {answer.status_code} {answer.text[:300]}"

            # An operation that takes nothing has nothing that could be wrong.
            with contextlib.suppress(Unsatisfiable):
                ask()
    return counted


def says_jobs_off(page: dict[str, Any]) -> set[str]:
    """Give the addresses whose 503 is said to be for good where the office has switched jobs off, as this one has."""
    shared = page["components"]["responses"]
    return {
        path
        for path, ways in page["paths"].items()
        for way in ways.values()
        if "jobs_off" in str(shared.get(way["responses"].get("503", {}).get("$ref", "").rpartition("/")[2]))
    }


def code_of(answer: httpx.Response) -> str | None:
    return answer.json().get("code") if "json" in answer.headers.get("content-type", "") else None


def test_an_address_that_asks_for_a_job_says_that_there_may_be_none(office: OfficeAtWork) -> None:
    assert says_jobs_off(office.app.openapi()) == {"/api/v1/jobs", "/api/v1/screenings"}
    officer = office.as_role("assistance_officer", place="150981")
    answer = officer.post("/api/v1/screenings", json={})
    assert (answer.status_code, code_of(answer)) == (503, "jobs_off") and "retry-after" not in answer.headers


def sendable(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


ALL = {*SUBJECTS, "fhir"}


@pytest.mark.parametrize("role", ["county_clerk", "fund_supervisor"])
def test_no_request_that_can_be_made_up_breaks_the_service(office: OfficeAtWork, role: str) -> None:
    assert try_all(office, role, "150981", examples=2, names=ALL) > 100


@pytest.mark.heavy
@pytest.mark.parametrize("role", ["county_clerk", "assistance_officer", "fund_supervisor", "auditor", "analyst"])
def test_many_requests_break_nothing(office: OfficeAtWork, role: str) -> None:
    assert try_all(office, role, "", examples=40, names=ALL) > 1_000


NASTY = [
    "'; DROP TABLE claim;--",
    "../../etc/passwd",
    "\u202e",
    "🀄" * 50,
    "a" * 100_000,
    "%s%n",
    "{{7*7}}",
    "\\u0000",
    "-0",
    "NaN",
]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    name=st.sampled_from(sorted(claim())),
    value=st.one_of(
        st.sampled_from(NASTY),
        st.floats(),
        st.integers(),
        st.none(),
        st.booleans(),
        st.lists(st.integers(), max_size=3),
    ),
)
def test_a_claim_with_one_odd_value_is_settled_or_refused(office: OfficeAtWork, name: str, value: Any) -> None:
    body = claim("odd", "p2")
    body[name] = value
    clerk = office.as_role("county_clerk")
    try:
        answer = clerk.post("/api/v1/settlements/preview", json=body)
    except ValueError:
        return  # JSON has no NaN and no infinity
    assert answer.status_code in (200, 400, 404, 413, 422), answer.text


def test_deep_and_large_bodies_are_refused_everywhere(office: OfficeAtWork, tmp_path: Path) -> None:
    clerk = office.as_role("county_clerk")
    headers = {"content-type": "application/json"}
    for path in (
        "/api/v1/settlements",
        "/api/v1/national/2304",
        "/fhir/Claim",
        "/api/v1/policies/check",
        "/api/v1/people/search",
    ):
        deep = clerk.post(path, content=b'{"a":' * 5000 + b"1" + b"}" * 5000, headers=headers)
        assert 400 <= deep.status_code < 500, path
        large = clerk.post(path, content=b'{"a":"' + b"x" * 2_000_000 + b'"}', headers=headers)
        assert large.status_code == 413, path
        for broken in (b"{", b"\xff\xfe", b"[1", b'{"a": NaN}', b"", b"null", b'"x"', b"1e999999"):
            answer = clerk.post(path, content=broken, headers=headers)
            assert 400 <= answer.status_code < 500, (path, broken)
        plain = clerk.post(path, content=b"a=1", headers={"content-type": "text/plain"})
        assert 400 <= plain.status_code < 500, path
