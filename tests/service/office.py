"""Run the whole service in this process, without a socket, and speak to it as different people."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from medfloor.service.app import create_app
from medfloor.service.logs import log_of
from medfloor.service.running import Running
from medfloor.service.settings import Settings
from medfloor.store import office as office_settings
from medfloor.store import users
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring
from medfloor.store.roles import ROLES, Actor

PLACE = "150981"
PASSWORD = "correct horse 7 battery"
SYSTEM = Actor("setup", "administrator")


@dataclass
class Clock:
    """Be a clock that stands still until it is moved."""

    now: datetime = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass
class Caller:
    """Speak to the service: `get`, `post`, ... with this one's token or cookies."""

    portal: BlockingPortal
    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    def request(self, method: str, path: str, **given: Any) -> httpx.Response:
        headers = {**self.headers, **(given.pop("headers", None) or {})}

        async def ask() -> httpx.Response:
            return await self.client.request(method, path, headers=headers, **given)

        response: httpx.Response = self.portal.call(ask)
        return response

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        return self.request("POST", path, **given)

    def patch(self, path: str, **given: Any) -> httpx.Response:
        return self.request("PATCH", path, **given)

    def delete(self, path: str, **given: Any) -> httpx.Response:
        return self.request("DELETE", path, **given)


@dataclass
class OfficeAtWork:
    """Be a service at work: its app, its store, its clock and what it logged."""

    app: FastAPI
    store: Store
    clock: Clock
    log: io.StringIO
    portal: BlockingPortal
    ending: Any
    settings: Settings
    callers: list[Caller] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    @property
    def running(self) -> Running:
        found: Running = self.app.state.running
        return found

    def stranger(self, *, address: str = "192.0.2.7", scheme: str = "http") -> Caller:
        """Give someone who shows nothing; cookies that they get are kept."""
        transport = httpx.ASGITransport(self.app, client=(address, 50_000))
        client = httpx.AsyncClient(transport=transport, base_url=f"{scheme}://office.example")
        caller = Caller(self.portal, client)
        self.callers.append(caller)
        return caller

    def as_role(self, role: str, *, place: str = PLACE, login: str | None = None) -> Caller:
        """Give a program with a token of a user of this role."""
        name = login or f"{role}_1"
        if name not in self.tokens:
            self.add_user(name, role, place=place, password=None)
            with self.store.writing() as connection:
                user = users.user_by_login(connection, name)
                self.tokens[name] = users.open_session(connection, user, "token", self.clock.now)[0]
        caller = self.stranger()
        caller.headers["authorization"] = f"Bearer {self.tokens[name]}"
        return caller

    def add_user(self, login: str, role: str, *, place: str = PLACE, password: str | None = PASSWORD) -> users.User:
        assert role in ROLES
        with self.store.writing() as connection:
            return users.create_user(
                connection, login, role=role, place=place, password=password, actor=SYSTEM, now=self.clock.now
            )

    def signed_in(self, login: str) -> Caller:
        """Give a browser in which a user has signed in, with the CSRF token."""
        caller = self.stranger()
        answer = caller.post("/api/v1/session", json={"login": login, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        caller.headers["x-csrf-token"] = answer.json()["csrf_token"]
        return caller

    def lines(self) -> list[dict[str, Any]]:
        """Give the lines of the log."""
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def stop(self) -> None:
        async def close() -> None:
            for caller in self.callers:
                await caller.client.aclose()

        self.portal.call(close)
        self.ending()


def running_office(store: Store, keyring: Keyring, settings: Settings, *, policy: str | None) -> OfficeAtWork:
    """Start the service over a migrated store."""
    clock, log = Clock(), io.StringIO()
    with store.writing() as connection:
        office_settings.decide_setting(connection, "place", PLACE, actor=SYSTEM, now=clock.now)
        if policy is not None:
            office_settings.decide_setting(connection, "policy", policy, actor=SYSTEM, now=clock.now)
    app = create_app(settings, store=store, keyring=keyring, clock=clock, log=log_of(log))
    opened = start_blocking_portal()
    portal = opened.__enter__()
    lifespan = portal.wrap_async_context_manager(app.router.lifespan_context(app))
    lifespan.__enter__()

    def end() -> None:
        lifespan.__exit__(None, None, None)
        opened.__exit__(None, None, None)

    return OfficeAtWork(app, store, clock, log, portal, end, settings)
