"""The pages over PostgreSQL: the four people's main jobs once in a real browser, and every page as SQLite gives it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from office import OfficeAtWork, running_office
from playwright.sync_api import Browser, Page
from screens import every_page, headers_of
from stores import Server, carry
from visits import NARROW, WIDE, Visit, on_loopback, visiting

from medfloor.service import trials
from medfloor.service.demonstration import PASSWORD, TODAY, at
from medfloor.service.invented import PLACE
from medfloor.service.settings import Settings
from medfloor.store.chain import verify
from medfloor.store.engine import Store, open_store
from medfloor.store.keys import Keyring
from medfloor.store.office import decide_setting
from medfloor.store.roles import Actor
from medfloor.store.schema import claim, entry, job, person_fact, proposal, watch_case

Filled = tuple[Path, Keyring]
LAW = "synthetic/cn-2025"


@pytest.fixture
def working(tmp_path: Path, filled: Filled) -> Iterator[Callable[[Store], OfficeAtWork]]:
    """Give a function that opens the made-up office over a store."""
    with ExitStack() as stack:

        def start(store: Store) -> OfficeAtWork:
            settings = Settings(
                jobs=True, jobs_folder=tmp_path / "jobs", strangers_a_second=1000, requests_a_second=1000,
                logins_a_minute=1000,
            )  # fmt: skip
            # Jobs are taken and wait: that they are carried out is tried with the jobs.
            office = running_office(store, filled[1], settings.model_copy(update={"jobs": False}), policy=None)
            office.app.state.running.settings = settings
            stack.callback(store.close)
            stack.callback(office.stop)
            office.clock.now = at(TODAY)
            with store.writing() as connection:
                decide_setting(connection, "place", PLACE, actor=Actor("admin", "administrator"), now=at(TODAY))
            return office

        yield start


@pytest.fixture
def on_postgresql(
    filled: Filled, postgresql_server: Server, working: Callable[[Store], OfficeAtWork]
) -> Iterator[OfficeAtWork]:
    """Give the made-up office with its rows in PostgreSQL."""
    name = postgresql_server.fresh()
    carry(filled[0], postgresql_server.address(name))
    yield working(open_store(postgresql_server.address(name)))
    postgresql_server.drop(name)


WORKED_OUT_ASIDE = "/policies/cliffs"
"""Told by a thread of the program when it is ready, from the law alone; until then the page says to wait."""


def test_every_page_says_the_same_on_both_stores(
    on_postgresql: OfficeAtWork, filled: Filled, working: Callable[[Store], OfficeAtWork], tmp_path: Path
) -> None:
    shutil.copy(filled[0], tmp_path / "office.db")
    offices = (working(open_store(tmp_path / "office.db")), on_postgresql)
    with on_postgresql.store.reading() as connection:
        known = names_of(connection)
    callers: dict[str, tuple[Any, ...]] = {}
    asked = 0
    for login, path in every_page():
        names = set(re.findall(r"{(\w+)}", path))
        if not names <= set(known):
            continue  # what is made by jobs lies in files, whichever the store
        if login not in callers:
            callers[login] = tuple(office.stranger() for office in offices)
            for caller in callers[login] if login else ():
                answer = caller.post("/api/v1/session", json={"login": login, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
        told = [one.get(path.format_map(known), headers=headers_of(path)) for one in callers[login]]
        assert told[0].status_code == told[1].status_code < 500, (path, told[1].text)
        asked += 1
        if "html" in told[0].headers.get("content-type", "") and not path.startswith(WORKED_OUT_ASIDE):
            here, there = (plain(one.text) for one in told)
            assert here == there, (login, path)
    assert asked > 60


def names_of(connection: sa.Connection) -> dict[str, str]:
    """Find a person with a claim and a case of their own household."""
    asked = (
        sa.select(claim.c.person_id, claim.c.claim_id, person_fact.c.household_id, watch_case.c.case_id)
        .join(person_fact, person_fact.c.person_id == claim.c.person_id)
        .join(watch_case, watch_case.c.household_id == person_fact.c.household_id)
        .where(watch_case.c.state == "published")
        .order_by(claim.c.id)
    )
    person, claim_id, home, case = connection.execute(asked).first() or ("",) * 4
    return {"person": person, "claim": claim_id, "household": home, "case": case}


def plain(text: str) -> str:
    """Leave out of a page what is drawn anew for each answer: tokens, keys of requests, numbers of requests."""
    text = re.sub(r'(name="(?:csrf_token|request_key)" value=|-Token": )"[^"]*"', "", text)
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "", text)


def test_four_people_do_their_main_jobs(
    on_postgresql: OfficeAtWork, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials._population.cache_clear()
    trials._world.cache_clear()
    monkeypatch.setattr(trials, "SAMPLE_PEOPLE", 1_000)
    with on_postgresql.store.reading() as connection:
        known = names_of(connection)
    with on_loopback(on_postgresql) as address:
        for work, login, lang, size in (
            (clerk, "clerk", "zh", WIDE), (officer, "officer", "en", NARROW), (head, "head", "zh", NARROW),
            (analyst, "analyst", "en", WIDE),
        ):  # fmt: skip
            with visiting(browser, address, lang=lang, size=size) as someone:
                page = someone.open(f"/language?to={lang}&next=/login")
                page.fill("#login", login)
                page.fill("#password", PASSWORD)
                with page.expect_navigation():
                    page.click("form[action='/login'] button")
                page.on("dialog", lambda dialog: dialog.accept())
                work(someone, page, known)
                assert not someone.wider_than_screen()
    with on_postgresql.store.reading() as connection:
        kinds = connection.execute(
            sa.select(entry.c.kind).where(entry.c.claim_id == "pg1").order_by(entry.c.number)
        ).scalars()
        assert list(kinds) == ["settlement", "reversal"]
        assert "simulate" in connection.execute(sa.select(job.c.kind)).scalars().all()
        states = connection.execute(sa.select(proposal.c.state).where(proposal.c.kind == "reversal")).scalars().all()
        assert sorted(states) == ["approved", "refused"]
    assert not verify(on_postgresql.store).findings


def clerk(someone: Visit, page: Page, known: dict[str, str]) -> None:
    """See the month, look somebody up, settle, take back, settle a file and take a department's list in."""
    assert "2026年6月" in page.inner_text("h1")
    page.click("main a[href^='/month?month=']")
    assert page.locator("tbody tr").count() == 50
    page.click("a[href*='cursor=']")
    assert page.locator("tbody tr").count() > 0
    someone.open(f"/people/{known['person']}")
    page.locator("#yuan").fill("100000")
    page.wait_for_selector("#next-told .figure-number")
    someone.open(f"/settle?person={known['person']}")
    page.select_option("#care_type", "inpatient")
    page.select_option("#facility_level", "2")
    for field, said in {
        "claim_id": "pg1",
        "start_date": "2026-06-10",
        "end_date": "2026-06-13",
        "total": "900",
    }.items():
        page.fill(f"#{field}", said)
    page.click("button[value=preview]")
    page.click("button[value=settle]")
    assert "/claims/pg1/slip" in page.url
    someone.open("/claims/pg1")
    page.fill("#reason", "录入两次")
    page.click("form[action$='/reversal'] button")
    assert page.url.endswith("/claims/pg1?done=reversed"), page.inner_text("main")
    heads = "claim_id,person_id,care_type,start_date,end_date,facility_level,total,off_catalogue,in_scope"
    lines = [f"pg{n},{known['person']},outpatient,2026-06-12,2026-06-12,2,100.00,0.00,100.00" for n in (2, 3)]
    content = "\n".join([heads, *lines, lines[0].replace(known["person"], "nobody").replace("pg2", "pg4")]).encode()
    someone.open("/settle/batch")
    page.set_input_files("#file", {"name": "claims.csv", "mimeType": "text/csv", "buffer": content})
    page.click("main form button")
    page.wait_for_selector(".notice.good")
    someone.open("/office/imports")
    content = "姓名,身份证号,人员类别,开始日期\n某人,11010519491231002X,低保对象,2026-06-01\n".encode()
    page.set_input_files("#file", {"name": "list.csv", "mimeType": "text/csv", "buffer": content})
    page.select_option("#kind", "spells")
    page.select_option("#source", "civil_affairs")
    page.click("form[action='/office/imports'] button")
    assert page.locator("[role=status]").count()


