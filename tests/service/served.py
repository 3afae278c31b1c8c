"""Run `medfloor serve` as a process on loopback, end it in bad ways, and send it claims that are counted afterwards."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from stores import address_of

from medfloor.store import Keyring, Store, register, schema, users
from medfloor.store import office as office_settings
from medfloor.store.books import Books
from medfloor.store.chain import verify
from medfloor.store.keys import write_keys
from medfloor.store.roles import Actor

PLACE = "150981"
SYSTEM = Actor("setup", "administrator")
BEFORE = datetime(2023, 12, 1, tzinfo=UTC)
URL = "/api/v1/settlements"
STARTED_SECONDS = 60.0
SOURCES = Path(__file__).parents[2] / "src"

Answer = tuple[int, dict[str, Any]]


def free_port() -> int:
    """Find a port of loopback that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def furnish(store: Store, keyring: Keyring, folder: Path, *, people: int) -> dict[str, str]:
    """Take made-up people w0, w1, ... into the register of an office; give what a server needs in its environment."""
    now = datetime.now(UTC)
    with store.writing() as connection:
        for name, value in (("place", PLACE), ("policy", "cn/beijing")):
            office_settings.decide_setting(connection, name, value, actor=SYSTEM, now=now)
        clerk = users.create_user(
            connection, "till1", role="county_clerk", place=PLACE, password=None, actor=SYSTEM, now=now
        )
        token = users.open_session(connection, clerk, "token", now)[0]
        for number in range(people):
            one = f"w{number}"
            register.add_person(connection, keyring, now=BEFORE, person_id=one)
            facts = {
                "birth_date": date(1960, 5, 2), "sex": "female", "residence": "rural", "place": PLACE,
                "household_id": f"h{number}",
            }  # fmt: skip
            common: dict[str, Any] = {"actor": SYSTEM, "now": BEFORE, "start": date(2020, 1, 1)}
            register.record(connection, "person", one, facts, **common)
            register.record(connection, "enrolment", one, {"benefit_year": 2024, "scheme": "resident"}, **common)
    keys = folder / "served.keys"
    write_keys(keys, keyring)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDFLOOR_")}
    return {
        **environment, "PYTHONPATH": str(SOURCES), "MEDFLOOR_DATABASE": address_of(store), "TOKEN": token,
        "MEDFLOOR_KEYS_FILE": str(keys), "MEDFLOOR_JOBS_FOLDER": str(folder / "jobs"),
        "MEDFLOOR_REQUESTS_A_SECOND": "5000", "MEDFLOOR_WATCH_SECONDS": "0",
    }  # fmt: skip


