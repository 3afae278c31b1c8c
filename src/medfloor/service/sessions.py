"""Know who shows a session or a token, without asking the store for each request.

What was looked up is believed for some seconds; what this process ends is forgotten at once, and another worker's
end is seen when those seconds are over.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from starlette.concurrency import run_in_threadpool

from medfloor.store import users
from medfloor.store.engine import Store

MOST = 4096
"""So many sessions are remembered; the longest unused is forgotten first."""

_TOUCH = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class _Remembered:
    session: users.Session
    until: float


class Sessions:
    """Look sessions up, and remember them for `seconds`."""

    def __init__(self, store: Store, *, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.store, self.seconds, self.clock = store, seconds, clock
        self._known: OrderedDict[str, _Remembered] = OrderedDict()
        self._forgotten = 0

    async def of(self, token: str, now: datetime) -> users.Session | None:
        """Give the session of a token that holds now, or None."""
        key = hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
        found = self._known.get(key)
        if found is not None and self.clock() < found.until and now < found.session.expires_at:
            self._known.move_to_end(key)
            return found.session
        self._known.pop(key, None)
        generation = self._forgotten
        session = await run_in_threadpool(self._look_up, token, now)
        # What was ended while the look-up ran must not be remembered.
        if session is not None and self.seconds > 0 and generation == self._forgotten:
            self._known[key] = _Remembered(session, self.clock() + self.seconds)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return session

    def forget(self, *, session_id: int | None = None, user_id: int | None = None) -> None:
        """Forget one session, or all of a user, so that the next request asks the store."""
        self._forgotten += 1
        for key, found in list(self._known.items()):
            if found.session.id == session_id or found.session.user.id == user_id:
                self._known.pop(key, None)

    def _look_up(self, token: str, now: datetime) -> users.Session | None:
        with self.store.reading() as connection:
            session = users.session_of(connection, token, now, touch=False)
        if session is not None and now - session.last_seen_at >= _TOUCH:
            # Only now and then does a request write: that the session is in use.
            return self.store.attempt(lambda connection: users.session_of(connection, token, now))
        return session
