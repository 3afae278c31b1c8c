"""Wire the service: `create_app(settings)` puts store, sessions, feeder, jobs and routes together."""

from __future__ import annotations

import asyncio
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from medfloor import __version__
from medfloor.service import counter
from medfloor.service.bodies.problems import share_problems
from medfloor.service.feeder import Feeder
from medfloor.service.headers import SecureHeaders
from medfloor.service.jobs import Jobs
from medfloor.service.limits import Limits, Rates
from medfloor.service.logs import Requests, log_of
from medfloor.service.metrics import Metrics
from medfloor.service.oidc import Provider
from medfloor.service.pages import MODULES as PAGES
from medfloor.service.pages import policies
from medfloor.service.problems import add_problems
from medfloor.service.running import Running
from medfloor.service.sessions import Sessions
from medfloor.service.settings import Settings, settings_from
from medfloor.service.watcher import Watcher
from medfloor.store.engine import Store, open_store
from medfloor.store.keys import Keyring, keyring_from
from medfloor.store.migrate import check
from medfloor.store.office import made_up

ROUTES = ("health", "session", "users", "audit", "proposals", "jobs", "screenings")
"""Modules of `service/routes` with the frame's routes; each has `router`, and a missing one fails here."""

SUBJECTS = (
    "settlements", "people", "households", "imports", "statements", "reconciliation", "arrears", "policies",
    "national", "fhir", "exports", "alerts", "cases", "watch",
)  # fmt: skip
"""Modules of `service/routes` with the office's subjects."""

FIRST_SECONDS = 0.25
"""So long the kernel is not yet loaded: whoever has waited for the start is answered first."""

DESCRIPTION = """Register, ledger and one-stop settlement of a county's medical security office.

医保经办服务：参保救助对象台账、账务与一站式结算。金额在请求与应答中均为整数分（fen）。

Errors are problem details (RFC 9457) in Chinese or English by Accept-Language; `code` is stable.
出错时返回 RFC 9457 格式，语言由 Accept-Language 决定。"""


def create_app(
    settings: Settings,
    *,
    store: Store | None = None,
    keyring: Keyring | None = None,
    clock: Callable[[], datetime] | None = None,
    log: Any = None,
    meanwhile: Sequence[Callable[[], None]] | None = None,
) -> FastAPI:
    """Build the service. The store is opened when the service starts, and checked: raises StoreError schema_... then.

    `store`, `keyring`, `clock` and `log` stand in for what settings name, in tests. With `meanwhile` the kernel is
    loaded, and those are begun, while pages are answered already; without it is loaded before the service starts.
    """
    metrics = Metrics()
    log = log or log_of()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        run = await run_in_threadpool(_start, settings, store, keyring, clock, metrics, log)
        app.state.running = run
        later = None
        if meanwhile is None:
            await run_in_threadpool(run.loading.run)
        else:
            later = asyncio.get_running_loop().call_later(FIRST_SECONDS, _begin, [run.loading.start, *meanwhile])
        log.info("started", version=__version__, store=run.store.kind, policy=counter.policy_of(run.books))
        try:
            yield
        finally:
            if later is not None:
                later.cancel()
            drained = await run_in_threadpool(_stop, run, own_store=store is None)
            log.info("stopped", drained=drained)

    app = FastAPI(
        title="medfloor",
        version=__version__,
        description=DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the page of FastAPI loads scripts from a CDN
        redoc_url=None,
        lifespan=lifespan,
    )
    # Routes are tried in their order, so what is asked most comes first.
    for name in (*SUBJECTS, *ROUTES):
        app.include_router(importlib.import_module(f"medfloor.service.routes.{name}").router)
    for name in PAGES:
        app.include_router(importlib.import_module(f"medfloor.service.pages.{name}").router)
    add_problems(app)
    _describe(app)
    # The last one added is the outermost.
    app.add_middleware(Limits, settings=settings)
    app.add_middleware(Requests, log=log, metrics=metrics)
    # Around all others, so that what `Requests` answers to a bug has the headers too.
    app.add_middleware(SecureHeaders, https=settings.https)
    return app


def _begin(works: Sequence[Callable[[], None]]) -> None:
    for begin in works:
        begin()


def _describe(app: FastAPI) -> None:
    """Let the OpenAPI of an app name each refusal once; written out in every route they made nine tenths of it."""
    describe = app.openapi

    def once() -> dict[str, Any]:
        if app.openapi_schema is None:
            share_problems(describe())
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = once  # type: ignore[method-assign]


def from_environment() -> FastAPI:
    """Build the service of MEDFLOOR_...: what each worker of uvicorn calls."""
    # The feeder computes while the loop answers; the loop must not wait five milliseconds for its turn.
    sys.setswitchinterval(0.0005)
    # Hundreds of thousands of objects are made for routes and models, none of them garbage: nobody looks through them
    # while they are made, nor ever after.
    gc.disable()
    _end_with_parent()
    return create_app(settings_from(os.environ), meanwhile=[_look_for_garbage, policies.warm])


def _look_for_garbage() -> None:
    gc.freeze()
    gc.enable()


def _end_with_parent() -> None:
    """Stop a worker in order when the process that started it is gone: it would keep the port for ever."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _start(
    settings: Settings,
    store: Store | None,
    keyring: Keyring | None,
    clock: Callable[[], datetime] | None,
    metrics: Metrics,
    log: Any,
) -> Running:
    opened = store or open_store(settings.database)
    check(opened)
    keyring = keyring or keyring_from(os.environ, file=settings.keys_file)
    books = counter.open_books(opened)
    feeder = Feeder(
        counter.post_to(books, metrics),
        most=settings.queue,
        batch=settings.batch,
        seconds=settings.answer_seconds,
        metrics=metrics,
    )
    clock = clock or _now
    jobs = Jobs(opened, settings, clock=clock, log=log, metrics=metrics)
    watcher = Watcher(opened, settings, clock=clock, log=log, feeder=feeder)
    with opened.reading() as connection:
        invented = made_up(connection) is not None
    feeder.start()
    if settings.jobs:
        jobs.start()
        watcher.start()
    return Running(
        settings=settings, store=opened, keyring=keyring, books=books, clock=clock,
        loading=counter.Loading(books, log), sessions=Sessions(opened, seconds=settings.remember_seconds),
        feeder=feeder, jobs=jobs, watcher=watcher,
        metrics=metrics, log=log,
        strangers=Rates(settings.strangers_a_second, settings.strangers_a_second * 2),
        askers=Rates(settings.requests_a_second, settings.requests_a_second * 2),
        logins=Rates(settings.logins_a_minute / 60, settings.logins_a_minute),
        provider=Provider(settings, keyring) if settings.has_oidc else None,
        made_up=invented,
    )  # fmt: skip


def _stop(run: Running, *, own_store: bool) -> bool:
    drained = run.feeder.stop()
    run.watcher.stop()
    run.jobs.stop()
    run.loading.end()
    if own_store:
        run.store.close()
    return drained


def _now() -> datetime:
    return datetime.now(UTC)