def officer(someone: Visit, page: Page, known: dict[str, str]) -> None:
    """Go from the alerts to a case that waits, verify it, plan visits, and send a list out."""
    someone.open("/watch")
    page.click("section[aria-labelledby=u-urgent] a")
    assert page.locator("article.claim").count()
    someone.open("/watch/cases?state=found")
    page.click("main a[href^='/watch/cases/k'] >> nth=0")
    page.click("details:has(#verified-day) > summary")
    page.fill("#verified-income_head", "7,000")
    page.select_option("#verified-labour_capacity", "yes")
    page.click("form:has(#verified-day) button")
    assert "7,000.00" in page.inner_text(".timeline")
    someone.open("/watch/visits?capacity=5")
    assert page.locator("section[aria-labelledby=plan-1] tbody th").count()
    someone.open("/watch/exchange")
    page.select_option("#purpose", "civil_affairs/verify_hardship")
    page.click("form[action='/watch/exchange'] button")
    assert re.search(r"/watch/exchange/1\?done=recorded$", page.url)
    someone.open(f"/watch/cases/{known['case']}/notice")


def head(someone: Visit, page: Page, known: dict[str, str]) -> None:
    """Decide on what waits for a second person, see the statements, and say why books and hospital differ."""
    someone.open("/office/proposals?state=open&kind=reversal")
    page.click("main a[href='/office/proposals/1']")
    page.fill("#note", "已核对")
    page.click("button[value=approve]")
    assert page.locator("button[value=approve]").count() == 0
    someone.open("/office/reconciliation?state=open")
    form = page.locator("article form").first
    form.locator("select").select_option("their_error")
    form.locator("input[name=note]").fill("医院重报")
    form.locator("button").click()
    someone.open("/office/statements?month=2026-05")
    assert page.locator("tbody tr").count()
    someone.open("/office/arrears?state=found")
    page.click("tbody th a >> nth=0")
    page.select_option("#state", "notified")
    page.click("form[action^='/office/arrears/'] button")
    assert page.text_content("[role=status]") == "已登记。"


def analyst(someone: Visit, page: Page, known: dict[str, str]) -> None:
    """Read a policy, write a reform and see what it does, and ask the laboratory for a simulation."""
    someone.open(f"/policies/show?of={LAW}")
    someone.open(f"/policies/reforms/new?over={LAW}&start=oop_cap")
    page.wait_for_selector("#effect table")
    page.click("button[formaction='/policies/reforms/save']")
    page.wait_for_url(re.compile(r"/policies/reforms/\w+\?done=saved"))
    someone.open(f"/laboratory?reform=oop_cap&baseline={LAW}")
    page.fill("#sim-people", "1,000")
    page.click("form:has(#sim-people) button.main")
    assert re.search(r"/laboratory/\d+$", page.url), page.inner_text("main")
