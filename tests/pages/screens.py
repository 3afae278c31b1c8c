"""Look at every page: sign in as the four people of a made-up office, open each page, keep a picture of each.

`just screens [FOLDER]` writes them outside of the repository, in Chinese and English, narrow and wide, some of them
dark, and prints how long the server took for each page. A new page is one line in `PAGES`.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "service")]
from visits import CHROMIUM, FLAGS, NARROW, WIDE  # noqa: E402

ROOT = Path(__file__).parents[2]

PAGES: dict[str, tuple[str, ...]] = {
    "clerk": (
        "/", "/month", "/month/overlaps", "/people", "/people/{person}", "/households/{household}", "/claims/{claim}",
        "/claims/{claim}/slip", "/settle", "/settle/batch", "/office", "/office/imports", "/office/imports/1",
        "/office/proposals", "/office/proposals/1", "/office/arrears", "/office/reconciliation", "/office/settings",
        "/account",
    ),
    "officer": (
        "/", "/watch", "/watch/alerts", "/watch/absent-care", "/watch/visits", "/watch/visits/sheet",
        "/watch/screenings",  "/watch/rules", "/watch/cases", "/watch/cases/{case}",
        "/watch/cases/{case}/notice", "/watch/checks", "/watch/exchange", "/watch/prevention", "/watch/risk", "/office/arrears/1",
    ),
    "head": (
        "/", "/office/statements", "/office/statements/H21/2026-05", "/office/reconciliation", "/office/proposals/1",
        "/watch",
    ),
    "analyst": ("/", "/policies", "/policies/show?of=cn/beijing", "/policies/compare", "/policies/reforms/new", "/laboratory", "/fund", "/measures"),
    "admin": ("/", "/office/users", "/office/settings", "/office/audit"),
}  # fmt: skip
"""Login -> pages; {person}, {household}, {claim} and {case} are found in the made-up office."""

FURTHER: dict[str, tuple[str, ...]] = {
    "": ("/login", "/language?to=en&next=/login", "{static}"),
    "clerk": (
        "/month?month=2026-02&kind=settlement", "/people/{person}/next?yuan=100000", "/claims/{claim}/explanation",
        "/claims/{claim}/correction", "/settle?person={person}", "/settle/batch/template.csv", "/settle/batch/{batch}",
        "/settle/batch/{batch}/rejects.xlsx", "/office/imports/1/rejects.xlsx", "/watch/cases", "/policies/cliffs?of=cn/beijing",
        "/households/{household}/letter.pdf?year=2026", "/office/proposals/1/record",
    ),
    "town": ("/", "/month", "/month/overlaps", "/office/arrears", "/office/proposals", "/watch", "/watch/cases"),
    "officer": (
        "/watch/alerts?signal=catastrophic&place=990181103", "/watch/alerts?urgency=urgent", "/watch/cases?state=refused",
        "/watch/screenings/{screening}", "/watch/exchange/{exchange}",
        "/watch/exchange/{exchange}/manifest.json", "/watch/visits?capacity=200", "/watch/prevention",
        "/watch/prevention/coverage.svg", "/watch/risk", "/watch/risk/calibration.svg", "/watch/risk/drift",
    ),
    "head": ("/month?month=2025-12", "/fund/{fund}/leads", "/office/statements?month=2026-05"),
    "analyst": (
        "/policies/show?of=synthetic/cn-2025", "/policies/compare?before=cn/beijing@2018-01-01&after=cn/beijing@2019-01-01",
        "/policies/reforms/oop_cap", "/policies/reforms/oop_cap/file", "/policies/own", "/policies/own/{own}/file",
        "/policies/own/{own}/check", "/laboratory/{laboratory}", "/fund/{project}",
        "/measures/{measures}", "/measures/{measures}/files/figure-1-zh.svg", "/measures/{measures}/files/result-zh.xlsx",
        "/laboratory/{laboratory}/files/figure-1-zh.svg", "/fund/{project}/files/figure-1-zh.svg",
    ),
    "auditor": ("/office/audit?by=officer", "/office/audit?action=read_person", "/watch/alerts", "/people/{person}"),
}  # fmt: skip
"""Login ("" is nobody) -> what a browser can ask for besides `PAGES`: files, parts, pages of nobody, other lists."""

MISSING = frozenset({
    "/office/proposals/1/record", "/watch/prevention/coverage.svg", "/watch/risk/calibration.svg", "/watch/risk/drift",
})  # fmt: skip
"""What the made-up office does not have: an adjustment that was signed, tables of contracts, a model of risk."""

PARTS = ("/next?", "/explanation", "/policies/cliffs?")
"""What scripts ask for, to put it into an open page; anybody else is led to the whole page."""

DARK = frozenset({"/", "/people/{person}", "/watch/alerts", "/office/statements/H21/2026-05", "/settle"})
PASSWORD = "made-up county 2026"


def every_page() -> list[tuple[str, str]]:
    """List who asks for what, by the names in `{}`: every address that a browser can ask for is among them."""
    return [(login, path) for named in (FURTHER, PAGES) for login, listed in named.items() for path in listed]


def headers_of(path: str) -> dict[str, str]:
    """Give the headers with which a browser asks for a page, or a script for a part."""
    return {"accept": "text/html", **({"hx-request": "true"} if any(part in path for part in PARTS) else {})}


def main() -> int:
    """Take the pictures; give 1 if a page was not served, ran over the side of the screen or complained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Path(tempfile.gettempdir()) / "medfloor-screens")
    parser.add_argument("--only", default="", help="only pages whose address holds this")
    parser.add_argument("--login", default="", help="only this login's pages")
    parser.add_argument("--address", default="", help="of a made-up office that is being served already")
    asked = parser.parse_args()
    folder: Path = asked.folder.resolve()
    if folder.is_relative_to(ROOT):
        parser.error("name a folder outside of the repository")
    folder.mkdir(parents=True, exist_ok=True)
    with_typeface(folder)
    with _served(asked.address, folder) as (address, log), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        wrong = _all(browser, address, folder, asked.login, asked.only)
        browser.close()
        _times(log)
    print(f"pictures: {folder}")
    for line in wrong:
        print(f"wrong: {line}")
    return 1 if wrong else 0


