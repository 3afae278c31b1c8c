"""Serve the office on loopback and open its pages in Debian's Chromium; what the browser complains of fails the test."""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from axe_playwright_python.base import AXE_FILE_PATH
from office import PASSWORD, OfficeAtWork
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Request, Route

# The one without windows comes first: the same engine for a third of the processor's time.
BROWSERS = ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium", "/usr/bin/chromium-browser")
CHROMIUM = next((path for path in BROWSERS if Path(path).exists()), "")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
NARROW, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
SERIOUS = ("serious", "critical")


_COMING: dict[Page, set[Request]] = {}
"""What each open page has asked for and not yet got."""


def settled(page: Page, *, seconds: float = 10.0) -> None:
    """Wait until nothing that a page asked for is still to come."""
    ends = time.monotonic() + seconds
    still = 0
    while still < 3 and time.monotonic() < ends:
        page.wait_for_timeout(15)
        still = 0 if _COMING.get(page) else still + 1
    page.wait_for_load_state()


def _waiting(click: Callable[..., None]) -> Callable[..., None]:
    # Playwright's click no longer waits for the page that it leads to; a person does.
    @functools.wraps(click)
    def clicked(self: Any, *args: Any, **given: Any) -> None:
        click(self, *args, **given)
        settled(self if isinstance(self, Page) else self.page)

    return clicked


Page.click = _waiting(Page.click)  # type: ignore[method-assign]
Locator.click = _waiting(Locator.click)  # type: ignore[method-assign]


def must_have_browser() -> bool:
    """Say whether a missing browser is an error: where CI says so, which installs one."""
    return bool(os.environ.get("CI"))


@contextmanager
def on_loopback(office: OfficeAtWork) -> Iterator[str]:
    """Serve an office that is at work on a port of loopback; gives its address."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        found.listen(64)
        server = uvicorn.Server(uvicorn.Config(office.app, lifespan="off", log_config=None, log_level="error"))
        # The office's own loop, where its feeder and sessions live.
        done = office.portal.start_task_soon(server.serve, [found])
        ends = time.monotonic() + 20
        while not server.started:
            assert time.monotonic() < ends, "the server did not start"
            threading.Event().wait(0.01)
        try:
            yield f"http://127.0.0.1:{found.getsockname()[1]}"
        finally:
            server.should_exit = True
            done.result(20)


@dataclass
class Visit:
    """Be one browser in which somebody looks at pages; `page` is Playwright's."""

    address: str
    context: BrowserContext
    page: Page
    complaints: list[str] = field(default_factory=list)
    expected: tuple[int, ...] = ()
    """Statuses of 400 and more that the test asks for; any other fails it."""

    def open(self, path: str) -> Page:
        """Open a page of the office."""
        self.page.goto(f"{self.address}{path}")
        return self.page

    def sign_in(self, login: str, *, path: str = "/") -> Page:
        """Sign in as a local user and go to a page."""
        self.open(path)
        self.page.fill("#login", login)
        self.page.fill("#password", PASSWORD)
        with self.page.expect_navigation():
            self.page.click("form[action='/login'] button")
        return self.page

    def axe(self) -> list[str]:
        """Look at the open page with axe; gives its serious faults as sentences."""
        # Evaluated over the debugger, which the content security policy of the page does not bind.
        self.page.evaluate(Path(AXE_FILE_PATH).read_text("utf-8"))
        found: dict[str, Any] = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']} ({'; '.join(str(node['target']) for node in one['nodes'][:3])})"
            for one in found["violations"]
            if one["impact"] in SERIOUS
        ]

    def wider_than_screen(self) -> int:
        """Say by how many pixels the page runs over the side of the screen."""
        width: int = self.page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")
        return max(0, width)


@contextmanager
def visiting(
    browser: Browser, address: str, *, lang: str = "zh", size: dict[str, int] | None = None, dark: bool = False
) -> Iterator[Visit]:
    """Open a browser of its own for one visitor; at the end nothing may have been complained of, nor asked elsewhere."""
    context = browser.new_context(
        locale="zh-CN" if lang == "zh" else "en-GB", viewport=size or WIDE, color_scheme="dark" if dark else "light",
        timezone_id="Asia/Shanghai", reduced_motion="reduce",
    )  # fmt: skip
    visit = Visit(address, context, context.new_page())

    def foreign(route: Route) -> None:
        visit.complaints.append(f"asked elsewhere: {route.request.url}")
        route.abort()

    def answered(response: Any) -> None:
        if response.status >= 400 and response.status not in visit.expected:
            visit.complaints.append(f"{response.status} for {response.url}")

    context.route(lambda url: not url.startswith((address, "data:", "blob:")), foreign)
    coming = _COMING[visit.page] = set()
    visit.page.on("request", lambda asked: coming.add(asked))
    visit.page.on("requestfinished", lambda asked: coming.discard(asked))
    visit.page.on("requestfailed", lambda asked: coming.discard(asked))
    visit.page.on("response", answered)
    visit.page.on("pageerror", lambda error: visit.complaints.append(f"script: {error}"))
    visit.page.on("console", lambda said: _console(visit, said))
    visit.page.set_default_timeout(15_000)
    try:
        yield visit
        assert not visit.complaints, visit.complaints
    finally:
        context.close()
        del _COMING[visit.page]


def _console(visit: Visit, said: Any) -> None:
    # A status that the test expects is also said on the console, without its number's being told apart.
    if said.type in ("error", "warning") and not (visit.expected and "Failed to load resource" in said.text):
        visit.complaints.append(f"console: {said.text}")
