"""What waits at the desk of the watch, on both stores: by urgency, for a visit, and how cases came out."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from medfloor.errors import UsageError
from medfloor.store.cases import add_many, open_many
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring
from medfloor.store.roles import Actor
from medfloor.store.schema import alert, screening, watch_case
from medfloor.store.watchlist import (
    NO_CASE,
    by_urgency,
    count_households,
    cursor_after,
    cursor_from,
    outcomes,
    townships,
    waiting_for_visit,
)
from medfloor.watch.cases import Event

DAY = date(2026, 3, 2)
ALL, TOWN = Actor("o", "assistance_officer"), Actor("t", "assistance_officer", "150981102")


def raised(connection: sa.Connection, now: datetime, *rows: tuple[str, str, str, str]) -> None:
    """Raise alerts, each household, place, kind and urgency; those of h1 and h2 have a case."""
    run = connection.execute(
        screening.insert().values(
            kind="office", year=2026, as_of=DAY, place="cn", rules_hash="0", by="o", started_at=now, households=9,
            counts="{}",
        )
    ).inserted_primary_key  # fmt: skip
    assert run is not None
    common: dict[str, Any] = {
        "screening_id": run[0], "as_of": DAY, "year": 2026, "signal": "burden_in_scope", "unit": "yuan", "value": 1.0,
        "suppressed_until": DAY + timedelta(days=90), "spent_fen": 900_000, "base_fen": 100, "allowed_fen": 500_000,
        "rule": "r", "rule_version": DAY, "at": now,
    }  # fmt: skip
    connection.execute(
        alert.insert(),
        [{**common, "household_id": home, "place": place, "kind": kind, "urgency": urgency}
         for home, place, kind, urgency in rows],
    )  # fmt: skip


@pytest.fixture
def listed(store: Store, now: datetime) -> Store:
    """Give a store with three cases and five alerts."""
    with store.writing() as connection:
        found = Event("found", DAY, "o", source="alert", signals=("burden_in_scope",))
        open_many(
            connection,
            [("h1", "150981102", found), ("h2", "150981103", found), ("h3", "150981103", found)],
            now=now,
        )
        raised(
            connection, now, ("h1", "150981102", "burden", "soon"), ("h2", "150981103", "burden", "urgent"),
            ("h1", "150981102", "poverty", "urgent"), ("h8", "150981102", "burden", "routine"),
            ("h9", "150981103", "absent_care", "urgent"),
        )  # fmt: skip
    return store


def test_alerts_stand_by_urgency_and_pages_leave_none_out(listed: Store) -> None:
    since = DAY - timedelta(days=90)
    with listed.reading() as connection:
        whole = by_urgency(connection, ALL, since=since)
        assert whole["household_id"].to_list() == ["h1", "h2", "h1", "h8"], "the latest first, absent care apart"
        assert whole["case_state"].to_list() == ["found", "found", "found", None]
        seen: list[int] = []
        after = ""
        while True:
            page = by_urgency(connection, ALL, since=since, after=cursor_from(after), limit=1)
            if not page.height:
                break
            seen += page["alert_id"].to_list()
            after = cursor_after(page.row(0, named=True))
        assert seen == whole["alert_id"].to_list()
        apart = by_urgency(connection, ALL, since=since, apart=True)
        assert apart["household_id"].to_list() == ["h9"]
        assert by_urgency(connection, ALL, since=since, state=NO_CASE)["household_id"].to_list() == ["h8"]
        assert by_urgency(connection, TOWN, since=since, urgency="urgent")["household_id"].to_list() == ["h1"]
        assert not by_urgency(connection, ALL, since=DAY).height
        assert townships(connection, TOWN) == ["150981102"] and len(townships(connection, ALL)) == 2
        assert count_households(connection, ALL, day=DAY) == {}
    for bad in ("x", "1.", "1.2.3", "-1.2"):
        with pytest.raises(UsageError, match="cursor"):
            cursor_from(bad)


def test_who_waits_for_a_visit_and_who_does_not_any_more(listed: Store, now: datetime) -> None:
    with listed.writing() as connection:
        row = connection.execute(sa.select(watch_case).where(watch_case.c.household_id == "h2")).one()
        seen = Event("verified", DAY, "o", income_head_fen=1, line_head_fen=2, labour_capacity=True)
        add_many(connection, [(row, seen)], now=now)
        waiting = waiting_for_visit(connection, ALL, day=DAY)
        assert waiting["household_id"].to_list().count("h1") == 2, "one row an alert"
        assert set(waiting["household_id"]) == {"h1", "h3"} and waiting["kind"].null_count() == 1
        assert set(waiting_for_visit(connection, ALL, day=DAY, apart=True)["household_id"]) == {"h1", "h3", "h9"}
        assert set(waiting_for_visit(connection, TOWN, day=DAY, apart=True)["household_id"]) == {"h1"}


def test_how_cases_came_out_counts_each_round_by_itself(listed: Store, now: datetime, keyring: Keyring) -> None:
    with listed.writing() as connection:

        def step(home: str, *events: Event) -> None:
            for event in events:
                row = connection.execute(sa.select(watch_case).where(watch_case.c.household_id == home)).one()
                add_many(connection, [(row, event)], now=now, keyring=keyring)

        later = DAY + timedelta(days=12)
        step(
            "h1",
            Event("verified", DAY, "o", income_head_fen=1, line_head_fen=2, labour_capacity=True),
            Event("published", DAY, "o", category="edge"),
            Event("recognised", DAY + timedelta(days=7), "other", category="edge"),
            Event("helped", later, "o", measure="m", given_by="g"),
            Event("helped", later + timedelta(days=5), "o", measure="m", given_by="g"),
        )  # fmt: skip
        step(
            "h2", Event("refused", DAY, "o", reason="r"), Event("re_entered", later, "o", source="cadre"),
            Event("refused", later, "o", reason="r"),
        )  # fmt: skip
        told = outcomes(connection, ALL, since=DAY)
        assert (told.decided, told.alerted, told.confirmed, told.days) == (3, 2, 1, (12,))
        assert told.quartiles == (12.0, 12.0, 12.0)
        # Of rounds found later only the second one of h2 is left, which a cadre found.
        told = outcomes(connection, ALL, since=later)
        assert (told.decided, told.alerted, told.helped, told.quartiles) == (1, 0, 0, None)
