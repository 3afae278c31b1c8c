"""Load the stores that tests share, an office on loopback and a browser to look at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import stores
from office import OfficeAtWork, running_office
from playwright.sync_api import Browser, sync_playwright
from visits import CHROMIUM, FLAGS, Visit, must_have_browser, on_loopback, visiting

from medfloor.service import demonstration, trials
from medfloor.service.settings import Settings
from medfloor.store.engine import Store, open_store
from medfloor.store.keys import Keyring, new_keys


def pytest_configure(config: pytest.Config) -> None:
    stores.load_into(config)


# Not for the session: while Playwright runs, no other test of this process may start a loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give Debian's Chromium; without it these tests are skipped, but where CI runs they fail."""
    if not CHROMIUM:
        assert not must_have_browser(), "Chromium is missing; .ci/run installs it"
        pytest.skip("Chromium is not installed (apt-get install chromium-headless-shell)")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> tuple[Path, Keyring]:
    """Fill a made-up office once; tests work on copies of it."""
    path = tmp_path_factory.mktemp("made-up") / "office.db"
    shutil.copy(migrated_sqlite, path)
    store, ring = open_store(path), new_keys()
    told = demonstration.fill(store, ring, people=1_000, now=datetime(2030, 1, 1, tzinfo=UTC), tell=lambda _: None)
    assert told.people == 1_000
    assert min(told.claims, told.cases, told.arrears) > 0
    store.close()
    return path, ring


@pytest.fixture
def open_office(keyring: Keyring, tmp_path: Path) -> Iterator[Callable[..., OfficeAtWork]]:
    """Give a function that starts the service over a store, with settings; all are stopped at the end."""
    with ExitStack() as stack:

        def start(store: Store, *, policy: str | None = "cn/beijing", **given: object) -> OfficeAtWork:
            settings = Settings.model_validate(
                {
                    "jobs": False,
                    "jobs_folder": tmp_path / "jobs",
                    "strangers_a_second": 1000,
                    "requests_a_second": 1000,
                    **given,
                }
            )
            office = running_office(store, keyring, settings, policy=policy)
            stack.callback(office.stop)
            return office

        yield start


@pytest.fixture
def office(sqlite_store: Store, open_office: Callable[..., OfficeAtWork]) -> OfficeAtWork:
    """Give an office at work over SQLite."""
    return open_office(sqlite_store)


@pytest.fixture
def address(office: OfficeAtWork) -> Iterator[str]:
    """Give the address at which the office is served."""
    with on_loopback(office) as found:
        yield found


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[..., Visit]]:
    """Give a function that opens a browser for one visitor: `visit(lang="en", size=NARROW, dark=True)`."""
    with ExitStack() as stack:

        def begin(**given: Any) -> Visit:
            opened: AbstractContextManager[Visit] = visiting(browser, address, **given)
            return stack.enter_context(opened)

        yield begin


@pytest.fixture(scope="module")
def small_sample() -> Iterator[None]:
    """Try reforms on a tenth of the usual sample."""
    whole = trials.SAMPLE_PEOPLE
    trials._population.cache_clear()
    trials._world.cache_clear()
    trials.SAMPLE_PEOPLE = 1_000
    yield
    trials.SAMPLE_PEOPLE = whole
    trials._population.cache_clear()
    trials._world.cache_clear()
