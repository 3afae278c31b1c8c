"""Feed settlements to the ledger: whatever arrived while the last transaction ran goes into the next one together.

One thread posts, so that many tills cost one commit; each waits for its own answer, which it gets after the commit
and once. When the queue is full, callers are told to come again (503) instead of waiting for ever. Stopping drains
the queue first.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from medfloor.errors import StoreError
from medfloor.service.metrics import Metrics
from medfloor.store.roles import Actor

GATHER_SECONDS = 0.005
"""So long at most a settlement waits for others to go with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Ask:
    """Be one settlement that waits: what is asked, by whom, when, and who is to be answered."""

    request: Any
    actor: Actor
    at: datetime
    loop: asyncio.AbstractEventLoop = field(repr=False)
    answer: asyncio.Future[Any] = field(repr=False)


Post = Callable[[Sequence[Ask]], Sequence[Any]]
"""Post some asks in one transaction; give for each its answer, or the exception that it is to get."""


class Feeder:
    """Take asks from many tasks, and hand them in batches to `post`, which runs in one thread.

    `most` may wait, `batch` go together, and a caller waits `seconds` for its answer.
    """

    def __init__(
        self, post: Post, *, most: int = 512, batch: int = 64, seconds: float = 60.0, metrics: Metrics | None = None
    ) -> None:
        self.post, self.most, self.batch, self.seconds, self.metrics = post, most, batch, seconds, metrics
        self._waiting: deque[Ask] = deque()
        self._bell = threading.Condition()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to post."""
        assert self._thread is None, "a feeder starts once"
        self._thread = threading.Thread(target=self._run, name="feeder", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Say whether it posts what it is given."""
        return self._thread is not None and self._thread.is_alive() and not self._stopping

    def __len__(self) -> int:
        return len(self._waiting)

    async def ask(self, request: Any, *, actor: Actor, now: datetime) -> Any:
        """Have one settlement posted, and give its answer after the commit.

        Raises what `post` gave as exception; StoreError: queue_full and shutting_down (nothing was taken), answer_late
        (it may have been posted: ask again with the same request key).
        """
        loop = asyncio.get_running_loop()
        ask = Ask(request, actor, now, loop, loop.create_future())
        with self._bell:
            if self._stopping or self._thread is None:
                raise StoreError("shutting_down", "the service stops; ask again in some seconds")
            if len(self._waiting) >= self.most:
                raise StoreError("queue_full", f"{self.most} settlements are waiting; ask again in a second")
            self._waiting.append(ask)
            self._bell.notify()
        try:
            async with asyncio.timeout(self.seconds):
                return await ask.answer
        except TimeoutError:
            late = StoreError("answer_late", "the ledger did not answer in time; ask again with the same request key")
            raise late from None

    def stop(self, seconds: float = 30.0) -> bool:
        """Take nothing more, post what waits, and say whether all of it was posted in time."""
        with self._bell:
            self._stopping = True
            self._bell.notify_all()
        if self._thread is not None:
            self._thread.join(seconds)
            return not self._thread.is_alive()
        return True

    def _run(self) -> None:
        last = 1
        while True:
            with self._bell:
                while not self._waiting and not self._stopping:
                    self._bell.wait()
                self._gather(last)
                taken = [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
                left = len(self._waiting)
                if not taken:
                    return
            if self.metrics is not None:
                self.metrics.waiting.set(left)
            # Who went away before its turn is not settled: nobody would hear of it.
            taken = [ask for ask in taken if not ask.answer.cancelled()]
            # It falls by one at a time: one straggler does not mean that the other tills have gone home.
            last = max(len(taken), last - 1)
            if taken:
                self._answer(taken, self._posted(taken))

    def _gather(self, last: int) -> None:
        """Wait a moment for as many as came of late: their tills have just been answered and ask again soon.

        A transaction of eight costs little more than one of one; a single till finds nobody to wait for.
        """
        until = time.monotonic() + GATHER_SECONDS
        while len(self._waiting) < min(last, self.batch) and not self._stopping:
            left = until - time.monotonic()
            if left <= 0 or not self._bell.wait(left):
                return

    def _posted(self, asks: list[Ask]) -> Sequence[Any]:
        if self.metrics is not None:
            self.metrics.together.observe(len(asks))
        try:
            answers = self.post(asks)
        except Exception as error:
            # The transaction as a whole failed; each may ask again with its own key.
            return [error] * len(asks)
        assert len(answers) == len(asks), "an answer for each ask"
        return answers

    def _answer(self, asks: list[Ask], answers: Sequence[Any]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[tuple[Ask, Any]]] = {}
        for ask, answer in zip(asks, answers, strict=True):
            by_loop.setdefault(ask.loop, []).append((ask, answer))
        for loop, pairs in by_loop.items():
            # The loop may be closed when the service was ended by force; the ledger has what was posted.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_give, pairs)


def _give(pairs: list[tuple[Ask, Any]]) -> None:
    for ask, answer in pairs:
        if ask.answer.done():
            continue
        if isinstance(answer, Exception):
            ask.answer.set_exception(answer)
        else:
            ask.answer.set_result(answer)
