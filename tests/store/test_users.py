"""Add users, log in, lock out; open and end sessions; keep the last administrator."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import argon2
import pytest
import sqlalchemy as sa
from stores import TRUE_HASHER

from medfloor.errors import AccessError, ConflictError, MedfloorError, NotFoundError, UsageError
from medfloor.store import audit, schema, users
from medfloor.store.engine import Store
from medfloor.store.office import decide_setting
from medfloor.store.roles import Actor

PASSWORD = "correct horse battery"


def add(store: Store, administrator: Actor, now: datetime, login: str = "clerk1", **more: Any) -> users.User:
    given: dict[str, Any] = {"role": "county_clerk", "place": "150981", "password": PASSWORD, **more}
    return store.attempt(lambda c: users.create_user(c, login, actor=administrator, now=now, **given))


def code_of(raised: pytest.ExceptionInfo[MedfloorError]) -> str:
    assert PASSWORD not in raised.value.message
    return raised.value.code


def test_a_user_logs_in_and_is_the_actor(store: Store, administrator: Actor, now: datetime) -> None:
    add(store, administrator, now)
    user = users.authenticate(store, " Clerk1 ", PASSWORD, now=now)
    assert user.actor == Actor("clerk1", "county_clerk", "150981", "zh")
    with store.reading() as connection:
        assert [trace.action for trace in audit.traces(connection)] == ["log_in", "add_user"]
        kept = connection.execute(sa.select(schema.user.c.password_hash)).scalar_one()
    assert kept.startswith("$argon2id$")


def test_a_password_costs_whoever_guesses_it_memory_and_time() -> None:
    """The other tests hash cheaply; this is what an office has (RFC 9106, second choice, and OWASP's least)."""
    cost = argon2.extract_parameters(TRUE_HASHER().hash(PASSWORD))
    assert cost.type is argon2.Type.ID
    assert cost.memory_cost >= 64 * 1024 and cost.time_cost >= 3 and cost.parallelism >= 4


@pytest.mark.parametrize(("login", "password"), [("clerk1", "wrong"), ("nobody", PASSWORD), ("clerk1", "x" * 5000)])
def test_what_was_wrong_is_not_said(
    store: Store, administrator: Actor, now: datetime, login: str, password: str
) -> None:
    add(store, administrator, now)
    with pytest.raises(AccessError) as refused:
        users.authenticate(store, login, password, now=now)
    assert code_of(refused) == "login_failed"


def test_too_many_wrong_passwords_lock_the_account_for_a_while(
    store: Store, administrator: Actor, now: datetime
) -> None:
    add(store, administrator, now)
    for _ in range(5):
        with pytest.raises(AccessError):
            users.authenticate(store, "clerk1", "wrong", now=now)
    with pytest.raises(AccessError):
        users.authenticate(store, "clerk1", PASSWORD, now=now + timedelta(minutes=14))
    assert users.authenticate(store, "clerk1", PASSWORD, now=now + timedelta(minutes=15)).locked_until is None
    with store.reading() as connection:
        assert len(audit.traces(connection, action="lock_out")) == 1


def test_a_right_password_forgets_the_wrong_ones(store: Store, administrator: Actor, now: datetime) -> None:
    add(store, administrator, now)
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(AccessError):
                users.authenticate(store, "clerk1", "wrong", now=now)
        users.authenticate(store, "clerk1", PASSWORD, now=now)


def test_who_is_disabled_or_has_no_password_cannot_log_in(store: Store, administrator: Actor, now: datetime) -> None:
    user = add(store, administrator, now)
    add(store, administrator, now, "clerk2", password=None)
    with store.writing() as connection:
        token, _ = users.open_session(connection, user, "browser", now)
        users.set_active(connection, "clerk1", active=False, actor=administrator, now=now)
    for login in ("clerk1", "clerk2"):
        with pytest.raises(AccessError):
            users.authenticate(store, login, PASSWORD, now=now)
    with store.reading() as connection:
        assert users.session_of(connection, token, now) is None


@pytest.mark.parametrize(
    ("login", "more", "code"),
    [
        ("clerk1", {}, "login_taken"),
        ("CLERK1", {}, "login_taken"),
        ("张三", {}, "bad_login"),
        ("x", {}, "bad_login"),
        ("clerk2", {"role": "emperor"}, "unknown_role"),
        ("clerk2", {"place": "1x"}, "bad_place"),
        ("clerk2", {"language": "fr"}, "unknown_language"),
        ("clerk2", {"password": "short"}, "weak_password"),
        ("clerk2", {"password": "aaaaaaaaaaaaaaaa"}, "weak_password"),
        ("clerk2", {"password": "my-Clerk2-password"}, "weak_password"),
    ],
)
def test_a_user_that_cannot_be_is_refused(
    sqlite_store: Store, administrator: Actor, now: datetime, login: str, more: dict[str, Any], code: str
) -> None:
    add(sqlite_store, administrator, now)
    with pytest.raises((UsageError, ConflictError)) as refused:
        add(sqlite_store, administrator, now, login, **more)
    assert code_of(refused) == code


def test_only_who_manages_users_may(sqlite_store: Store, clerk: Actor, administrator: Actor, now: datetime) -> None:
    with pytest.raises(AccessError):
        add(sqlite_store, clerk, now)
    add(sqlite_store, administrator, now)
    with sqlite_store.writing() as connection:
        # One's own password is one's own.
        users.set_password(connection, "clerk1", "another horse 77", actor=clerk, now=now)
        with pytest.raises(AccessError):
            users.set_password(connection, "clerk1", "another horse 78", actor=Actor("x", "county_clerk"), now=now)
        with pytest.raises(AccessError):
            users.set_role(connection, "clerk1", role="administrator", actor=clerk, now=now)
        with pytest.raises(NotFoundError):
            users.user_by_login(connection, "nobody")
    assert users.authenticate(sqlite_store, "clerk1", "another horse 77", now=now).login == "clerk1"


def test_the_last_administrator_stays(store: Store, administrator: Actor, now: datetime) -> None:
    add(store, administrator, now, "root1", role="administrator", place="")
    for change in (
        lambda c: users.set_active(c, "root1", active=False, actor=administrator, now=now),
        lambda c: users.set_role(c, "root1", role="auditor", actor=administrator, now=now),
    ):
        with pytest.raises(ConflictError) as refused:
            store.attempt(change)
        assert refused.value.code == "last_administrator"
    add(store, administrator, now, "root2", role="administrator", place="")
    changed = store.attempt(lambda c: users.set_role(c, "root1", role="auditor", actor=administrator, now=now))
    assert changed.role == "auditor"


def test_a_session_ends_by_idleness_by_age_and_when_it_is_ended(
    store: Store, administrator: Actor, now: datetime
) -> None:
    user = add(store, administrator, now)

    def at(minutes: float, *, touch: bool = True) -> users.Session | None:
        with store.writing() as connection:
            return users.session_of(connection, token, now + timedelta(minutes=minutes), touch=touch)

    with store.writing() as connection:
        token, session = users.open_session(connection, user, "browser", now)
    assert session.csrf_secret
    assert session.login == "clerk1"
    assert at(29, touch=False) is not None
    assert at(30, touch=False) is None
    for minutes in range(0, 600, 25):
        assert at(minutes) is not None
    assert at(600) is None
    with store.writing() as connection:
        token, session = users.open_session(connection, user, "browser", now)
        assert len(users.sessions_of_user(connection, user.id, now)) == 2
        users.end_session(connection, session.id, now=now)
        assert len(users.sessions_of_user(connection, user.id, now)) == 1
    assert at(0) is None
    with store.reading() as connection:
        kept = connection.execute(sa.select(schema.session.c.token_hash)).scalars().all()
        assert token not in kept


def test_a_token_of_a_program_does_not_idle_and_ends_with_the_password(
    store: Store, administrator: Actor, now: datetime
) -> None:
    user = add(store, administrator, now)
    with store.writing() as connection:
        token, session = users.open_session(connection, user, "token", now, label="hospital 1")
        assert session.csrf_secret is None
        assert users.session_of(connection, token, now + timedelta(days=89)) is not None
        assert users.session_of(connection, token, now + timedelta(days=90)) is None
        users.set_password(connection, "clerk1", "another horse 77", actor=administrator, now=now)
        assert users.session_of(connection, token, now) is None


def test_a_login_of_a_provider_belongs_to_one_user(store: Store, administrator: Actor, now: datetime) -> None:
    add(store, administrator, now)
    add(store, administrator, now, "clerk2")
    who = {"issuer": "https://id.example/", "subject": "s" * 300}
    with store.writing() as connection:
        users.link_oidc(connection, "clerk1", **who, actor=administrator, now=now)
        found = users.user_of_subject(connection, **who)
        assert found is not None
        assert found.login == "clerk1"
        assert users.user_of_subject(connection, issuer="https://other.example", subject="s" * 300) is None
        with pytest.raises(ConflictError) as refused:
            users.link_oidc(connection, "clerk2", **who, actor=administrator, now=now)
    assert refused.value.code == "subject_taken"


def test_the_office_sets_how_many_tries_there_are(sqlite_store: Store, administrator: Actor, now: datetime) -> None:
    add(sqlite_store, administrator, now)
    sqlite_store.attempt(lambda c: decide_setting(c, "lockout_failures", 1, actor=administrator, now=now))
    with pytest.raises(AccessError):
        users.authenticate(sqlite_store, "clerk1", "wrong", now=now)
    with pytest.raises(AccessError):
        users.authenticate(sqlite_store, "clerk1", PASSWORD, now=now)
