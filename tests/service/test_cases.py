"""Households at risk over HTTP: alerts after a settlement, cases step by step, four eyes, notices, counts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from county import NAME, NUMBER, claim, settle_in
from office import Caller, OfficeAtWork

from medfloor.service.following import STEPS
from medfloor.service.work import _screen
from medfloor.store import audit, users
from medfloor.store.engine import Store
from medfloor.store.roles import ROLES, Actor
from medfloor.store.schema import case_event, spell, watch_case
from medfloor.store.watching import screen_office

URL = "/api/v1/cases"
SEEN = {"income_head_fen": 700_000, "line_head_fen": 730_000, "labour_capacity": True}
ABOVE = {"income_head_fen": 1_500_000, "line_head_fen": 730_000}
STABLE = {**ABOVE, "spending_solved": True, "guarantees_met": True}
SECRET = "肺癌晚期"
"""A reason that tells of an illness; it must be in no log."""


def opened(caller: Caller, household: str = "h1", day: str = "2024-06-03") -> dict[str, Any]:
    answer = caller.post(URL, json={"household_id": household, "source": "application", "day": day, "reason": SECRET})
    assert answer.status_code == 200, answer.text
    case: dict[str, Any] = answer.json()
    return case


def step(caller: Caller, case: dict[str, Any], kind: str, **said: Any) -> httpx.Response:
    """Take a step on the state that was read last, and take over what the case became."""
    answer = caller.post(f"{URL}/{case['case_id']}/events", json={"kind": kind, "expected": case["number"], **said})
    if answer.status_code == 200:
        case.update(answer.json())
    return answer


def done(caller: Caller, case: dict[str, Any], kind: str, **said: Any) -> None:
    answer = step(caller, case, kind, **said)
    assert answer.status_code == 200, answer.text


def refused(answer: httpx.Response, code: str, status: int = 409) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_a_case_is_followed_from_the_counter_to_the_notice(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk, officer = office.as_role("county_clerk"), office.as_role("assistance_officer")
    case = opened(clerk)
    assert (case["state"], case["number"], case["place"], case["due_for"]) == ("found", 1, "150981102", "visit")
    assert [one["kind"] for one in case["may_follow"]] == ["verified", "refused"]
    assert not any(one["yours"] for one in case["may_follow"]), "a clerk finds, and no more"
    refused(step(clerk, case, "verified", **SEEN), "forbidden", 403)
    twice = clerk.post(URL, json={"household_id": "h1", "source": "cadre"})
    refused(twice, "case_exists")
    done(officer, case, "verified", **SEEN)
    shown = officer.get(f"{URL}/{case['case_id']}")
    assert shown.json() == case and shown.headers["etag"] == '"2"'
    assert case["events"][0]["reason"] == SECRET and case["events"][0]["title"] == "发现线索"
    english = officer.get(f"{URL}/{case['case_id']}", headers={"accept-language": "en"}).json()
    assert [one["title"] for one in english["events"]] == ["found", "visited and verified"]
    done(officer, case, "published", category="edge")
    told = officer.get(
        f"{URL}/{case['case_id']}/notice",
        params={"householder": "p1", "village": "东村", "contact": "村委会", "format": "text"},
    )
    assert told.status_code == 200 and told.headers["content-type"].startswith("text/plain")
    assert f"东村：{NAME}户（2人），拟认定为边缘易致贫户。" in told.text
    assert NUMBER not in told.text and SECRET not in told.text


def test_two_who_write_on_the_same_state_do_not_both_succeed(office: OfficeAtWork) -> None:
    settle_in(office)
    officer = office.as_role("assistance_officer")
    case = opened(officer)
    address = f"{URL}/{case['case_id']}/events"
    body = {"kind": "verified", **SEEN}
    assert officer.post(address, json=body, headers={"If-Match": '"1"'}).status_code == 200
    refused(officer.post(address, json=body, headers={"If-Match": '"1"'}), "case_changed")
    refused(officer.post(address, json={**body, "expected": 1}), "case_changed")
    refused(officer.post(address, json=body), "case_not_named", 400)
    refused(officer.post(address, json={**body, "expected": 1}, headers={"If-Match": "2"}), "case_not_named", 400)
    assert officer.get(f"{URL}/{case['case_id']}").json()["number"] == 2


def test_an_alert_appears_after_a_settlement(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk, officer = office.as_role("county_clerk"), office.as_role("assistance_officer")
    screened(office)
    assert officer.get("/api/v1/alerts", params={"kind": "burden"}).json()["items"] == []
    assert office.running.watcher.work() is None, "nothing waits"
    assert clerk.post("/api/v1/settlements", json=claim()).status_code == 200
    assert officer.get("/api/v1/watch/summary").json()["pending"] == 1
    worked = office.running.watcher.work()
    assert worked is not None and (worked.entries, worked.left, worked.cases) == (1, 0, 1)
    found = officer.get("/api/v1/alerts", params={"signal": "burden_in_scope"}, headers={"accept-language": "en"})
    (alert,) = found.json()["items"]
    assert (alert["household_id"], alert["kind"], alert["place"]) == ("h1", "burden", "150981102")
    assert alert["why"].startswith("one member bore") and alert["unless"].startswith("It would not have fired")
    case = officer.get(f"{URL}/{alert['case_id']}").json()
    assert (case["state"], case["events"][0]["source"]) == ("found", "alert")
    assert "burden_in_scope" in case["events"][0]["signals"]
    # The same again raises nothing, and asks nothing twice.
    clerk.post("/api/v1/settlements", json=claim("c2", start_date="2024-04-01", end_date="2024-04-02", total_fen=10_000,
                                                 off_catalogue_fen=0, in_scope_fen=10_000))  # fmt: skip
    again = office.running.watcher.work()
    assert again is not None and (again.entries, again.cases) == (1, 0)
    same = officer.get("/api/v1/alerts", params={"signal": "burden_in_scope"}).json()["items"]
    assert [one["alert"] for one in same] == [alert["alert"]]


def test_alerts_come_in_pages_and_by_filters(small_office: OfficeAtWork) -> None:
    settle_in(small_office, p2="dibao")
    everywhere = small_office.as_role("county_clerk", place="", login="root_clerk")
    screened(small_office)
    for number, person in enumerate(("p1", "p3", "far")):
        assert everywhere.post("/api/v1/settlements", json=claim(f"c{number}", person)).status_code == 200
    small_office.running.watcher.work()
    officer = small_office.as_role("assistance_officer")
    whole = officer.get("/api/v1/alerts").json()["items"]
    assert {one["household_id"] for one in whole} == {"h1", "h3"}, "the other county's are not told"
    listed: list[Any] = []
    cursor = None
    while True:
        page = officer.get("/api/v1/alerts", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        listed += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert listed == whole
    for name in ("kind", "urgency", "signal", "household_id"):
        value = whole[0][name]
        some = officer.get("/api/v1/alerts", params={name: value}).json()["items"]
        assert some == [one for one in whole if one[name] == value]
    town = officer.get("/api/v1/alerts", params={"place": "150981103"}).json()["items"]
    assert {one["household_id"] for one in town} == {"h3"}
    assert officer.get("/api/v1/alerts", params={"place": "150982"}).json()["items"] == []
    refused(officer.get("/api/v1/alerts", params={"cursor": "xx"}), "bad_cursor", 400)
    counts = officer.get("/api/v1/watch/summary").json()
    assert counts["open"] == 2 and {one["place"]: one["open"] for one in counts["places"]} == {
        "150981102": 1, "150981103": 1,
    }  # fmt: skip
    assert sum(counts["urgencies"].values()) == len(whole) and counts["rounded_to"] is None
    analyst = small_office.as_role("analyst").get("/api/v1/watch/summary").json()
    assert (analyst["open"], analyst["states"]["found"], analyst["rounded_to"]) == (0, 0, 5), (
        "two are nobody to an analyst"
    )


def test_from_the_settlement_to_a_risk_that_is_gone(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    """Follow one household through half a year; every short cut is refused with its code."""
    office = open_office(sqlite_store, jobs=True, watch_seconds=0.05)
    office.running.jobs.beat = 0.05
    settle_in(office)
    clerk = office.as_role("county_clerk")
    first, second = (office.as_role("assistance_officer", login=name) for name in ("officer_1", "officer_2"))
    people = {"county_clerk_1": clerk, "officer_1": first, "officer_2": second}
    assert clerk.post("/api/v1/settlements", json=claim()).status_code == 200
    case = wait_for_case(first)
    assert (case["state"], case["due"][0]["name"], case["due"][0]["day"]) == ("found", "visit", "2024-06-06")
    refused(step(first, case, "recognised", category="edge"), "case_wrong_step")
    refused(step(first, case, "verified"), "case_event_incomplete", 400)
    refused(step(first, case, "verified", **SEEN, day="2024-06-04"), "case_day_ahead", 400)
    done(first, case, "verified", **SEEN)
    done(first, case, "published", category="edge")
    refused(step(second, case, "recognised", category="edge"), "case_too_early")
    later(office, 6, **people)
    done(first, case, "objected", reason="they own a shop")
    refused(step(second, case, "recognised", category="edge"), "case_objection_open")
    done(first, case, "answered", reason="the shop was sold")
    refused(step(first, case, "recognised", category="edge"), "case_same_person")
    refused(step(second, case, "recognised", category="unstable"), "case_wrong_category")
    recognise = next(one for one in case["may_follow"] if one["kind"] == "recognised")
    assert not recognise["yours"] and recognise["from_day"] == "2024-06-09"
    done(second, case, "recognised", category="edge")
    with office.store.reading() as connection:
        statuses = connection.execute(spell.select().where(spell.c.group == "monitored")).all()
    assert {one.person_id for one in statuses} == {"p1", "p2"} and {one.detail for one in statuses} == {"edge"}
    refused(step(first, case, "risk_stable", stable_since="2024-06-09", **STABLE), "case_without_measure")
    done(first, case, "helped", measure="temporary help", given_by="civil affairs")
    refused(step(first, case, "risk_stable", stable_since="2024-06-09", **{**STABLE, **SEEN}), "case_under_line")
    refused(
        step(first, case, "risk_stable", stable_since="2024-06-09", **{**STABLE, "spending_solved": False}),
        "case_risk_open",
    )
    later(office, 7, **people)
    done(first, case, "risk_stable", stable_since="2024-06-16", labour_capacity=True, **STABLE)
    refused(step(second, case, "removed"), "case_wrong_step")
    done(first, case, "published")
    later(office, 20, **people)
    refused(step(second, case, "removed"), "case_too_early")
    later(office, 170, **people)
    refused(step(first, case, "removed"), "case_same_person")
    done(second, case, "removed")
    assert case["state"] == "removed" and [one["kind"] for one in case["may_follow"]] == ["re_entered"]
    done(clerk, case, "re_entered", source="cadre")
    assert (case["round"], case["state"], len(case["events"])) == (2, "found", case["number"])


def test_who_may_do_what_with_a_case(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    case = opened(small_office.as_role("assistance_officer"))
    address = f"{URL}/{case['case_id']}/events"
    for role, held in ROLES.items():
        caller = small_office.as_role(role)
        for kind, permission in STEPS.items():
            answer = caller.post(address, json={"kind": kind, "expected": 99})
            allowed = "read_cases" in held and permission in held
            # 99 is no step of the case, so that nothing is written by those who may.
            assert answer.status_code in ((400, 409) if allowed else (403,)), (role, kind, answer.text)
    assert not [role for role, held in ROLES.items() if "decide_case" in held and "settle" in held]


def test_nothing_of_another_county_is_seen_and_every_look_is_written_down(office: OfficeAtWork) -> None:
    settle_in(office)
    everywhere = office.as_role("assistance_officer", place="", login="root_officer")
    case, near = opened(everywhere, "h9"), opened(everywhere)
    officer = office.as_role("assistance_officer")
    town = office.as_role("assistance_officer", place="150981103", login="town_officer")
    address = f"{URL}/{case['case_id']}"
    tried = [
        officer.get(address), officer.post(f"{address}/events", json={"kind": "verified", "expected": 1, **SEEN}),
        officer.get(f"{address}/notice", params={"householder": "far", "village": "x"}),
        officer.post(URL, json={"household_id": "h9", "source": "cadre"}),
        town.get(f"{URL}/{near['case_id']}"),
    ]  # fmt: skip
    assert [one.status_code for one in tried] == [404] * 5
    assert tried[0].json()["code"] == officer.get(f"{URL}/nothing").json()["code"] == "unknown_case"
    assert [one["case_id"] for one in officer.get(URL).json()["items"]] == [near["case_id"]]
    assert town.get(URL).json()["items"] == [] and len(everywhere.get(URL).json()["items"]) == 2
    officer.get(f"{URL}/{near['case_id']}")
    with office.store.reading() as connection:
        outside = audit.traces(connection, by="assistance_officer_1", action="outside_place")
        looked = audit.traces(connection, by="assistance_officer_1", action="read_case")
        listed = audit.traces(connection, by="assistance_officer_1", action="read_cases")
    assert {one.person_id for one in outside} == {"far"} and len(outside) == 4
    assert {one.person_id for one in looked} == {"p1", "p2"} == {one.person_id for one in listed}
    told = office.log.getvalue() + "".join(one.detail or "" for one in (*outside, *looked, *listed))
    assert not [text for text in (SECRET, NAME, NUMBER) if text in told]


def test_what_people_write_is_enciphered_and_numbers_are_masked(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    officer = small_office.as_role("assistance_officer")
    case = opened(officer)
    done(officer, case, "refused", reason=f"moved away, number {NUMBER}")
    assert NUMBER not in officer.get(f"{URL}/{case['case_id']}").text
    with small_office.store.reading() as connection:
        kept = [str(row) for table in (case_event, watch_case) for row in connection.execute(table.select())]
    assert not [text for text in kept if SECRET in text or NUMBER in text or "moved away" in text]


def test_cases_are_looked_over_and_listed_by_what_is_due(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    officer = small_office.as_role("assistance_officer")
    first, second = opened(officer, "h3", "2024-05-01"), opened(officer)
    listed = officer.get(URL, params={"limit": 1}).json()
    after = officer.get(URL, params={"limit": 1, "cursor": listed["next"]}).json()
    assert [one["items"][0]["case_id"] for one in (listed, after)] == [first["case_id"], second["case_id"]]
    assert [one["items"][0]["overdue"] for one in (listed, after)] == [True, False]
    late = officer.get(URL, params={"overdue": True}).json()["items"]
    assert [one["case_id"] for one in late] == [first["case_id"]]
    assert officer.get(URL, params={"due_before": "2024-05-01"}).json()["items"] == []
    assert [one["case_id"] for one in officer.get(URL, params={"place": "150981103"}).json()["items"]] == [
        first["case_id"]
    ]
    checked = officer.get(f"{URL}/checks", headers={"accept-language": "en"}).json()
    assert {one["check"] for one in checked["items"]} == {"visit_overdue", "decision_overdue"}
    assert {one["household_id"] for one in checked["items"]} == {"h3"} and checked["total"] == 2
    assert checked["items"][0]["sentence"].startswith("The visit was due on 2024-05-06")
    page = officer.get(f"{URL}/checks", params={"limit": 1}).json()
    rest = officer.get(f"{URL}/checks", params={"limit": 1, "cursor": page["next"]}).json()
    assert len(page["items"] + rest["items"]) == 2 and rest["next"] is None and "入户" in page["items"][0]["sentence"]
    assert officer.get(f"{URL}/checks", params={"day": "2024-05-03"}).json()["total"] == 0
    counts = small_office.as_role("county_clerk").get("/api/v1/watch/summary").json()
    assert counts["overdue"] == {"visit": 1, "decision": 0, "help": 0} and counts["states"]["found"] == 2
    refused(officer.get(URL, params={"cursor": "Y2FzZXM6eA"}), "bad_cursor", 400)
    refused(officer.get(URL, params={"cursor": "eA"}), "bad_cursor", 400)


def test_a_notice_is_there_only_of_what_is_published(small_office: OfficeAtWork) -> None:
    settle_in(small_office)
    officer = small_office.as_role("assistance_officer")
    case = opened(officer)
    asked = {"householder": "p1", "village": "东村", "contact": "村委会 0474-8220000"}
    address = f"{URL}/{case['case_id']}/notice"
    refused(officer.get(address, params=asked), "case_not_public")
    done(officer, case, "verified", **SEEN)
    done(officer, case, "published", category="edge")
    english = officer.get(address, params={**asked, "lang": "en"})
    told = english.json()
    assert (told["kind"], told["people"], told["until"]) == ("recognition_proposed", 2, "2024-06-08")
    assert told["text"].startswith("Public notice") and english.headers["content-language"] == "en"
    refused(officer.get(address, params={**asked, "householder": "p3"}), "notice_incomplete", 400)
    refused(officer.get(address, params={**asked, "village": NUMBER}), "notice_private", 400)
    refused(officer.get(address, params={**asked, "contact": " "}), "notice_incomplete", 400)
    with small_office.store.reading() as connection:
        traces = audit.traces(connection, action="print_notice")
    assert {one.person_id for one in traces} == {"p1", "p2"}


def test_a_screening_is_asked_for_and_followed(small_office: OfficeAtWork) -> None:
    """Take the job as a server would, but do its work here: that jobs are processes is tried with the other jobs."""
    office, jobs = small_office, small_office.running.jobs
    settle_in(office)
    office.as_role("county_clerk").post("/api/v1/settlements", json=claim())
    officer, analyst = office.as_role("assistance_officer"), office.as_role("analyst")
    refused(officer.post("/api/v1/screenings", json={}), "jobs_off", 503)
    office.running.settings = office.settings.model_copy(update={"jobs": True})
    town = office.as_role("assistance_officer", place="150981102", login="town_officer")
    refused(town.post("/api/v1/screenings", json={}), "forbidden", 403)
    refused(officer.get("/api/v1/screenings/9"), "no_job", 404)
    asked = officer.post("/api/v1/screenings", json={"as_of": "2024-06-03"})
    assert (asked.status_code, asked.json()["state"], asked.json()["cases"]) == (202, "waiting", None), asked.text
    number = asked.json()["id"]
    for way in ("cancel", "retry"):
        refused(analyst.post(f"/api/v1/jobs/{number}/{way}"), "forbidden", 403)
    taken = office.store.attempt(jobs._take)
    assert taken is not None and taken[:2] == (number, "screen")
    folder = jobs.folder_of(number)
    folder.mkdir(parents=True)
    _screen(json.loads(taken[2]), folder, office.store.engine.url.render_as_string(hide_password=False))
    jobs._end(number, "done", None, folder)
    found = officer.get(f"/api/v1/screenings/{number}").json()
    assert (found["state"], found["year"], found["cases"], found["households"]) == ("done", 2024, 1, 3), found
    raised = officer.get("/api/v1/alerts", params={"screening": found["screening"]}).json()["items"]
    assert found["alerts"] >= len(raised) > 0
    assert analyst.get(f"/api/v1/jobs/{number}/files/screening.json").json()["cases"] == 1


@pytest.mark.heavy
def test_a_screening_runs_in_a_process_of_its_own(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    office = open_office(sqlite_store, jobs=True, watch_seconds=0)
    settle_in(office)
    office.as_role("county_clerk").post("/api/v1/settlements", json=claim())
    officer = office.as_role("assistance_officer")
    number = officer.post("/api/v1/screenings", json={}).json()["id"]
    found: dict[str, Any] = {}
    for _ in range(300):
        found = officer.get(f"/api/v1/screenings/{number}").json()
        if found["state"] in ("done", "failed"):
            break
        time.sleep(0.1)
    assert (found["state"], found["cases"]) == ("done", 1), found


def wait_for_case(caller: Caller) -> dict[str, Any]:
    """Wait until the watcher had the year screened, which a process of its own does, and give the only case."""
    for _ in range(300):
        items = caller.get(URL).json()["items"]
        if items:
            case: dict[str, Any] = caller.get(f"{URL}/{items[0]['case_id']}").json()
            return case
        time.sleep(0.1)
    raise AssertionError("no case was opened")


def later(office: OfficeAtWork, days: int, **callers: Caller) -> None:
    """Let days pass, and give people a session anew: theirs have ended."""
    office.clock.forward(days=days)
    with office.store.writing() as connection:
        for login, caller in callers.items():
            user = users.user_by_login(connection, login)
            token = users.open_session(connection, user, "token", office.clock.now)[0]
            caller.headers["authorization"] = f"Bearer {token}"


def screened(office: OfficeAtWork) -> None:
    """Screen the whole register, as a job does, but here."""
    day = office.clock.now.date()
    screen_office(
        office.store, year=day.year, as_of=day, actor=Actor("setup", "assistance_officer"), now=office.clock.now
    )
