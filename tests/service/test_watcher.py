"""Households screened after settlements: never before a settlement that waits, and nothing lost by what breaks."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from county import claim, settle_in
from office import OfficeAtWork

from medfloor.errors import StoreError
from medfloor.service import watcher
from medfloor.store.engine import Store
from medfloor.store.watching import Worked, pending


def waiting(office: OfficeAtWork) -> int:
    with office.store.reading() as connection:
        return pending(connection)


def settled(office: OfficeAtWork, claim_id: str = "c1", person: str = "p1") -> None:
    assert office.as_role("county_clerk").post("/api/v1/settlements", json=claim(claim_id, person)).status_code == 200


def test_nothing_is_asked_while_a_settlement_waits_or_nothing_does(
    small_office: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers: list[dict[str, Any] | None] = [
        {"failed": "store_away"}, None, {"entries": 1, "households": 1, "alerts": 2, "cases": 1, "left": 3, "unscreened": 0},
    ]  # fmt: skip

    def answer(now: str) -> dict[str, Any] | None:
        asked.append(now)
        return answers.pop(0)

    watch = small_office.running.watcher
    monkeypatch.setattr(watch, "_asked", answer)
    settle_in(small_office)
    assert not watch._look() and not asked
    settled(small_office)
    with monkeypatch.context() as busy:
        busy.setattr(type(watch.feeder), "__len__", lambda feeder: 1)
        assert not watch._look() and not asked
    assert not watch._look(), "it failed: not again at once"
    assert not watch._look(), "another worker is at it"
    assert watch._look(), "more are waiting"
    assert asked == [small_office.clock.now.isoformat()] * 3
    told = [line for line in small_office.lines() if line["event"] in ("watcher", "screened")]
    assert [(line.get("code"), line.get("alerts")) for line in told] == [("store_away", None), (None, 2)]


def test_what_fails_is_told_as_a_code_and_still_waits(
    small_office: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle_in(small_office)
    settled(small_office)
    now = small_office.clock.now.isoformat()

    def away(*given: Any, **named: Any) -> Worked:
        raise StoreError("store_away", "away")

    def broken(*given: Any, **named: Any) -> Worked:
        raise ValueError("the name of somebody")

    for wrong, code in ((away, "store_away"), (broken, "bug_inside:ValueError")):
        with monkeypatch.context() as patched:
            patched.setattr(watcher, "work_pending", wrong)
            assert watcher._worked(small_office.store, now) == {"failed": code}
        assert waiting(small_office) == 1
    done = watcher._worked(small_office.store, now)
    assert done is not None and (done["entries"], done["left"], done["cases"]) == (1, 0, 1), (
        "a whole year, the first time"
    )
    assert watcher._worked(small_office.store, now) is None


def test_only_one_of_several_workers_screens(postgresql_store: Store, open_office: Callable[..., OfficeAtWork]) -> None:
    import sqlalchemy as sa

    office = open_office(postgresql_store)
    settle_in(office)
    settled(office)
    with office.store.engine.connect() as other, other.begin():
        other.execute(sa.select(sa.func.pg_advisory_xact_lock(watcher._LOCK)))
        assert office.running.watcher.work() is None and waiting(office) == 1
    assert office.running.watcher.work() is not None and waiting(office) == 0


@pytest.mark.heavy
def test_a_process_that_was_killed_is_started_again(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork]
) -> None:
    office = open_office(sqlite_store, jobs=True, watch_seconds=0.05)
    settle_in(office)
    for claim_id, person in (("c1", "p1"), ("c2", "p3")):
        settled(office, claim_id, person)
        for _ in range(300):
            if not waiting(office):
                break
            time.sleep(0.1)
        assert waiting(office) == 0
        os.kill(office.running.watcher._process.pid, signal.SIGKILL)
