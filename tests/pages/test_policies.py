"""Policies in a real browser: the list, one in words with its curve, two side by side, and the editor of reforms."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from office import OfficeAtWork
from visits import NARROW, WIDE, Visit

from medfloor.service import reforms, trials

BEIJING = "cn/beijing@2024-01-01"
CAP = "tiers/critical_illness/parts/year/deductible/amount"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try reforms on a tenth of the usual sample."""
    trials._population.cache_clear()
    trials._world.cache_clear()
    monkeypatch.setattr(trials, "SAMPLE_PEOPLE", 1_000)


def good(someone: Visit) -> None:
    assert not someone.axe()
    assert not someone.wider_than_screen()


@pytest.mark.parametrize(("lang", "size", "dark"), [("zh", NARROW, False), ("en", WIDE, True)], ids=["zh", "en"])
def test_read_a_policy_its_sources_its_curve_and_its_cliffs(
    office: OfficeAtWork, visit: Callable[..., Visit], lang: str, size: dict[str, int], dark: bool
) -> None:
    office.add_user("analyst1", "analyst")
    someone = visit(lang=lang, size=size, dark=dark)
    page = someone.sign_in("analyst1", path=f"/language?to={lang}&next=/policies")
    good(someone)
    page.click(f"a[href*='{BEIJING[:10]}'][href*='2023-01-01']:not([href*=compare])")
    assert "2023-01-01" in page.url
    page.wait_for_selector("section:has(#cliffs-title) ol li")
    good(someone)
    words = page.inner_text("section.words")
    assert "京医保发〔2022〕37号" in words and {"zh": "官方文本", "en": "official text"}[lang] in words
    assert "https://ybj.beijing.gov.cn" in words and not page.query_selector("section.words a[href^=http]")
    # Another kind of person: the curve is drawn again, and its table says what the poor bear.
    before = page.inner_text("#curve")
    with page.expect_response(re.compile("status=dibao")):
        page.select_option("#f-status", "dibao")
    page.wait_for_function("before => document.querySelector('#curve').innerText !== before", arg=before)
    assert {"zh": "低保", "en": "dibao"}[lang] in page.inner_text("#curve")


def test_compare_two_versions_and_a_reform(office: OfficeAtWork, visit: Callable[..., Visit]) -> None:
    office.add_user("clerk1", "county_clerk")
    someone = visit(lang="zh", size=NARROW)
    page = someone.sign_in("clerk1", path="/policies/compare?before=cn/beijing@2018-01-01&after=cn/beijing@2019-01-01")
    assert page.query_selector("table.changes mark") and page.query_selector("table.beside mark")
    good(someone)
    page = someone.open(f"/policies/compare?before={BEIJING}&after={BEIJING}&reform=oop_cap")
    assert "tiers/oop_cap" in page.inner_text("table.changes")
    assert page.query_selector("path.other-line")


@pytest.mark.parametrize(("lang", "size", "dark"), [("zh", WIDE, False), ("en", NARROW, True)], ids=["zh", "en"])
def test_write_a_reform_see_its_faults_and_effect_and_save_it(
    office: OfficeAtWork, visit: Callable[..., Visit], lang: str, size: dict[str, int], dark: bool
) -> None:
    office.add_user("analyst1", "analyst")
    someone = visit(lang=lang, size=size, dark=dark)
    someone.sign_in("analyst1", path=f"/language?to={lang}&next=/policies")
    page = someone.open(f"/policies/reforms/new?over={BEIJING}&start=oop_cap")
    page.wait_for_selector("#effect table")
    page.wait_for_selector("#findings .findings, #findings .good")
    good(someone)
    # A misspelt path is said with its line, in the reader's language; the link leads into the text.
    page.fill("#text", f"change:\n  {CAP.replace('amount', 'amuont')}: 1000\n")
    page.wait_for_selector("#effect [role=alert]")
    good(someone)
    told = page.inner_text("#effect")
    assert {"zh": "第2行第3列", "en": "line 2, column 3"}[lang] in told and "amount" in told
    page.click("#effect a[data-line='2']")
    assert page.evaluate("document.querySelector('#text').selectionStart") == len("change:\n  ")
    # Mended, it is tried: a family, protection, cost and winners.
    page.fill("#text", f"reform: {{name: {{zh: '{SCRIPT}', en: '{SCRIPT}'}}}}\nchange:\n  {CAP}: 1000\n")
    page.wait_for_selector("#effect table")
    hidden = (
        """() => [...document.querySelectorAll('#effect > .scroll')].map(one => one.scrollWidth - one.clientWidth)"""
    )
    assert max(page.evaluate(hidden)) <= 0, "changes stand on the screen, narrow or wide"
    page.select_option("#f-family", "dibao_cancer")
    page.wait_for_function("() => document.querySelector('#effect').innerText.includes('200,000.00')")
    with page.expect_download() as file:
        page.click("button[formaction='/policies/reforms/file']")
    assert CAP in Path(file.value.path()).read_text("utf-8")
    assert not list(Path(office.settings.jobs_folder).glob("reforms/*"))
    page.click("button[formaction='/policies/reforms/save']")
    page.wait_for_url(re.compile(r"/policies/reforms/[0-9a-f]{16}\?done=saved"))
    good(someone)
    assert page.text_content("h1") == SCRIPT
    assert SCRIPT in someone.open("/policies").inner_text("main")
    saved = reforms.saved(office.settings)
    assert len(saved) == 1 and saved[0].saved_by == "analyst1" and saved[0].over == BEIJING
