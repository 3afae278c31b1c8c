"""Households at risk in a real browser: alerts, cases step by step, four eyes, notices, visits, lists to departments."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import county
import pytest
from office import Caller, OfficeAtWork
from visits import NARROW, WIDE, Visit

from medfloor.service.work import _screen
from medfloor.store import register
from medfloor.store.roles import Actor
from medfloor.store.watching import screen_office

NASTY = "<script>alert(1)</script>"
SETUP = Actor("setup", "assistance_officer")
HTML = {"accept": "text/html"}


def screened(office: OfficeAtWork) -> None:
    """Screen the whole register, as a job does, but here."""
    day = office.clock.now.date()
    screen_office(office.store, year=day.year, as_of=day, actor=SETUP, now=office.clock.now)


@pytest.fixture
def watched(office: OfficeAtWork) -> OfficeAtWork:
    """Give an office that was screened, with alerts and cases of two townships, and those who follow them."""
    county.settle_in(office, p2="dibao")
    with office.store.writing() as connection:
        for home, place, income in (("h1", "150981102", 1_500_000), ("h3", "150981103", 900_000)):
            register.record(
                connection, "household", home, {"place": place, "size": 2, "income_fen": income},
                start=date(2020, 1, 1), actor=Actor("setup", "county_clerk"), now=county.BEFORE,
            )  # fmt: skip
    for login, role in (
        ("officer1", "assistance_officer"), ("officer2", "assistance_officer"), ("clerk1", "county_clerk"),
        ("super1", "fund_supervisor"), ("analyst1", "analyst"), ("auditor1", "auditor"),
    ):  # fmt: skip
        office.add_user(login, role)
    clerk = office.as_role("county_clerk")
    for number, person in enumerate(("p1", "p3")):
        told = clerk.post("/api/v1/settlements", json=county.claim(f"c{number}", person))
        assert told.status_code == 200, told.text
    screened(office)
    return office


def case_of(office: OfficeAtWork, household: str = "h1") -> dict[str, Any]:
    """Give the case of a household as its officer reads it."""
    officer = office.as_role("assistance_officer")
    (line,) = [one for one in officer.get("/api/v1/cases").json()["items"] if one["household_id"] == household]
    case: dict[str, Any] = officer.get(f"/api/v1/cases/{line['case_id']}").json()
    return case


def post(browser: Caller, path: str, **form: Any) -> Any:
    """Send a form as a browser does without scripts."""
    token = browser.headers["x-csrf-token"]
    return browser.post(path, data={**form, "csrf_token": token}, headers=HTML)


def fine(someone: Visit) -> None:
    assert not someone.axe()
    assert not someone.wider_than_screen()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_two_officers_follow_a_case_to_its_help(watched: OfficeAtWork, visit: Callable[..., Visit], lang: str) -> None:
    someone = visit(lang=lang, size=NARROW if lang == "zh" else WIDE, dark=lang == "en")
    page = someone.sign_in("officer1", path="/watch")
    fine(someone)
    # Each number leads to its list.
    page.click("section[aria-labelledby=u-urgent] a")
    assert page.url.endswith("/watch/alerts?urgency=urgent")
    assert "%" in page.inner_text("main") and "absent" not in page.inner_text("section[aria-labelledby=listed]")
    page.select_option("#place", "150981102")
    page.click("form[action='/watch/alerts'] button")
    fine(someone)
    assert page.locator("article.claim").count() == 2
    page.click("article.claim >> nth=0 >> a[href^='/watch/cases/']")
    fine(someone)
    case = case_of(watched)
    assert page.url.endswith(f"/watch/cases/{case['case_id']}")
    # An amount that is none is refused beside its field, and what was filled in stays.
    someone.expected = (422, 409)
    page.click("details:has(#verified-day) > summary")
    page.fill("#verified-income_head", "seven")
    page.select_option("#verified-labour_capacity", "yes")
    page.fill("#verified-reason", NASTY)
    page.click("form:has(#verified-day) button")
    assert page.get_attribute("#verified-income_head", "aria-invalid") == "true"
    assert page.input_value("#verified-reason") == NASTY
    fine(someone)
    page.fill("#verified-income_head", "7,000")
    page.click("form:has(#verified-day) button")
    assert NASTY in page.inner_text(".timeline") and "7,000.00" in page.inner_text(".timeline")
    # Somebody else is faster: nothing is written, and it is said kindly with the new state.
    post(
        watched.signed_in("officer2"), f"/watch/cases/{case['case_id']}/events", kind="published", expected="2",
        category="edge",
    )  # fmt: skip
    page.click("details:has(#published-day) > summary")
    page.select_option("#published-category", "sudden")
    page.click("form:has(#published-day) button")
    assert "officer2" in page.inner_text("[role=alert]") and page.input_value("#published-category") == "sudden"
    assert case_of(watched)["number"] == 3
    # Both took part, so neither may recognise: the page says who is meant.
    page.goto(page.url.removesuffix("/events"))
    assert "officer1" in page.inner_text("section[aria-labelledby=actions]")
    assert not page.locator("form:has(#recognised-day)").count()
    # The notice is public: nothing private stands in it.
    page.click("a[href$='/notice']")
    page.fill("#village", "东村")
    page.fill("#contact", "村委会")
    page.select_option("#lang", lang)
    page.click("form[action$='/notice'] button")
    fine(someone)
    told = page.inner_text("article.paper")
    assert county.NAME in told and "东村" in told
    for private in (county.NUMBER, "p1", "h1", "7,000", "alert(1)", case["case_id"]):
        assert private not in told


def test_the_second_person_decides_and_help_ends_the_deadline(watched: OfficeAtWork) -> None:
    one, case = watched.signed_in("officer1"), case_of(watched)
    address = f"/watch/cases/{case['case_id']}"
    steps: list[tuple[str, dict[str, str]]] = [
        ("verified", {"income_head": "7000", "line_head": "7300", "labour_capacity": "no"}),
        ("published", {"category": "edge"}),
    ]
    for number, (kind, said) in enumerate(steps, 1):
        assert post(one, f"{address}/events", kind=kind, expected=str(number), **said).status_code == 303
    two = watched.signed_in("officer2")
    shown = two.get(address, headers=HTML).text
    # The notice stands until 8 June: the step is shown with the first day on which it may be taken.
    assert "2024年6月9日起" in shown and "officer1" in shown
    early = post(two, f"{address}/events", kind="recognised", expected="3", category="edge")
    assert early.status_code == 409 and 'id="recognised-category"' in early.text
    watched.clock.forward(days=7)
    two = watched.signed_in("officer2")
    assert post(two, f"{address}/events", kind="recognised", expected="3", category="edge").status_code == 303
    wrong = post(two, f"{address}/events", kind="helped", expected="4", measure="", given_by="民政局")
    assert wrong.status_code == 422 and "民政局" in wrong.text
    assert (
        post(two, f"{address}/events", kind="helped", expected="4", measure="临时救助", given_by="民政局").status_code
        == 303
    )
    assert "临时救助" in two.get(address, headers=HTML).text
    # Of two cases, one was found by the screening and recognised, and helped after seven days.
    counts = watched.as_role("assistance_officer", login="officer3").get("/api/v1/watch/summary").json()
    assert counts["outcomes"]["confirmed_share"] == 1.0 and counts["outcomes"]["days_to_help"] == [7.0, 7.0, 7.0]
    for kind, said in (("nonsense", {}), ("removed", {}), ("helped", {"measure": "x", "given_by": "y"})):
        answer = post(two, f"{address}/events", kind=kind, expected="1", **said)
        assert answer.status_code in (409, 422), (kind, answer.status_code)


@pytest.mark.parametrize("lang", ["zh", pytest.param("en", marks=pytest.mark.heavy)])
def test_a_week_of_visits_is_planned_and_printed(watched: OfficeAtWork, visit: Callable[..., Visit], lang: str) -> None:
    someone = visit(lang=lang, size=WIDE if lang == "zh" else NARROW)
    page = someone.sign_in("officer1", path="/watch/visits")
    page.fill("#capacity", "1")
    page.click("form[action='/watch/visits'] button")
    fine(someone)
    # h3 has the lower income, so that more is at stake; by the day found it is the turn of h1.
    assert page.locator("section[aria-labelledby=plan-1] tbody th").inner_text().startswith("h3")
    assert page.locator("section[aria-labelledby=plan-2] tbody th").inner_text().startswith("h1")
    page.click("a[href^='/watch/visits/sheet']")
    fine(someone)
    page.emulate_media(media="print")
    assert page.locator("table.ruled").is_visible() and not page.locator(".top").is_visible()
    page.emulate_media(media="screen")
    someone.expected = (422,)
    page.goto(f"{someone.address}/watch/visits?capacity=many")
    assert page.get_attribute("#capacity", "aria-invalid") == "true"
    more = {"zh": ("absent-care", "checks", "rules"), "en": ("screenings", "cases", "files")}
    for name in more[lang]:
        someone.open(f"/watch/{name}")
        fine(someone)


def test_the_plan_visits_first_who_would_be_late(watched: OfficeAtWork) -> None:
    watched.clock.forward(days=4)
    officer = watched.signed_in("officer1")
    told = officer.get("/watch/visits?capacity=2", headers=HTML).text
    assert told.count("逾期") >= 2, "the last day for both was 6 June"
    audit = watched.as_role("auditor").get("/api/v1/audit?action=plan_visits").json()
    assert {one["person_id"] for one in audit["traces"]} == {"p1", "p2", "p3"}


def test_a_list_goes_to_a_department_and_its_answer_comes_back(
    watched: OfficeAtWork, visit: Callable[..., Visit]
) -> None:
    someone = visit(lang="zh", size=NARROW)
    page = someone.sign_in("officer1", path="/watch/exchange")
    fine(someone)
    page.on("dialog", lambda dialog: dialog.accept())
    page.select_option("#purpose", "civil_affairs/verify_hardship")
    page.click("form[action='/watch/exchange'] button")
    assert page.url.endswith("/watch/exchange/1?done=recorded")
    fine(someone)
    assert county.NUMBER not in page.content() and county.NAME not in page.content()
    with page.expect_download() as told:
        page.click("form[action$='/list.csv'] button")
    text = told.value.path().read_text("utf-8-sig")
    assert county.NUMBER in text
    head, row = text.splitlines()[:2]
    columns = [name.rpartition("(")[2].rstrip(")") for name in head.split(",")]
    cells = row.split(",")
    cells[columns.index("result")], cells[columns.index("measure")] = "属实", NASTY
    answer = f"{head}\r\n{','.join(cells)}\r\nnobody{',' * (len(columns) - 1)}\r\n"
    someone.open("/watch/exchange")
    page.set_input_files("#file", {"name": "answer.csv", "mimeType": "text/csv", "buffer": answer.encode("utf-8-sig")})
    page.click("form[action$='/answers'] button")
    assert NASTY in page.inner_text("section[aria-labelledby=answers]")
    assert "1" in page.inner_text("[role=status]")
    fine(someone)


def test_a_screening_is_asked_for_and_followed(watched: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    """Take the job as a server would, but do its work here: that jobs are processes is tried with the other jobs."""
    someone = visit(lang="zh")
    someone.expected = (503,)
    page = someone.sign_in("officer1", path="/watch/screenings")
    page.click("form[action='/watch/screenings'] button")
    assert page.locator("[role=alert]").count() == 1, "this service runs no jobs, and the page says so"
    watched.running.settings = watched.settings.model_copy(update={"jobs": True})
    page.click("form[action='/watch/screenings'] button")
    number = int(page.url.partition("job=")[2].partition("&")[0])
    assert page.locator("#job progress").count() == 1
    fine(someone)
    jobs = watched.running.jobs
    taken = watched.store.attempt(jobs._take)
    assert taken is not None and taken[0] == number
    folder = jobs.folder_of(number)
    folder.mkdir(parents=True)
    _screen(json.loads(taken[2]), folder, watched.store.engine.url.render_as_string(hide_password=False))
    jobs._end(number, "done", None, folder)
    # The page asks every second how far it is, and then shows what was found: nothing new.
    page.wait_for_selector("#job a[href^='/watch/alerts?screening=']")
    assert "6" in page.inner_text("#job dl")
    fine(someone)
    again = watched.signed_in("officer2")
    asked = post(again, "/watch/screenings")
    assert asked.status_code == 303
    number += 1
    assert post(again, f"/watch/screenings/{number}/cancel").status_code == 303
    assert "已取消" in again.get(f"/watch/screenings?job={number}", headers=HTML).text


def test_each_sees_what_their_role_may(watched: OfficeAtWork) -> None:
    case = case_of(watched)["case_id"]
    paths = (
        "/watch", "/watch/alerts", "/watch/absent-care", "/watch/visits", "/watch/cases", f"/watch/cases/{case}",
        "/watch/checks", "/watch/screenings", "/watch/rules", "/watch/exchange", f"/watch/cases/{case}/notice",
    )  # fmt: skip
    cases_only = {"/watch", "/watch/cases", f"/watch/cases/{case}", "/watch/checks"}
    may = {
        "clerk1": cases_only, "super1": {"/watch"}, "analyst1": {"/watch"},
        "auditor1": set(paths) - {f"/watch/cases/{case}/notice"}, "officer1": set(paths),
    }  # fmt: skip
    for login, allowed in may.items():
        browser = watched.signed_in(login)
        assert {path for path in paths if browser.get(path, headers=HTML).status_code == 200} == allowed, login
    # Two cases are nobody to an analyst.
    told = watched.signed_in("analyst1").get("/watch", headers=HTML).text
    assert "150981102" not in told and "/watch/cases" not in told
    # Another county is not told from nothing.
    watched.add_user("far1", "assistance_officer", place="150982")
    far = watched.signed_in("far1")
    assert far.get(f"/watch/cases/{case}", headers=HTML).status_code == 404
    assert case not in far.get("/watch/cases", headers=HTML).text
    assert far.get("/watch/visits/sheet?capacity=5", headers=HTML).text.count("h1") <= 2, "only the tags of the heading"
    assert post(far, f"/watch/cases/{case}/events", kind="refused", expected="1", reason="x").status_code == 404


def test_forms_need_their_token_and_open_one_case_a_household(watched: OfficeAtWork) -> None:
    clerk, case = watched.signed_in("clerk1"), case_of(watched)["case_id"]
    bare = {key: value for key, value in clerk.headers.items() if key != "x-csrf-token"}
    token, clerk.headers = clerk.headers["x-csrf-token"], bare
    for path in ("/watch/cases", f"/watch/cases/{case}/events", "/watch/screenings", "/watch/exchange"):
        assert clerk.post(path, data={"household_id": "h1"}, headers=HTML).status_code == 403, path
    clerk.headers = {**bare, "x-csrf-token": token}
    twice = post(clerk, "/watch/cases", household_id="h1", source="cadre")
    assert twice.status_code == 409 and 'aria-invalid="true"' in twice.text
    assert post(clerk, "/watch/cases", household_id="h99", source="cadre").status_code == 404
    assert post(clerk, "/watch/cases", household_id="h3", source="nobody", day="2024-13-01").status_code == 422
    assert post(clerk, "/watch/cases", household_id="h3", source="cadre", day="2030-01-01").status_code in (400, 409)