@dataclass
class Server:
    """Be one `medfloor serve`, with all the processes that it started."""

    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    workers: int = 1
    process: subprocess.Popen[bytes] | Forked | None = None
    log: Path | None = None
    nursery: Nursery | None = None
    """Where it is forked; without one it is started from nothing."""

    def start(self, *, ready: bool = True) -> Server:
        """Start it, and wait until it answers."""
        words = ["serve", "--port", str(self.port), "--workers", str(self.workers)]
        self.log = Path(self.environment["MEDFLOOR_JOBS_FOLDER"]).with_name(f"served-{self.port}.log")
        if self.nursery is not None:
            self.process = self.nursery.start(words, self.environment, self.log)
            if ready:
                self.wait()
            return self
        program = [sys.executable, "-c", "from medfloor.cli.main import main; main()", *words]
        with self.log.open("ab") as log:
            # A session of its own, so that no signal of the tests reaches it and none of ours reaches them.
            self.process = subprocess.Popen(
                program, env=self.environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        if ready:
            self.wait()
        return self

    def wait(self) -> None:
        """Wait until it is ready."""
        ends = time.monotonic() + STARTED_SECONDS
        while time.monotonic() < ends:
            assert self.process is not None
            assert self.process.poll() is None, self.said()
            if self.readiness()[0] == 200:
                return
            time.sleep(0.02)
        raise AssertionError(f"the server was not ready in time: {self.said()}")

    def readiness(self, path: str = "/health/ready") -> Answer:
        """Ask how it is; (0, {}) where nobody answers."""
        till = self.till()
        try:
            return till.ask("GET", path)
        except (OSError, http.client.HTTPException):
            return 0, {}
        finally:
            till.close()

    def till(self) -> Till:
        """Give someone who speaks to it."""
        return Till(self.port, self.environment["TOKEN"])

    def kill(self) -> None:
        """End it without a word (SIGKILL): the process that was started, as the kernel does when memory is short."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """Stop it in order, and give its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def said(self) -> str:
        """Give the end of what it wrote."""
        return "" if self.log is None or not self.log.exists() else self.log.read_text("utf-8", "replace")[-3000:]


@contextmanager
def serving(environment: dict[str, str], **given: Any) -> Iterator[Server]:
    """Run a server for a while."""
    server = Server(environment, **given)
    try:
        yield server.start()
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.terminate()
            try:
                server.process.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


@dataclass
class Till:
    """Speak HTTP to a server over one connection, opened again when it breaks."""

    port: int
    token: str
    seconds: float = 60.0
    connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Answer:
        """Give status and body. Raises OSError or HTTPException where no answer came."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept-Language": "en"}
        if key is not None:
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.seconds)
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except BaseException:
            self.close()
            raise
        return answer.status, json.loads(text) if text else {}

    def settle(self, claim: dict[str, Any]) -> Answer:
        """Settle a claim under its own id as key."""
        return self.ask("POST", URL, claim, key=f"k-{claim['claim_id']}")

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def visit(claim_id: str, person_id: str = "w0", day: date = date(2024, 1, 5), yuan: int = 3_000) -> dict[str, Any]:
    """Give a stay of one day, all of it in scope."""
    return {
        "claim_id": claim_id, "person_id": person_id, "care_type": "inpatient", "facility_level": "3",
        "start_date": day.isoformat(), "end_date": day.isoformat(), "provider_id": "H1",
        "total_fen": yuan * 100, "in_scope_fen": yuan * 100,
    }  # fmt: skip


def same(first: dict[str, Any], again: dict[str, Any]) -> bool:
    """Say whether two answers are the same but for the word that the second is a repeat."""
    return {**first, "repeated": True} == {**again, "repeated": True}


class Load:
    """Send claims from several tills until it is ended, each again and again under its key until it is answered.

    `answered` holds what was said of each claim. A second answer to one claim must be the same as its first.
    """

    def __init__(
        self,
        ports: list[int],
        token: str,
        *,
        people: int,
        seed: int,
        tills: int = 6,
        most: int = 4000,
        pause: float = 0.002,
    ) -> None:
        self.pause = pause
        self.ports, self.token, self.people, self.most = ports, token, people, most
        self.answered: dict[str, dict[str, Any]] = {}
        self.sent: dict[str, dict[str, Any]] = {}
        self.refusals: dict[tuple[int, str], int] = {}
        self.broken = 0
        self.faults: list[str] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(tills)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Send nothing new, and wait until all that was sent is answered."""
        self._ending.set()
        for thread in self._threads:
            thread.join(90)
            assert not thread.is_alive(), "a till still waits for its answer"

    def _next(self) -> dict[str, Any] | None:
        with self._lock:
            if self._ending.is_set() or len(self.sent) >= self.most:
                return None
            number = len(self.sent)
            # Mostly one after the other, and now and then late, so that what comes after is settled again.
            day = min(number // self.people, 360) - (self._random.randrange(4) if self._random.random() < 0.1 else 0)
            claim = visit(
                f"c{number}", f"w{self._random.randrange(self.people)}", date(2024, 1, 1) + timedelta(days=max(0, day)),
                self._random.randrange(100, 20_000),
            )  # fmt: skip
            self.sent[claim["claim_id"]] = claim
            return claim

    def _work(self, number: int) -> None:
        tills = [Till(port, self.token) for port in self.ports]
        try:
            while (claim := self._next()) is not None:
                self._until_answered(tills, claim, number)
                if self._pause(self.pause):
                    return
        except BaseException as error:
            self.faults.append(repr(error))
        finally:
            for till in tills:
                till.close()

    def _pause(self, seconds: float) -> bool:
        return self._ending.wait(seconds)

    def _until_answered(self, tills: list[Till], claim: dict[str, Any], number: int) -> None:
        ends = time.monotonic() + 80
        while time.monotonic() < ends:
            number += 1
            try:
                status, body = tills[number % len(tills)].settle(claim)
            except (OSError, http.client.HTTPException):
                self.broken += 1
                time.sleep(0.02)
                continue
            if status == 200:
                self._hear(claim["claim_id"], body)
                return
            with self._lock:
                said = (status, str(body.get("code")))
                self.refusals[said] = self.refusals.get(said, 0) + 1
            if status != 503 and status != 507:
                self.faults.append(f"{claim['claim_id']}: {status} {body}")
                return
            time.sleep(0.05)
        self.faults.append(f"{claim['claim_id']} was not answered in time")

    def _hear(self, claim_id: str, body: dict[str, Any]) -> None:
        with self._lock:
            first = self.answered.setdefault(claim_id, body)
        if not same(first, body):
            self.faults.append(f"{claim_id} was answered differently the second time")

    def again(self, claim_ids: Iterable[str]) -> None:
        """Ask again what was answered: the same answer, and it says that it is a repeat."""
        till = Till(self.ports[0], self.token)
        try:
            for claim_id in claim_ids:
                status, body = till.settle(self.sent[claim_id])
                assert status == 200, body
                assert body["repeated"] is True
                assert same(self.answered[claim_id], body), claim_id
        finally:
            till.close()


def check_ledger(store: Store, load: Load | None = None, *, claims: int | None = None) -> None:
    """See that the ledger verifies with everything settled again, and holds each claim once."""
    found = verify(store, books=Books.of(store, "cn/beijing"))
    assert found.whole, found.findings[:5]
    with store.reading() as connection:
        entry = schema.entry
        keyed: dict[str, int] = dict(
            connection.execute(
                sa.select(entry.c.request_key, sa.func.count())
                .where(entry.c.request_key.is_not(None))
                .group_by(entry.c.request_key)
            ).all()
        )
        settled = connection.execute(
            sa.select(entry.c.claim_id).where(entry.c.kind == "settlement").order_by(entry.c.claim_id)
        ).scalars().all()  # fmt: skip
    assert len(settled) == len(set(settled))
    if load is not None:
        assert load.faults == []
        assert set(load.answered) == set(load.sent)
        assert keyed == {f"k-{claim_id}": 1 for claim_id in load.sent}
        assert sorted(settled) == sorted(load.sent)
        assert found.claims == len(settled)
    if claims is not None:
        assert found.claims == claims


def wait_until(said: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is true."""
    ends = time.monotonic() + seconds
    while not said():
        assert time.monotonic() < ends, "it did not become true in time"
        time.sleep(0.02)


_NURSERY = """
import importlib, json, os, sys
import uvicorn, anyio, fastapi, sqlalchemy, numba, polars
import psycopg, sqlalchemy.dialects.postgresql.psycopg, sqlalchemy.dialects.sqlite, alembic.script
import medfloor.cli.serve, medfloor.service.app, medfloor.store.books, medfloor.store.ledger, medfloor.settlement.online
from medfloor.service.app import ROUTES, SUBJECTS
for name in (*SUBJECTS, *ROUTES):
    importlib.import_module(f"medfloor.service.routes.{name}")
from medfloor.cli.main import main
for line in sys.stdin:
    word, given = json.loads(line)
    if word == "start":
        words, environment, log = given
        child = os.fork()
        if child == 0:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 1)
            os.dup2(1, 2)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["medfloor", *words]
            main()
            os._exit(0)
        print(child, flush=True)
    else:
        ended, status = os.waitpid(given, os.WNOHANG)
        print(json.dumps(os.waitstatus_to_exitcode(status) if ended else None), flush=True)
"""


class Nursery:
    """Start `medfloor serve` again and again out of a process that has read all modules: in a second instead of five.

    What is forked is the program itself from its first line on; only reading the modules is saved.
    """

    def __init__(self, log: Path) -> None:
        with log.open("ab") as told:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _NURSERY], env={**os.environ, "PYTHONPATH": str(SOURCES)}, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=told, text=True, start_new_session=True,
            )  # fmt: skip

    def start(self, words: list[str], environment: dict[str, str], log: Path) -> Forked:
        """Start a server, and give its process."""
        return Forked(self, self.say("start", [words, environment, str(log)]))

    def close(self) -> None:
        """End this process."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    def say(self, word: str, given: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([word, given]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@dataclass
class Forked:
    """Be a process that the nursery started, spoken to as to one of `subprocess`."""

    nursery: Nursery
    pid: int
    returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = self.nursery.say("poll", self.pid)
        return self.returncode

    def wait(self, timeout: float) -> int:
        ends = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > ends:
                raise subprocess.TimeoutExpired("medfloor serve", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
