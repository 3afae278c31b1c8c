"""Pages of signing in and out, the language, one's password, and the vendored files."""

from __future__ import annotations

import mimetypes
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, RedirectResponse, Response

from medfloor.errors import AccessError, MedfloorError, NotFoundError, UsageError
from medfloor.service import csrf
from medfloor.service.access import Acting, anyone, asker_of
from medfloor.service.bodies.sessions import PasswordBody
from medfloor.service.pages.frame import LANGUAGE_COOKIE, file_of, language_of_page, own_path, page, render, static
from medfloor.service.problems import status_of, title_of
from medfloor.service.routes import session as sessions
from medfloor.service.running import Running, running
from medfloor.words import LANGS

router = APIRouter(include_in_schema=False)

Run = Annotated[Running, Depends(running)]
Me = Annotated[Acting, page(None)]
_YEAR = 365 * 24 * 3600


@router.get("/login", dependencies=[Depends(anyone)])
async def ask(request: Request, run: Run, next: str = "/") -> Response:
    """Show the form of signing in, and keep its language for what comes after.

    Every account has a language, Chinese unless somebody set it; a browser that asks for another is asked first.
    """
    response = _form(request, run, own_path(next))
    shown = language_of_page(request, None)
    if shown != LANGS[0] and request.cookies.get(LANGUAGE_COOKIE) not in LANGS:
        # Until the browser is closed: nobody has chosen it for good.
        response.set_cookie(LANGUAGE_COOKIE, shown, httponly=True, secure=run.settings.https, samesite="lax", path="/")
    return response


@router.post("/login", dependencies=[Depends(anyone)])
async def sign_in(request: Request, run: Run) -> Response:
    """Sign in with a local account, and go on to where one wanted to go."""
    csrf.check_site(request.headers, run.settings.public_url)
    form = await request.form()
    login, password, to = (str(form.get(name) or "") for name in ("login", "password", "next"))
    try:
        if not run.logins.allows(asker_of(request)):
            raise UsageError("too_many_logins", "too many tries from this address; wait a minute")
        user = await sessions.authenticated(run, login, password, run.clock())
    except MedfloorError as error:
        return _form(request, run, own_path(to), login=login[:64], error=error)
    return await sessions.entered(request, run, user, to=own_path(to))


@router.post("/logout")
async def sign_out(acting: Me, run: Run) -> Response:
    """End the session and show the form of signing in."""
    response = await sessions.sign_out(acting, run)
    gone = RedirectResponse("/login", 303)
    gone.raw_headers.extend(pair for pair in response.raw_headers if pair[0] == b"set-cookie")
    return gone


@router.get("/language", dependencies=[Depends(anyone)])
async def choose_language(to: str = "zh", next: str = "/") -> Response:
    """Keep the language of the pages in this browser."""
    response = RedirectResponse(own_path(next), 303)
    if to in LANGS:
        response.set_cookie(LANGUAGE_COOKIE, to, max_age=_YEAR, httponly=True, samesite="lax", path="/")
    return response


@router.get("/account")
async def account(request: Request, acting: Me) -> Response:
    """Show who is signed in, and the form to change the password."""
    return render(request, acting, "account.html", error=None)


@router.post("/account/password")
async def change_password(request: Request, acting: Me, run: Run) -> Response:
    """Change one's password; every session of one's own ends."""
    form = await request.form()
    old, new, again = (str(form.get(name) or "") for name in ("old", "new", "again"))
    try:
        if new != again:
            raise UsageError("passwords_differ", "the new password and its repetition differ")
        body = PasswordBody(old=old, new=new)
        await sessions.change_password(body, request, acting, run)
    except (MedfloorError, ValueError) as error:
        known = error if isinstance(error, MedfloorError) else UsageError("weak_password", "the password is too short")
        said = title_of(known.code, 400, acting.language)
        return await run_in_threadpool(render, request, acting, "account.html", status=422, error=said)
    return RedirectResponse("/login", 303)


@router.get("/static/{digest}/{name}", dependencies=[Depends(anyone)])
async def vendored(digest: str, name: str) -> Response:
    """Give a vendored file; its address holds its hash, so that a browser may keep it."""
    if "/" in name or "\\" in name or name.startswith("."):
        raise NotFoundError("no_such_route", "there is nothing under this address")
    try:
        known = static(name)
    except OSError:
        known = ""
    # The style sheet names its fonts beside itself, so under its own hash.
    beside = name.endswith(".ttf") and static("pages.css").startswith(f"/static/{digest}/")
    if not known or (known != f"/static/{digest}/{name}" and not beside):
        raise NotFoundError("no_such_route", "there is nothing under this address")
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    return FileResponse(file_of(name), media_type=kind, headers=kept)


def _form(request: Request, run: Running, to: str, *, login: str = "", error: MedfloorError | None = None) -> Response:
    status = 200 if error is None else status_of(error)
    said: Any = None
    if error is not None:
        said = title_of(error.code, status, language_of_page(request, None))
    if isinstance(error, AccessError):
        status = 401
    return render(
        request, None, "login.html", status=status, to=to, login=login, error=said, oidc=run.provider is not None
    )
