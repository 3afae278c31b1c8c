"""What the next bill would cost: the ledger's own answer, quickly, with nothing written, and the cliff that is near."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date

import county
import pytest
import sqlalchemy as sa
from office import OfficeAtWork

from medfloor.service.access import Acting
from medfloor.service.outlook import Asked, day_in, gauges_of, next_bill
from medfloor.store import claims, users
from medfloor.store.roles import Actor
from medfloor.store.schema import entry


@pytest.fixture
def office(sqlite_store, open_office: Callable[..., OfficeAtWork]) -> OfficeAtWork:  # type: ignore[no-untyped-def]
    return open_office(sqlite_store, policy="cn/neimenggu/ulanqab")


def acting(office: OfficeAtWork) -> Acting:
    office.as_role("assistance_officer")
    with office.store.reading() as connection:
        user = users.user_by_login(connection, "assistance_officer_1")
    actor = Actor(user.login, user.role, user.place)
    return Acting(actor, None, "r1", office.clock.now, "en")  # type: ignore[arg-type]


def asked(fen: int, day: date = date(2024, 6, 3)) -> Asked:
    return Asked("inpatient", "3", fen, 0, day)


def test_the_outlook_is_what_settling_would_answer_and_writes_no_entry(office: OfficeAtWork) -> None:
    county.settle_in(office, p1="dibao")
    clerk = office.as_role("county_clerk")
    assert clerk.post("/api/v1/settlements", json=county.claim("c1")).status_code == 200
    who = acting(office)
    told = next_bill(office.running, who, "p1", asked(5_000_000))
    took = []
    for fen in (100_000, 1_000_000, 2_900_000, 10_000_000, 30_000_000):
        start = time.perf_counter()
        next_bill(office.running, who, "p1", asked(fen))
        took.append(time.perf_counter() - start)
    # The slider moves live: a tenth of a second at most.
    assert sorted(took)[1] < 0.1, took
    with office.store.reading() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(entry)).scalar() == 1
    whole = {"total_fen": 5_000_000, "off_catalogue_fen": 0, "in_scope_fen": 5_000_000}
    days = {"start_date": "2024-06-03", "end_date": "2024-06-03", "diagnosis": None}
    settled = clerk.post("/api/v1/settlements", json=county.claim("c2", **whole, **days))
    assert settled.status_code == 200, settled.text
    assert settled.json()["own_total_fen"] == told.own_total_fen
    assert settled.json()["payments_fen"] == dict(told.payments_fen)


def test_a_cliff_is_told_where_it_is_near_and_to_the_fen(office: OfficeAtWork) -> None:
    county.settle_in(office, p1="dibao")
    who = acting(office)
    near = next_bill(office.running, who, "p1", asked(2_950_000)).cliff
    assert near is not None and near.at_fen == 3_000_000
    before, after = (next_bill(office.running, who, "p1", asked(fen)).own_total_fen for fen in (3_000_000, 3_000_001))
    assert (before, after) == (near.before_fen, near.after_fen) and near.jump_fen == after - before != 0
    assert next_bill(office.running, who, "p1", asked(20_000_000)).cliff is None


def test_gauges_follow_the_policy_and_what_was_used(office: OfficeAtWork) -> None:
    county.settle_in(office)
    clerk = office.as_role("county_clerk")
    settled = clerk.post("/api/v1/settlements", json=county.claim("c1")).json()
    books = office.running.books
    assert books is not None
    with office.store.reading() as connection:
        found = {one.counter: one for one in gauges_of(connection, books, "p1", 2024, date(2024, 6, 3))}
        assert claims.years_of(connection, "p1") == [2024]
        (line,) = claims.claims_of(connection, "p1", 2024)
    assert found["basic"].used_fen == settled["payments_fen"]["basic"] == line.amounts.pay["basic"]
    assert not line.reversed and line.differences == 0
    assert day_in(books, 2023, date(2024, 6, 3)) == date(2023, 12, 31)
