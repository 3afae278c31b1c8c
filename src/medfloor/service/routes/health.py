"""Routes for those who watch the service: is it alive, is it ready, what has it counted."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from medfloor import __version__
from medfloor.errors import MedfloorError
from medfloor.service.access import address_of, need
from medfloor.service.bodies.problems import problems
from medfloor.service.metrics import CONTENT_TYPE
from medfloor.service.problems import as_ours
from medfloor.service.running import Running, running
from medfloor.store.migrate import check

router = APIRouter(tags=["health 运行状态"])

Run = Annotated[Running, Depends(running)]


async def open_route() -> None:
    """Let everyone ask: a balancer that is refused would take the service for dead."""


class LocalOrNeed:
    """Be a dependency for those on this machine, and for those who have a permission.

    A caller that came through a proxy which was not declared looks like one of this machine; it is told by its header.
    """

    def __init__(self, permission: str) -> None:
        self.permission = permission
        self.need = need(permission)

    async def __call__(self, request: Request) -> None:
        """Go on only for them. Raises what `need` raises."""
        if is_local(address_of(request)) and not _FORWARDED.intersection(request.headers.keys()):
            return
        await self.need(request)


_FORWARDED = {"x-forwarded-for", "forwarded", "x-real-ip", "via"}


def is_local(address: str) -> bool:
    """Say whether an address is of this machine.

    >>> is_local("127.0.0.1"), is_local("192.0.2.1"), is_local("none")
    (True, False, False)
    """
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


_OBJECT = {"application/json": {"schema": {"type": "object"}}}


@router.get("/health/live", dependencies=[Depends(open_route)], summary="Is the process alive?")
async def live() -> dict[str, str]:
    """Say that the process answers. 进程存活。"""
    return {"status": "ok", "version": __version__}


@router.get(
    "/health/ready", dependencies=[Depends(open_route)], summary="Can it serve?",
    responses={503: {"description": "Not now. 暂不可用", "content": _OBJECT}},
)  # fmt: skip
async def ready(run: Run) -> Response:
    """Say whether the store answers and has this program's tables, and whether settlements are posted. 是否就绪。

    Just after the start `settling` is `loading`: pages are answered, and the kernel that settles is loaded.
    """
    found: dict[str, Any] = {
        "store": "ok",
        "settling": "ok",
        "policy": "ok" if run.books is not None else "none chosen",
    }
    try:
        await run_in_threadpool(_look_at_store, run)
    except Exception as error:
        found["store"] = _code(error)
    if run.loading.state != "ok":
        found["settling"] = run.loading.state
    if not run.feeder.alive:
        found["settling"] = "stopped"
    good = found["store"] == "ok" and found["settling"] == "ok"
    body = {"status": "ok" if good else "not ready", "waiting": len(run.feeder), **found}
    return Response(orjson.dumps(body), 200 if good else 503, media_type="application/json")


@router.get(
    "/metrics", dependencies=[Depends(LocalOrNeed("read_settings"))], responses=problems(), summary="Count",
    response_class=Response,
)  # fmt: skip
async def metrics(run: Run) -> Response:
    """Give counters for Prometheus, to this machine or to whoever may read settings. 监控指标。"""
    run.metrics.waiting.set(len(run.feeder))
    return Response(run.metrics.text(), media_type=CONTENT_TYPE)


def _look_at_store(run: Running) -> None:
    with run.store.reading() as connection:
        connection.execute(sa.text("SELECT 1"))
    check(run.store)


def _code(error: Exception) -> str:
    try:
        found: MedfloorError = as_ours(error)
    except Exception:
        return "bug_inside"
    return found.code
