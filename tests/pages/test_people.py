"""People, households, claims and settling in a real browser: the clerk's and the officer's main jobs, end to end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import county
import polars as pl
import pytest
from office import OfficeAtWork
from visits import NARROW, WIDE, Visit

from medfloor.store import register
from medfloor.store.extracts import read_extract
from medfloor.store.roles import Actor

NASTY = "<script>alert(1)</script>"


@pytest.fixture
def people(office: OfficeAtWork) -> OfficeAtWork:
    """Give an office with people, claims of p1 (one of them taken back) and the users who look at them."""
    county.settle_in(office, p1="dibao")
    with office.store.writing() as connection:
        register.record(
            connection, "household", "h1", {"place": "150981102", "size": 2, "income_fen": 6_000_000},
            start=date(2020, 1, 1), actor=Actor("setup", "county_clerk"), now=county.BEFORE,
        )  # fmt: skip
    for login, role in (("clerk1", "county_clerk"), ("officer1", "assistance_officer")):
        office.add_user(login, role)
    clerk = office.as_role("county_clerk")
    for number in range(3):
        told = clerk.post("/api/v1/settlements", json=county.claim(f"c{number}", settled_date=f"2024-04-1{number}"))
        assert told.status_code == 200, told.text
    small = {"total_fen": 300_000, "off_catalogue_fen": 20_000, "in_scope_fen": 280_000}
    told = clerk.post("/api/v1/settlements", json=county.claim("small", settled_date="2024-04-20", **small))
    assert told.status_code == 200, told.text
    told = clerk.post("/api/v1/settlements/small/reversal", json={"reason": "charged twice"})
    assert told.status_code == 200, told.text
    return office


def fine(someone: Visit, *, lang: str = "zh") -> None:
    """See that a page fits its screen, and in one of its languages that axe finds no serious fault."""
    assert lang != "zh" or not someone.axe()
    assert not someone.wider_than_screen()


def speak(someone: Visit, lang: str) -> None:
    """Choose the language of the pages, as the link at the top does, and stay where one is."""
    someone.open(f"/language?to={lang}&next={someone.page.url.removeprefix(someone.address)}")


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_officer_finds_a_person_and_sees_why(people: OfficeAtWork, visit: Callable[..., Visit], lang: str) -> None:
    someone = visit(lang=lang, size=NARROW if lang == "zh" else WIDE)
    page = someone.sign_in("officer1", path="/people")
    speak(someone, lang)
    fine(someone, lang=lang)
    page.fill("#identity_number", county.NUMBER)
    page.click("form:has(#identity_number) button")
    assert county.NUMBER not in page.url
    fine(someone, lang=lang)
    page.click("table a")
    assert page.url.endswith("/people/p1")
    assert county.NAME not in page.content() and county.NUMBER not in page.content()
    fine(someone, lang=lang)
    # Deductibles and caps come from the policy: the poor have half the deductible of critical illness insurance.
    assert "15,202.00" in page.inner_text(".gauges") and "200,000.00" in page.inner_text(".gauges")
    # The slider asks the ledger; nothing is settled.
    page.locator("#yuan").fill("100000")
    page.wait_for_selector("#next-told .figure-number")
    # A claim is explained where it stands.
    page.locator(".claim details summary").nth(1).click()
    page.wait_for_selector(".claim .why ol.articles")
    assert "京人社农合发" in page.inner_text(".claim .why >> nth=1")
    assert page.locator(".claim.taken").count() == 1
    fine(someone, lang=lang)
    # The whole identity: with a reason, and traced.
    page.click("details:has(#identity) > summary")
    page.fill("#reason", "bank returned the payment")
    page.click("#identity button")
    page.wait_for_selector("#identity dl")
    assert county.NAME in page.inner_text("#identity")
    page.click("a[href='/households/h1']")
    fine(someone, lang=lang)
    # 2 of 3 claims that stand; what they bear over an income of 60,000 yuan.
    assert "%" in page.inner_text("section[aria-labelledby=year]")
    with page.expect_download() as waiting:
        page.click("a[href*='letter.pdf']")
    assert waiting.value.path().read_bytes()[:5] == b"%PDF-"
    assert waiting.value.suggested_filename == "letter-h1-2024.pdf"
    traces = people.as_role("auditor").get("/api/v1/audit?limit=50").json()["traces"]
    assert any(one["by"] == "officer1" and one["action"] == "reveal_identity" for one in traces), traces


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_clerk_settles_once_prints_and_takes_back(
    people: OfficeAtWork, visit: Callable[..., Visit], lang: str
) -> None:
    someone = visit(lang=lang, size=WIDE if lang == "zh" else NARROW)
    someone.expected = (422, 409)
    page = someone.sign_in("clerk1", path="/settle?person=p3")
    speak(someone, lang)
    fine(someone, lang=lang)
    page.select_option("#care_type", "inpatient")
    page.select_option("#facility_level", "2")
    page.fill("#claim_id", "new1")
    page.fill("#start_date", "2024-05-01")
    page.fill("#end_date", "2024-05-04")
    page.fill("#total", "3,000")
    page.fill("#off_catalogue", "200.50")
    assert page.get_attribute("#in_scope", "placeholder") == "2799.50"
    page.fill("#in_scope", "2799.49")
    page.click("button[value=preview]")
    assert page.get_attribute("#in_scope", "aria-invalid") == "true"
    fine(someone, lang=lang)
    page.fill("#in_scope", "")
    page.click("button[value=preview]")
    page.wait_for_selector("button[value=settle]")
    assert people.as_role("auditor").get("/api/v1/settlements/new1").status_code == 404
    fine(someone, lang=lang)
    key = page.get_attribute("input[name=request_key]", "value")
    sent = page.evaluate("() => Object.fromEntries(new FormData(document.querySelector('main form')))")
    page.click("button[value=settle]")
    page.wait_for_url("**/claims/new1/slip?done=settled")
    fine(someone, lang=lang)
    # The same form again, as a second click would send it: the same answer, no second entry.
    again = page.request.post(f"{someone.address}/settle", form={**sent, "action": "settle"}, max_redirects=0)
    assert again.status == 303 and again.headers["location"] == "/claims/new1/slip?done=settled" and key
    page.goto(f"{someone.address}/claims/new1")
    assert page.locator("section[aria-labelledby=entries] tbody tr").count() == 1
    fine(someone, lang=lang)
    page.once("dialog", lambda asked: asked.accept())
    page.fill("#reason", "entered twice")
    with page.expect_navigation():
        page.click("form[action$='/reversal'] button")
    assert page.url.endswith("/claims/new1?done=reversed"), page.inner_text("main")
    assert page.locator("section[aria-labelledby=entries] tbody tr").count() == 2
    # Above the office's limit it becomes a proposal.
    page.goto(f"{someone.address}/claims/c0")
    page.once("dialog", lambda asked: asked.accept())
    page.fill("#reason", "charged twice")
    with page.expect_navigation():
        page.click("form[action$='/reversal'] button")
    assert page.url.endswith("/claims/c0?done=proposed"), page.inner_text("main")
    # What waits for a second person is not proposed again, but its page is a click away.
    assert not page.locator("form[action$='/reversal']").count()
    fine(someone, lang=lang)
    page.click("#back ~ p a[href^='/office/proposals/']")
    assert "clerk1" in page.inner_text("main")
    page.once("dialog", lambda asked: asked.accept())
    page.click("form[action$='/withdrawal'] button")
    assert someone.open("/claims/c0").locator("form[action$='/reversal']").count()


@pytest.mark.heavy
def test_a_claim_is_corrected_under_an_id_of_its_own(people: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    clerk = people.as_role("county_clerk")
    small = {"total_fen": 300_000, "off_catalogue_fen": 20_000, "in_scope_fen": 280_000}
    assert clerk.post("/api/v1/settlements", json=county.claim("wrong", "p3", **small)).status_code == 200
    someone = visit(lang="en")
    page = someone.sign_in("clerk1", path="/claims/wrong/correction")
    speak(someone, "en")
    fine(someone)
    page.fill("#total", "2900.00")
    page.fill("#in_scope", "")
    page.fill("#reason", "a price was wrong")
    page.once("dialog", lambda asked: asked.accept())
    with page.expect_navigation():
        page.click("form[action$='/correction'] button")
    assert page.url.endswith("/claims/wrong-2?done=settled"), page.inner_text("main")
    assert clerk.get("/api/v1/settlements/wrong").json()["state"] == "reversed"


def rows(*claims: dict[str, Any]) -> bytes:
    base = {
        "care_type": "inpatient", "start_date": "2024-05-01", "end_date": "2024-05-04", "facility_level": "2",
        "total": "1000.00", "off_catalogue": "100.00", "in_scope": "900.00",
    }  # fmt: skip
    return pl.DataFrame([{**base, **one} for one in claims]).write_csv().encode()


def test_a_file_of_claims_comes_out_to_the_fen_and_again_changes_nothing(
    people: OfficeAtWork, visit: Callable[..., Visit]
) -> None:
    content = rows(
        *({"claim_id": f"b{n:03}", "person_id": "p3"} for n in range(150)),
        {"claim_id": "lost", "person_id": "nobody"},
        {"claim_id": "sum", "person_id": "p3", "in_scope": "899.00"},
        {"claim_id": "far", "person_id": "far"},
    )
    someone = visit(lang="en")
    page = someone.sign_in("clerk1", path="/settle/batch")
    speak(someone, "en")
    fine(someone)
    sent = {"name": "claims.csv", "mimeType": "text/csv", "buffer": content}
    page.set_input_files("#file", sent)
    page.click("main form button")
    page.wait_for_selector(".notice.good")
    fine(someone)
    totals = page.inner_text("section[aria-labelledby=far] table")
    assert [line.split("\t")[1] for line in totals.splitlines()[-4:]] == ["153", "150", "0", "3"], totals
    assert "150,000.00" in totals and "3,000.00" in totals and "153,000.00" in totals
    with page.expect_download() as found:
        page.click("a[href$='rejects.xlsx']")
    refused = read_extract(found.value.path().read_bytes())
    at = refused.columns.index("claim_id")
    assert sorted(row[at] for row in refused.rows) == ["far", "lost", "sum"]
    # Sent again: the same batch, and nothing in the ledger.
    number = page.url.partition("?")[0]
    page.goto(f"{someone.address}/settle/batch")
    page.set_input_files("#file", sent)
    page.click("main form button")
    page.wait_for_url("**?done=same_file")
    assert page.url.partition("?")[0] == number
    # Another clerk does not see it.
    people.add_user("clerk2", "county_clerk")
    other = visit(lang="zh")
    other.expected = (404,)
    other.sign_in("clerk2", path=number.removeprefix(someone.address))
    assert "no_such_import" in other.page.content()


def test_text_of_others_is_shown_as_text(people: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    common: dict[str, Any] = {"actor": Actor("setup", "county_clerk"), "now": county.BEFORE}
    with people.store.writing() as connection:
        register.record(
            connection, "spell", ("p3", "dibao"), {"recognised_by": NASTY, "detail": NASTY},
            start=date(2023, 6, 1), **common,
        )  # fmt: skip
    someone = visit(lang="en")
    someone.expected = (422,)
    page = someone.sign_in("clerk1", path="/people/p3")
    assert NASTY in page.inner_text("section[aria-labelledby=status]")
    page.goto(f"{someone.address}/settle")
    page.fill("#claim_id", NASTY)
    page.select_option("#care_type", "outpatient")
    page.select_option("#facility_level", "1")
    page.fill("#person_id", "p3")
    page.fill("#start_date", "2024-05-01")
    page.fill("#end_date", "2024-05-04")
    page.fill("#total", "1")
    page.click("button[value=preview]")
    assert page.input_value("#claim_id") == NASTY
    assert page.locator("main script").count() == 0


def test_pages_of_people_outside_of_the_place_are_not_found(people: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    someone = visit(lang="en")
    someone.expected = (403, 404)
    page = someone.sign_in("officer1", path="/people/far")
    assert "no_such_person" in page.content()
    for path in (
        "/people/far/next?yuan=100",
        "/households/h9",
        "/households/h9/letter.pdf?year=2024",
        "/claims/nothing",
    ):
        assert page.request.get(f"{someone.address}{path}", headers={"accept": "text/html"}).status == 404, path
    # An officer settles nothing.
    assert page.request.get(f"{someone.address}/settle", headers={"accept": "text/html"}).status == 403


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_page_of_batches_says_what_a_file_needs(people: OfficeAtWork, lang: str) -> None:
    clerk = people.as_role("county_clerk")
    told = clerk.get("/settle/batch", headers={"accept": "text/html", "cookie": f"medfloor-language={lang}"}).text
    needed = told.partition('id="needed"')[2].partition("</p>")[0]
    assert "<code>in_scope</code>" in needed and "<code>diagnosis</code>" not in needed
    assert {"zh": "留空由系统计算", "en": "works it out"}[lang] in needed
    assert 'href="/settle/batch/template.csv"' in needed


def test_a_household_says_that_its_deadline_is_over(people: OfficeAtWork) -> None:
    officer = people.as_role("assistance_officer")
    opened = officer.post("/api/v1/cases", json={"household_id": "h1", "source": "cadre"})
    assert opened.status_code == 200, opened.text
    browser = {"accept": "text/html", "cookie": "medfloor-language=en"}
    assert "overdue" not in officer.get("/households/h1", headers=browser).text
    people.clock.forward(days=60)
    told = officer.get("/households/h1", headers=browser).text
    assert '<span class="tag bad">' in told.partition('id="watched"')[2] and "first visit" in told


def test_enrolments_have_room_beside_nothing(people: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    for size in (WIDE, NARROW):
        someone = visit(size=size)
        page = someone.sign_in("clerk1", path="/people/p1")
        clipped = (
            "() => [...document.querySelectorAll('#status ~ .scroll')].map(one => one.scrollWidth - one.clientWidth)"
        )
        found = page.evaluate(clipped)
        assert found and max(found) <= 0, (size, found)
