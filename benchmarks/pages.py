"""Time every page of an office with 50,000 people and 500,000 claims in the store: what the server takes for each.

The made-up office of `medfloor demo --serve` is filled with that many people, and its claims are settled again under
new ids, a week later each time, until there are enough (`--claims`). Then each page of `tests/pages/screens.py` is
asked five times as its people ask it, in this process; the first answer counts too. Exit code 1 if a median is above
300 ms.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# `office` is that of the tests, and not the benchmark beside this one.
sys.path[:0] = [*(str(HERE.parent / "tests" / name) for name in ("pages", "service", "store")), str(HERE)]

LIMIT_MS = 300.0
TIMES = 5


def main() -> int:
    """Print a table of pages, slowest first; give 1 if one is too slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--claims", type=int, default=500_000)
    parser.add_argument("--keep", type=Path, help="a folder: the filled store is kept there, and used if it is there")
    asked = parser.parse_args()
    folder = asked.keep or Path(tempfile.mkdtemp(prefix="medfloor-pages-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if not (folder / "office.db").exists():
            fill(folder, asked.people, asked.claims)
        return measure(folder)
    finally:
        if asked.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def fill(folder: Path, people: int, claims: int) -> None:
    """Fill a store with a made-up office, and settle its claims again until there are enough."""
    from medfloor.service import demonstration
    from medfloor.store.engine import open_store
    from medfloor.store.keys import new_keys, write_keys
    from medfloor.store.migrate import upgrade

    began = time.monotonic()
    making = folder / "making.db"
    making.unlink(missing_ok=True)
    (folder / "keys").unlink(missing_ok=True)
    ring = new_keys()
    write_keys(folder / "keys", ring)
    store = open_store(making)
    upgrade(store)

    def tell(step: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {step}", flush=True)

    told = demonstration.fill(store, ring, people=people, now=datetime.now(UTC), tell=tell)
    have = told.claims
    for again in range(1, 20):
        if have >= claims:
            break
        have += _again(store, again, claims - have)
        tell(f"{have:,} claims")
    store.close()
    making.rename(folder / "office.db")


def _again(store: Any, again: int, most: int) -> int:
    """Settle the claims of the ledger once more, some days later, under ids of their own; gives how many."""
    from dataclasses import replace

    import sqlalchemy as sa

    from medfloor.service.demonstration import POLICY, TODAY, at
    from medfloor.store import ledger
    from medfloor.store.bills import Bill
    from medfloor.store.books import Books
    from medfloor.store.roles import Actor
    from medfloor.store.schema import claim

    books, clerk, done = Books.of(store, POLICY), Actor("clerk", "county_clerk", "990181"), 0
    shift = timedelta(days=1 + again)
    with store.reading() as connection:
        asked = sa.select(claim).where(claim.c.claim_id.notlike("%+%")).order_by(claim.c.settled_date, claim.c.id)
        rows = connection.execute(asked.limit(most)).all()
    for start in range(0, len(rows), 150):
        bills = []
        for row in rows[start : start + 150]:
            one = Bill.from_row(row)
            end = min(one.end_date + shift, TODAY)
            moved = {"start_date": min(one.start_date + shift, end), "end_date": end, "settled_date": end}
            bills.append(replace(one, claim_id=f"{one.claim_id}+{again}", **moved))
        requests = [ledger.Request(one, f"pages-{one.claim_id}") for one in bills]
        answers = ledger.settle(books, requests, actor=clerk, now=at(bills[-1].settled_date, 17))
        done += sum(isinstance(answer, ledger.Posted) for answer in answers)
    return done


def measure(folder: Path) -> int:
    """Ask each page as its people do; print what the server took."""
    from office import running_office
    from screens import PAGES
    from timing import table

    from medfloor.service.demonstration import TODAY, at
    from medfloor.service.settings import Settings
    from medfloor.store.engine import open_store
    from medfloor.store.keys import keyring_from
    from medfloor.store.office import decide_setting
    from medfloor.store.roles import Actor

    store = open_store(folder / "office.db")
    settings = Settings.model_validate({"jobs": False, "jobs_folder": folder / "jobs", "strangers_a_second": 10_000})
    office = running_office(store, keyring_from({}, file=folder / "keys"), settings, policy=None)
    office.clock.now = at(TODAY)
    with store.writing() as connection:
        decide_setting(connection, "place", "990181", actor=Actor("admin", "administrator"), now=at(TODAY))
    known, slow = _known(store), 0
    rows = [["login", "page", "bytes", "first ms", "median ms", "status"]]
    for login, pages in PAGES.items():
        caller = office.stranger()
        _sign_in(caller, login)
        for path in pages:
            took = []
            for _ in range(TIMES):
                start = time.perf_counter()
                answer = caller.get(path.format_map(known), headers={"accept": "text/html", "accept-language": "zh"})
                took.append(1000 * (time.perf_counter() - start))
            median = statistics.median(took)
            slow += median > LIMIT_MS
            rows.append([login, path, f"{len(answer.content):,}", f"{took[0]:.0f}", f"{median:.0f}",
                         str(answer.status_code)])  # fmt: skip
    office.stop()
    store.close()
    table("Pages of an office: what the server takes", [rows[0], *sorted(rows[1:], key=lambda row: -float(row[4]))])
    return 1 if slow else 0


def _sign_in(caller: Any, login: str) -> None:
    from medfloor.service.demonstration import PASSWORD

    answer = caller.post("/api/v1/session", json={"login": login, "password": PASSWORD})
    assert answer.status_code == 200, answer.text


def _known(store: Any) -> dict[str, str]:
    """Find the person with most claims, their household, a claim of theirs, and a published case."""
    import sqlalchemy as sa

    from medfloor.store.schema import claim, person_fact, watch_case

    with store.reading() as connection:
        person = connection.execute(
            sa.select(claim.c.person_id).group_by(claim.c.person_id).order_by(sa.func.count().desc()).limit(1)
        ).scalar_one()
        one = connection.execute(sa.select(claim.c.claim_id).where(claim.c.person_id == person).limit(1)).scalar_one()
        home = connection.execute(
            sa.select(person_fact.c.household_id).where(person_fact.c.person_id == person)
        ).scalar_one()
        case = connection.execute(
            sa.select(watch_case.c.case_id).where(watch_case.c.state == "published").limit(1)
        ).scalar_one()
    return {"person": person, "claim": one, "household": home, "case": case}


if __name__ == "__main__":
    sys.exit(main())
