"""Say on a page what went wrong, as problem details say it to programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from medfloor.errors import MedfloorError
from medfloor.service.access import Acting
from medfloor.service.pages.frame import is_part, language_of_page, own_path, render
from medfloor.service.problems import RETRY_SECONDS, status_of, title_of

_ENTER = ("not_signed_in", "session_over")


def page_of(request: Request, error: MedfloorError, *, errors: Sequence[Mapping[str, str]] = ()) -> Response:
    """Give the page of a refusal; whoever is not signed in is sent to sign in, and back afterwards.

    `errors` names fields of the request with the rule that each breaks.
    """
    status = status_of(error)
    state = request.scope.setdefault("state", {})
    state["problem"] = error.code
    if error.code in _ENTER:
        return _to_login(request)
    acting: Acting | None = state.get("acting")
    lang = language_of_page(request, acting)
    if acting is not None:
        acting = replace(acting, language=lang)
    values = {
        "title": title_of(error.code, status, lang), "detail": error.message, "code": error.code,
        "instance": state.get("request_id", ""), "errors": list(errors),
    }  # fmt: skip
    response: Response = render(
        request, acting, "_problem.html" if is_part(request) else "problem.html", status=status, **values
    )
    if error.code in RETRY_SECONDS:
        response.headers["Retry-After"] = str(RETRY_SECONDS[error.code])
    return response


def _to_login(request: Request) -> Response:
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    back = own_path(asked) if request.method == "GET" and not is_part(request) else "/"
    to = f"/login?next={quote(back)}"
    if is_part(request):
        # A script would put the form of signing in into the middle of the page.
        return Response(status_code=401, headers={"HX-Redirect": to})
    return RedirectResponse(to, 303)
