"""Every route says who may ask it, and every role is tried against every route."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from office import OfficeAtWork

from medfloor.service.access import Anyone, Need
from medfloor.service.app import ROUTES, SUBJECTS, create_app
from medfloor.service.routes.health import LocalOrNeed, open_route
from medfloor.service.settings import Settings
from medfloor.store.engine import Store
from medfloor.store.roles import ROLES

OPEN = {
    "POST /api/v1/session", "GET /api/v1/session/oidc", "GET /api/v1/session/oidc/back", "GET /health/live",
    "GET /health/ready", "GET /fhir/metadata",
}  # fmt: skip
"""What may be asked without a session; a route is not put here for convenience."""

OPEN_PAGES = {"GET /login", "POST /login", "GET /language", "GET /static/{digest}/{name}"}
"""The pages that are shown without a session; nor is a page put here for convenience."""

ANY_ROLE = {
    "GET /api/v1/session", "DELETE /api/v1/session", "POST /api/v1/session/password", "GET /api/v1/session/tokens",
    "POST /api/v1/session/tokens", "DELETE /api/v1/session/tokens/{number}",
}  # fmt: skip
"""What every program that is signed in may ask. Pages for whoever is signed in declare that themselves."""

BY_TRANSACTION = {"POST /api/v1/national/{infno}"}
"""One address for many transactions of the national platform: each asks for its own permission (tests of the dialect)."""


def routes_of(app: FastAPI) -> Iterator[tuple[str, APIRoute]]:
    for route in all_routes(app.routes):
        for method in sorted(route.methods - {"HEAD"}):
            yield f"{method} {route.path_format}", route


def all_routes(found: list[object]) -> Iterator[APIRoute]:
    for route in found:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "effective_route_contexts"):
            yield from (one for one in route.effective_route_contexts())
        elif hasattr(route, "routes"):
            yield from all_routes(route.routes)


def guards(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for one in dependant.dependencies:
        yield from guards(one)


def declared(route: APIRoute) -> tuple[str, str | None]:
    """Say how a route is guarded: by a permission, for whoever is signed in, or for all; and by which permission."""
    for guard in guards(route.dependant):
        if isinstance(guard, Need):
            return ("need", guard.permission) if guard.permission else ("signed_in", None)
        if isinstance(guard, LocalOrNeed):
            return "local", guard.permission
        if isinstance(guard, Anyone) or guard is open_route:
            return "open", None
    return "nothing", None


APP = create_app(Settings())
TABLE = {name: declared(route) for name, route in routes_of(APP)}
PAGES = {name for name, route in routes_of(APP) if not route.include_in_schema}
"""Pages for people: they are in no OpenAPI, and each declares who may see it like any other route."""


def test_all_routes_are_seen() -> None:
    paths = {f"{method.upper()} {path}" for path, ways in APP.openapi()["paths"].items() for method in ways}
    assert paths == set(TABLE) - PAGES
    assert not [
        name for name in PAGES if name.partition(" ")[2].startswith(("/api/", "/fhir/", "/health/", "/metrics"))
    ]
    assert len(TABLE) > 30


def test_every_route_declares_who_may_ask_it() -> None:
    assert not [name for name, (kind, _) in TABLE.items() if kind == "nothing"]
    assert {name for name, (kind, _) in TABLE.items() if kind == "open"} == OPEN | OPEN_PAGES
    assert {
        name for name, (kind, _) in TABLE.items() if kind == "signed_in" and name not in PAGES
    } == ANY_ROLE | BY_TRANSACTION


def test_a_route_without_a_declaration_would_be_found() -> None:
    app = FastAPI()

    @app.get("/forgotten")
    def forgotten() -> None:
        return None

    assert [declared(route) for _, route in routes_of(app)] == [("nothing", None)]


def test_a_subject_without_its_module_fails_loudly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medfloor.service.app.SUBJECTS", (*SUBJECTS, "astrology"))
    with pytest.raises(ModuleNotFoundError, match="astrology"):
        create_app(Settings())


def path_of(name: str) -> tuple[str, str]:
    method, _, path = name.partition(" ")
    while "{" in path:
        before, _, rest = path.partition("{")
        path = f"{before}1{rest.partition('}')[2]}"
    return method, path


@pytest.mark.parametrize("part", ["programs", "pages"])
def test_every_role_gets_what_its_permissions_say_and_no_more(
    sqlite_store: Store, open_office: Callable[..., OfficeAtWork], part: str
) -> None:
    office = open_office(sqlite_store, strangers_a_second=10_000)
    callers = {role: office.as_role(role) for role in ROLES}
    stranger = office.stranger()
    wrong = []
    for name, (kind, permission) in TABLE.items():
        if (name in PAGES) != (part == "pages"):
            continue
        method, path = path_of(name)
        if kind != "open" and not refuses(stranger.request(method, path), to_sign_in=name in PAGES):
            wrong.append((name, "stranger"))
        if kind not in ("need", "local"):
            continue
        for role, caller in callers.items():
            answer = caller.request(method, path)
            # FHIR says it in its own form.
            forbidden = answer.status_code == 403 and "forbidden" in answer.text
            # The office of the tests runs no jobs; whoever may ask for one is told so.
            told = answer.status_code == 503 and (name in PAGES or "jobs_off" in answer.text)
            broken = answer.status_code >= 500 and not told
            if forbidden != (permission not in ROLES[role]) or broken:
                wrong.append((name, role, answer.status_code))
    assert not wrong


def refuses(answer: httpx.Response, *, to_sign_in: bool) -> bool:
    """Say whether somebody without a session got nothing; a page may send them to sign in."""
    if to_sign_in and answer.status_code == 303:
        return answer.headers["location"].startswith("/login")
    return answer.status_code == 401


def test_nobody_both_settles_and_decides_on_reversals() -> None:
    for permissions in ROLES.values():
        assert not {"settle", "decide_reversal"} <= permissions
        assert not {"manage_users", "read_person"} <= permissions


def test_the_analyst_sees_no_person() -> None:
    seen = {name for name, (_, permission) in TABLE.items() if permission in ROLES["analyst"]}
    assert not [name for name in seen if "people" in name or "households" in name or "settlements" in name]


def test_metrics_are_for_this_machine_or_for_a_role(small_office: OfficeAtWork) -> None:
    local = small_office.stranger(address="127.0.0.1")
    text = local.get("/metrics")
    assert text.status_code == 200 and "medfloor_requests_total" in text.text
    assert local.get("/metrics", headers={"x-forwarded-for": "192.0.2.9"}).status_code == 401
    assert small_office.stranger().get("/metrics").status_code == 401
    assert small_office.as_role("analyst").get("/metrics").status_code == 403
    assert small_office.as_role("auditor").get("/metrics").status_code == 200


def test_routes_are_listed_once() -> None:
    assert len(set(ROUTES + SUBJECTS)) == len(ROUTES + SUBJECTS)
