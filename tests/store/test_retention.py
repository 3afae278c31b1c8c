"""Delete by rule what is past its term, and keep what is not."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from medfloor.errors import AccessError
from medfloor.store import audit, schema
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring
from medfloor.store.office import decide_setting
from medfloor.store.retention import delete_due, due
from medfloor.store.roles import Actor

OLD = date(1980, 1, 1)


def known(now: datetime) -> dict[str, Any]:
    return {"known_from": now - timedelta(days=20_000), "recorded_by": "a", "source": "office", "evidence": "No. 7"}


def add_person(connection: sa.Connection, person_id: str, ring: Keyring, now: datetime, **fact: Any) -> None:
    connection.execute(
        schema.person.insert().values(
            person_id=person_id,
            identity_cipher=ring.encrypt(person_id),
            identity_lookup=ring.lookup(person_id),
            name_cipher=ring.encrypt("张三"),
            created_at=now - timedelta(days=20_000),
        )
    )
    values = {
        "birth_date": date(1950, 5, 5), "sex": "male", "place": "150981102003", "valid_from": OLD, **known(now), **fact,
    }  # fmt: skip
    connection.execute(schema.person_fact.insert().values(person_id=person_id, **values))


def enrol(connection: sa.Connection, person_id: str, until: date | None, now: datetime) -> None:
    connection.execute(
        schema.enrolment.insert().values(
            person_id=person_id, benefit_year=1985, scheme="resident", valid_from=OLD, valid_to=until, **known(now)
        )
    )


@pytest.fixture
def filled(store: Store, keyring: Keyring, now: datetime) -> Store:
    with store.writing() as connection:
        for person_id in ("gone", "recent", "running", "dead", "owed"):
            add_person(connection, person_id, keyring, now, deceased_on=OLD if person_id == "dead" else None)
        enrol(connection, "gone", date(1985, 1, 1), now)
        enrol(connection, "owed", date(1985, 1, 1), now)
        enrol(connection, "recent", date(2020, 1, 1), now)
        enrol(connection, "running", None, now)
        enrol(connection, "dead", None, now)
        connection.execute(
            schema.proposal.insert().values(
                kind="exit", person_id="owed", payload="{}", reason="x", proposed_by="a", proposed_at=now, state="open"
            )
        )
        for number, days in ((1, 181), (2, 179)):
            started = now - timedelta(days=days)
            connection.execute(
                schema.import_run.insert().values(
                    id=number, kind="people", source="x", content_hash=str(number), started_at=started, recorded_by="a"
                )
            )
            connection.execute(
                schema.import_reject.insert().values(
                    import_id=number, row=1, reason="r", detail="d", sealed_row=keyring.seal_row({})
                )
            )
            connection.execute(
                schema.import_difference.insert().values(
                    import_id=number, person_id="gone", kind="changed", field="birth_date", before="1950-05-05"
                )
            )
            connection.execute(
                schema.job.insert().values(
                    kind="measure", parameters="{}", state="done", created_by="a", created_at=started,
                    finished_at=started + timedelta(days=90), folder=f"jobs/{number}",
                )
            )  # fmt: skip
        connection.execute(
            schema.user.insert().values(id=1, login="a1", display_name="a", role="auditor", created_at=now)
        )
        for number, days in ((1, 181), (2, 179)):
            ended = now - timedelta(days=days)
            connection.execute(
                schema.session.insert().values(
                    token_hash=str(number), user_id=1, kind="token", created_at=ended, last_seen_at=ended,
                    expires_at=ended,
                )
            )  # fmt: skip
    return store


def test_what_is_due_is_counted_then_deleted_and_nothing_else(
    filled: Store, administrator: Actor, now: datetime
) -> None:
    with filled.reading() as connection:
        found = due(connection, now=now)
    assert (found.rejects, found.differences, found.sessions, found.jobs) == (1, 1, 1, 1)
    assert found.people == ("dead", "gone")
    assert found.folders == ("jobs/1",)
    assert filled.attempt(lambda c: delete_due(c, actor=administrator, now=now)) == found
    with filled.reading() as connection:
        assert due(connection, now=now).nothing
        for table in (schema.import_reject, schema.session, schema.job):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 1
        kept = connection.execute(
            sa.select(schema.person.c.person_id).where(schema.person.c.identity_cipher.is_not(None))
        )
        assert set(kept.scalars()) == {"recent", "running", "owed"}
        fact = schema.person_fact
        row = connection.execute(sa.select(fact).where(fact.c.person_id == "gone")).one()
        assert (row.birth_date, row.sex, row.place, row.evidence) == (date(1950, 1, 1), "male", "150981", None)
        assert len(audit.traces(connection, action="erase_person")) == 2


def test_the_office_sets_the_terms(filled: Store, administrator: Actor, now: datetime) -> None:
    with filled.writing() as connection:
        decide_setting(connection, "retain_person_years", 3, actor=administrator, now=now)
        decide_setting(connection, "retain_rejects_days", 1000, actor=administrator, now=now)
        found = due(connection, now=now)
    assert found.people == ("dead", "gone", "recent")
    assert found.rejects == 0


def test_a_claim_within_the_term_keeps_a_person(filled: Store, now: datetime) -> None:
    with filled.writing() as connection:
        connection.execute(schema.account.insert().values(id=1, kind="person_year", owner="gone", head=""))
        amounts = dict.fromkeys(
            ("total_fen", "off_catalogue_fen", "over_limit_fen", "first_self_pay_fen", "in_scope_fen"), 0
        )
        days = dict.fromkeys(("start_date", "end_date", "settled_date"), date(2023, 1, 1))
        connection.execute(
            schema.claim.insert().values(
                claim_id="c1", person_id="gone", account_id=1, care_type="inpatient", facility_level="1", area="local",
                referral="regular", **days, **amounts,
            )
        )  # fmt: skip
        assert due(connection, now=now).people == ("dead",)


def test_only_who_may_deletes(filled: Store, clerk: Actor, now: datetime) -> None:
    with pytest.raises(AccessError), filled.writing() as connection:
        delete_due(connection, actor=clerk, now=now)
