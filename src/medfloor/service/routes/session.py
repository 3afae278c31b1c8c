"""Routes of signing in and out, of one's own password, and of tokens for programs."""

from __future__ import annotations

import functools
from datetime import datetime, timedelta
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, RedirectResponse, Response

from medfloor.errors import AccessError, NotFoundError, UsageError
from medfloor.service import csrf
from medfloor.service.access import Acting, anyone, asker_of, cookie_name, signed_in
from medfloor.service.bodies.problems import problems
from medfloor.service.bodies.sessions import (
    NewTokenAnswer,
    PasswordBody,
    SessionAnswer,
    SignInBody,
    TokenAnswer,
    TokenBody,
    TokenList,
)
from medfloor.service.oidc import STATE_COOKIE, STATE_SECONDS
from medfloor.service.paging import Cursor, Limit, page_of
from medfloor.service.running import Running, running
from medfloor.store import audit, users
from medfloor.store.office import office_of
from medfloor.store.roles import ROLES

router = APIRouter(prefix="/api/v1/session", tags=["session 会话"])

Run = Annotated[Running, Depends(running)]
Me = Annotated[Acting, Depends(signed_in)]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.post("", dependencies=[Depends(anyone)], response_model=SessionAnswer, responses=problems())
async def sign_in(body: SignInBody, request: Request, run: Run) -> Response:
    """Sign in with a local account: gives a cookie for browsers. 本地账户登录。

    An account is locked for a while after wrong passwords; which of login and password was wrong is not said.
    """
    csrf.check_site(request.headers, run.settings.public_url)
    if not run.logins.allows(asker_of(request)):
        raise UsageError("too_many_logins", "too many tries from this address; wait a minute")
    now = run.clock()
    user = await authenticated(run, body.login, body.password, now)
    return await entered(request, run, user)


@router.get("", response_model=SessionAnswer, responses=problems())
async def who_am_i(acting: Me) -> SessionAnswer:
    """Say who is signed in, what the role may, and the CSRF token. 查询当前会话。"""
    return _answer(acting.session)


@router.delete("", status_code=204, responses=problems())
async def sign_out(acting: Me, run: Run) -> Response:
    """End this session or token. 退出。"""

    def work(connection: Any) -> None:
        users.end_session(connection, acting.session.id, now=acting.now)
        audit.record(connection, acting.actor, "log_out", now=acting.now, request_id=acting.request_id)

    await run_in_threadpool(run.store.attempt, work)
    run.sessions.forget(session_id=acting.session.id)
    response = Response(status_code=204)
    if acting.session.kind == "browser":
        response.delete_cookie(
            cookie_name(run.settings.https), secure=run.settings.https, httponly=True, samesite="lax"
        )
    return response


@router.post("/password", status_code=204, responses=problems())
async def change_password(body: PasswordBody, request: Request, acting: Me, run: Run) -> Response:
    """Change one's own password; all of one's sessions and tokens end. 修改本人口令。"""
    if not run.logins.allows(asker_of(request)):
        raise UsageError("too_many_logins", "too many tries from this address; wait a minute")
    login = acting.actor.login
    await authenticated(run, login, body.old, acting.now)
    await run_in_threadpool(
        run.store.attempt,
        lambda connection: users.set_password(connection, login, body.new, actor=acting.actor, now=acting.now),
    )
    run.sessions.forget(user_id=acting.session.user.id)
    return Response(status_code=204)


@router.get("/tokens", response_model=TokenList, responses=problems())
async def list_tokens(acting: Me, run: Run, cursor: Cursor = None, limit: Limit = 100) -> TokenList:
    """List one's own sessions and tokens. 本人的会话与令牌。"""

    def work() -> list[users.Session]:
        with run.store.reading() as connection:
            return users.sessions_of_user(connection, acting.session.user.id, acting.now)

    page, following = page_of("tokens", await run_in_threadpool(work), lambda one: one.id, cursor, limit)
    return TokenList(tokens=[TokenAnswer(**_told(one)) for one in page], next=following)


@router.post("/tokens", status_code=201, response_model=NewTokenAnswer, responses=problems())
async def make_token(body: TokenBody, acting: Me, run: Run) -> NewTokenAnswer:
    """Make a token for a program, with one's own rights; its text is shown this once. 生成接口令牌。"""
    if acting.session.kind != "browser":
        raise AccessError("token_by_token", "a token makes no tokens; sign in as yourself")

    def work(connection: Any) -> tuple[str, users.Session]:
        most = office_of(connection).token_days
        end = acting.now + timedelta(days=min(body.days or most, most))
        made = users.open_session(
            connection, acting.session.user, "token", acting.now, label=body.label, expires_at=end
        )
        told = f"session={made[1].id}"
        audit.record(connection, acting.actor, "make_token", now=acting.now, detail=told, request_id=acting.request_id)
        return made

    token, session = await run_in_threadpool(run.store.attempt, work)
    return NewTokenAnswer(**_told(session), token=token)


