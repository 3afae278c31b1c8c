"""Run long work in the background: the queue is a table, the work a process of its own, the results a folder.

A server takes one job at a time and says every second that it is still at it. A job whose server was not seen for a
minute becomes failed, whoever that server was, and may be asked again; so nothing hangs after a restart or a crash.
"""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from medfloor.errors import ConflictError, NotFoundError
from medfloor.service.metrics import Metrics
from medfloor.service.settings import Settings
from medfloor.store.engine import Store
from medfloor.store.roles import Actor
from medfloor.store.schema import job as table

GONE_SECONDS = 60.0
"""A server that was not seen at its job for so long is taken for dead."""

WAITING_MOST = 100
"""So many jobs may wait."""


def ask(connection: sa.Connection, kind: str, parameters: dict[str, Any], *, actor: Actor, now: datetime) -> int:
    """Put a job at the end of the queue, and give its number. Raises ConflictError (`many_jobs`) when too many wait."""
    waiting = connection.execute(
        sa.select(sa.func.count()).select_from(table).where(table.c.state == "waiting")
    ).scalar_one()
    if waiting >= WAITING_MOST:
        raise ConflictError("many_jobs", f"{WAITING_MOST} jobs are waiting; come again when some are done")
    row = {
        "kind": kind, "parameters": json.dumps(parameters, ensure_ascii=False), "state": "waiting", "progress": 0,
        "created_by": actor.login, "created_at": now,
    }  # fmt: skip
    made = connection.execute(table.insert().values(row)).inserted_primary_key
    assert made is not None, "a row has a number"
    return int(made[0])


def find(connection: sa.Connection, number: int) -> sa.RowMapping:
    """Give a job. Raises NotFoundError (`no_job`)."""
    row = connection.execute(sa.select(table).where(table.c.id == number)).mappings().one_or_none()
    if row is None:
        raise NotFoundError("no_job", f"there is no job {number}")
    return row


def newest(
    connection: sa.Connection, *, before: int | None = None, limit: int = 50, kinds: Sequence[str] = ()
) -> list[sa.RowMapping]:
    """List jobs, the newest first, older than `before`; of some kinds only, where `kinds` names them."""
    query = sa.select(table).order_by(table.c.id.desc()).limit(limit)
    if kinds:
        query = query.where(table.c.kind.in_(kinds))
    if before is not None:
        query = query.where(table.c.id < before)
    return list(connection.execute(query).mappings())


def newest_of_office(connection: sa.Connection, kind: str) -> sa.RowMapping | None:
    """Give the newest job of a kind that is done and was about a year of the office; None where there is none."""
    asked = sa.select(table).where(
        table.c.kind == kind, table.c.state == "done", table.c.parameters.like('%"office_year": _%'),
        ~table.c.parameters.like('%"office_year": null%'),
    )  # fmt: skip
    return connection.execute(asked.order_by(table.c.id.desc()).limit(1)).mappings().one_or_none()


def cancel(connection: sa.Connection, number: int, *, now: datetime) -> None:
    """End a job that waits or runs. Raises NotFoundError, ConflictError (`job_over`)."""
    _move(connection, number, ("waiting", "running"), {"state": "cancelled", "finished_at": now})


def retry(connection: sa.Connection, number: int, *, now: datetime) -> None:
    """Put a failed or cancelled job into the queue again. Raises NotFoundError, ConflictError (`job_over`)."""
    values = {
        "state": "waiting", "progress": 0, "message": None, "owner": None, "seen_at": None, "started_at": None,
        "finished_at": None, "folder": None,
    }  # fmt: skip
    _move(connection, number, ("failed", "cancelled"), values)


def _move(connection: sa.Connection, number: int, states: tuple[str, ...], values: dict[str, Any]) -> None:
    changed = connection.execute(table.update().where(table.c.id == number, table.c.state.in_(states)).values(values))
    if changed.rowcount != 1:
        state = find(connection, number)["state"]
        raise ConflictError("job_over", f"job {number} is {state}, which does not allow this")


