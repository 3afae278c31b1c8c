"""Know who works here: accounts, passwords, sessions and tokens, and logins that come by OIDC.

Passwords are kept as argon2id, tokens as SHA-256 of 256 random bits: whoever reads the store can use neither.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from medfloor.errors import AccessError, ConflictError, NotFoundError, UsageError
from medfloor.store import audit, schema
from medfloor.store.engine import Store
from medfloor.store.office import office_of
from medfloor.store.roles import ROLES, Actor, require
from medfloor.words import LANGS

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Kind = Literal["browser", "token"]

SHORTEST_PASSWORD = 12
LONGEST_PASSWORD = 1024

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@-]{1,63}")
_TOUCH = timedelta(seconds=60)
"""A session's last use is written at most this often."""


@dataclass(frozen=True, slots=True)
class User:
    """Be an account. Its password is not in it."""

    id: int
    login: str
    display_name: str
    role: str
    place: str
    language: str
    active: bool
    has_password: bool
    oidc_subject: str | None
    locked_until: datetime | None
    created_at: datetime

    @property
    def actor(self) -> Actor:
        """Give who does something when this user does it."""
        return Actor(self.login, self.role, self.place, self.language)


@dataclass(frozen=True, slots=True)
class Session:
    """Be a session of a browser, or a token of a program, and whose it is."""

    id: int
    user: User
    kind: Kind
    label: str | None
    csrf_secret: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime

    @property
    def actor(self) -> Actor:
        """Give who does something in this session."""
        return self.user.actor

    @property
    def login(self) -> str:
        """Give whose session it is."""
        return self.user.login


def create_user(
    connection: sa.Connection,
    login: str,
    *,
    role: str,
    actor: Actor,
    now: datetime,
    display_name: str = "",
    place: str = "",
    language: str = "zh",
    password: str | None = None,
    oidc_subject: str | None = None,
) -> User:
    """Add an account; without a password it can only come by OIDC.

    Raises UsageError: bad_login, unknown_role, bad_place, unknown_language, weak_password; ConflictError: login_taken;
    AccessError: forbidden.
    """
    require(actor, "manage_users")
    name = login.strip().lower()
    if not _LOGIN.fullmatch(name):
        raise UsageError("bad_login", "a login has 2 to 64 small letters, digits and . _ @ -, a letter or digit first")
    _check_role(role)
    _check_place(place)
    if language not in LANGS:
        raise UsageError("unknown_language", f"there is no such language; use {' or '.join(LANGS)}")
    if _row(connection, name) is not None:
        raise ConflictError("login_taken", f"there is a user {name} already; choose another login")
    connection.execute(
        schema.user.insert().values(
            login=name,
            display_name=display_name or name,
            role=role,
            place=place,
            language=language,
            password_hash=None if password is None else hash_password(password, login=name),
            password_changed_at=None if password is None else now,
            oidc_subject=oidc_subject,
            created_at=now,
        )
    )
    audit.record(connection, actor, "add_user", detail=f"login={name} role={role} place={place or '-'}", now=now)
    return user_by_login(connection, name)


def user_by_login(connection: sa.Connection, login: str) -> User:
    """Find an account. Raises NotFoundError (`unknown_user`)."""
    row = _row(connection, login.strip().lower())
    if row is None:
        raise NotFoundError("unknown_user", "there is no such user; medfloor admin user list shows all")
    return _user(row)


def list_users(connection: sa.Connection) -> list[User]:
    """List all accounts by login."""
    return [_user(row) for row in connection.execute(sa.select(schema.user).order_by(schema.user.c.login))]


def authenticate(store: Store, login: str, password: str, *, now: datetime) -> User:
    """Give the user whose password it is; too many wrong ones lock the account for a while.

    The try is counted before the password is looked at, so that many at once gain nothing. The costly hash is worked
    out outside of any transaction. Raises AccessError (`login_failed`), which does not say what was wrong.
    """
    name = login.strip().lower()
    row = store.attempt(lambda connection: _count_try(connection, name, now))
    # Somebody unknown costs as much time as a wrong password.
    known = row is not None and row.password_hash is not None
    right = _verifies(row.password_hash if known and row is not None else _nobodys_hash(), password)
    if not (known and right) or row is None:
        raise AccessError("login_failed", "login or password is wrong, or there were too many tries; try again later")
    fresh = _hasher().hash(password) if _hasher().check_needs_rehash(row.password_hash) else None

    def succeed(connection: sa.Connection) -> User:
        values: dict[str, Any] = {"failed_logins": 0, "locked_until": None}
        if fresh is not None:
            values["password_hash"] = fresh
        connection.execute(schema.user.update().where(schema.user.c.id == row.id).values(**values))
        user = user_by_login(connection, name)
        audit.record(connection, user.actor, "log_in", now=now)
        return user

    return store.attempt(succeed)


