"""Load the stores that tests share (tests/store/stores.py), and run the whole service in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stores
from office import OfficeAtWork, running_office

from medfloor.service.settings import Settings
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring


def pytest_configure(config: pytest.Config) -> None:
    stores.load_into(config)


@pytest.fixture
def open_office(keyring: Keyring, tmp_path: Path) -> Iterator[Callable[..., OfficeAtWork]]:
    """Give a function that starts the service over a store, with settings; all are stopped at the end."""
    begun: list[OfficeAtWork] = []

    def start(store: Store, *, policy: str | None = "cn/beijing", **given: object) -> OfficeAtWork:
        settings = Settings.model_validate({"jobs": False, "jobs_folder": tmp_path / "jobs", **given})
        office = running_office(store, keyring, settings, policy=policy)
        begun.append(office)
        return office

    yield start
    for office in begun:
        office.stop()


@pytest.fixture
def office(store: Store, open_office: Callable[..., OfficeAtWork]) -> OfficeAtWork:
    """Give the service at work, once over SQLite and once over PostgreSQL."""
    return open_office(store)


@pytest.fixture
def small_office(sqlite_store: Store, open_office: Callable[..., OfficeAtWork]) -> OfficeAtWork:
    """Give the service at work over SQLite, for what has nothing to do with the store."""
    return open_office(sqlite_store)
