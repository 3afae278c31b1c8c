"""Refuse what no office would send, before anything reads it: too much, too deep, too often, or not text at all."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from medfloor.errors import MedfloorError, UsageError
from medfloor.service.problems import answer, problem
from medfloor.service.settings import Settings

MOST_ADDRESS_BYTES = 4096
BODY_SECONDS = 30.0
"""How long a JSON body, or the next piece of an upload, is waited for: who stays away must not hold a connection."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_PAIR = re.compile(rb"\[\]|\{\}")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class Limits:
    """Look at address, host and body of each request; a JSON body is read here, within its limit, and handed on."""

    def __init__(self, app: ASGIApp, *, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.hosts = {name.strip().lower() for name in settings.hosts.split(",") if name.strip()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or answer it with a problem."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            check_address(scope, self.hosts)
        except MedfloorError as error:
            # No page for it: a page would be made with this address.
            await problem(error, scope)(scope, receive, send)
            return
        try:
            receive = await self._body(scope, receive)
        except _GoneError:
            return
        except MedfloorError as error:
            await answer(Request(scope), error)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> Receive:
        headers = dict(scope["headers"])
        if sum(name == b"content-type" for name, _ in scope["headers"]) > 1:
            # What we look at and what the route reads must be of one kind.
            raise UsageError("bad_request", "the request says twice of which type its body is")
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        limit = self.settings.upload_bytes if kind == b"multipart/form-data" else self.settings.body_bytes
        stated = headers.get(b"content-length")
        if stated is not None and (not stated.isdigit() or len(stated) > 18 or int(stated) > limit):
            raise _too_large(limit)
        if stated == b"0" or (stated is None and b"transfer-encoding" not in headers):
            return receive
        if kind == b"multipart/form-data":
            # A form is written to disk before the route asks who sent it, so that is asked here.
            from medfloor.service.access import check_session

            await check_session(Request(scope))
            return _counted(receive, limit)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _whole(receive, limit)
        except TimeoutError:
            raise UsageError("body_late", f"the body did not come within {BODY_SECONDS:g} seconds") from None
        if body and (not kind or (kind.startswith(b"application/") and kind.endswith(b"json"))):
            check_json(body, self.settings.json_depth)
        return _again(body, receive)


def check_address(scope: Scope, hosts: set[str]) -> None:
    """Refuse an address that is too long, holds control characters, climbs out, or names another host.

    Raises UsageError.
    """
    if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_ADDRESS_BYTES:
        raise UsageError("uri_too_long", f"the address is longer than {MOST_ADDRESS_BYTES} bytes")
    path = scope["path"]
    query = scope["query_string"].lower()
    if _CONTROL.search(path) or b"%00" in query or b"\x00" in query:
        raise UsageError("bad_address", "the address holds characters that are not text")
    if "\\" in path or any(part in (".", "..") for part in path.split("/")):
        raise UsageError("bad_address", "the address must not climb through folders")
    if hosts:
        host = next((value for name, value in scope["headers"] if name == b"host"), b"")
        name = (
            host.decode("latin-1").rpartition(":")[0] if host.rpartition(b":")[2].isdigit() else host.decode("latin-1")
        )
        if name.lower() not in hosts:
            raise UsageError("unknown_host", "the service does not answer under this name; see MEDFLOOR_HOSTS")


def check_json(body: bytes, depth: int) -> None:
    r"""Refuse a body that is not JSON in UTF-8, nests deeper than `depth`, holds NUL characters or a name twice.

    Raises UsageError.

    >>> check_json(b'{"a": [1, 2]}', 2)
    >>> check_json(b'[[[1]]]', 2)
    Traceback (most recent call last):
    medfloor.errors.UsageError: the JSON of the body nests deeper than 2
    """
    if body.count(b"[") + body.count(b"{") > depth and deeper_than(body, depth):
        raise UsageError("json_too_deep", f"the JSON of the body nests deeper than {depth}")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        raise UsageError("bad_json", "the body is not JSON; send an object in UTF-8") from None
    if b"\\u0000" in body:
        # PostgreSQL keeps no NUL in a text; an escaped backslash before u0000 is refused with it, and harms nobody.
        raise UsageError("nul_character", "a text of the body holds a NUL character")
    # Two amounts under one name are two amounts to two readers. Numbers are of no interest here, however long.
    json.loads(body, object_pairs_hook=_named_once, parse_int=str, parse_float=str)


def _named_once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise UsageError("duplicate_name", "an object of the body has the same name twice; keep one")


def deeper_than(body: bytes, depth: int) -> bool:
    """Say whether JSON nests deeper than so many levels, in time that grows with its length only.

    >>> deeper_than(b'{"[[[[": [1]}', 2), deeper_than(b"[" * 100_000, 32)
    (False, True)
    """
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        brackets = _PAIR.sub(b"", brackets)  # each pass takes the innermost pairs away
    return bool(brackets)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Rates:
    """Count what each key asks: `a_second` on average, `burst` at once. Kept in this process, for the newest keys.

    >>> rates = Rates(1.0, 2, clock=lambda: 0.0)
    >>> [rates.allows("one") for _ in range(3)], rates.allows("other")
    ([True, True, False], True)
    """

    def __init__(
        self, a_second: float, burst: float, *, most: int = 10_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.a_second, self.burst, self.most, self.clock = a_second, burst, most, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, key: str) -> bool:
        """Say whether one more is allowed now, and count it."""
        now = self.clock()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(self.burst, now)
            if len(self._buckets) > self.most:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.at) * self.a_second)
            bucket.at = now
        if bucket.tokens < 1.0:
            return False
        bucket.tokens -= 1.0
        return True


class _GoneError(Exception):
    """Say that the caller went away before it had said everything."""


def _too_large(limit: int) -> UsageError:
    return UsageError("body_too_large", f"the body is larger than {limit:,} bytes, which is the office's limit")


async def _whole(receive: Receive, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _GoneError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Hand a body on that was read, and then what else the caller does."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _counted(receive: Receive, limit: int) -> Receive:
    """Hand an upload on piece by piece, and stop when it grows beyond its limit."""
    size = 0

    async def receive_counted() -> Message:
        nonlocal size
        try:
            async with asyncio.timeout(BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408) from None
        size += len(message.get("body", b""))
        if size > limit:
            # What reads a form passes only errors of HTTP on.
            raise HTTPException(413)
        return message

    return receive_counted
