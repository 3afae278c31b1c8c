"""Nothing personal in logs and errors: every route is asked with marked names, numbers and diagnoses, and all is searched."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from office import OfficeAtWork

from medfloor.service.logs import QuietFormatter
from medfloor.store import register
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring
from medfloor.store.roles import Actor

NAME = "赵玛柯标"
NUMBER = "11010519491231002X"
DIAGNOSIS = "Z98.765M"
PERSON = "pmarked7341"
MARKS = (NAME, NUMBER, DIAGNOSIS, quote(NAME))
CLAIM = {
    "claim_id": "m-1", "person_id": PERSON, "care_type": "inpatient", "facility_level": "2", "start_date": "2024-03-01",
    "end_date": "2024-03-08", "total_fen": 1_000_000, "in_scope_fen": 900_000, "off_catalogue_fen": 100_000,
    "diagnosis": DIAGNOSIS, "request_key": "key-1",
}  # fmt: skip


@pytest.fixture
def marked(sqlite_store: Store, open_office: Callable[..., OfficeAtWork], keyring: Keyring) -> OfficeAtWork:
    office = open_office(sqlite_store, requests_a_second=100_000, strangers_a_second=100_000)
    common: dict[str, Any] = {
        "start": date(1950, 1, 1), "actor": Actor("setup", "administrator"), "now": datetime(2024, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    with sqlite_store.writing() as connection:
        register.add_person(connection, keyring, now=common["now"], person_id=PERSON, name=NAME, identity_number=NUMBER)
        facts = {"birth_date": date(1949, 12, 31), "sex": "female", "residence": "rural", "place": "150981102"}
        register.record(connection, "person", PERSON, {**facts, "household_id": "hm1"}, **common)
        held = {"benefit_year": 2024, "scheme": "resident"}
        register.record(connection, "enrolment", PERSON, held, **{**common, "start": date(2024, 1, 1)})
    return office


def bodies(operation: dict[str, Any], schemas: dict[str, Any]) -> Iterator[Any]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if not content:
        yield None
        return
    schema = content.get("schema", {})
    reference = schema.get("$ref", "").rpartition("/")[2]
    examples = schemas.get(reference, {}).get("examples") or content.get("examples") or [{}]
    example = next(iter(examples.values()))["value"] if isinstance(examples, dict) else examples[0]
    yield example
    for mark in (NAME, NUMBER, DIAGNOSIS, [NAME], {NAME: NUMBER}):
        yield replaced(copy.deepcopy(example), mark)
        yield mark
    if isinstance(example, dict):
        yield {**example, NAME: NUMBER}
        yield {**example, "diagnosis": NAME, "name": NUMBER, "identity_number": NAME, "reason": DIAGNOSIS * 300}


def replaced(value: Any, mark: Any) -> Any:
    if isinstance(value, dict):
        return {name: replaced(inner, mark) for name, inner in value.items()}
    if isinstance(value, list):
        return [replaced(inner, mark) for inner in value]
    return mark


def told_of_itself(answer: httpx.Response) -> str:
    """Give what an error says by itself: the national dialect must send the caller's own msgid back."""
    body = answer.json()
    body.pop("inf_refmsgid", None)
    return json.dumps(body, ensure_ascii=False)


def test_no_log_line_and_no_error_holds_a_name_a_number_or_a_diagnosis(
    marked: OfficeAtWork, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    callers = [marked.as_role(role) for role in ("county_clerk", "fund_supervisor")] + [
        marked.as_role("administrator", place=""),
        marked.stranger(),
    ]
    assert callers[0].post("/api/v1/settlements", json=CLAIM).status_code == 200
    page = marked.app.openapi()
    errors, asked = [], 0
    for path, ways in page["paths"].items():
        for method, operation in ways.items():
            for value in (PERSON, NAME, NUMBER):
                place = path
                while "{" in place:
                    before, _, rest = place.partition("{")
                    place = f"{before}{quote(value)}{rest.partition('}')[2]}"
                query = {
                    one["name"]: value if value != PERSON else NUMBER
                    for one in operation.get("parameters", [])
                    if one["in"] == "query"
                }
                for body in bodies(operation, page["components"]["schemas"]):
                    for caller in callers:
                        answer = caller.request(method.upper(), place, params=query, json=body)
                        asked += 1
                        assert answer.status_code < 500, (method, path, answer.text)
                        if answer.status_code >= 400:
                            errors.append((method, path, told_of_itself(answer)))
    assert asked > 1000
    for mark in MARKS:
        told = [(method, path, text) for method, path, text in errors if mark in text]
        assert not told, (mark, told[:3])
    log = marked.log.getvalue() + caplog.text + "".join(capfd.readouterr())
    for mark in (*MARKS, PERSON):
        assert mark not in log
    assert '"route":"/api/v1/people/{person_id}"' in log


def test_a_bug_is_logged_by_its_place_and_not_by_its_message(
    marked: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_given: object, **_named: object) -> None:
        raise RuntimeError(f"cannot read {NAME} {NUMBER}")

    monkeypatch.setattr("medfloor.service.settling.settlement_of", broken)
    assert marked.as_role("county_clerk").post("/api/v1/settlements", json=CLAIM).status_code == 200
    answer = marked.as_role("county_clerk").get("/api/v1/settlements/m-1")
    assert (answer.status_code, answer.json()["code"]) == (500, "bug_inside")
    assert NAME not in answer.text
    log = marked.log.getvalue()
    assert NAME not in log and NUMBER not in log
    (bug,) = [line for line in marked.lines() if line["event"] == "bug"]
    assert bug["where"][-1] == "RuntimeError" and bug["where"][-2].startswith("broken:")
    assert answer.headers["x-request-id"] == bug["request_id"]


def test_libraries_log_the_type_of_an_error_and_not_its_message() -> None:
    import logging
    import sys

    try:
        raise ValueError(NAME)
    except ValueError:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "x", 1, f"failed {NAME}", None, sys.exc_info())
    assert NAME not in QuietFormatter().format(record)


def test_a_request_id_of_a_caller_is_taken_only_when_it_is_a_uuid(small_office: OfficeAtWork) -> None:
    own = "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
    caller = small_office.stranger()
    assert caller.get("/health/live", headers={"x-request-id": own}).headers["x-request-id"] == own
    for other in (NUMBER, "x", own + "0", "a b"):
        assert caller.get("/health/live", headers={"x-request-id": other}).headers["x-request-id"] != other
