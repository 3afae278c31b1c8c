"""The straight way of settling answers what the usual way answers, and leaves to it what is unusual."""

from __future__ import annotations

from typing import Any

import pytest
from county import claim, settle_in
from office import OfficeAtWork

from medfloor.service import straight

URL = "/api/v1/settlements"
UNUSUAL: dict[str, tuple[dict[str, str], Any]] = {
    "a missing amount": ({}, {name: value for name, value in claim().items() if name != "total_fen"}),
    "parts that are not the total": ({}, {**claim(), "total_fen": 1}),
    "an unknown name": ({}, {**claim(), "surprise": 1}),
    "a number beyond all": ({}, {**claim(), "total_fen": 10**30}),
    "true for one fen": ({}, {**claim(), "over_limit_fen": True}),
    "a list": ({}, [claim()]),
    "a key of odd characters": ({"Idempotency-Key": "a b"}, claim()),
    "a key that is too long": ({"Idempotency-Key": "k" * 129}, claim()),
    "another kind of body": ({"Content-Type": "application/xml"}, claim()),
    "nobody of the register": ({}, claim("c9", "nobody")),
    "another county": ({}, claim("c9", "far")),
}


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note for each request whether it went straight."""
    real, seen = straight._asked, []

    async def asked(request: Any) -> Any:
        found = await real(request)
        seen.append(found is not None)
        return found

    monkeypatch.setattr(straight, "_asked", asked)
    return seen


def test_what_is_written_as_it_should_be_goes_straight_and_both_ways_answer_alike(
    small_office: OfficeAtWork, ways: list[bool]
) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    first = clerk.post(URL, json=claim(), headers={"Idempotency-Key": "k1"})
    again = clerk.post(
        URL, json=claim(), headers={"Idempotency-Key": "k1", "Content-Type": "application/json; charset=utf-8"}
    )
    assert ways == [True, False]
    assert again.json() == {**first.json(), "repeated": True}
    assert first.headers["content-type"] == again.headers["content-type"]


def test_what_is_unusual_is_refused_as_ever(
    small_office: OfficeAtWork, ways: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")

    def answers() -> dict[str, tuple[int, Any]]:
        said = {}
        for name, (headers, body) in UNUSUAL.items():
            answer = clerk.post(URL, json=body, headers=headers)
            problem = answer.json()
            problem.pop("request_id", None)
            problem.pop("instance", None)
            said[name] = answer.status_code, problem
        return said

    both = answers()
    assert any(ways) and not all(ways)

    async def never(request: Any) -> None:
        return None

    monkeypatch.setattr(straight, "_asked", never)
    assert answers() == both
    assert all(400 <= status < 500 for status, _ in both.values())


def test_who_may_not_settle_may_not_on_the_straight_way(small_office: OfficeAtWork, ways: list[bool]) -> None:
    settle_in(small_office)
    auditor = small_office.as_role("auditor").post(URL, json=claim(), headers={"Idempotency-Key": "k1"})
    assert (auditor.status_code, auditor.json()["code"], ways) == (403, "forbidden", [True])
