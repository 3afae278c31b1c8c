"""Write the log: one line of JSON an event, with the request's id, and nothing personal.

A line has the template of a route (/people/{person_id}), never its path; an unexpected error is named by its type and
the lines of code it passed, never by its message, which may quote what was asked.
"""

from __future__ import annotations

import logging
import os
import random
import re
import sys
import time
import traceback
import uuid
from typing import Any, TextIO

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medfloor.errors import StoreError
from medfloor.service.metrics import Metrics
from medfloor.service.problems import answer, as_ours
from medfloor.sparing import sparing

# For the colours of a developer's terminal, which a log of JSON has not, it would import all of rich.
with sparing(("rich", "rich.console", "rich.pretty", "rich.traceback")):
    import structlog

_ID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
_QUIET = {"/health/live", "/health/ready", "/metrics"}


def log_of(stream: TextIO | None = None) -> Any:
    """Give a log that writes lines of JSON to a stream (default: stderr).

    >>> import io
    >>> stream = io.StringIO()
    >>> log_of(stream).info("started", port=8000)
    >>> sorted(orjson.loads(stream.getvalue()))
    ['at', 'event', 'level', 'port']
    """
    return structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            structlog.processors.JSONRenderer(serializer=_dump),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )


def _dump(event: Any, **_extra: Any) -> str:
    text: str = orjson.dumps(event, default=str).decode()
    return text


def where(error: BaseException) -> list[str]:
    """Say which lines of code an error passed, and its types; not its message.

    >>> try:
    ...     int("x")
    ... except ValueError as error:
    ...     where(error)[-1]
    'ValueError'
    """
    frames = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-12:]]
    chain: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(chain) < 5:
        chain.append(type(seen).__name__)
        seen = seen.__cause__
    return [*frames, *reversed(chain)]


class Requests:
    """Give each request an id, a line in the log and a place in the metrics; turn bugs into problems without details.

    A caller's X-Request-ID is taken when it is a UUID: any other text might say who someone is.
    """

    def __init__(self, app: ASGIApp, *, log: Any, metrics: Metrics) -> None:
        self.app, self.log, self.metrics = app, log, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and write down how it went."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _id_of(scope)
        # The lifespan's state is shared by all requests; this one's is its own.
        state = scope["state"] = dict(scope.get("state") or {})
        state["request_id"] = request_id
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())]}
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception as error:
            if status:
                self._bug(request_id, scope, error)
                raise _CutOffError from None
            told = self._told(request_id, scope, error)
            await answer(Request(scope), told)(scope, receive, send_with_id)
        finally:
            self._note(scope, status, time.perf_counter() - began)

    def _told(self, request_id: str, scope: Scope, error: Exception) -> Any:
        try:
            return as_ours(error)
        except Exception:
            self._bug(request_id, scope, error)
            return StoreError("bug_inside", "medfloor met a bug of its own; tell the office the id of the request")

    def _bug(self, request_id: str, scope: Scope, error: Exception) -> None:
        self.log.error("bug", request_id=request_id, route=route_of(scope), where=where(error))
        if os.environ.get("MEDFLOOR_DEBUG"):
            traceback.print_exception(error)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope)
        self.metrics.answered(scope["method"], route, status, seconds)
        if route in _QUIET and status < 400:
            return
        state = scope["state"]
        line: dict[str, Any] = {
            "request_id": state["request_id"], "method": method_of(scope), "route": route, "status": status,
            "ms": round(seconds * 1000, 2),
        }  # fmt: skip
        if "problem" in state:
            line["problem"] = state["problem"]
        self.log.info("request", **line)


class _CutOffError(Exception):
    """Say that an answer broke off after it had begun; the connection is closed and nothing more is told."""


def route_of(scope: Scope) -> str:
    """Give the template of the route that a request met, or `unknown`."""
    route = scope.get("route")
    return str(getattr(route, "path_format", None) or getattr(route, "path", None) or "unknown")


_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def method_of(scope: Scope) -> str:
    """Give the method, or OTHER for what a caller made up."""
    method = str(scope["method"])
    return method if method in _METHODS else "OTHER"


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text: str = value.decode("latin-1").lower()
            if _ID.match(text):
                return text
    # It need not be hard to guess, and asking the system for random bytes would let the feeder's thread run first.
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class QuietFormatter(logging.Formatter):
    """Write the lines of libraries as JSON, with the type of an error and not its message."""

    def format(self, record: logging.LogRecord) -> str:
        """Give one line of JSON."""
        line: dict[str, Any] = {
            "event": record.name,
            "level": record.levelname.lower(),
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["where"] = where(record.exc_info[1])
        elif record.name.startswith("uvicorn"):
            line["message"] = record.getMessage()
        return _dump(line)
