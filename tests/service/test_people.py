"""Look people and households up, see a whole identity, change statuses by two people, import files, handle arrears."""

from __future__ import annotations

from typing import Any

import pytest
from county import NAME, NUMBER, claim, settle_in
from office import OfficeAtWork

from medfloor.store import audit


def test_a_person_is_found_by_number_and_shown_masked(office: OfficeAtWork) -> None:
    settle_in(office, p1="dibao")
    clerk = office.as_role("county_clerk")
    found = clerk.post("/api/v1/people/search", json={"identity_number": NUMBER}).json()["people"]
    assert [one["person_id"] for one in found] == ["p1"]
    by_name = clerk.post("/api/v1/people/search", json={"name": NAME, "birth_date": "1949-12-31"})
    assert by_name.status_code == 200, by_name.text
    person = clerk.get("/api/v1/people/p1", params={"day": "2024-03-01"})
    assert person.status_code == 200, person.text
    shown = person.json()
    assert (shown["name"], shown["identity_number"]) == ("欧**", "110*************2X")
    assert [one["group"] for one in shown["spells"]] == ["dibao"]
    assert [one["benefit_year"] for one in shown["enrolments"]] == [2023, 2024]
    for answer in (found, by_name.text, person.text):
        assert NUMBER not in str(answer)
        assert NAME not in str(answer)


def test_nobody_is_found_outside_of_the_place_and_a_search_is_written_down(office: OfficeAtWork) -> None:
    settle_in(office)
    other = office.as_role("county_clerk", place="150982", login="other_county")
    assert other.post("/api/v1/people/search", json={"identity_number": NUMBER}).json() == {"people": []}
    with office.store.reading() as connection:
        traces = audit.traces(connection, by="other_county")
    assert [(one.action, one.person_id) for one in traces] == [("outside_place", "p1"), ("search_person", None)]
    assert NUMBER not in str(traces)


