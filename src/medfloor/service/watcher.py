"""Screen households whose claims were settled, in the background: the queue is a table, so a crash loses nothing.

The ledger queues an entry in its own transaction. A thread looks every few seconds whether something waits; the
screening itself is done by a process beside, at a lower priority, so that settlements neither wait for the interpreter
nor for their turn. The process is started when it is needed first, and stays.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

import sqlalchemy as sa

from medfloor.errors import MedfloorError
from medfloor.service.feeder import Feeder
from medfloor.service.settings import Settings
from medfloor.store.engine import Store, open_store
from medfloor.store.roles import Actor
from medfloor.store.watching import Worked, pending, work_pending

ACTOR = Actor("system:watch", "assistance_officer", "")
"""Who raises alerts and opens cases after settlements; nobody signs in under this name."""

TOGETHER = 500
"""So many entries at most are screened together."""

REST = 1.0
"""How long it rests after some entries, in times of what they took: the database's part of the work has no priority."""

_LOCK = 7_210_004
"""The number of PostgreSQL's advisory lock under which one of several workers screens."""


class Watcher:
    """Have entries that wait screened, every `watch_seconds`."""

    def __init__(
        self, store: Store, settings: Settings, *, clock: Callable[[], datetime], log: Any, feeder: Feeder
    ) -> None:
        self.store, self.settings, self.clock, self.log, self.feeder = store, settings, clock, log, feeder
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: Any = None
        self._pipe: Connection | None = None

    def start(self) -> None:
        """Begin to look, unless the office switched it off."""
        if self.settings.watch_seconds > 0:
            self._thread = threading.Thread(target=self._run, name="watcher", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Look no more; what is half done is rolled back and still waits."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def work(self) -> Worked | None:
        """Screen what waits in this thread and now; None where nothing waits."""
        return work_off(self.store, self.clock())

    def _run(self) -> None:
        try:
            while not self._stopping.wait(self.settings.watch_seconds):
                try:
                    began = time.monotonic()
                    while self._look() and not self._stopping.wait(REST * (time.monotonic() - began)):
                        began = time.monotonic()
                except Exception as error:
                    # The store may be away for a while; the queue is still there when it is back.
                    from medfloor.service.logs import where

                    self.log.error("watcher", where=where(error))
        finally:
            self._end()

    def _look(self) -> bool:
        """Have some entries screened, unless settlements wait; say whether more are waiting that could be."""
        if len(self.feeder) > 0:
            return False
        with self.store.reading() as connection:
            if not pending(connection):
                return False
        answer = self._asked(self.clock().isoformat())
        if answer is None:
            return False
        if "failed" in answer:
            self.log.error("watcher", code=answer["failed"])
            return False
        self.log.info("screened", **answer)
        return bool(answer["entries"] and answer["left"])

    def _asked(self, now: str) -> dict[str, Any] | None:
        """Ask the process, and wait for its answer; None where it ended or we stop."""
        if self._process is None or not self._process.is_alive():
            self._begin()
        assert self._pipe is not None
        try:
            self._pipe.send(now)
            while not self._pipe.poll(0.1):
                if self._stopping.is_set():
                    return None
            answer: dict[str, Any] | None = self._pipe.recv()
        except (EOFError, OSError):
            # Killed, or out of memory: the next look starts another.
            self.log.error("watcher", code="worker_died")
            self._end()
            return None
        return answer

    def _begin(self) -> None:
        self._end()
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        # The address may hold a password: it goes through a pipe, not on a command line.
        address = self.store.engine.url.render_as_string(hide_password=False)
        self._process = context.Process(target=serve_watch, args=(theirs, address), name="watch", daemon=True)
        self._process.start()
        theirs.close()

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.join(5)
            if self._process.is_alive():
                self._process.kill()
                self._process.join()
            self._process.close()
            self._process = None
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None


def work_off(store: Store, now: datetime) -> Worked | None:
    """Screen the households of entries that wait; None where none waits, or another worker is at it."""
    with contextlib.ExitStack() as held:
        if store.is_postgresql:
            guard = held.enter_context(store.engine.connect())
            held.enter_context(guard.begin())
            if not guard.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))).scalar():
                return None
        with store.reading() as connection:
            if not pending(connection):
                return None
        return work_pending(store, actor=ACTOR, now=now, limit=TOGETHER)


def serve_watch(told: Connection, address: str) -> None:
    """Be the process that screens: for each moment that comes through the pipe, work some entries off and say what."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    store = open_store(address, connections=4)
    _step_back(store)
    try:
        while True:
            told.send(_worked(store, told.recv()))
    except (EOFError, OSError):
        pass  # the service ended
    finally:
        store.close()


def _step_back(store: Store) -> None:
    """Let settlements come first.

    On PostgreSQL nothing waits for this process, so it takes only what nobody else wants of the processors. On SQLite
    it holds the lock of the store at times and settlements wait for that, so it steps back a little and no more.
    """
    if store.is_postgresql and hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    else:
        os.nice(3)


def _worked(store: Store, now: str) -> dict[str, Any] | None:
    try:
        done = work_off(store, datetime.fromisoformat(now))
    except MedfloorError as error:
        return {"failed": error.code}
    except Exception as error:
        # A message may quote values; the kind of error does not.
        return {"failed": f"bug_inside:{type(error).__name__}"[:64]}
    return None if done is None else asdict(done)
