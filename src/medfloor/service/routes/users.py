"""Routes of the accounts, for administrators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor.errors import UsageError
from medfloor.service.access import Acting, need
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.sessions import (
    NewPasswordBody,
    OidcLinkBody,
    UserAnswer,
    UserBody,
    UserChangeBody,
    UserList,
)
from medfloor.service.paging import Cursor, Limit, page_of
from medfloor.service.running import Running, running
from medfloor.store import audit, users

router = APIRouter(prefix="/api/v1/users", tags=["users 账户"])

Run = Annotated[Running, Depends(running)]
Reads = Annotated[Acting, Depends(need("read_users"))]
Manages = Annotated[Acting, Depends(need("manage_users"))]
Login = Annotated[str, Path(min_length=2, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z._@-]*$")]


@router.get("", response_model=UserList, responses=problems())
async def list_users(acting: Reads, run: Run, cursor: Cursor = None, limit: Limit = 100) -> UserList:
    """List accounts in the order in which they were made. 账户列表。"""

    def work() -> list[users.User]:
        with run.store.reading() as connection:
            return users.list_users(connection)

    page, following = page_of("users", await run_in_threadpool(work), lambda one: one.id, cursor, limit)
    return UserList(users=[_answer(one) for one in page], next=following)


@router.post("", status_code=201, response_model=UserAnswer, responses=problems(409))
async def add_user(body: UserBody, acting: Manages, run: Run) -> UserAnswer:
    """Add an account. 新建账户。"""
    given = body.model_dump(exclude={"login"})

    def work(connection: Any) -> users.User:
        return users.create_user(connection, body.login, actor=acting.actor, now=acting.now, **given)

    return _answer(await run_in_threadpool(run.store.attempt, work))


@router.patch("/{login}", response_model=UserAnswer, responses=problems(404, 409))
async def change_user(login: Login, body: UserChangeBody, acting: Manages, run: Run) -> UserAnswer:
    """Give an account another role or place, disable or enable it; what is left out stays. 修改账户。"""
    if body.role is None and body.place is None and body.active is None:
        raise UsageError("nothing_to_change", "say what is to change: role, place or active")

    def work(connection: Any) -> users.User:
        user = users.user_by_login(connection, login)
        if body.role is not None or body.place is not None:
            role = body.role or user.role
            user = users.set_role(
                connection, user.login, role=role, place=body.place, actor=acting.actor, now=acting.now
            )
        if body.active is not None:
            user = users.set_active(connection, user.login, active=body.active, actor=acting.actor, now=acting.now)
        return user

    return _answer(await _changed(run, work))


@router.post("/{login}/password", status_code=204, responses=problems(404))
async def reset_password(login: Login, body: NewPasswordBody, acting: Manages, run: Run) -> Response:
    """Give an account another password; its sessions and tokens end, a lock too. 重置口令。"""

    def work(connection: Any) -> users.User:
        user = users.user_by_login(connection, login)
        users.set_password(connection, user.login, body.password, actor=acting.actor, now=acting.now)
        return user

    await _changed(run, work)
    return Response(status_code=204)


@router.post("/{login}/oidc", response_model=UserAnswer, responses=problems(404, 409))
async def link_oidc(login: Login, body: OidcLinkBody, acting: Manages, run: Run) -> UserAnswer:
    """Let a subject of the office's log-in in as this account. 绑定统一认证。"""
    issuer = run.settings.oidc_issuer
    if issuer is None:
        raise UsageError("no_issuer", "the office has no OIDC provider; set MEDFLOOR_OIDC_ISSUER first")

    def work(connection: Any) -> users.User:
        return users.link_oidc(
            connection, login, issuer=issuer, subject=body.subject, actor=acting.actor, now=acting.now
        )

    return _answer(await run_in_threadpool(run.store.attempt, work))


@router.delete("/{login}/sessions", status_code=204, responses=problems(404))
async def end_sessions(login: Login, acting: Manages, run: Run) -> Response:
    """End all sessions and tokens of an account at once. 注销全部会话与令牌。"""

    def work(connection: Any) -> users.User:
        user = users.user_by_login(connection, login)
        users.end_sessions(connection, user.id, now=acting.now)
        told = f"login={user.login}"
        audit.record(
            connection, acting.actor, "end_sessions", now=acting.now, detail=told, request_id=acting.request_id
        )
        return user

    await _changed(run, work)
    return Response(status_code=204)


async def _changed(run: Running, work: Callable[[Any], users.User]) -> users.User:
    """Do it, and forget the account's sessions, so that it holds from the next request on."""
    user = await run_in_threadpool(run.store.attempt, work)
    run.sessions.forget(user_id=user.id)
    return user


def _answer(user: users.User) -> UserAnswer:
    return UserAnswer.model_validate({
        "login": user.login, "display_name": user.display_name, "role": user.role, "place": user.place,
        "language": user.language, "active": user.active, "has_password": user.has_password,
        "has_oidc": user.oidc_subject is not None, "locked_until": user.locked_until, "created_at": user.created_at,
    })  # fmt: skip
