"""Let the server's clock stumble: midnight, the end of a month and of a year by the office's zone, and steps back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from county import claim, settle_in
from office import OfficeAtWork

from medfloor.errors import StoreError
from medfloor.store import schema, statements
from medfloor.store.books import Books
from medfloor.store.chain import seal_now, verify
from medfloor.store.engine import Store
from medfloor.store.roles import Actor

URL = "/api/v1/settlements"
SUPERVISOR = Actor("supervisor1", "fund_supervisor")
SMALL: dict[str, Any] = {"total_fen": 200_000, "off_catalogue_fen": 0, "in_scope_fen": 200_000}


def on_statement(office: OfficeAtWork, month: str) -> list[str]:
    """Draw a month, and give the claims on it."""
    statements.draw(office.store, month, actor=SUPERVISOR, now=office.clock.now)
    with office.store.reading() as connection:
        if not statements.statements(connection, month=month, provider_id="H1"):
            return []
        return sorted(line.claim_id for line in statements.lines_of(connection, "H1", month))


def settled(office: OfficeAtWork, claim_id: str, at: datetime, person_id: str = "p1") -> dict[str, Any]:
    office.clock.now = at
    # A token of this month: one of half a year ago has ended.
    clerk = office.as_role("county_clerk", login=f"clerk-{at:%Y-%m}")
    answer = clerk.post(URL, json=claim(claim_id, person_id, **SMALL))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def whole(office: OfficeAtWork) -> None:
    found = verify(office.store, books=Books.of(office.store, "cn/beijing"))
    assert found.whole, found.findings


def test_a_month_and_a_year_end_at_midnight_of_the_office(office: OfficeAtWork) -> None:
    settle_in(office)
    midnights = [datetime(2024, 5, 31, 16, tzinfo=UTC), datetime(2024, 12, 31, 16, tzinfo=UTC)]
    for number, midnight in enumerate(midnights):
        settled(office, f"c{number}-1", midnight - timedelta(microseconds=1))
        after = settled(office, f"c{number}-2", midnight)
        # The year of the benefit is that of the claim, not that of the clock.
        assert after["benefit_year"] == 2024
    office.clock.now = datetime(2025, 2, 3, tzinfo=UTC)
    drawn = {month: on_statement(office, month) for month in ("2024-05", "2024-06", "2024-12", "2025-01")}
    assert drawn == {
        "2024-05": ["c0-1"], "2024-06": ["c0-2"], "2024-12": ["c1-1"], "2025-01": ["c1-2"],
    }  # fmt: skip
    whole(office)


def test_what_is_posted_after_the_clock_went_back_into_a_drawn_month_stands_on_the_next(office: OfficeAtWork) -> None:
    settle_in(office)
    settled(office, "c1-may", datetime(2024, 5, 20, tzinfo=UTC))
    june = settled(office, "c2-june", datetime(2024, 6, 1, 2, tzinfo=UTC))
    assert on_statement(office, "2024-05") == ["c1-may"]
    seal_now(office.store, now=office.clock.now)
    # The clock is put right: it had been an hour fast; or an ask waited over midnight.
    office.as_role("county_clerk")
    back = settled(office, "c3-back", datetime(2024, 5, 31, 15, tzinfo=UTC))
    assert back["posted_at"] < june["posted_at"]
    assert back["entry"] == june["entry"] + 1, "the chain is in the order of posting, not of clocks"
    again = office.as_role("county_clerk").post(
        URL, json={**claim("c3-back", **SMALL)}, headers={"Idempotency-Key": "x"}
    )
    assert again.json()["code"] == "claim_settled"
    seal_now(office.store, now=office.clock.now)
    office.clock.now = datetime(2024, 7, 2, tzinfo=UTC)
    assert on_statement(office, "2024-05") == ["c1-may"]
    assert on_statement(office, "2024-06") == ["c2-june", "c3-back"]
    whole(office)


def test_sessions_and_limits_outlive_a_step_back(office: OfficeAtWork) -> None:
    settle_in(office)
    office.add_user("boss1", "fund_supervisor")
    boss = office.signed_in("boss1")
    office.clock.forward(hours=-30)
    assert boss.get("/api/v1/session").status_code == 200
    assert settled(office, "c1", office.clock.now)["state"] == "settled"
    office.clock.forward(hours=31)
    assert office.as_role("county_clerk").get(f"{URL}/c1").status_code == 200
    whole(office)


def test_a_body_that_never_comes_is_not_waited_for(small_office: OfficeAtWork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfloor.service.limits.BODY_SECONDS", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b'{"claim_id":'
        await asyncio.sleep(5)
        yield b'"c1"}'

    headers = {"content-type": "application/json"}
    answer = small_office.as_role("county_clerk").post(URL, content=slowly(), headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.headers["connection"]) == (408, "body_late", "close")


# --- The end of a transaction ---------------------------------------------------------------------------------------


def lose_commits(store: Store, *, times: int = 1) -> list[int]:
    """Let so many commits be done and then be reported as lost, as when the server goes just after."""
    left = [times]

    @sa.event.listens_for(store.engine, "commit")
    def _lose(connection: sa.Connection) -> None:
        if left[0] and connection.get_execution_options().get("medfloor_writes"):
            left[0] -= 1
            connection.connection.commit()
            raise sa.exc.OperationalError("COMMIT", {}, Exception("server closed the connection"), False, True)

    return left


def test_work_whose_commit_was_lost_is_not_done_again(store: Store) -> None:
    def work(connection: sa.Connection) -> None:
        number = connection.execute(sa.select(sa.func.count()).select_from(schema.provider)).scalar_one()
        connection.execute(schema.provider.insert().values(provider_id=f"H{number}"))

    left = lose_commits(store)
    with pytest.raises(StoreError) as refused:
        store.attempt(work)
    assert (refused.value.code, left) == ("commit_unknown", [0])
    with store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.provider)).scalar_one() == 1


def test_a_settlement_whose_commit_was_lost_is_asked_again_by_its_key_and_stands_once(office: OfficeAtWork) -> None:
    settle_in(office)
    clerk = office.as_role("county_clerk")
    clerk.get(f"{URL}/none")  # the session is looked up before
    lose_commits(office.store)
    answer = clerk.post(URL, json=claim(**SMALL), headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json()["repeated"]) == (200, True), answer.text
    lose_commits(office.store)
    keyless = clerk.post(URL, json=claim("c2", **SMALL))
    assert (keyless.status_code, keyless.json()["code"], keyless.headers["retry-after"]) == (503, "commit_unknown", "1")
    assert clerk.post(URL, json=claim("c2", **SMALL)).json()["code"] == "claim_settled"
    found = verify(office.store, books=Books.of(office.store, "cn/beijing"))
    assert (found.whole, found.claims) == (True, 2)


def test_a_file_that_may_not_grow_is_told_as_full_and_takes_more_when_it_may(sqlite_store: Store) -> None:
    def work(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")
        rows = [{"provider_id": f"{most}-{number}"} for number in range(20_000)]
        connection.execute(schema.provider.insert(), rows)

    most = 1
    with pytest.raises(StoreError) as refused:
        sqlite_store.attempt(work)
    assert refused.value.code == "store_full"
    with sqlite_store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(schema.provider)).scalar_one() == 0
    most = 1_000_000
    sqlite_store.attempt(work)
