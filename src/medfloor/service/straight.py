"""Take the straight way to the ledger: a settlement that is written as it should be needs none of FastAPI's detours.

FastAPI solves dependencies, headers and body of each request anew, which is as much work as all the rest of the
service. The route of settling reads those three itself. Whatever is unusual (a body that does not hold, two keys,
another kind of body) goes the usual way, which says what is wrong with it: the straight way refuses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from medfloor.service import settling
from medfloor.service.access import need
from medfloor.service.bodies.fields import KEY_PATTERN
from medfloor.service.bodies.settlements import SettlementBody
from medfloor.service.running import Running

SETTLER = need("settle")
"""Who may settle, on both ways."""

_KEY = re.compile(KEY_PATTERN)


class Straight(APIRoute):
    """Be the route of settling: `router.add_api_route(..., route_class_override=Straight)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give what answers a request."""
        usual = super().get_route_handler()

        async def handler(request: Request) -> Response:
            asked = await _asked(request)
            if asked is None:
                return await usual(request)
            body, key = asked
            run: Running = request.app.state.running
            settled = await settling.settle(run, await SETTLER(request), body, key or body.request_key)
            return Response(settled.model_dump_json(), media_type="application/json")

        return handler


async def _asked(request: Request) -> tuple[SettlementBody, str | None] | None:
    """Read a claim and its request key; None where anything is unusual."""
    headers = request.headers
    keys = headers.getlist("idempotency-key")
    if headers.getlist("content-type") != ["application/json"] or len(keys) > 1:
        return None
    if keys and not _KEY.fullmatch(keys[0]):
        return None
    try:
        return SettlementBody.model_validate(orjson.loads(await request.body())), keys[0] if keys else None
    except (orjson.JSONDecodeError, ValidationError):
        return None
