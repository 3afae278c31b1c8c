"""Hold what a running service shares among its requests; `create_app` builds it, routes ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter
from fastapi import Request

from medfloor.service.feeder import Feeder
from medfloor.service.limits import Rates
from medfloor.service.metrics import Metrics
from medfloor.service.sessions import Sessions
from medfloor.service.settings import Settings
from medfloor.store.engine import Store
from medfloor.store.keys import Keyring

if TYPE_CHECKING:
    from medfloor.service.counter import Loading
    from medfloor.service.jobs import Jobs
    from medfloor.service.oidc import Provider
    from medfloor.service.watcher import Watcher
    from medfloor.store.books import Books


HASHING = 4


@dataclass(slots=True)
class Running:
    """Be a service at work: settings, store and keys, sessions, feeder and jobs, counters, log and clock.

    `books` is None while the office has chosen no policy; then nothing can be settled.
    """

    settings: Settings
    store: Store
    keyring: Keyring
    books: Books | None
    clock: Callable[[], datetime]
    sessions: Sessions
    loading: Loading
    feeder: Feeder
    jobs: Jobs
    watcher: Watcher
    metrics: Metrics
    log: Any
    strangers: Rates
    askers: Rates
    logins: Rates
    provider: Provider | None
    made_up: bool = False
    """Everything in the store is invented, and every page says so."""
    hashing: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(HASHING))
    """Passwords are looked at a few at a time: each takes 64 MiB, and strangers could ask for all of them at once."""
    worked_out: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    """Numbers of the whole office that take long, by what was asked, each with its moment (`service/foresight.py`)."""
    working_out: Lock = field(default_factory=Lock)
    """Only one of them is worked out at a time: each takes memory and a processor for a while."""


async def running(request: Request) -> Running:
    """Give the running service: `run: Annotated[Running, Depends(running)]`."""
    found: Running = request.app.state.running
    return found
