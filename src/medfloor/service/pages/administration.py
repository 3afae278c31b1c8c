"""Pages of the administrator and the auditor: accounts, settings, and who looked at whom."""

from __future__ import annotations

from dataclasses import fields as fields_of_class
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from medfloor.service.access import Acting
from medfloor.service.bodies.fields import ID_PATTERN
from medfloor.service.bodies.sessions import NewPasswordBody, UserBody, UserChangeBody
from medfloor.service.pages.frame import go, page, render
from medfloor.service.pages.office import fields_of, tried
from medfloor.service.paging import Cursor
from medfloor.service.routes import audit, users
from medfloor.service.running import Running, running
from medfloor.store.office import Office, office_of
from medfloor.store.roles import ROLES, may

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Reads = Annotated[Acting, page("read_users")]
Manages = Annotated[Acting, page("manage_users")]
Login = Annotated[str, Path(min_length=2, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z._@-]*$")]
DayText = Annotated[str, Query(max_length=10, pattern=r"^$|^\d{4}-\d{2}-\d{2}$")]
ROWS = 100


@router.get("/office/users")
async def list_users(request: Request, acting: Reads, run: Run, cursor: Cursor = None) -> Response:
    """List accounts, and give the forms that add and change them."""
    return await _users(request, acting, run, cursor, {}, None)


@router.post("/office/users")
async def add_user(request: Request, acting: Manages, run: Run) -> Response:
    """Add an account."""
    said = await fields_of(request)

    async def work() -> Any:
        names = ("login", "role", "display_name", "place", "language")
        given: dict[str, Any] = {name: said[name] for name in names if said.get(name)}
        # Blanks at the ends of a password are part of it.
        password = (await request.form()).get("password")
        return await users.add_user(UserBody(**given, password=str(password) if password else None), acting, run)

    _, problem = await tried(work, acting.language)
    if problem is not None:
        return await _users(request, acting, run, None, said, problem)
    return go("/office/users", done="saved")


@router.post("/office/users/{login}")
async def change_user(request: Request, login: Login, acting: Manages, run: Run) -> Response:
    """Give an account another role or place, disable or enable it, end its sessions, or reset its password."""
    said = await fields_of(request)

    async def work() -> Any:
        match said.get("action"):
            case "role":
                body = UserChangeBody.model_validate({"role": said.get("role"), "place": said.get("place", "")})
                return await users.change_user(login, body, acting, run)
            case "enable" | "disable":
                body = UserChangeBody(active=said["action"] == "enable")
                return await users.change_user(login, body, acting, run)
            case "password":
                password = NewPasswordBody(password=str((await request.form()).get("password") or ""))
                return await users.reset_password(login, password, acting, run)
            case _:
                return await users.end_sessions(login, acting, run)

    _, problem = await tried(work, acting.language)
    if problem is not None:
        return await _users(request, acting, run, None, {}, problem)
    return go("/office/users", done="saved")


@router.get("/office/audit")
async def list_traces(
    request: Request,
    acting: Annotated[Acting, page("read_audit")],
    run: Run,
    person_id: Annotated[str, Query(max_length=64, pattern=rf"^$|{ID_PATTERN}")] = "",
    by: Annotated[str, Query(max_length=64, pattern=r"^$|^[0-9a-z][0-9a-z._@-]*$")] = "",
    action: Annotated[str, Query(max_length=48, pattern=r"^[a-z_]*$")] = "",
    since: DayText = "",
    until: DayText = "",
    cursor: Cursor = None,
) -> Response:
    """List what was done and looked at, the latest first; looking here is written down as well."""
    asked = {"person_id": person_id, "by": by, "action": action, "since": since, "until": until}
    given = {name: value or None for name, value in asked.items()}
    found, problem = await tried(audit.list_traces, acting.language, acting, run, **given, cursor=cursor, limit=ROWS)
    return render(
        request, acting, "office/audit.html", status=problem["status"] if problem else 200, asked=asked,
        rows=[] if problem else found.traces, following=None if problem else found.next, begun=bool(cursor),
        problem=problem,
    )  # fmt: skip


@router.get("/office/settings")
def show_settings(request: Request, acting: Annotated[Acting, page("read_settings")], run: Run) -> Response:
    """Show what the office decided once, with the default of each."""
    with run.store.reading() as connection:
        office = office_of(connection)
    usual = Office()
    rows = [(one.name, getattr(office, one.name), getattr(usual, one.name)) for one in fields_of_class(Office)]
    return render(request, acting, "office/settings.html", rows=rows)


async def _users(
    request: Request, acting: Acting, run: Running, cursor: str | None, said: dict[str, str],
    problem: dict[str, Any] | None,
) -> Response:  # fmt: skip
    found = await users.list_users(acting, run, cursor, ROWS)
    return render(
        request, acting, "office/users.html", status=problem["status"] if problem else 200, rows=found.users,
        following=found.next, begun=bool(cursor), said=said, problem=problem, roles=tuple(ROLES),
        may_manage=may(acting.actor, "manage_users"), now=acting.now,
    )  # fmt: skip