def set_password(connection: sa.Connection, login: str, password: str, *, actor: Actor, now: datetime) -> None:
    """Give a user another password, unlock the account and end its sessions.

    One may change one's own; another's takes the right to manage users. Raises UsageError (`weak_password`).
    """
    user = user_by_login(connection, login)
    if actor.login != user.login:
        require(actor, "manage_users")
    values = {
        "password_hash": hash_password(password, login=user.login),
        "password_changed_at": now,
        "failed_logins": 0,
        "locked_until": None,
    }
    connection.execute(schema.user.update().where(schema.user.c.id == user.id).values(**values))
    end_sessions(connection, user.id, now=now)
    audit.record(connection, actor, "set_password", detail=f"login={user.login}", now=now)


def set_role(
    connection: sa.Connection, login: str, *, role: str, actor: Actor, now: datetime, place: str | None = None
) -> User:
    """Give a user another role and place. Raises UsageError (`unknown_role`), ConflictError (`last_administrator`)."""
    require(actor, "manage_users")
    _check_role(role)
    _check_place(place or "")
    user = user_by_login(connection, login)
    if role != "administrator":
        _keep_an_administrator(connection, user)
    values = {"role": role} | ({} if place is None else {"place": place})
    connection.execute(schema.user.update().where(schema.user.c.id == user.id).values(**values))
    audit.record(connection, actor, "set_role", detail=f"login={user.login} {user.role} to {role}", now=now)
    return user_by_login(connection, user.login)


def set_active(connection: sa.Connection, login: str, *, active: bool, actor: Actor, now: datetime) -> User:
    """Disable an account and end its sessions, or enable it. Raises ConflictError (`last_administrator`)."""
    require(actor, "manage_users")
    user = user_by_login(connection, login)
    if not active:
        _keep_an_administrator(connection, user)
        end_sessions(connection, user.id, now=now)
    values = {"active": active, "failed_logins": 0, "locked_until": None}
    connection.execute(schema.user.update().where(schema.user.c.id == user.id).values(**values))
    audit.record(connection, actor, "enable_user" if active else "disable_user", detail=f"login={user.login}", now=now)
    return user_by_login(connection, user.login)


# --- OIDC -----------------------------------------------------------------------------------------------------------


def oidc_subject(issuer: str, subject: str) -> str:
    """Give the one text by which a person of a provider is known here."""
    text = f"{issuer.rstrip('/')} {subject}"
    return text if len(text) <= 255 else f"sha256 {hashlib.sha256(text.encode('utf-8')).hexdigest()}"


def link_oidc(connection: sa.Connection, login: str, *, issuer: str, subject: str, actor: Actor, now: datetime) -> User:
    """Let a provider's subject log in as a user. Raises ConflictError (`subject_taken`) when it is another's."""
    require(actor, "manage_users")
    user = user_by_login(connection, login)
    holder = user_of_subject(connection, issuer=issuer, subject=subject)
    if holder is not None and holder.id != user.id:
        raise ConflictError("subject_taken", f"this login of the provider belongs to {holder.login} already")
    text = oidc_subject(issuer, subject)
    connection.execute(schema.user.update().where(schema.user.c.id == user.id).values(oidc_subject=text))
    audit.record(connection, actor, "link_oidc", detail=f"login={user.login}", now=now)
    return user_by_login(connection, user.login)


def user_of_subject(connection: sa.Connection, *, issuer: str, subject: str) -> User | None:
    """Find the active user of a provider's subject, or None."""
    table = schema.user
    asked = sa.select(table).where(table.c.oidc_subject == oidc_subject(issuer, subject), table.c.active)
    row = connection.execute(asked).one_or_none()
    return None if row is None else _user(row)


# --- Sessions and tokens --------------------------------------------------------------------------------------------


def open_session(
    connection: sa.Connection,
    user: User,
    kind: Kind,
    now: datetime,
    *,
    label: str | None = None,
    expires_at: datetime | None = None,
) -> tuple[str, Session]:
    """Open a session of a browser, or give out a token for a program; the text that is returned is kept nowhere."""
    office = office_of(connection)
    span = timedelta(hours=office.session_hours) if kind == "browser" else timedelta(days=office.token_days)
    token = secrets.token_urlsafe(32)
    connection.execute(
        schema.session.insert().values(
            token_hash=_token_hash(token),
            user_id=user.id,
            kind=kind,
            label=label,
            csrf_secret=secrets.token_urlsafe(32) if kind == "browser" else None,
            created_at=now,
            last_seen_at=now,
            expires_at=expires_at or now + span,
        )
    )
    session = session_of(connection, token, now)
    assert session is not None, "a session that was just opened"
    return token, session


