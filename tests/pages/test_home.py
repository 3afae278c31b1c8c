"""The made-up office of `medfloor demo --serve`: its first page, and the back office's jobs, in a real browser."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from office import OfficeAtWork, running_office
from playwright.sync_api import Browser, Page
from visits import NARROW, WIDE, Visit, on_loopback, visiting

from medfloor.fund.supervision import supervise
from medfloor.intake import write_table
from medfloor.service import demonstration
from medfloor.service.demonstration import PASSWORD, TODAY, at
from medfloor.service.funding import _told
from medfloor.service.invented import PLACE, TOWNSHIPS
from medfloor.service.results import FOLDER, LEADS
from medfloor.service.settings import Settings
from medfloor.store import glance, statements
from medfloor.store.chain import verify
from medfloor.store.engine import Store, open_store
from medfloor.store.keys import Keyring
from medfloor.store.office import decide_setting, made_up
from medfloor.store.office_year import office_year
from medfloor.store.roles import Actor
from medfloor.store.schema import claim, entry, job, person_fact, posting, proposal

ADMIN = Actor("admin", "administrator")
MONTH = f"{TODAY:%Y-%m}"


@pytest.fixture
def made_up_office(filled: tuple[Path, Keyring], tmp_path: Path) -> Iterator[OfficeAtWork]:
    path = tmp_path / "office.db"
    shutil.copy(filled[0], path)
    store = open_store(path)
    settings = Settings(jobs=False, jobs_folder=tmp_path / "jobs", strangers_a_second=1000, logins_a_minute=1000)
    office = running_office(store, filled[1], settings, policy=None)
    office.clock.now = at(TODAY)
    with store.writing() as connection:
        decide_setting(connection, "place", PLACE, actor=ADMIN, now=at(TODAY))
    yield office
    office.stop()
    store.close()


@pytest.fixture
def visit(browser: Browser, made_up_office: OfficeAtWork) -> Iterator[Callable[..., Visit]]:
    with on_loopback(made_up_office) as address, ExitStack() as stack:

        def begin(**given: Any) -> Visit:
            opened: AbstractContextManager[Visit] = visiting(browser, address, **given)
            return stack.enter_context(opened)

        yield begin


def signed_in(someone: Visit, login: str, path: str = "/", lang: str = "zh") -> Page:
    """Sign in as one of the made-up office, in a language."""
    page = someone.open(f"/language?to={lang}&next=/login%3Fnext={path}")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.click("form[action='/login'] button")
    return page


def test_a_made_up_office_says_so_and_its_books_are_whole(made_up_office: OfficeAtWork) -> None:
    store = made_up_office.store
    with store.reading() as connection:
        mark = made_up(connection)
        assert mark is not None
        assert mark.clock(datetime(2030, 1, 2, tzinfo=UTC)) == at(TODAY) + (datetime(2030, 1, 2) - datetime(2030, 1, 1))
        assert not statements.doubtful(connection)
    assert not verify(store).findings
    assert made_up_office.running.made_up
    answer = made_up_office.stranger().get("/login", headers={"accept": "text/html", "accept-language": "en"})
    assert "Made-up data" in answer.text


def test_a_real_office_shows_no_such_banner(office: OfficeAtWork) -> None:
    assert not office.running.made_up
    answer = office.stranger().get("/login", headers={"accept": "text/html", "accept-language": "en"})
    assert "Made-up data" not in answer.text


def test_the_month_is_the_sum_of_its_entries_and_of_its_townships(made_up_office: OfficeAtWork) -> None:
    with made_up_office.store.reading() as connection:
        begins, ends = statements.bounds_of(MONTH)
        paid, own, settled = 0, 0, 0
        rows = connection.execute(sa.select(entry.c.id, entry.c.kind, entry.c.posted_at))
        during = {row.id for row in rows if begins <= row.posted_at < ends}
        kinds = {row.id: row.kind for row in connection.execute(sa.select(entry.c.id, entry.c.kind))}
        for row in connection.execute(sa.select(posting)):
            if row.entry_id in during:
                paid += row.amount_fen if row.party.startswith("fund:") else 0
                own += row.amount_fen if row.party == "person" else 0
        settled = sum(kinds[one] in ("settlement", "correction", "reinstatement") for one in during)
        whole = glance.month_of(connection, MONTH)
        assert (whole.paid_fen, whole.own_fen, whole.claims) == (paid, own, settled)
        assert paid > 0 < own
        parts = []
        for town in TOWNSHIPS:
            people = sa.select(person_fact.c.person_id).where(person_fact.c.place == town)
            parts.append(glance.month_of(connection, MONTH, whose=claim.c.person_id.in_(people)))
        assert sum(one.total_fen for one in parts) == whole.total_fen
        assert sum(one.claims for one in parts) == whole.claims
        rows_of_month = glance.settled_in(connection, MONTH, limit=5_000)
        assert sum(one.paid_fen + one.own_fen for one in rows_of_month) == whole.total_fen


def test_stays_that_overlap_are_found_until_one_is_taken_back(made_up_office: OfficeAtWork) -> None:
    with made_up_office.store.reading() as connection:
        found = glance.overlaps(connection, MONTH)
    doubled = [one for one in found if one.claim_id == f"{one.other_id}-2"]
    assert doubled
    assert all(one.start_date < one.other_end and one.other_start < one.end_date for one in found)
    from medfloor.store import ledger

    books = made_up_office.running.books
    assert books is not None
    ledger.reverse(books, doubled[0].claim_id, reason="twice", actor=Actor("clerk", "county_clerk"), now=at(TODAY))
    with made_up_office.store.reading() as connection:
        assert doubled[0] not in glance.overlaps(connection, MONTH)


def test_months_of_payment_are_reserve_over_the_mean_month(made_up_office: OfficeAtWork) -> None:
    with made_up_office.store.reading() as connection:
        drawn = [one for one in statements.statements(connection) if one.fund == "basic"]
        months = sorted({one.month for one in drawn})
        mean = sum(one.amount_fen + one.difference_fen for one in drawn) // len(months)
        found = glance.reserve_of(connection, 10 * mean, before=MONTH)
        assert found.months == tuple(months)
        assert found.lasts == pytest.approx(10, abs=1e-6)
        assert glance.reserve_of(connection, 0, before=MONTH).lasts is None
        assert glance.reserve_of(connection, 10, before="2020-01").lasts is None


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_each_number_of_the_first_page_leads_to_its_list(visit: Callable[..., Visit], lang: str) -> None:
    someone = visit(lang=lang, size=WIDE if lang == "zh" else NARROW, dark=lang == "en")
    page = signed_in(someone, "clerk", lang=lang)
    assert page.text_content("h1") == {"zh": "2026年6月概况", "en": "June 2026 at a glance"}[lang]
    assert not someone.axe()
    assert not someone.wider_than_screen()
    assert page.locator("main details").count() >= 6
    paths = {one.get_attribute("href") or "" for one in page.locator("main a").all()}
    assert {f"/month?month={MONTH}", f"/month/overlaps?month={MONTH}", "/office/arrears"} <= paths
    for path in sorted(paths) if lang == "zh" else ():
        someone.open(path)
        assert not someone.wider_than_screen(), path
    assert not someone.axe()


def test_a_township_sees_its_own_and_an_analyst_no_claim(made_up_office: OfficeAtWork) -> None:
    def home(role: str, place: str) -> str:
        caller = made_up_office.as_role(role, place=place, login=f"{role}-{place}")
        answer = caller.get("/", headers={"accept": "text/html", "accept-language": "en"})
        assert answer.status_code == 200
        return answer.text

    county, town = home("county_clerk", PLACE), home("county_clerk", TOWNSHIPS[0])
    with made_up_office.store.reading() as connection:
        people = sa.select(person_fact.c.person_id).where(person_fact.c.place == TOWNSHIPS[0])
        theirs = glance.month_of(connection, MONTH, whose=claim.c.person_id.in_(people))
        whole = glance.month_of(connection, MONTH)
    assert f">{whole.claims:,}</a>" in county
    assert f">{theirs.claims:,}</a>" in town
    assert TOWNSHIPS[0] in town
    assert "/month" not in home("analyst", PLACE)
    assert "/office" in home("administrator", "")


def test_leads_of_supervision_are_counted_from_the_newest_run_that_is_kept(made_up_office: OfficeAtWork) -> None:
    def home(role: str, place: str = PLACE) -> str:
        caller = made_up_office.as_role(role, place=place, login=f"{role}-{place}")
        return caller.get("/", headers={"accept": "text/html", "cookie": "medfloor-language=en"}).text

    # The made-up office has asked for a run; nothing has carried it out yet.
    assert "have not been looked over" in home("fund_supervisor")
    store = made_up_office.store
    with store.reading() as connection:
        tables = office_year(connection, TODAY.year)
    found = supervise(tables.claims, people=tables.people)
    assert found.leads.height
    (number,) = _ended(store, "done")
    folder = made_up_office.running.jobs.folder_of(number) / FOLDER
    folder.mkdir(parents=True)
    write_table(_told(found), folder / LEADS, money_columns=[])
    link = f'href="/fund/{number}/leads">{found.leads.height:,}</a>'
    for role in ("fund_supervisor", "county_clerk", "auditor"):
        assert link in home(role), role
    assert "/fund#supervise" in home("fund_supervisor")
    assert "/fund#supervise" not in home("county_clerk")
    for role, place in (("county_clerk", TOWNSHIPS[0]), ("analyst", PLACE), ("administrator", "")):
        assert "/leads" not in home(role, place), role
        assert "upervision leads" not in home(role, place), role
    clerk = made_up_office.as_role("county_clerk", place=PLACE, login="reader")
    page = clerk.get(f"/fund/{number}/leads", headers={"accept": "text/html"}).text
    assert f"共 {found.leads.height} 条" in page
    assert f'href="/fund/{number}"' not in page, "who may not open the run is not sent there"
    shutil.rmtree(folder)
    made_up_office.app.state.leads.clear()
    assert "have not been looked over" in home("auditor")


def _ended(store: Store, state: str) -> list[int]:
    """End the jobs that wait."""
    with store.writing() as connection:
        rows = list(connection.execute(sa.select(job.c.id)).scalars())
        connection.execute(job.update().values(state=state, finished_at=at(TODAY), progress=100))
    return rows


def test_the_sums_are_not_counted_again_until_the_ledger_grows(
    made_up_office: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = glance.month_of
    monkeypatch.setattr(glance, "month_of", lambda *given, **named: asked.append(given[1]) or real(*given, **named))
    caller = made_up_office.as_role("county_clerk", place=PLACE)
    for _ in range(3):
        assert caller.get("/", headers={"accept": "text/html"}).status_code == 200
    assert asked == [MONTH]


def test_a_clerk_imports_a_list_and_gets_its_refused_rows(visit: Callable[..., Visit], tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        "姓名,身份证号,人员类别,开始日期\n<script>alert(1)</script>,990000197001010011,低保对象,2026-06-01\n"
        "某人,11010519491231002X,低保对象,2026-06-01\n",
        encoding="utf-8",
    )
    someone = visit()
    page = signed_in(someone, "clerk", "/office/imports")
    assert not someone.axe()
    page.set_input_files("#file", file)
    page.select_option("#kind", "spells")
    page.select_option("#source", "civil_affairs")
    page.click("form[action='/office/imports'] button")
    assert "已导入" in (page.text_content("[role=status]") or "")
    assert page.locator("table").filter(has_text="前 2 行").locator("tbody tr").count() == 2
    assert not someone.axe()
    with page.expect_download() as got:
        page.click("a[download]")
    with zipfile.ZipFile(str(got.value.path())) as book:
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in book.read("xl/sharedStrings.xml").decode()
    someone.open("/office/imports")
    page.set_input_files("#file", file)
    page.select_option("#kind", "spells")
    page.select_option("#source", "civil_affairs")
    page.click("form[action='/office/imports'] button")
    assert "此前已导入过" in (page.text_content("[role=status]") or "")


def test_the_head_agrees_and_clears_a_statement_and_resolves_a_difference(visit: Callable[..., Visit]) -> None:
    someone = visit(lang="en")
    someone.expected = (400, 409)
    page = signed_in(someone, "head", "/office/statements", "en")
    page.fill("#draw-month", MONTH)
    page.click("form[action='/office/statements'][method=post] button")
    assert "not over" in (page.text_content("[role=alert]") or "")
    someone.open("/office/statements/H21/2026-05")
    page.click("form[action$='/agreement'] button")
    assert "open" in (page.text_content("[role=alert]") or ""), "lines of its reconciliation are open"
    someone.open("/office/reconciliation?state=open")
    assert not someone.axe()
    while page.locator("article form").count():
        form = page.locator("article form").first
        form.locator("select").select_option("their_error")
        form.locator("input[name=note]").fill("the hospital sends its file again <script>alert(1)</script>")
        form.locator("button").click()
        page.wait_for_load_state()
    someone.open("/office/statements/H21/2026-05")
    page.click("form[action$='/agreement'] button")
    assert page.text_content("[role=status]") == "The agreement is recorded."
    page.on("dialog", lambda dialog: dialog.accept())
    page.click("form[action$='/clearing'] button")
    assert page.text_content("[role=status]") == "The statement is cleared."
    assert not someone.axe()


def test_two_people_decide_and_an_arrear_is_settled(made_up_office: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    with made_up_office.store.reading() as connection:
        waiting = connection.execute(
            sa.select(proposal.c.id, proposal.c.kind).where(proposal.c.state == "open").order_by(proposal.c.id)
        ).all()
    number = next(row.id for row in waiting if row.kind == "reversal")
    someone = visit()
    page = signed_in(someone, "clerk", f"/office/proposals/{number}")
    assert page.locator("form[action$='/decision']").count() == 0, "who proposed it decides nothing"
    other = visit()
    page = signed_in(other, "head", f"/office/proposals/{number}")
    page.fill("#note", "已核对")
    page.click("button[value=approve]")
    assert "已办理" in (page.text_content("main") or "")
    assert not other.axe()
    other.open("/office/arrears?state=found")
    page.click("tbody th a")
    page.select_option("#state", "notified")
    page.click("form[action^='/office/arrears/'] button")
    assert page.text_content("[role=status]") == "已登记。"
    assert not other.axe()
    assert not other.wider_than_screen()


def test_the_administrator_keeps_accounts_and_nothing_typed_in_is_run(visit: Callable[..., Visit]) -> None:
    someone = visit(lang="en", size=NARROW)
    someone.expected = (400, 409, 422)
    page = signed_in(someone, "admin", "/office/users", "en")
    page.fill("#login", "newcomer")
    page.fill("#display_name", "<script>alert(1)</script>")
    page.select_option("#role", "county_clerk")
    page.fill("#place", PLACE)
    page.fill("#password", "aaaaaaaaaaaa")
    page.click("form.card[action='/office/users'] button")
    assert page.locator("[role=alert]").count() == 1, "the password is too easy"
    page.fill("#password", "another 8 staple paper")
    page.click("form.card[action='/office/users'] button")
    assert page.locator("td", has_text="<script>alert(1)</script>").count() == 1
    row = page.locator("tr", has_text="newcomer")
    row.locator("summary").click()
    row.locator("button[value=disable]").click()
    assert "disabled" in (page.locator("tr", has_text="newcomer").text_content() or "")
    assert not someone.axe()
    assert not someone.wider_than_screen()
    for path in ("/office/settings", "/office/audit", "/office"):
        someone.open(path)
        assert not someone.axe()
        assert not someone.wider_than_screen()


def test_people_of_the_demonstration_have_every_role() -> None:
    assert {role for _, role, _, _ in demonstration.PEOPLE} == {
        "county_clerk", "assistance_officer", "fund_supervisor", "analyst", "auditor", "administrator",
    }  # fmt: skip


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_deadlines_and_alerts_lead_to_as_many_lines_as_the_first_page_says(
    made_up_office: OfficeAtWork, lang: str
) -> None:
    officer = made_up_office.as_role("assistance_officer", place=PLACE)
    browser = {"accept": "text/html", "cookie": f"medfloor-language={lang}"}
    first = officer.get("/", headers=browser).text
    links = re.findall(r'href="(/watch/(?:cases\?due|alerts\?|absent-care)[^"]*)">([0-9,]+)</a>', first)
    assert len(links) == 10, "three deadlines late and near, three urgencies, absent care"
    assert sum(int(number) > 0 for _, number in links) >= 4
    overview = officer.get("/watch", headers=browser).text
    for path, number in links:
        listed = officer.get(path.replace("&amp;", "&"), headers=browser)
        assert listed.status_code == 200
        (said,) = re.findall(r'id="count">[^0-9<]*([0-9,]+)', listed.text)
        assert said == number, path
        rows = len(re.findall(r"<tr><th scope=.row.>|<article class=.claim.>", listed.text))
        assert rows == min(int(number), 50 if "/watch/cases" in path else 30), path
        if "/watch/cases" not in path and int(number):
            assert f'href="{path}">{number}</a>' in overview, "the watch's own page counts the same"
