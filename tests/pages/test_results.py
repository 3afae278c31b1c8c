"""The laboratory, the fund, and measures and studies in a real browser: ask, follow, look, download."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from office import OfficeAtWork
from stores import address_of
from visits import NARROW, WIDE, Visit

from medfloor.errors import InputError
from medfloor.fund.supervision import ceiling_of, shipped_rules
from medfloor.measures import catastrophic
from medfloor.policy.load import load_policy
from medfloor.reports.laid_out import measure_printout, projection_printout, sheets_of_record
from medfloor.reports.printing import Grid, Part, Printout
from medfloor.service import funding, jobs, laboratory, measuring, results
from medfloor.service.results import LEADS, downloads_of, file_of, keep, shown_of
from medfloor.service.work import WORK, Task
from medfloor.simulation import Population
from medfloor.store.engine import Store
from medfloor.store.roles import Actor
from medfloor.store.schema import job
from medfloor.words import Phrase

NASTY = "<script>alert(1)</script>"
ANALYST = Actor("analyst1", "analyst", "150981")
HOMES = {
    "oop": [0.0, 5.0, 30.0, 60.0, 2.0, 9.0] * 5, "consumption": [100.0, 120.0, 110.0, 150.0, 90.0, 200.0] * 5,
    "place": ["A", "A", "B", "B", "B", "A"] * 5,
}  # fmt: skip


def laid_out(folder: Path) -> None:
    """Keep a small measure as a job does, with somebody's markup for a name."""
    result = catastrophic({**HOMES, "place": [f"{NASTY}{one}" for one in HOMES["place"]]}, by="place")
    named = [(NASTY, result)]
    keep(
        folder,
        lambda made, lang: measure_printout(named, made=made, lang=lang, title=NASTY, marks=[NASTY]),
        lambda lang: sheets_of_record(named, lang),
        {"catastrophic": result.to_frame("en")},
        made=date(2024, 6, 3),
        facts=[("population", NASTY)],
    )


