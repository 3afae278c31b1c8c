"""Many tills at once over HTTP: each settlement once, a repeat gives the same answer, and the ledger verifies."""

from __future__ import annotations

import asyncio
import io
import threading
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from office import SYSTEM, OfficeAtWork

from medfloor.service import counter
from medfloor.service.logs import log_of
from medfloor.store import chain, register, schema
from medfloor.store.keys import Keyring


@pytest.fixture
def tills(office: OfficeAtWork, keyring: Keyring) -> OfficeAtWork:
    common: dict[str, Any] = {"start": date(1950, 1, 1), "actor": SYSTEM, "now": office.clock.now}
    with office.store.writing() as connection:
        for number in range(6):
            name = f"p{number}"
            register.add_person(connection, keyring, now=office.clock.now, person_id=name)
            facts = {"birth_date": date(1960, 1, 1), "sex": "male", "residence": "rural", "place": "150981102"}
            register.record(connection, "person", name, facts, **common)
            register.record(connection, "enrolment", name, {"benefit_year": 2024, "scheme": "resident"}, **common)
    return office


def claim(number: int) -> dict[str, Any]:
    day = (date(2024, 1, 8) + timedelta(days=number)).isoformat()
    return {
        "claim_id": f"c{number}", "request_key": f"k{number}", "person_id": f"p{number % 6}", "care_type": "inpatient",
        "facility_level": "2", "start_date": day, "end_date": day, "total_fen": 500_000 + number,
        "in_scope_fen": 450_000, "off_catalogue_fen": 50_000 + number,
    }  # fmt: skip


def test_many_tills_and_every_request_twice_settle_each_claim_once(tills: OfficeAtWork) -> None:
    callers = [tills.as_role("county_clerk", login=f"clerk_{n}") for n in range(4)]

    async def till(which: int) -> list[Any]:
        caller = callers[which % 4]
        found = []
        for number in range(which // 2, 60, 4):
            found.append(await caller.client.post("/api/v1/settlements", json=claim(number), headers=caller.headers))
        return found

    async def all_tills() -> list[Any]:
        return [one for answers in await asyncio.gather(*map(till, range(8))) for one in answers]

    answers = tills.portal.call(all_tills)
    assert {one.status_code for one in answers} == {200}
    bodies = [one.json() for one in answers]
    assert len(bodies) == 120 and sum(body["repeated"] for body in bodies) == 60
    by_claim: dict[str, set[int]] = {}
    for body in bodies:
        by_claim.setdefault(body["claim_id"], set()).add(body["entry"])
    assert all(len(entries) == 1 for entries in by_claim.values())
    with tills.store.reading() as connection:
        kinds = connection.execute(sa.select(schema.entry.c.kind).where(schema.entry.c.request_key.is_not(None))).all()
    assert len(kinds) == 60
    assert not chain.verify(tills.store).findings
    together = next(
        line
        for line in tills.running.metrics.text().decode().splitlines()
        if line.startswith("medfloor_settlements_together_count")
    )
    assert float(together.split()[-1]) < 120


def test_what_is_loaded_beside_the_work_says_how_far_it_is(
    tills: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, said = threading.Event(), io.StringIO()
    monkeypatch.setattr(counter, "_settle_once", lambda books: go.wait(10))
    loading = counter.Loading(tills.running.books, log_of(said))
    loading.start()
    assert loading.state == "loading"
    go.set()
    loading.end()
    assert (loading.state, said.getvalue()) == ("ok", "")

    def broken(books: Any) -> None:
        raise ValueError("张三")

    monkeypatch.setattr(counter, "_settle_once", broken)
    loading.run()
    assert loading.state == "failed" and "ValueError" in said.getvalue() and "张三" not in said.getvalue()


def test_a_claim_that_comes_while_the_kernel_is_loaded_is_settled_without_it(
    tills: OfficeAtWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = tills.as_role("county_clerk")
    before = caller.post("/api/v1/settlements", json=claim(1)).json()
    monkeypatch.setattr("medfloor.store.books.is_loaded", lambda: False)
    monkeypatch.setattr("medfloor.settlement.online.Desk.settle", None)
    after = caller.post("/api/v1/settlements", json={**claim(7), "total_fen": 500_001, "off_catalogue_fen": 50_001})
    assert after.status_code == 200 and before["person_id"] == after.json()["person_id"]


def test_an_office_without_a_policy_settles_nothing_and_says_so(sqlite_store: Any, open_office: Any) -> None:
    office = open_office(sqlite_store, policy=None)
    answer = office.as_role("county_clerk").post("/api/v1/settlements", json=claim(1))
    assert (answer.status_code, answer.json()["code"]) == (409, "no_policy_chosen")
    assert office.stranger().get("/health/ready").json()["policy"] == "none chosen"