class Jobs:
    """Take jobs from the queue, one at a time, and run each in a process of its own."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        log: Any,
        metrics: Metrics,
        gone_seconds: float = GONE_SECONDS,
        beat_seconds: float = 1.0,
    ) -> None:
        self.store, self.settings, self.clock, self.log, self.metrics = store, settings, clock, log, metrics
        self.gone, self.beat = timedelta(seconds=gone_seconds), beat_seconds
        self.owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._bell = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to take jobs."""
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._bell.set()

    def stop(self, seconds: float = 10.0) -> None:
        """Take no more; a job at work is ended and becomes failed, to be asked again."""
        self._stopping.set()
        self._bell.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def folder_of(self, number: int) -> Path:
        """Give the folder of a job's results."""
        return Path(self.settings.jobs_folder) / f"{int(number):08d}"

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                taken = self.store.attempt(self._take)
                if taken is not None:
                    self._work(*taken)
                    continue
            except Exception as error:
                # The store may be away for a while; the queue is still there when it is back.
                from medfloor.service.logs import where

                self.log.error("jobs", where=where(error))
            self._bell.wait(max(self.beat, 1.0))
            self._bell.clear()

    def _take(self, connection: sa.Connection) -> tuple[int, str, str] | None:
        now = self.clock()
        # Rows of dead servers first: they would count as running for ever.
        connection.execute(
            table.update()
            .where(table.c.state == "running", table.c.seen_at < now - self.gone)
            .values(state="failed", message="server_gone", finished_at=now)
        )
        if connection.execute(sa.select(table.c.id).where(table.c.state == "running").limit(1)).first() is not None:
            return None
        query = sa.select(table.c.id, table.c.kind, table.c.parameters).where(table.c.state == "waiting")
        row = connection.execute(query.order_by(table.c.id).limit(1)).one_or_none()
        if row is None:
            return None
        taken = connection.execute(
            table.update()
            .where(table.c.id == row.id, table.c.state == "waiting")
            .values(state="running", owner=self.owner, seen_at=now, started_at=now, progress=0, message=None)
        )
        return (row.id, row.kind, row.parameters) if taken.rowcount == 1 else None

    def _work(self, number: int, kind: str, parameters: str) -> None:
        folder = self.folder_of(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        data = str(self.settings.data_folder) if self.settings.data_folder else None
        # Only jobs over the register see the store; its address goes through the pipe, not on a command line.
        sees = kind == "screen" or json.loads(parameters).get("office_year") is not None
        office = self.store.engine.url.render_as_string(hide_password=False) if sees else None
        from medfloor.service.work import carry_out

        process = context.Process(
            target=carry_out, args=(theirs, kind, parameters, str(folder), data, office), name=f"job-{number}",
            daemon=True,
        )  # fmt: skip
        process.start()
        theirs.close()
        self.log.info("job started", job=number, kind=kind)
        try:
            outcome, told = self._watch(number, process, ours)
        finally:
            if process.is_alive():
                process.terminate()
            process.join(10)
            if process.is_alive():
                process.kill()
                process.join()
            ours.close()
            process.close()
        self.metrics.jobs.labels(kind, outcome).inc()
        self.log.info("job ended", job=number, kind=kind, outcome=outcome, code=told if outcome == "failed" else None)
        self._end(number, outcome, told, folder)

    def _watch(self, number: int, process: Any, ours: Connection) -> tuple[str, str | None]:
        """Follow a process to its end: give done, failed or cancelled, and the code of the failure."""
        progress, seen = 0, 0.0
        while True:
            if self._stopping.is_set():
                return "failed", "server_stopped"
            try:
                if ours.poll(min(self.beat, 0.25)):
                    word, value = ours.recv()
                    if word == "progress":
                        progress = max(progress, min(99, int(value)))
                    else:
                        return word, value
            except EOFError:
                # It ended without a word: killed, or out of memory.
                return "failed", "worker_died"
            if time.monotonic() - seen >= self.beat:
                seen = time.monotonic()
                if not self.store.attempt(functools.partial(self._still_mine, number=number, progress=progress)):
                    return "cancelled", None

    def _still_mine(self, connection: sa.Connection, *, number: int, progress: int) -> bool:
        mine = table.c.id == number, table.c.state == "running", table.c.owner == self.owner
        changed = connection.execute(table.update().where(*mine).values(progress=progress, seen_at=self.clock()))
        return changed.rowcount == 1

    def _end(self, number: int, outcome: str, told: str | None, folder: Path) -> None:
        if outcome != "done":
            shutil.rmtree(folder, ignore_errors=True)
        values: dict[str, Any] = {"state": outcome, "finished_at": self.clock()}
        if outcome == "done":
            values |= {"progress": 100, "folder": folder.name}
        if outcome == "failed":
            values |= {"message": told}
        mine = table.c.id == number, table.c.state == "running", table.c.owner == self.owner
        self.store.attempt(lambda connection: connection.execute(table.update().where(*mine).values(values)).rowcount)


def files_of(folder: Path) -> list[str]:
    """List the files of a job's results by name."""
    return sorted(one.name for one in folder.iterdir() if one.is_file()) if folder.is_dir() else []