def session_of(connection: sa.Connection, token: str, now: datetime, *, touch: bool = True) -> Session | None:
    """Find the session of a token; None when there is none, it ended, or its user is disabled.

    Writes down about once a minute that it was used, unless `touch` is False; then it only reads.
    """
    asked = _sessions().where(schema.session.c.token_hash == _token_hash(token))
    row = connection.execute(asked).one_or_none()
    if row is None or row.revoked_at is not None or row.expires_at <= now or not row.active:
        return None
    if row.kind == "browser":
        idle = timedelta(minutes=office_of(connection).session_idle_minutes)
        if now - row.last_seen_at >= idle:
            return None
    if touch and now - row.last_seen_at >= _TOUCH:
        table = schema.session
        connection.execute(table.update().where(table.c.id == row.session_id).values(last_seen_at=now))
    return _session(row)


def sessions_of_user(connection: sa.Connection, user_id: int, now: datetime) -> list[Session]:
    """List the sessions and tokens of a user that have not ended."""
    table = schema.session
    asked = _sessions().where(table.c.user_id == user_id, table.c.revoked_at.is_(None), table.c.expires_at > now)
    return [_session(row) for row in connection.execute(asked.order_by(table.c.id))]


def end_session(connection: sa.Connection, session_id: int, *, now: datetime) -> None:
    """End a session or token; one that ended already stays as it is."""
    table = schema.session
    clause = (table.c.id == session_id) & table.c.revoked_at.is_(None)
    connection.execute(table.update().where(clause).values(revoked_at=now))


def end_sessions(connection: sa.Connection, user_id: int, *, now: datetime) -> None:
    """End all sessions and tokens of a user."""
    table = schema.session
    clause = (table.c.user_id == user_id) & table.c.revoked_at.is_(None)
    connection.execute(table.update().where(clause).values(revoked_at=now))


# --- Passwords ------------------------------------------------------------------------------------------------------


def hash_password(password: str, *, login: str) -> str:
    """Give the argon2id hash of a password. Raises UsageError (`weak_password`)."""
    easy = len(set(password)) < 5 or login in password.lower()
    if easy or not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageError(
            "weak_password",
            f"a password has at least {SHORTEST_PASSWORD} characters, five of them different, without the login in it",
        )
    return _hasher().hash(password)


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()


@functools.cache
def _nobodys_hash() -> str:
    return _hasher().hash(secrets.token_hex(16))


def _verifies(hashed: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _count_try(connection: sa.Connection, login: str, now: datetime) -> Any:
    """Count a try and give the account's row; None when nobody may log in so."""
    table = schema.user
    row = connection.execute(sa.select(table).where(table.c.login == login).with_for_update()).one_or_none()
    if row is None or not row.active:
        return None
    if row.locked_until is not None and row.locked_until > now:
        return None
    office = office_of(connection)
    count = 1 if row.locked_until is not None else row.failed_logins + 1
    locked = now + timedelta(minutes=office.lockout_minutes) if count >= office.lockout_failures else None
    connection.execute(table.update().where(table.c.id == row.id).values(failed_logins=count, locked_until=locked))
    if locked is not None:
        audit.record(connection, Actor(row.login, row.role, row.place), "lock_out", now=now)
    return row


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise UsageError("unknown_role", f"there is no such role; there are {', '.join(ROLES)}")


def _check_place(place: str) -> None:
    if place and not (place.isascii() and place.isdigit() and 2 <= len(place) <= 12):
        raise UsageError("bad_place", "a place is a division code of 2 to 12 digits, such as 150981")


def _keep_an_administrator(connection: sa.Connection, user: User) -> None:
    table = schema.user
    others = sa.select(table.c.id).where(table.c.role == "administrator", table.c.active, table.c.id != user.id)
    # Locked, so that two who disable each other at once do not both succeed.
    if user.role == "administrator" and not connection.execute(others.with_for_update()).all():
        raise ConflictError("last_administrator", "this is the last administrator; add another one first")


def _row(connection: sa.Connection, login: str) -> Any:
    return connection.execute(sa.select(schema.user).where(schema.user.c.login == login)).one_or_none()


def _user(row: Any) -> User:
    return User(
        id=row.id,
        login=row.login,
        display_name=row.display_name,
        role=row.role,
        place=row.place,
        language=row.language,
        active=row.active,
        has_password=row.password_hash is not None,
        oidc_subject=row.oidc_subject,
        locked_until=row.locked_until,
        created_at=row.created_at,
    )


def _sessions() -> sa.Select[Any]:
    held: Sequence[sa.Column[Any]] = [column for column in schema.session.c if column.name not in ("id", "created_at")]
    return sa.select(
        schema.user,
        *held,
        schema.session.c.id.label("session_id"),
        schema.session.c.created_at.label("opened_at"),
    ).join_from(schema.session, schema.user)


def _session(row: Any) -> Session:
    return Session(
        id=row.session_id,
        user=_user(row),
        kind=row.kind,
        label=row.label,
        csrf_secret=row.csrf_secret,
        created_at=row.opened_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
    )
