"""Settle, preview, take back, correct and explain over HTTP."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from county import claim, settle_in
from office import OfficeAtWork

from medfloor.service.bodies.fields import KEY_PATTERN, new_key
from medfloor.store import audit

URL = "/api/v1/settlements"


def test_a_claim_is_settled_through_every_tier(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    answer = clerk.post(URL, json=claim(), headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["payments_fen"]["basic"] == 9_652_500
    assert body["total_fen"] == body["pay_total_fen"] + body["own_total_fen"]
    assert body["own_total_fen"] == body["own_in_scope_fen"] + body["own_outside_fen"]
    assert (body["state"], body["repeated"], body["entry"], body["benefit_year"]) == ("settled", False, 1, 2024)


def test_the_same_key_gives_the_same_answer_and_another_claim_under_it_is_refused(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    first = clerk.post(URL, json=claim(), headers={"Idempotency-Key": "k1"}).json()
    again = clerk.post(URL, json={**claim(), "request_key": "k1"}).json()
    assert again == {**first, "repeated": True}
    other = clerk.post(URL, json=claim("c2"), headers={"Idempotency-Key": "k1"})
    assert (other.status_code, other.json()["code"]) == (409, "key_reused")
    twice = clerk.post(URL, json=claim(), headers={"Idempotency-Key": "k2"})
    assert (twice.status_code, twice.json()["code"]) == (409, "claim_settled")


def test_a_preview_is_what_settling_would_give_and_records_nothing(small_office: OfficeAtWork) -> None:
    settle_in(small_office, p1="dibao")
    clerk = small_office.as_role("county_clerk")
    before = clerk.post(f"{URL}/preview", json=claim())
    assert before.status_code == 200, before.text
    assert clerk.get(f"{URL}/c1").status_code == 404
    after = clerk.post(URL, json=claim()).json()
    assert {name: after[name] for name in before.json()} == before.json()


def test_a_batch_settles_each_claim_by_itself(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    asked = [
        {**claim("c1"), "request_key": "k1"},
        {**claim("c2", "nobody"), "request_key": "k2"},
        {**claim("c3", "far"), "request_key": "k3"},
        {**claim("c4", "p2"), "request_key": "k4"},
    ]
    answer = clerk.post(f"{URL}/batch", json={"claims": asked}).json()
    assert (answer["settled"], answer["refused"]) == (2, 2)
    assert [one.get("reason") for one in answer["results"]] == [None, "unknown_person", "no_such_person", None]


def test_taking_back_below_the_limit_is_done_and_above_it_waits_for_a_second_person(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    small = {"total_fen": 200_000, "off_catalogue_fen": 0, "in_scope_fen": 200_000}
    clerk.post(URL, json=claim("small", **small))
    done = clerk.post(f"{URL}/small/reversal", json={"reason": "twice"}, headers={"Idempotency-Key": "r1"})
    assert done.status_code == 200, done.text
    assert clerk.get(f"{URL}/small").json()["state"] == "reversed"
    again = clerk.post(f"{URL}/small/reversal", json={"reason": "twice"}, headers={"Idempotency-Key": "r1"})
    assert again.json() == {**done.json(), "repeated": True}
    third = clerk.post(f"{URL}/small/reversal", json={"reason": "twice"}, headers={"Idempotency-Key": "r2"})
    assert (third.status_code, third.json()["code"]) == (409, "reversed_twice")

    clerk.post(URL, json=claim("large"))
    waits = clerk.post(f"{URL}/large/reversal", json={"reason": "wrong person"})
    assert (waits.status_code, waits.json()["state"]) == (202, "open")
    repeated = clerk.post(f"{URL}/large/reversal", json={"reason": "wrong person"})
    assert repeated.json() == waits.json()
    assert clerk.get(f"{URL}/large").json()["state"] == "settled"
    own = clerk.post(f"/api/v1/proposals/{waits.json()['proposal']}/decision", json={"approve": True})
    assert own.status_code == 403
    boss = office.as_role("fund_supervisor")
    decided = boss.post(f"/api/v1/proposals/{waits.json()['proposal']}/decision", json={"approve": True})
    assert decided.status_code == 200, decided.text
    assert clerk.get(f"{URL}/large").json()["state"] == "reversed"


def test_a_late_claim_names_those_that_it_changed(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    clerk.post(URL, json=claim("later", start_date="2024-05-01", end_date="2024-05-09"))
    late = clerk.post(URL, json=claim("late")).json()
    assert [one["claim_id"] for one in late["changed_claims"]] == ["later"]
    found = clerk.get("/api/v1/arrears").json()["items"]
    assert [one["claim_id"] for one in found] == ["later"]
    assert found[0]["amount_fen"] == late["changed_claims"][0]["difference_fen"]
    year = clerk.get("/api/v1/people/p1/years/2024").json()
    assert year["claims"] == 2
    assert [one["kind"] for one in year["entries"]] == ["settlement", "settlement", "difference"]
    assert all(sum(one["postings_fen"].values()) == 0 for one in year["entries"])
    assert year["pay_total_fen"] + year["own_total_fen"] == year["total_fen"]


def test_a_claim_is_corrected_under_a_new_id(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    amounts = {"total_fen": 200_000, "off_catalogue_fen": 0, "in_scope_fen": 200_000}
    clerk.post(URL, json=claim("c1", **amounts))
    fewer = {"total_fen": 190_000, "off_catalogue_fen": 0, "in_scope_fen": 190_000}
    asked = {"claim": claim("c1-2", **fewer), "reason": "a price was wrong", "request_key": "x"}
    done = clerk.post(f"{URL}/c1/correction", json=asked)
    assert done.status_code == 200, done.text
    assert done.json()["total_fen"] == 190_000
    assert clerk.get(f"{URL}/c1").json()["state"] == "reversed"
    same = clerk.post(f"{URL}/c1-2/correction", json={"claim": claim("c1-2", **fewer), "reason": "again"})
    assert (same.status_code, same.json()["code"]) == (400, "same_claim_id")
    clerk.post(URL, json=claim("big"))
    above = clerk.post(f"{URL}/big/correction", json={"claim": claim("big-2"), "reason": "again"})
    assert (above.status_code, above.json()["code"]) == (409, "correction_above_limit")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_explanation_says_the_article_and_agrees_with_the_ledger(small_office: OfficeAtWork, lang: str) -> None:
    settle_in(small_office, p1="dibao")
    clerk = small_office.as_role("county_clerk")
    clerk.post(URL, json=claim("before", start_date="2024-01-05", end_date="2024-01-15"))
    settled = clerk.post(URL, json=claim()).json()
    answer = clerk.get(f"{URL}/c1/explanation", params={"lang": lang})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["data"]["own_total"] == f"{settled['own_total_fen'] / 100:.2f}"
    assert ("起付" if lang == "zh" else "deductible") in told["text"]
    assert "I21" not in answer.text


def test_claims_of_people_elsewhere_do_not_exist_for_a_clerk_and_the_try_is_written_down(office: OfficeAtWork) -> None:
    settle_in(office)
    everywhere = office.as_role("county_clerk", place="", login="root_clerk")
    assert everywhere.post(URL, json=claim("c9", "far")).status_code == 200
    clerk = office.as_role("county_clerk")
    tried = [
        clerk.get(f"{URL}/c9"), clerk.get(f"{URL}/c9/explanation"), clerk.post(f"{URL}/c9/reversal", json={"reason": "x"}),
        clerk.post(f"{URL}/preview", json=claim("c8", "far")), clerk.post(URL, json=claim("c7", "far")),
        clerk.get("/api/v1/people/far"), clerk.get("/api/v1/people/far/years/2024"),
        clerk.post("/api/v1/people/far/identity", json={"reason": "curious"}),
    ]  # fmt: skip
    assert [one.status_code for one in tried] == [404] * 8
    with office.store.reading() as connection:
        traces = audit.traces(connection, person_id="far", by="county_clerk_1")
    assert len(traces) == 8
    assert {one.action for one in traces} == {"outside_place"}


BAD: dict[str, dict[str, Any]] = {
    "true is no fen": {"total_fen": True},
    "a number too large": {"total_fen": 10**40},
    "a fraction": {"in_scope_fen": 0.5},
    "below zero": {"off_catalogue_fen": -1},
    "text for fen": {"total_fen": "15000000"},
    "no such day": {"end_date": "2024-02-30"},
    "no day": {"end_date": "10/03/2024"},
    "a day as number": {"end_date": 1710000000},
    "far year": {"end_date": "9999-12-31"},
    "before the start": {"end_date": "2024-02-01"},
    "parts": {"in_scope_fen": 1},
    "unknown name": {"evil": 1},
    "unknown code": {"care_type": "dental"},
    "a path": {"claim_id": "../../etc/passwd"},
    "sql": {"claim_id": "c1'; DROP TABLE claim;--"},
    "a nul": {"claim_id": "c\u0000"},
    "too long": {"claim_id": "c" * 65},
    "an empty id": {"person_id": ""},
    "an array": {"person_id": ["p1"]},
    "extra columns": {"extra_fen": {"no_such_column": 1}},
}


@pytest.mark.parametrize("case", BAD)
def test_what_no_law_could_settle_is_refused_with_a_reason_and_without_its_value(
    small_office: OfficeAtWork, case: str
) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    for path in (URL, f"{URL}/preview"):
        answer = clerk.post(path, json=claim(**BAD[case]))
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")
        assert answer.json()["code"]
        assert "DROP" not in answer.text
        assert "passwd" not in answer.text
    assert clerk.get(f"{URL}/c1").status_code == 404


def test_two_tills_settle_one_person_at_once_and_no_payment_is_lost(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    amounts = {"total_fen": 300_000, "off_catalogue_fen": 0, "in_scope_fen": 300_000}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: clerk.post(URL, json=claim(f"c{n}", **amounts)), range(16)))
    assert [one.status_code for one in answers] == [200] * 16
    year = clerk.get("/api/v1/people/p1/years/2024").json()
    assert (year["claims"], year["total_fen"]) == (16, 16 * 300_000)
    assert year["pay_total_fen"] + year["own_total_fen"] == year["total_fen"]


def test_without_a_policy_nothing_is_settled_and_the_answer_says_what_to_do(
    sqlite_store: Any, open_office: Any
) -> None:
    office = open_office(sqlite_store, policy=None)
    settle_in(office)
    answer = office.as_role("county_clerk").post(URL, json=claim())
    assert answer.status_code in (409, 503)
    assert answer.json()["code"] == "no_policy_chosen"


def test_a_policy_that_counts_by_household_settles_over_http_too(sqlite_store: Any, open_office: Any) -> None:
    office = open_office(sqlite_store, policy="us/rand-hie")
    settle_in(office)
    clerk = office.as_role("county_clerk")
    days = {"start_date": "1974-01-02", "end_date": "1974-01-02"}
    answers = [clerk.post(URL, json=claim(f"c{n}", person, **days)) for n, person in enumerate(("p1", "p2", "p1"))]
    assert [one.status_code for one in answers] == [200] * 3
    year = clerk.get("/api/v1/people/p1/years/1974").json()
    assert {one["claim_id"] for one in year["entries"]} == {"c0", "c2"}
    assert clerk.get(f"{URL}/c1/explanation").status_code == 200


def test_a_policy_file_is_told_by_its_name_only(sqlite_store: Any, open_office: Any, tmp_path: Any) -> None:
    (tmp_path / "our-city.yaml").write_text("extends: cn/beijing@2024-01-01\nid: our-city\n", encoding="utf-8")
    office = open_office(sqlite_store, policy=str(tmp_path / "our-city.yaml"))
    settle_in(office)
    clerk = office.as_role("county_clerk")
    answer = clerk.post(URL, json=claim())
    assert answer.status_code == 200, answer.text
    year = clerk.get("/api/v1/people/p1/years/2024")
    listed = clerk.get("/api/v1/policies")
    assert answer.json()["policy"] == year.json()["policy"] == "our-city.yaml"
    assert [one["address"] for one in listed.json()["policies"] if one["in_use"]] == ["office"]
    assert clerk.get("/api/v1/policies/office").status_code == 200
    for text in (answer.text, year.text, listed.text, clerk.get("/fhir/ClaimResponse/c1").text):
        assert str(tmp_path) not in text


def test_the_key_that_a_form_is_given_is_one_that_the_routes_take() -> None:
    assert all(re.fullmatch(KEY_PATTERN, new_key()) for _ in range(300))
