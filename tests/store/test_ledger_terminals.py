"""Several terminals at once: one order, nothing lost, nothing twice; threads and processes, on both stores."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import sqlalchemy as sa
from ledgers import CLERK, NOW, bill, enrol, posted, recognise
from stores import address_of

from medfloor.store import Keyring, Store, ledger, resettle, schema
from medfloor.store.books import Books
from medfloor.store.chain import seal_now, verify
from medfloor.store.history import Touched
from medfloor.store.ledger import Request


def at_once(*works: Callable[[], None]) -> None:
    """Run all of them in threads that begin at the same moment; raise what one of them raised."""
    faults: list[BaseException] = []
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], None]) -> None:
        try:
            gate.wait()
            work()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def whole(books: Books, claims: int) -> None:
    found = verify(books.store, books=books)
    assert found.whole, found.findings
    assert found.claims == claims


def test_two_terminals_give_one_person_one_order(store: Store, keyring: Keyring) -> None:
    enrol(store, keyring, "p1", "p2")
    books = Books.of(store, "cn/beijing")

    def terminal(name: str, step: int) -> Callable[[], None]:
        def work() -> None:
            for number in range(12):
                day = date(2024, 1, 1) + timedelta(days=step * number)
                both = [bill(f"{name}{number}-{who}", who, day, 20_000) for who in ("p1", "p2")]
                # One terminal asks in the other order, which would lock crosswise.
                requests = [Request(one, one.claim_id) for one in (both if step == 2 else reversed(both))]
                posted(ledger.settle(books, requests, actor=CLERK, now=NOW))

        return work

    at_once(terminal("a", 2), terminal("b", 3), terminal("c", 5))
    whole(books, 72)


def test_the_same_request_from_all_terminals_is_settled_once(store: Store, keyring: Keyring) -> None:
    enrol(store, keyring, "p1")
    books = Books.of(store, "cn/beijing")
    for number in range(5):
        request = Request(bill(f"c{number}", day=date(2024, 1 + number, 1)), f"k{number}")
        answers: list[ledger.Posted] = []

        def work(request: Request = request, answers: list[ledger.Posted] = answers) -> None:
            answers.extend(posted(ledger.settle(books, [request], actor=CLERK, now=NOW)))

        at_once(*[work] * 6)
        assert len({one.entry_id for one in answers}) == 1
        assert sorted(one.again for one in answers) == [False] + [True] * 5
    whole(books, 5)


def test_the_same_claim_under_two_keys_is_settled_once(store: Store, keyring: Keyring) -> None:
    enrol(store, keyring, "p1", "p2")
    books = Books.of(store, "cn/beijing")
    codes: list[str] = []

    def terminal(key: str, who: str) -> Callable[[], None]:
        def work() -> None:
            good = Request(bill(f"good-{key}", who, date(2024, 2, 1)), f"good-{key}")
            answers = ledger.settle(books, [Request(bill("c1", who), key), good], actor=CLERK, now=NOW)
            posted(answers[1:])
            codes.append(getattr(answers[0], "code", "settled"))

        return work

    # Of two people, so that no account stands between them: only the claim_id tells.
    at_once(terminal("a", "p1"), terminal("b", "p2"), terminal("c", "p1"))
    assert sorted(codes) == ["claim_settled", "claim_settled", "settled"]
    whole(books, 4)


def test_settling_reversing_sealing_and_recognising_at_once(store: Store, keyring: Keyring) -> None:
    enrol(store, keyring, "p1")
    books = Books.of(store, "cn/beijing")
    first = [bill(f"r{number}", day=date(2024, 2, 1 + number)) for number in range(6)]
    posted(ledger.settle(books, [Request(one) for one in first], actor=CLERK, now=NOW))

    def settling() -> None:
        for number in range(8):
            posted(
                ledger.settle(books, [Request(bill(f"s{number}", day=date(2024, 1 + number, 7)))], actor=CLERK, now=NOW)
            )

    def reversing() -> None:
        for one in first:
            ledger.reverse(books, one.claim_id, reason="typed wrongly", actor=CLERK, now=NOW)

    def recognising() -> None:
        touched: tuple[Touched, ...] = recognise(store, "p1", "dibao", date(2024, 4, 1))
        resettle.resettle_after(books, touched, actor=CLERK, now=NOW)

    def sealing() -> None:
        for _ in range(5):
            seal_now(store, now=NOW)

    at_once(settling, reversing, recognising, sealing, sealing)
    whole(books, 8)


PROGRAM = """
import sys
from datetime import date, timedelta
from ledgers import CLERK, NOW, bill, posted
from medfloor.store import ledger, open_store
from medfloor.store.books import Books
books = Books.of(open_store(sys.argv[1]), "cn/beijing")
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    day = date(2024, 1, 1) + timedelta(days=number * 7)
    one = bill(f"{sys.argv[2]}{number}", day=day, yuan=9_000)
    posted(ledger.settle(books, [ledger.Request(one, one.claim_id)], actor=CLERK, now=NOW))
    common = bill(f"common{number}", day=day, yuan=5_000)
    posted(ledger.settle(books, [ledger.Request(common, common.claim_id)], actor=CLERK, now=NOW))
"""


def test_two_programs_at_once_lose_nothing(store: Store, keyring: Keyring) -> None:
    enrol(store, keyring, "p1")
    books = Books.of(store, "cn/beijing")
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent.parent / "src"), str(here)])}
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, address_of(store), name], env=environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    for program in programs:
        assert program.stdout is not None and program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    for program in programs:
        _, errors = program.communicate(timeout=120)
        assert program.returncode == 0, errors
    whole(books, 75)
    with store.reading() as connection:
        numbers = connection.execute(sa.select(schema.entry.c.number).order_by(schema.entry.c.number)).scalars().all()
        sums = connection.execute(
            sa.select(schema.claim.c.total_fen).join(schema.account, schema.account.c.id == schema.claim.c.account_id)
        ).scalars()
        assert sum(sums) == 100 * (25 * 9_000 * 2 + 25 * 5_000)
    assert list(numbers) == list(range(1, len(numbers) + 1))