@pytest.fixture(scope="session")
def found(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job")
    laid_out(folder)
    return folder


@pytest.fixture
def at_work(office: OfficeAtWork) -> OfficeAtWork:
    """Give an office that takes jobs, but in which nobody carries them out."""
    office.app.state.running.settings = office.settings.model_copy(update={"jobs": True})
    for login, role in (("analyst1", "analyst"), ("super1", "fund_supervisor"), ("clerk1", "county_clerk")):
        office.add_user(login, role)
    return office


def done(office: OfficeAtWork, kind: str, asked: dict[str, Any], kept: Path) -> int:
    """Put a job into the store as one that is done, with what another kept."""
    now = office.clock.now
    with office.store.writing() as connection:
        number = jobs.ask(connection, kind, asked, actor=ANALYST, now=now)
        connection.execute(job.update().where(job.c.id == number).values(state="done", progress=100))
    shutil.copytree(kept, office.running.jobs.folder_of(number))
    return number


def fine(someone: Visit) -> None:
    assert not someone.axe()
    assert not someone.wider_than_screen()


@pytest.mark.parametrize(("lang", "size"), [("zh", NARROW), ("en", WIDE)])
def test_an_analyst_asks_follows_and_ends_a_simulation(
    at_work: OfficeAtWork, visit: Callable[..., Visit], lang: str, size: dict[str, int]
) -> None:
    someone = visit(lang=lang, size=size)
    someone.expected = (422,)
    page = someone.sign_in("analyst1", path="/laboratory")
    fine(someone)
    # A reform's own page leads here with it chosen.
    someone.open("/laboratory?reform=oop_cap&baseline=synthetic/cn-2025")
    assert page.is_checked("#reform-oop_cap") and page.input_value("#sim-baseline") == "synthetic/cn-2025"
    page.fill("#sim-people", "20")
    page.click("form:has(#sim-people) button.main")
    # What was chosen stays, and what is wrong stands at its field.
    assert page.is_checked("#reform-oop_cap") and page.get_attribute("#sim-people", "aria-invalid") == "true"
    fine(someone)
    page.fill("#sim-people", "1,000")
    page.click("form:has(#sim-people) button.main")
    assert re.search(r"/laboratory/\d+$", page.url)
    fine(someone)
    number = int(page.url.rsplit("/", 1)[1])
    with at_work.store.writing() as connection:
        connection.execute(job.update().where(job.c.id == number).values(progress=40, state="running"))
    page.wait_for_selector("progress[value='40']")
    page.click("form[action$='/cancel'] button")
    page.wait_for_selector("form[action$='/retry']")
    fine(someone)
    with at_work.store.reading() as connection:
        row = jobs.find(connection, number)
    assert row["state"] == "cancelled" and "oop_cap" in row["parameters"]


@pytest.mark.parametrize(("lang", "size"), [("en", NARROW), ("zh", WIDE)])
def test_a_result_is_shown_and_downloaded_at_an_address_that_stays(
    at_work: OfficeAtWork, visit: Callable[..., Visit], found: Path, lang: str, size: dict[str, int]
) -> None:
    number = done(at_work, "measure", {"measure": "catastrophic"}, found)
    someone = visit(lang=lang, size=size, dark=lang == "zh")
    someone.expected = (404,)
    page = someone.sign_in("analyst1", path=f"/measures/{number}")
    assert page.inner_text("h1") == NASTY and page.inner_text(".notice.warn") == NASTY
    picture = page.locator("figure img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('figure img').naturalWidth > 100")
    assert picture.get_attribute("alt")
    # Each table shows at least one of its numbers before anybody scrolls it.
    first = """() => [...document.querySelectorAll('.scroll:has(table.dense td.number)')].map(one =>
        one.querySelector('tbody td.number').getBoundingClientRect().right - one.getBoundingClientRect().right)"""
    assert max(page.evaluate(first)) <= 0
    fine(someone)
    for name in (f"result-{lang}.xlsx", f"result-{lang}.pdf", "catastrophic.parquet"):
        with page.expect_download() as download:
            page.evaluate("name => document.querySelector(`a[href$='${name}']`).click()", name)
        assert download.value.path().stat().st_size > 1_000
    # Another subject's address of the same job, and files that are none of its own, are not there.
    for path in (
        f"/fund/{number}",
        f"/measures/{number}/files/leads.parquet",
        f"/measures/{number}/files/page-zh.json",
    ):
        assert someone.context.request.get(f"{someone.address}{path}").status == 404


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_fund_and_measures_take_their_jobs(at_work: OfficeAtWork, visit: Callable[..., Visit], lang: str) -> None:
    someone = visit(lang=lang, size=NARROW if lang == "en" else WIDE, dark=True)
    someone.expected = (422,)
    page = someone.sign_in("analyst1", path="/fund")
    assert not page.locator("#supervise-year").count(), "analysts see no person"
    fine(someone)
    page.fill("#project-years", "many")
    page.click("form:has(#project-years) button.main")
    assert page.get_attribute("#project-years", "aria-invalid") == "true"
    # What is named must be there, and something must change; what was typed stays.
    someone.open("/fund")
    page.fill("#contrast-against", "growth.nothing=4")
    page.click("form:has(#contrast-against) button.main")
    assert "growth.nothing" in page.inner_text("#contrast-against-error")
    page.fill("#contrast-against", "")
    page.click("form:has(#contrast-against) button.main")
    page.wait_for_selector(".notice.bad")
    fine(someone)
    page.fill("#contrast-against", "growth.long_run=4")
    page.click("form:has(#contrast-against) button.main")
    assert re.search(r"/fund/\d+$", page.url), page.url
    for first, subject in (("#backtest-paths", "fund"), ("#pool-share", "fund"), ("#adjust-start", "fund"),
                           ("#measure-people", "measures"), ("#study-study", "measures")):  # fmt: skip
        someone.open(f"/{subject}")
        page.click(f"form:has({first}) button.main")
        assert re.search(rf"/{subject}/\d+$", page.url), page.url
    someone.open("/measures")
    fine(someone)
    page.fill("#measure-columns", "med")
    page.fill("#measure-by", "two words")
    page.click("form:has(#measure-columns) button.main")
    assert page.input_value("#measure-columns") == "med" and page.locator("#measure-by-error").count()
    assert "^" not in page.inner_text("main"), "a pattern is for programs"
    with at_work.store.reading() as connection:
        kinds = [row["kind"] for row in jobs.newest(connection)]
    assert kinds == ["study", "measure", "adjust", "pool", "backtest", "contrast"]


def test_leads_name_people_to_those_only_who_may_see_them(
    at_work: OfficeAtWork, visit: Callable[..., Visit], found: Path
) -> None:
    number = done(at_work, "supervise", {"kind": "supervise", "office_year": 2024}, found)
    leads = pl.DataFrame(
        {
            "rank": [1, 2], "rule": ["duplicate", "duplicate"], "claim_id": ["c1", "c2"], "others": ["c3", None],
            "item": [None, None], "person_id": ["p1", "p2"], "provider_id": [NASTY, "h1"],
            "day": [date(2024, 3, 1)] * 2, "value": [2.0, 2.0], "limit": [1.0, None], "money_fen": [80_000, 5],
            **{f"{name}@{lang}": ["x", "y"] for name in ("title", "reason") for lang in ("zh", "en")},
        }
    )  # fmt: skip
    leads.write_parquet(at_work.running.jobs.folder_of(number) / "shown" / LEADS)
    someone = visit(size=NARROW)
    someone.expected = (403,)
    page = someone.sign_in("analyst1", path="/fund")
    for path in (f"/fund/{number}", f"/fund/{number}/leads", f"/fund/{number}/files/result-zh.xlsx"):
        assert someone.context.request.get(f"{someone.address}{path}").status == 403
    assert f"/fund/{number}" not in page.content()
    boss = visit()
    page = boss.sign_in("super1", path=f"/fund/{number}")
    page.click(f"a[href='/fund/{number}/leads']")
    assert NASTY in page.inner_text("tbody") and "800.00" in page.inner_text("tbody")
    assert "份" in page.inner_text("tbody"), "what was found has its unit"
    assert page.locator("a[href='/people/p1']").count() and page.locator("a[href='/claims/c3']").count()
    fine(boss)
    auditor = at_work.as_role("auditor")
    told = auditor.get("/api/v1/audit", params={"action": "read_leads"}).json()
    assert {one["person_id"] for one in told["traces"]} == {"p1", "p2"}


def adjustment(office: OfficeAtWork, kept: Path) -> int:
    """Put an adjustment of benefits into the store as one that is done, with its record."""
    from medfloor.fund.adjustment import decide
    from medfloor.fund.basis import national

    number = done(office, "adjust", {"kind": "adjust", "start": {}, "given": {}}, kept)
    record = json.dumps(decide(national()).record(), ensure_ascii=False)
    (office.running.jobs.folder_of(number) / "decision.json").write_text(record, "utf-8")
    return number


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_one_proposes_the_yearly_adjustment_and_another_signs_it(
    at_work: OfficeAtWork, visit: Callable[..., Visit], found: Path, lang: str
) -> None:
    number = adjustment(at_work, found)
    at_work.add_user("officer1", "assistance_officer")
    one = visit(lang=lang, size=NARROW)
    one.expected = (409,)
    page = one.sign_in("officer1", path=f"/fund/{number}")
    fine(one)
    page.fill("#reason", NASTY)
    page.click("form[action$='/proposal'] button")
    assert NASTY in page.inner_text("main") and not page.locator("button[value=approve]").count()
    fine(one)
    address = page.url.partition("?")[0].removeprefix(one.address)
    boss = visit(lang=lang)
    page = boss.sign_in("super1", path=address)
    page.fill("#note", "seen")
    page.click("button[value=refuse]" if lang == "en" else "button[value=approve]")
    fine(boss)
    with page.expect_download() as download:
        page.click("a[href$='/record']")
    signed = json.loads(download.value.path().read_text("utf-8"))
    signature = signed["signature"]
    assert (signature["by"], signature["accepted"], signature["note"]) == ("super1", lang == "zh", "seen")
    # What was decided is not proposed again, by a form that was open meanwhile either.
    page = one.open(f"/fund/{number}")
    assert not page.locator("#reason").count()
    token = page.locator("input[name=csrf_token]").first.get_attribute("value") or ""
    again = one.context.request.post(
        f"{one.address}/fund/{number}/proposal", form={"csrf_token": token, "reason": "again"}, max_redirects=0
    )
    assert again.status == 409


def test_programs_propose_and_sign_by_the_same_rules(at_work: OfficeAtWork, found: Path) -> None:
    number = adjustment(at_work, found)
    first, second = at_work.as_role("fund_supervisor"), at_work.as_role("assistance_officer")
    body = {"reason": "as the published table says"}
    assert at_work.as_role("analyst").post(f"/api/v1/jobs/{number}/proposal", json=body).status_code == 403
    assert at_work.as_role("county_clerk").post(f"/api/v1/jobs/{number}/proposal", json=body).status_code == 403
    other = done(at_work, "measure", {"measure": "poverty"}, found)
    assert first.post(f"/api/v1/jobs/{other}/proposal", json=body).json()["code"] == "no_record"
    made = first.post(f"/api/v1/jobs/{number}/proposal", json=body).json()
    assert second.post(f"/api/v1/jobs/{number}/proposal", json=body).json()["id"] == made["id"], "it is open already"
    path = f"/api/v1/proposals/{made['id']}"
    assert first.get(f"{path}/record").json()["code"] == "no_record", "nobody decided yet"
    told = {"approve": True, "note": "agreed"}
    assert first.post(f"{path}/decision", json=told).json()["code"] == "same_person"
    assert second.post(f"{path}/decision", json=told).json()["code"] == "forbidden"
    boss = at_work.as_role("fund_supervisor", login="super2")
    assert boss.post(f"{path}/decision", json=told).json()["outcome"] == "done"
    signed = first.get(f"{path}/record").json()
    assert signed["signature"]["by"] == "super2" and signed["digest"] == made["payload"]["digest"]
    assert first.post(f"/api/v1/jobs/{number}/proposal", json=body).json()["code"] == "adjustment_decided"


def test_who_may_run_nothing_sees_nothing(at_work: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    someone = visit()
    page = someone.sign_in("clerk1")
    assert not page.locator("nav.menu a[href='/laboratory']").count()
    for path in ("/laboratory", "/fund", "/measures", "/fund/1/leads"):
        assert someone.context.request.get(f"{someone.address}{path}").status in (403, 404)


def test_asking_for_leads_is_not_for_analysts_and_a_population_is_one(at_work: OfficeAtWork) -> None:
    analyst = at_work.as_role("analyst")
    body: dict[str, Any] = {"kind": "supervise", "office_year": 2024}
    assert analyst.post("/api/v1/jobs", json=body).status_code == 403
    assert analyst.post("/api/v1/jobs", json=body | {"population": "x"}).status_code == 422
    supervisor = at_work.as_role("fund_supervisor")
    number = supervisor.post("/api/v1/jobs", json=body).json()["id"]
    assert analyst.post(f"/api/v1/jobs/{number}/cancel").status_code == 403
    assert supervisor.post(f"/api/v1/jobs/{number}/cancel").json()["state"] == "cancelled"


def test_what_is_kept_is_found_again_by_its_name_only(found: Path) -> None:
    told = shown_of(found, "en")
    assert told is not None and told["parts"][0]["blocks"][0]["kind"] == "figure"
    assert downloads_of(found, "zh") == ["result-zh.xlsx", "result-zh.pdf", "catastrophic.parquet"]
    assert file_of(found, "figure-1-zh.svg").read_bytes().startswith(b"<svg")
    for name in ("../shown/page-zh.json", "page-zh.json", LEADS, "none.svg"):
        with pytest.raises(Exception, match="no such file"):
            file_of(found, name)


@pytest.fixture
def task(tmp_path: Path) -> Iterator[Callable[..., Task]]:
    def make(**asked: Any) -> Task:
        return Task({"made": "2024-06-03", "smallest_cell": 5, **asked}, tmp_path, tmp_path, None, lambda *_: None)

    yield make


def test_measures_are_worked_out_and_small_groups_refused(task: Callable[..., Task], tmp_path: Path) -> None:
    homes = pl.DataFrame({**HOMES, "size": [1, 2, 3] * 10, "income": [80.0, 100.0, 300.0] * 10, "benefit": [1.0] * 30})
    homes.write_csv(tmp_path / "survey.csv")
    asked = {"table": "survey.csv", "columns": {}, "by": [], "line": "median:0.5", "cutoff": None, "language": "en"}
    common: dict[str, Any] = {"by": None, "design": None}
    frame = measuring._read(task(**asked, measure="incidence"))
    for measure, first in (
        ("concentration", 2),
        ("incidence", 1),
        ("poverty", 1),
        ("impoverishing", 1),
        ("catastrophic", 3),
    ):
        assert len(measuring._results(asked | {"measure": measure}, frame, common)) == first
    with pytest.raises(InputError, match="smallest cell"):
        measuring.measured(task(**asked | {"by": ["size"]}, measure="poverty", smallest_cell=11))


def test_a_change_is_held_against_what_is_and_named_in_each_language(
    monkeypatch: pytest.MonkeyPatch, task: Callable[..., Task]
) -> None:
    told: dict[str, list[Any]] = {}
    monkeypatch.setattr(funding, "_keep", lambda _, records: told.update(records))
    monkeypatch.setattr(funding, "_tornadoes", lambda *_: [])
    asked = {"population": None, "policy": None, "law": None, "year": None, "reforms": [], "given": {}, "seed": 1}
    funding.contrasted(task(**asked, against={"growth.long_run": 9.0}, years=3, paths=100, lines=[3.0]))
    outlook, held = told["zh"]
    assert "长期" in outlook.scenario and "long" in told["en"][0].scenario
    assert held.before.title("zh") == "现行政策" and held.after.title("zh") == outlook.scenario
    changed = held.frame.filter((pl.col("item") == "months") & (pl.col("fund") == "basic") & (pl.col("year") == 2028))
    assert changed["change"].item() < 0 and changed["before"].item() > 0
    printed = projection_printout(told["zh"], made=date(2026, 6, 15), lang="zh")
    kinds = [type(one).__name__ for one in printed.parts[0].blocks]
    assert kinds == ["Plate", "Grid"] and outlook.scenario in printed.parts[0].blocks[1].title  # type: ignore[union-attr]


def test_columns_of_words_and_of_numbers_are_told_apart(tmp_path: Path) -> None:
    kept = Printout(
        "t", "zh", date(2026, 1, 1), [Part("p", [Grid("g", ["项", "值", "来源"], [["甲", "1.2", "官方"]], 1)])]
    )
    results._write_page(tmp_path, kept)
    block = json.loads((tmp_path / "page-zh.json").read_text("utf-8"))["parts"][0]["blocks"][0]
    assert block["words"] == [True, False, True]


def test_a_year_of_the_office_that_is_not_over_says_to_which_day_its_claims_reach(tmp_path: Path) -> None:
    claims = pl.DataFrame({"end_date": [date(2026, 3, 1), date(2026, 6, 15)]})
    people = Population("2026", claims, pl.DataFrame(), None, pl.DataFrame())

    def told(**asked: Any) -> Phrase | None:
        return laboratory._reach(Task(asked, tmp_path, None, None, lambda *_: None), people)

    reach = told(office_year=2026, made="2026-06-16")
    assert reach is not None
    page = Printout("x", "zh", date(2026, 6, 16), [], marks=["made up"])
    for lang, words in (("zh", "2026 年尚未结束"), ("en", "2026 is not over")):
        mark = laboratory._marked(replace(page, lang=lang), reach).marks[-1]
        assert words in mark and "2026-06-15" in mark
    assert told(office_year=2025, made="2026-06-16") is None, "that year is over"
    assert told(population="county", made="2026-06-16") is None


@pytest.mark.parametrize(("lang", "words"), [("zh", "2024 年尚未结束"), ("en", "2024 is not over")])
def test_forms_say_beforehand_what_cannot_be_had(at_work: OfficeAtWork, lang: str, words: str) -> None:
    import county

    county.settle_in(at_work, p1="dibao")
    body = county.claim("c0", settled_date="2024-04-10")
    assert at_work.as_role("county_clerk").post("/api/v1/settlements", json=body).status_code == 200
    headers = {"accept": "text/html", "cookie": f"medfloor-language={lang}"}
    analyst = at_work.as_role("analyst")
    assert words in analyst.get("/laboratory", headers=headers).text
    # Without a population in the data folder no reform can be compared, so none is offered.
    page = analyst.get("/fund", headers=headers).text
    assert 'id="no-population"' in page and 'name="reforms"' not in page


def test_each_kind_of_job_has_its_work() -> None:
    import importlib

    for place in WORK.values():
        module, name = place.split(":")
        assert callable(getattr(importlib.import_module(f"medfloor.service.{module}"), name))


def test_a_year_of_the_office_has_what_stands_and_no_name(
    at_work: OfficeAtWork, sqlite_store: Store, tmp_path: Path
) -> None:
    import county

    from medfloor.store.office_year import office_year

    county.settle_in(at_work, p1="dibao")
    clerk = at_work.as_role("county_clerk")
    small = {"total_fen": 300_000, "off_catalogue_fen": 20_000, "in_scope_fen": 280_000}
    for number in range(3):
        body = county.claim(f"c{number}", settled_date=f"2024-04-1{number}", **small)
        assert clerk.post("/api/v1/settlements", json=body).status_code == 200
    assert clerk.post("/api/v1/settlements/c1/reversal", json={"reason": "charged twice"}).status_code == 200
    with sqlite_store.reading() as connection:
        found = office_year(connection, 2024)
        with pytest.raises(InputError, match="no claim of 2023"):
            office_year(connection, 2023)
    assert found.claims["claim_id"].to_list() == ["c0", "c2"]
    assert county.NAME not in str(found.people.to_dicts()) and county.NUMBER not in str(found.people.to_dicts())
    task = Task({}, tmp_path, None, address_of(sqlite_store), lambda *_: None)
    claims, people, rules = funding._of_office(task, 2024, shipped_rules())
    assert claims.height == 2 and people.height == found.people.height
    # What the office paid counts, and its own law says how much that may be in a year at most.
    (cap,) = (one for one in rules["near_cap"].settings if one.name == "cap_yuan")
    law = load_policy("cn/beijing").versions[-1]
    assert rules["near_cap"].on == (ceiling_of(law).yuan is not None)
    assert not rules["near_cap"].on or (cap.value, cap.source) == (ceiling_of(law).yuan, "law")
    assert 0 <= claims["pay_basic"].sum() < claims["in_scope"].sum()
    assert found.claims["settled_date"][0] < date(2024, 4, 10) + timedelta(days=1)
