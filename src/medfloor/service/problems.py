"""Say what went wrong as problem details (RFC 9457), in the caller's language, and never with personal values.

`title` is a sentence of the catalogue in Chinese or English; `detail` says more where the error knows more (in English,
as on the command line); `code` is stable and listed on docs/rejects.md; `instance` is the id of the request, by
which the office finds it in its log. `errors` names the fields of a request that cannot be read: the field and the
rule, not the value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy.exc
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from medfloor.errors import (
    AccessError,
    ConflictError,
    InputError,
    MedfloorError,
    NotFoundError,
    PolicyError,
    StoreError,
    UsageError,
)
from medfloor.store.engine import away, full, is_full
from medfloor.words import knows, say

MEDIA_TYPE = "application/problem+json"

STATUSES: dict[str, int] = {
    "not_signed_in": 401, "session_over": 401, "login_failed": 401, "oidc_refused": 401,
    "too_many_requests": 429, "too_many_logins": 429,
    "body_late": 408, "body_too_large": 413, "uri_too_long": 414, "no_such_method": 405, "not_acceptable_type": 415,
    "unknown_host": 421,
    "queue_full": 503, "shutting_down": 503, "answer_late": 503, "store_busy": 503, "store_away": 503,
    "store_full": 507, "commit_unknown": 503,
    "jobs_off": 503, "provider_away": 503, "bug_inside": 500,
    "schema_old": 503, "schema_new": 503, "schema_missing": 503,
}  # fmt: skip
"""Codes whose status is not that of their class."""

RETRY_SECONDS: dict[str, int] = {
    "queue_full": 1, "shutting_down": 5, "answer_late": 1, "store_busy": 1, "store_away": 5, "provider_away": 60,
    "store_full": 60, "commit_unknown": 1,
    "too_many_requests": 1, "too_many_logins": 60,
}  # fmt: skip
"""After how many seconds to ask again."""

_BY_CLASS: tuple[tuple[type[MedfloorError], int], ...] = (
    (NotFoundError, 404), (ConflictError, 409), (AccessError, 403), (StoreError, 500), (PolicyError, 422),
    (InputError, 422), (UsageError, 400),
)  # fmt: skip

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_\-]{0,47}$")


def add_problems(app: FastAPI) -> None:
    """Answer every error of an app as problem details."""
    app.add_exception_handler(MedfloorError, _handle)
    app.add_exception_handler(HTTPException, _handle_http)
    app.add_exception_handler(RequestValidationError, _handle_validation)
    app.add_exception_handler(sqlalchemy.exc.DBAPIError, _handle)
    app.add_exception_handler(OverflowError, _handle)
    app.add_exception_handler(UnicodeEncodeError, _handle)


def problem(error: MedfloorError, scope: Scope, *, errors: Sequence[Mapping[str, str]] = ()) -> Response:
    """Give the response for an error that a caller can mend."""
    status = status_of(error)
    language = language_of(scope)
    scope.setdefault("state", {})["problem"] = error.code
    body: dict[str, Any] = {
        "type": f"urn:medfloor:problem:{error.code}",
        "title": title_of(error.code, status, language),
        "status": status,
        "detail": error.message,
        "code": error.code,
        "instance": f"urn:medfloor:request:{scope['state'].get('request_id', '')}",
    }
    if errors:
        body["errors"] = list(errors)
    headers = {"Content-Language": language, "Cache-Control": "no-store"}
    if error.code in RETRY_SECONDS:
        headers["Retry-After"] = str(RETRY_SECONDS[error.code])
    if status == 408:
        headers["Connection"] = "close"  # what still comes is the rest of this body, and no request
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="medfloor"'
    return Response(orjson.dumps(body), status, headers, MEDIA_TYPE)


def status_of(error: MedfloorError) -> int:
    """Give the status of HTTP that an error of ours means.

    >>> status_of(NotFoundError("no_person", "there is no such person")), status_of(UsageError("bad", "bad"))
    (404, 400)
    """
    if error.code in STATUSES:
        return STATUSES[error.code]
    return next((status for kind, status in _BY_CLASS if isinstance(error, kind)), 500)


def title_of(code: str, status: int, language: str) -> str:
    """Give the sentence of a code, or where it has none that of the status.

    >>> title_of("queue_full", 503, "en")
    'Too many settlements are waiting'
    """
    for key in (f"problem.{code}", f"why.{code}", f"problem_status.{status}"):
        if knows(key, language):
            return say(key, language)
    return say("problem_status.500" if status >= 500 else "problem_status.400", language)


def language_of(scope: Scope) -> str:
    """Choose between Chinese and English: what Accept-Language prefers, then the account's language, then the office's.

    >>> language_of({"headers": [(b"accept-language", b"fr, en;q=0.8, zh;q=0.5")]})
    'en'
    """
    state = scope.get("state", {})
    asked = next((value for name, value in scope.get("headers", ()) if name == b"accept-language"), b"")
    best, weight = "", 0.0
    for part in asked.decode("latin-1")[:200].split(",") if asked else ():
        tag, _, quality = part.strip().partition(";")
        short = tag[:2].lower()
        if short in ("zh", "en"):
            found = _quality(quality)
            if found > weight:
                best, weight = short, found
    return best or str(state.get("language") or "zh")


def _quality(text: str) -> float:
    name, _, number = text.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return max(0.0, min(1.0, float(number)))
    except ValueError:
        return 0.0


def field_errors(found: Sequence[Any], language: str) -> list[dict[str, str]]:
    """Name the fields of a request that cannot be read, and the rule that each breaks; never what stood in them.

    >>> field_errors([{"type": "missing", "loc": ("body", "total"), "msg": "", "input": {"name": "x"}}], "en")
    [{'field': 'body.total', 'code': 'missing', 'message': 'is missing'}]
    """
    return [
        {"field": _field(one["loc"]), "code": str(one["type"]), "message": _rule(one, language)} for one in found[:50]
    ]


def _field(place: Sequence[Any]) -> str:
    # The key of a mapping may come from the caller; only what looks like the name of a field is said.
    return ".".join(str(part) if isinstance(part, int) or _NAME.match(str(part)) else "?" for part in place)


_LIMITS = ("ge", "gt", "le", "lt", "min_length", "max_length", "expected", "pattern", "multiple_of")


def _rule(one: Mapping[str, Any], language: str) -> str:
    key = f"invalid.{one['type']}"
    if one["type"] == "string_pattern_mismatch":
        # In words, where the catalogue has them: a pattern tells a person at a counter nothing.
        # The same name may mean another thing elsewhere (by whom, by which column), so what it lies in goes first.
        place = [part for part in one["loc"] if isinstance(part, str)]
        named = [f"invalid_form.{'_'.join(place[-many:])}" for many in (2, 1)]
        key = next((one for one in named if knows(one, language)), key)
    if not knows(key, language):
        key = "invalid.other"
    values = {name: value for name, value in (one.get("ctx") or {}).items() if name in _LIMITS}
    try:
        return say(key, language, **values)
    except KeyError:
        return say("invalid.other", language)


async def _handle(request: Request, error: Exception) -> Response:
    return answer(request, as_ours(error))


def answer(request: Request, error: MedfloorError, *, errors: Sequence[Mapping[str, str]] = ()) -> Response:
    """Answer a browser that asked for a page with a page, and a program with problem details.

    Where the page itself cannot be made, which a bug in it may cause, a browser gets problem details too.
    """
    from medfloor.service.pages.frame import wants_page

    if wants_page(request):
        from medfloor.service.pages.refusals import page_of

        try:
            return page_of(request, error, errors=errors)
        except Exception:
            if error.code != "bug_inside":
                raise
    return problem(error, request.scope, errors=errors)


async def _handle_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    ours = _of_http(error.status_code)
    response = _outcome(ours, request) if request.url.path.startswith("/fhir/") else answer(request, ours)
    if error.status_code == 405 and error.headers and "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _outcome(error: MedfloorError, request: Request) -> Response:
    """Give an OperationOutcome for an address of FHIR that no route answers: its clients read nothing else."""
    from medfloor.service import fhir

    request.scope.setdefault("state", {})["problem"] = error.code
    status = status_of(error)
    body = fhir.operation_outcome(error.code, error.message, status=status)
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, fhir.MEDIA_TYPE)


async def _handle_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if any(one["type"] == "json_invalid" for one in error.errors()):
        return problem(UsageError("bad_json", "the body is not JSON; send an object in UTF-8"), request.scope)
    from medfloor.service.pages.frame import language_of_page, wants_page

    paged = wants_page(request)
    language = language_of_page(request, request.scope["state"].get("acting")) if paged else language_of(request.scope)
    errors = field_errors(error.errors(), language)
    about = InputError("bad_request_fields", "fields of the request cannot be read; `errors` names each with its rule")
    return answer(request, about, errors=errors)


def as_ours(error: Exception) -> MedfloorError:
    """Give an error of ours for one that libraries raise because of what was asked, or because the store is away.

    Whatever is not known here is a bug and is raised again. Messages of the database are not passed on: they quote
    values.
    """
    if isinstance(error, MedfloorError):
        return error
    if isinstance(error, sqlalchemy.exc.DataError | OverflowError | UnicodeEncodeError):
        return InputError("value_out_of_range", "a number or a text of the request is beyond what the store can keep")
    if isinstance(error, sqlalchemy.exc.IntegrityError):
        return ConflictError(
            "contradicts_store", "what was asked contradicts what is recorded; look it up, then ask again"
        )
    if isinstance(error, sqlalchemy.exc.DBAPIError) and is_full(error):
        return full()
    if isinstance(error, sqlalchemy.exc.OperationalError | sqlalchemy.exc.InterfaceError) or (
        isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated
    ):
        return away()
    raise error


def _of_http(status: int) -> MedfloorError:
    if status == 404:
        return NotFoundError("no_such_route", "there is nothing under this address; /api/v1/openapi.json lists what is")
    if status == 405:
        return UsageError("no_such_method", "this address does not take this method")
    if status == 408:
        return UsageError("body_late", "the body did not come in time")
    if status == 413:
        return UsageError("body_too_large", "the body is larger than the office allows")
    if status == 415:
        return UsageError("not_acceptable_type", "the body must be application/json")
    return UsageError("bad_request", "the request cannot be read")