@router.delete("/tokens/{number}", status_code=204, responses=problems(404))
async def end_token(number: Number, acting: Me, run: Run) -> Response:
    """End one of one's own sessions or tokens at once. 注销令牌。"""

    def work(connection: Any) -> None:
        own = users.sessions_of_user(connection, acting.session.user.id, acting.now)
        if number not in {one.id for one in own}:
            raise NotFoundError("no_token", "you have no such session or token")
        users.end_session(connection, number, now=acting.now)
        told = f"session={number}"
        audit.record(connection, acting.actor, "end_token", now=acting.now, detail=told, request_id=acting.request_id)

    await run_in_threadpool(run.store.attempt, work)
    run.sessions.forget(session_id=number)
    return Response(status_code=204)


@router.get("/oidc", status_code=302, dependencies=[Depends(anyone)], responses=problems(404))
async def go_to_provider(run: Run) -> Response:
    """Go to the office's own log-in (OIDC, authorization code with PKCE). 统一身份认证登录。"""
    if run.provider is None:
        raise NotFoundError("no_oidc", "the office has no OIDC provider; sign in with login and password")
    address, state = await run.provider.begin()
    response = RedirectResponse(address, 302)
    # Lax, because the provider sends the browser back from its own site.
    response.set_cookie(
        STATE_COOKIE, state, max_age=STATE_SECONDS, secure=run.settings.https, httponly=True, samesite="lax",
        path="/api/v1/session/oidc",
    )  # fmt: skip
    return response


@router.get("/oidc/back", status_code=303, dependencies=[Depends(anyone)], responses=problems(404))
async def back_from_provider(request: Request, run: Run, state: str = "", code: str = "", error: str = "") -> Response:
    """Come back from the office's log-in; gives the session's cookie and goes to the first page. 认证回调。"""
    if run.provider is None:
        raise NotFoundError("no_oidc", "the office has no OIDC provider; sign in with login and password")
    if error or not code:
        raise AccessError("oidc_refused", "the office's log-in did not let you in; try again")
    known = await run.provider.finish(code=code, state=state, cookie=request.cookies.get(STATE_COOKIE, ""))

    def work(connection: Any) -> users.User | None:
        user = users.user_of_subject(connection, issuer=known.issuer, subject=known.subject)
        if user is not None:
            audit.record(connection, user.actor, "log_in_oidc", now=run.clock())
        return user

    user = await run_in_threadpool(run.store.attempt, work)
    if user is None:
        raise AccessError("oidc_unknown", "no account here is linked with your log-in; ask the administrator")
    response = await entered(request, run, user, to="/")
    response.delete_cookie(STATE_COOKIE, path="/api/v1/session/oidc", secure=run.settings.https, httponly=True)
    return response


async def authenticated(run: Running, login: str, password: str, now: datetime) -> users.User:
    """Give the user whose password it is. Raises AccessError (`login_failed`, `locked`)."""
    work = functools.partial(users.authenticate, run.store, login, password, now=now)
    return await to_thread.run_sync(work, limiter=run.hashing)


async def entered(request: Request, run: Running, user: users.User, *, to: str | None = None) -> Response:
    """Open a browser's session, end the one that the browser showed before, and set the cookie."""
    now = run.clock()
    name = cookie_name(run.settings.https)
    before = request.cookies.get(name)

    def work(connection: Any) -> tuple[str, users.Session, users.Session | None]:
        # A session that someone put into this browser must not become this user's.
        old = users.session_of(connection, before, now) if before else None
        if old is not None:
            users.end_session(connection, old.id, now=now)
        return *users.open_session(connection, user, "browser", now), old

    token, session, old = await run_in_threadpool(run.store.attempt, work)
    if old is not None:
        run.sessions.forget(session_id=old.id)
    told = _answer(session).model_dump(mode="json")
    response: Response = RedirectResponse(to, 303) if to else JSONResponse(told)
    response.set_cookie(
        name, token, max_age=int((session.expires_at - now).total_seconds()), secure=run.settings.https, httponly=True,
        samesite="lax", path="/",
    )  # fmt: skip
    return response


def _answer(session: users.Session) -> SessionAnswer:
    user = session.user
    return SessionAnswer.model_validate({
        "login": user.login, "display_name": user.display_name, "role": user.role, "place": user.place,
        "language": user.language, "kind": session.kind, "permissions": sorted(ROLES.get(user.role, ())),
        "expires_at": session.expires_at,
        "csrf_token": csrf.token_of(session.csrf_secret) if session.csrf_secret else None,
    })  # fmt: skip


def _told(session: users.Session) -> dict[str, Any]:
    return {
        "id": session.id, "label": session.label, "kind": session.kind, "created_at": session.created_at,
        "last_seen_at": session.last_seen_at, "expires_at": session.expires_at,
    }  # fmt: skip