def with_typeface(folder: Path) -> None:
    """Let the browser find the typeface that the reports ship, where the machine has no Chinese one."""
    data = folder / "data"
    (data / "fonts").mkdir(parents=True, exist_ok=True)
    for font in (ROOT / "src" / "medfloor" / "reports" / "fonts").glob("*.ttf"):
        beside = data / "fonts" / font.name
        if not beside.exists():
            beside.symlink_to(font)
    os.environ["XDG_DATA_HOME"] = str(data)


def _all(browser: Browser, address: str, folder: Path, only_login: str, only: str) -> list[str]:
    wrong: list[str] = []
    known = _known(browser, address)
    for login, pages in PAGES.items():
        if only_login not in ("", login):
            continue
        wanted = [one for one in pages if only in one]
        for lang in ("zh", "en"):
            for width, size in (("narrow", NARROW), ("wide", WIDE)):
                for dark in (False, True):
                    some = [one for one in wanted if not dark or one in DARK]
                    if some:
                        name = f"{lang}-{width}{'-dark' if dark else ''}"
                        wrong += _round(browser, address, folder, login, some, lang, size, dark, name, known)
    return wrong


def _round(
    browser: Browser, address: str, folder: Path, login: str, pages: list[str], lang: str, size: Any, dark: bool,
    name: str, known: dict[str, str],
) -> list[str]:  # fmt: skip
    wrong: list[str] = []
    context = browser.new_context(
        locale="zh-CN" if lang == "zh" else "en-GB", viewport=size, color_scheme="dark" if dark else "light",
        timezone_id="Asia/Shanghai", reduced_motion="reduce", storage_state=_SIGNED_IN.get(login),
    )  # fmt: skip
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
    if login in _SIGNED_IN:
        page.goto(f"{address}/language?to={lang}&next=/")
    else:
        _sign_in(page, address, login, lang)
        _SIGNED_IN[login] = context.storage_state()
    for path in pages:
        found = path.format_map(known)
        answer = page.goto(f"{address}{found}")
        if answer is None or answer.status != 200 or "/login" in page.url:
            wrong.append(f"{login} {found}: {answer.status if answer else 'no answer'} {page.url}")
        if page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth") > 0:
            wrong.append(f"{login} {found} {name}: wider than the screen")
        file = re.sub(r"[^a-z0-9]+", "-", path.lower().replace("{", "").replace("}", "")).strip("-") or "home"
        page.screenshot(path=folder / f"{login}-{file}-{name}.png", full_page=True)
    context.close()
    return wrong


_SIGNED_IN: dict[str, Any] = {}
"""Login -> the cookies of its one session: who signs in dozens of times a minute is asked to wait."""


def _sign_in(page: Page, address: str, login: str, lang: str) -> None:
    page.goto(f"{address}/language?to={lang}&next=/login")
    page.fill("#login", login)
    page.fill("#password", PASSWORD)
    with page.expect_navigation():
        page.click("form[action='/login'] button")
    assert "/login" not in page.url, f"{login} could not sign in"


def _known(browser: Browser, address: str) -> dict[str, str]:
    """Find a claim, its person and household, and a case, by looking at lists as people do."""
    context = browser.new_context()
    page = context.new_page()
    _sign_in(page, address, "officer", "en")
    page.goto(f"{address}/month?kind=settlement")
    claim = page.get_attribute("td a[href^='/claims/']", "href") or ""
    person = page.get_attribute("td a[href^='/people/']", "href") or ""
    page.goto(f"{address}{person}")
    household = page.get_attribute("a[href^='/households/']", "href") or ""
    page.goto(f"{address}/watch/cases?state=published")
    case = page.get_attribute("main a[href^='/watch/cases/k']", "href") or ""
    context.close()
    links = {"claim": claim, "person": person, "household": household, "case": case}
    return {name: link.rpartition("/")[2] for name, link in links.items()}


@contextmanager
def _served(address: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Serve a made-up office from a folder of its own, unless one is served; gives its address and its log."""
    office = folder / "office"
    if address:
        yield address, office / "service.log"
        return
    command = [sys.executable, "-m", "medfloor.cli.main", "demo", "--serve", "--port", "0", "--folder", str(office)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert server.stdout is not None
        for line in server.stdout:
            print(line, end="")
            if found := re.search(r"http://127\.0\.0\.1:[0-9]+", line):
                time.sleep(3)
                yield found[0], office / "service.log"
                return
        raise SystemExit("the made-up office did not start")
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def _times(log: Path) -> None:
    """Print how long the server took for each page, from its own log."""
    import json

    if not log.is_file():
        return
    took: dict[str, list[float]] = {}
    for line in log.read_text(encoding="utf-8").splitlines():
        said = json.loads(line)
        if said.get("method") == "GET" and "route" in said and not said["route"].startswith(("/static", "/api")):
            took.setdefault(said["route"], []).append(float(said.get("ms", said.get("milliseconds", 0.0))))
    print(f"{'page':45} {'n':>4} {'median ms':>10} {'most ms':>9}")
    for route, times in sorted(took.items(), key=lambda pair: -statistics.median(pair[1])):
        print(f"{route:45} {len(times):4d} {statistics.median(times):10.1f} {max(times):9.1f}")


if __name__ == "__main__":
    sys.exit(main())