def test_the_whole_identity_takes_a_permission_and_a_reason_and_leaves_a_trace(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    assert clerk.post("/api/v1/people/p1/identity", json={}).status_code == 422
    answer = clerk.post("/api/v1/people/p1/identity", json={"reason": "bank returned the payment"})
    assert (answer.json()["name"], answer.json()["identity_number"]) == (NAME, NUMBER)
    assert office.as_role("fund_supervisor").post("/api/v1/people/p1/identity", json={"reason": "x"}).status_code == 403
    with office.store.reading() as connection:
        traces = audit.traces(connection, person_id="p1", action="reveal_identity")
    assert [one.detail for one in traces] == ["bank returned the payment"]


def test_analysts_see_no_person(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    analyst = small_office.as_role("analyst")
    for path in (
        "people/p1",
        "people/p1/years/2024",
        "households/h1",
        "settlements/c1",
        "arrears",
        "imports",
        "statements",
    ):
        assert analyst.get(f"/api/v1/{path}").status_code == 403, path
    for path in ("/fhir/Patient/p1", "/fhir/ExplanationOfBenefit/c1"):
        assert analyst.get(path).status_code == 403


def test_a_household_shows_its_members_and_their_year(office: OfficeAtWork) -> None:
    settle_in(office, p2="dibao")
    clerk = office.as_role("county_clerk")
    clerk.post("/api/v1/settlements", json=claim())
    home = clerk.get("/api/v1/households/h1", params={"day": "2024-03-01"})
    assert home.status_code == 200, home.text
    shown = home.json()
    assert [(one["person_id"], one["groups"], one["claims"]) for one in shown["members"]] == [
        ("p1", [], 1),
        ("p2", ["dibao"], 0),
    ]
    assert shown["total_fen"] == 15_000_000
    assert clerk.get("/api/v1/households/h9").status_code == 404
    assert clerk.get("/api/v1/households/none").status_code == 404


def test_a_backdated_status_waits_for_a_second_person_and_then_finds_what_is_owed(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk, officer = office.as_role("county_clerk"), office.as_role("assistance_officer")
    before = clerk.post("/api/v1/settlements", json=claim()).json()
    known_at = office.clock.now.isoformat()
    office.clock.forward(days=1)
    asked = {"group": "dibao", "from_date": "2024-02-01", "recognised_by": "civil affairs", "reason": "late"}
    made = clerk.post("/api/v1/people/p1/spells", json=asked)
    assert made.status_code == 202, made.text
    assert clerk.get("/api/v1/people/p1").json()["spells"] == []
    decided = officer.post(f"/api/v1/proposals/{made.json()['proposal']}/decision", json={"approve": True})
    assert decided.status_code == 200, decided.text
    assert [one["group"] for one in clerk.get("/api/v1/people/p1").json()["spells"]] == ["dibao"]
    then = clerk.get("/api/v1/people/p1", params={"known_at": known_at}).json()
    assert then["spells"] == []
    (owed,) = officer.get("/api/v1/arrears").json()["items"]
    after = clerk.get("/api/v1/settlements/c1").json()
    assert owed["amount_fen"] == after["pay_total_fen"] - before["pay_total_fen"] > 0
    steps = f"/api/v1/arrears/{owed['arrear_id']}/steps"
    assert officer.post(steps, json={"state": "paid"}).status_code == 409
    assert officer.post(steps, json={"state": "notified", "on": "2024-06-03"}).status_code == 200
    assert officer.post(steps, json={"state": "returned"}).status_code == 409
    paid = officer.post(steps, json={"state": "paid", "note": "by bank"})
    assert [one["state"] for one in paid.json()["steps"]] == ["found", "notified", "paid"]
    assert clerk.post(steps, json={"state": "closed"}).status_code == 403


def test_a_status_is_corrected_and_ended_by_two_people(small_office: OfficeAtWork) -> None:
    settle_in(small_office, p1="dibao")
    clerk, officer = small_office.as_role("county_clerk"), small_office.as_role("assistance_officer")
    (held,) = clerk.get("/api/v1/people/p1").json()["spells"]
    asked = {
        "action": "correct",
        "group": "dibao",
        "spell": held["spell"],
        "from_date": "2023-09-01",
        "reason": "wrong month",
    }
    made = clerk.post("/api/v1/people/p1/spells", json=asked).json()
    assert officer.post(f"/api/v1/proposals/{made['proposal']}/decision", json={"approve": True}).status_code == 200
    (held,) = clerk.get("/api/v1/people/p1").json()["spells"]
    assert (held["from_date"], held["recognised_by"]) == ("2023-09-01", "civil affairs")
    asked = {"action": "end", "group": "dibao", "to_date": "2024-05-31", "reason": "income above the line"}
    made = clerk.post("/api/v1/people/p1/spells", json=asked).json()
    assert made["kind"] == "exit"
    assert officer.post(f"/api/v1/proposals/{made['proposal']}/decision", json={"approve": True}).status_code == 200
    (held,) = clerk.get("/api/v1/people/p1").json()["spells"]
    assert held["to_date"] == "2024-05-31"
    none = clerk.post(
        "/api/v1/people/p1/spells", json={"action": "end", "group": "tekun", "to_date": "2024-05-31", "reason": "x"}
    )
    assert none.status_code == 404


LIST = (
    "身份证号,姓名,人员类别,认定日期\n"
    + f"{NUMBER},{NAME},低保对象,2024-02-01\n"
    + "110105194912310021,某人,低保对象,2024-02-01\n"
)


def test_a_departments_file_comes_in_with_its_rejects_and_differences(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    clerk.post("/api/v1/settlements", json=claim())
    file = {"file": ("list.csv", LIST.encode(), "text/csv")}
    done = clerk.post("/api/v1/imports/spells", files=file, data={"source": "civil_affairs"})
    assert done.status_code == 200, done.text
    report = done.json()
    assert (report["rows_in"], report["rows_accepted"], report["rows_rejected"]) == (2, 1, 1)
    assert report["arrears"] == 1
    again = clerk.post("/api/v1/imports/spells", files=file, data={"source": "civil_affairs"}).json()
    assert (again["repeated"], again["import_id"]) == (True, report["import_id"])
    base = f"/api/v1/imports/{report['import_id']}"
    assert clerk.get(base).json()["rows_in"] == 2
    rejects = clerk.get(f"{base}/rejects")
    assert [one["reason"] for one in rejects.json()["items"]] == ["bad_identity_number"]
    differences = clerk.get(f"{base}/differences").json()["items"]
    assert {one["person_id"] for one in differences} == {"p1"}
    assert NUMBER not in rejects.text + str(differences)
    elsewhere = office.as_role("county_clerk", place="150982", login="other_county")
    assert elsewhere.get(f"{base}/rejects").status_code == 404
    assert elsewhere.get(f"{base}/differences").json()["items"] == []


def test_a_file_does_not_carry_the_offices_own_statuses_past_the_second_pair_of_eyes(
    small_office: OfficeAtWork,
) -> None:
    settle_in(small_office)
    file = {"file": ("list.csv", LIST.encode(), "text/csv")}
    for role in ("county_clerk", "assistance_officer"):
        answer = small_office.as_role(role).post("/api/v1/imports/spells", files=file, data={"source": "office"})
        assert (answer.status_code, answer.json()["code"]) == (403, "own_statuses")


@pytest.mark.parametrize(
    ("data", "content", "status"),
    [
        ({"source": "nobody"}, LIST.encode(), 400),
        ({"source": "civil_affairs"}, b"\x00\xff\x00\xfe" * 50, 422),
        ({"source": "civil_affairs"}, b"", 422),
        ({"source": "civil_affairs", "as_of": "2024-13-01"}, LIST.encode(), 422),
        ({"source": "civil_affairs", "full": "true", "place": "150982"}, LIST.encode(), 400),
        ({"source": "../../etc"}, LIST.encode(), 422),
        ({}, LIST.encode(), 422),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused(
    small_office: OfficeAtWork, data: dict[str, str], content: bytes, status: int
) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    files = {"file": ("list.csv", content, "text/csv")}
    answer = clerk.post("/api/v1/imports/spells", files=files, data=data)
    assert answer.status_code == status, answer.text
    assert clerk.post("/api/v1/imports/secrets", files=files, data={"source": "civil_affairs"}).status_code == 422


def test_lists_are_paged_with_cursors_that_stay_true(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    clerk = small_office.as_role("county_clerk")
    small: dict[str, Any] = {"total_fen": 300_000, "off_catalogue_fen": 0, "in_scope_fen": 300_000}
    for day in (20, 18, 16, 14, 12):
        clerk.post(
            "/api/v1/settlements",
            json=claim(f"c{day}", start_date=f"2024-03-{day}", end_date=f"2024-03-{day}", **small),
        )
    seen: list[int] = []
    cursor = None
    for _ in range(20):
        page = clerk.get("/api/v1/arrears", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [one["arrear_id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == sorted(set(seen))
    assert len(seen) == len(clerk.get("/api/v1/arrears").json()["items"]) > 2
    bad = clerk.get("/api/v1/arrears", params={"cursor": "aW1wb3J0czox"})
    assert (bad.status_code, bad.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    "path",
    [
        "people/p1?day=2024-02-30", "people/p1?day=1709251200", "people/p1?known_at=2024-01-01", "people/p1?known_at=yesterday",
        "people/p1/years/99999", "people/p1/years/abc", "people/%00", "people/..%2f..%2fetc%2fpasswd", "people/p1'%20OR%201=1--",
        "arrears?limit=0", "arrears?limit=100000", "arrears?year=1e9", "imports/0", "imports/99999999999999999999",
        "settlements/" + "a" * 65, "households/%E5%BC%A0",
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_meant_are_refused(small_office: OfficeAtWork, path: str) -> None:
    answer = small_office.as_role("county_clerk").get(f"/api/v1/{path}")
    assert answer.status_code in (400, 404, 422), answer.text
    assert "passwd" not in answer.text
