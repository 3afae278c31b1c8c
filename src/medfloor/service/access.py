"""Ask who it is and if they may: every route has `Depends(need("..."))`, `Depends(signed_in)` or `Depends(anyone)`.

A test walks all routes and fails for one that has none of the three.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request

from medfloor.errors import AccessError, UsageError
from medfloor.service import csrf
from medfloor.service.running import Running
from medfloor.store.roles import PERMISSIONS, Actor, require
from medfloor.store.users import Session


@dataclass(frozen=True, slots=True)
class Acting:
    """Be who asks, in which session, under which request id, and when; `language` is for what is said to them."""

    actor: Actor
    session: Session
    request_id: str
    now: datetime
    language: str


class Need:
    """Be a dependency that gives `Acting` to those who have a permission; None stands for whoever is signed in.

    Raises AccessError: not_signed_in, session_over (401), csrf, forbidden (403); UsageError too_many_requests (429).
    """

    def __init__(self, permission: str | None) -> None:
        assert permission is None or permission in PERMISSIONS, f"there is no permission {permission}"
        self.permission = permission

    async def __call__(self, request: Request) -> Acting:
        """Find who asks, and go on only if they may."""
        run: Running = request.app.state.running
        now = run.clock()
        session = await _session(request, run, now)
        actor = session.actor
        state = request.scope["state"]
        state["language"] = actor.language
        if not run.askers.allows(str(session.id)):
            raise UsageError("too_many_requests", "more requests than the office allows; ask again in a second")
        from medfloor.service.problems import language_of

        # The page of a refusal keeps the menu of whoever asked.
        acting = state["acting"] = Acting(actor, session, state["request_id"], now, language_of(request.scope))
        if self.permission is not None:
            require(actor, self.permission)
        return acting


def need(permission: str) -> Need:
    """Give the dependency for a permission of `store.roles`: `acting: Annotated[Acting, Depends(need("settle"))]`."""
    return Need(permission)


signed_in = Need(None)
"""The dependency for whoever is signed in, whatever the role."""


class Anyone:
    """Be a dependency for routes that need no session; each address may ask so often a second."""

    async def __call__(self, request: Request) -> None:
        """Count the address. Raises UsageError too_many_requests (429)."""
        _count_stranger(request, request.app.state.running)


anyone = Anyone()
"""The dependency for routes that are open to all."""


def cookie_name(https: bool) -> str:
    """Give the name of the session's cookie: browsers keep __Host- cookies to one host, path / and TLS.

    >>> cookie_name(True), cookie_name(False)
    ('__Host-medfloor', 'medfloor')
    """
    return "__Host-medfloor" if https else "medfloor"


def address_of(request: Request) -> str:
    """Give the address that asks; behind a declared proxy uvicorn has put the caller's here."""
    return request.client.host if request.client else "none"


def asker_of(request: Request) -> str:
    """Give the address that tries are counted by: of IPv6 the network, since whoever has one address has 2^64."""
    return network_of(address_of(request))


def network_of(address: str) -> str:
    """Give the network of an IPv6 address, and any other address as it is.

    >>> network_of("2001:db8::1:2"), network_of("192.0.2.7"), network_of("none")
    ('2001:db8::/64', '192.0.2.7', 'none')
    """
    try:
        found = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Network((found, 64), strict=False))


async def check_session(request: Request) -> None:
    """Go on only for who is signed in, before a form of several parts is read.

    A form of a page holds its CSRF token as a field, which only `Need` can read; a token in the header is checked here.
    Raises AccessError: not_signed_in, session_over, csrf.
    """
    run: Running = request.app.state.running
    await _session(request, run, run.clock(), unread=csrf.HEADER not in request.headers)


async def _session(request: Request, run: Running, now: datetime, *, unread: bool = False) -> Session:
    shown = request.headers.get("authorization")
    if shown is not None:
        kind, _, token = shown.partition(" ")
        token = token.strip() if kind.lower() == "bearer" else ""
        expected = "token"
    else:
        token = request.cookies.get(cookie_name(run.settings.https), "")
        expected = "browser"
    if not token or len(token) > 256:
        _count_stranger(request, run)
        raise AccessError("not_signed_in", "sign in first, or send a token as Authorization: Bearer")
    session = await run.sessions.of(token, now)
    # A browser's session is no Bearer token and the other way round: each is guarded in its own way.
    if session is None or session.kind != expected:
        _count_stranger(request, run)
        raise AccessError("session_over", "the session or token has ended or is not known; sign in again")
    if expected == "browser" and request.method not in csrf.SAFE_METHODS:
        csrf.check_site(request.headers, run.settings.public_url)
        if not unread:
            shown_token = await _shown_token(request)
            try:
                csrf.check_token(session.csrf_secret, shown_token)
            except AccessError:
                await request.close()  # and with it the files of a form that was read for its token
                raise
    return session


async def _shown_token(request: Request) -> str | None:
    shown = request.headers.get(csrf.HEADER)
    if shown is None and request.headers.get("content-type", "").startswith(csrf.FORMS):
        # A form of a page sends it as a field; what is read here is kept for the route.
        found = (await request.form()).get(csrf.FIELD)
        shown = found if isinstance(found, str) else None
    return shown


def _count_stranger(request: Request, run: Running) -> None:
    if not run.strangers.allows(asker_of(request)):
        raise UsageError("too_many_requests", "more requests than the office allows; ask again in a second")
